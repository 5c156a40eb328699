//! Random programs of gathers on two spaces.

use proptest::prelude::*;

/// The number of tables of the lowest level. The entries after their pointers map large pages.
pub const TABLES: usize = 3;
/// The maximum number of entries in use in a table.
pub const MOST: usize = 600;
/// The number of entries in use in the tables above.
pub const FEW: usize = 6;

/// An operation in a section. Numbers are reduced to the valid range.
#[derive(Debug, Clone)]
pub enum Op {
    Map(usize, usize, usize, bool),
    Clear(usize, usize, usize),
    MapLarge(bool, usize),
    ClearLarge(bool, usize),
    /// A table's pages, and the large pages after it in the same call.
    ClearAcross(usize),
    Protect(usize, usize),
    MoreRights(usize, usize),
    Replace(usize, usize),
    Unlink(usize),
    Detach(usize),
    Collapse(usize),
    UnlinkAll,
    DetachAll,
}

#[derive(Debug, Clone)]
pub enum Step {
    Section(Vec<Op>),
    Flush,
    /// The number of batches that the platform can still allocate.
    Memory(usize),
    /// Another gather, of this space or of the other one.
    Nested(bool, Vec<Step>),
}

#[derive(Debug, Clone)]
pub struct Program {
    /// Whether another CPU has the first space loaded as well.
    pub shared: bool,
    pub gathers: Vec<(bool, Vec<Step>)>,
    pub teardown: bool,
}

fn op() -> impl Strategy<Value = Op> {
    let table = || 0..TABLES;
    let count = || prop_oneof![4 => 1..4usize, 2 => 4..20usize, 1 => Just(MOST)];
    prop_oneof![
        6 => (table(), 0..MOST, count(), prop::bool::weighted(0.1)).prop_map(|(t, at, n, d)| Op::Map(t, at, n, d)),
        8 => (table(), 0..MOST, count()).prop_map(|(t, at, n)| Op::Clear(t, at, n)),
        2 => (any::<bool>(), 0..FEW).prop_map(|(up, at)| Op::MapLarge(up, at)),
        3 => (any::<bool>(), 0..FEW).prop_map(|(up, at)| Op::ClearLarge(up, at)),
        2 => table().prop_map(Op::ClearAcross),
        2 => (table(), 0..MOST).prop_map(|(t, at)| Op::Protect(t, at)),
        1 => (table(), 0..MOST).prop_map(|(t, at)| Op::MoreRights(t, at)),
        2 => (table(), 0..MOST).prop_map(|(t, at)| Op::Replace(t, at)),
        3 => table().prop_map(Op::Unlink),
        1 => table().prop_map(Op::Detach),
        1 => table().prop_map(Op::Collapse),
        1 => Just(Op::UnlinkAll),
        1 => Just(Op::DetachAll),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let simple = || {
        prop_oneof![
            6 => prop::collection::vec(op(), 1..6).prop_map(Step::Section),
            1 => Just(Step::Flush),
            1 => prop_oneof![Just(usize::MAX), 0..3usize].prop_map(Step::Memory),
        ]
    };
    let nested = (any::<bool>(), prop::collection::vec(simple(), 1..4));
    let step = prop_oneof![
        5 => simple(),
        1 => nested.prop_map(|(other, steps)| Step::Nested(other, steps)),
    ];
    prop::collection::vec(step, 1..6)
}

pub fn programs() -> impl Strategy<Value = Program> {
    (
        any::<bool>(),
        prop::collection::vec((any::<bool>(), steps()), 1..4),
        any::<bool>(),
    )
        .prop_map(|(shared, gathers, teardown)| Program {
            shared,
            gathers,
            teardown,
        })
}
