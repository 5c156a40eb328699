//! The input of the interpreter ([`Env`]) and its result ([`Effects`]).

use tlbc_runtime::backend::{FinishSteps, IpiTargets, Root};
use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::{Ranges, Reach, Space, Tag};

use super::encode::Sources;
use crate::model::{Cases, Ceiling, Config, Model, Which};

/// Why an instruction is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is part of the request itself: it invalidates, loads or stores.
    Main,
    /// It makes stores visible to walkers.
    Publish,
    /// It comes before instructions that follow it.
    Order,
    /// It waits until invalidations are complete.
    Complete,
    /// It makes this CPU translate and fetch anew.
    Resync,
    /// It loads the empty root.
    EmptyRoot,
    /// It belongs to the workaround of an erratum, by its index.
    Workaround(usize),
}

/// One instruction with its operands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The instruction.
    pub which: Which,
    /// Why it is issued.
    pub role: Role,
    /// The operands, by index, with their bits.
    pub operands: Vec<(usize, u128)>,
    /// Where the bits come from.
    pub sources: SourcesEq,
}

/// [`Sources`] that always compare equal: instructions are equal if their bits are.
#[derive(Debug, Clone, Copy, Default)]
pub struct SourcesEq(pub Sources);

impl PartialEq for SourcesEq {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SourcesEq {}

/// What a plan does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects {
    /// Instructions, in order.
    pub ops: Vec<Op>,
    /// The flushes that are deferred.
    pub deferred: Deferred,
    /// The steps that completion still requires.
    pub steps: FinishSteps,
    /// Whether everything is invalidated because the request exceeds the ceiling.
    pub exceeded_ceiling: bool,
    /// The CPUs that are interrupted to flush for themselves.
    pub flush_ipis: IpiTargets,
    /// The CPUs that are interrupted although they issue nothing: taking the interrupt is enough.
    pub sync_ipis: IpiTargets,
}

/// A request, with everything that nodes of a plan test.
#[derive(Debug, Clone)]
pub struct Env {
    /// The configuration.
    pub config: Config,
    /// The limits of the machine, by index.
    pub limits: Vec<u64>,
    /// The tag of the space.
    pub tag: Tag,
    /// Whether walk entries are flushed as well.
    pub walk: bool,
    /// Whether the space is torn down.
    pub teardown: bool,
    /// Whether the changes were published to everything that may walk the tables.
    pub published: bool,
    /// How entries change, for `Change`.
    pub change: Changing,
    /// The one entry, for `Page`.
    pub page: (u64, Level),
    /// What changed, for `Ranges`.
    pub ranges: Ranges,
    /// The root that is loaded, for events.
    pub root: Root,
    /// The pending flush, for `Switch`.
    pub pending: Pending,
    /// Whether a flush of the user view is pending, for `ReturnToUser`.
    pub view_pending: bool,
    /// The steps that completion requires, for `Finish`.
    pub steps: FinishSteps,
}

/// A change of page-table entries, with everything that nodes of a plan test.
#[derive(Debug, Clone, Copy)]
pub struct Changing {
    /// The kind of the change.
    pub kind: Kind,
    /// The level of the entries.
    pub level: Level,
    /// The first address that the first of them translates.
    pub va: u64,
    /// How many they are.
    pub entries: u64,
    /// The physical address of their table.
    pub table: u64,
    /// The index of the first in it.
    pub index: u64,
    /// The entry as it was.
    pub old: u64,
    /// The entry as it becomes.
    pub new: u64,
    /// The space that the entries belong to.
    pub space: Space,
    /// Which CPUs may have cached the entries.
    pub reach: Reach,
    /// Whether the flush may be deferred.
    pub may_defer: bool,
}

impl Default for Changing {
    fn default() -> Self {
        Self {
            kind: Kind::Unmap,
            level: Level(0),
            va: 0,
            entries: 1,
            table: 0,
            index: 0,
            old: 0,
            new: 0,
            space: Space::User,
            reach: Reach::Wide,
            may_defer: false,
        }
    }
}

/// Returns the ceilings of a space and a reach on a machine: operations, base pages.
pub fn ceiling(
    model: &Model,
    (config, limits): (Config, &[u64]),
    space: Space,
    reach: Reach,
) -> (u64, u64) {
    let of = |cases: &Option<Cases<Ceiling>>| {
        let stated = cases.as_ref().and_then(|c| c.of(config, space, reach));
        stated.map_or(u64::MAX, |amount| amount.on(limits))
    };
    (
        of(&model.policy.ceiling_operations),
        of(&model.policy.ceiling_pages),
    )
}
