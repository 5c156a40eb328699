//! s390: random changes. Each entry is written once, by an instruction that writes entries or by a store, and every
//! agent that may have cached it loses it. Operands are read back by the formats of IPTE, IDTE,
//! CRDTE and CSPG.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tlbc::trace::interpret::Changing;
use tlbc::trace::{Instruction, Step};
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::{Reach, Space};

use crate::coverage::random::configurations;
use tlbc_tests::requests::{Ask, Made, bits, change_on, level, names, s390};

const LEVELS: [(&str, u32); 5] = [
    ("pte", 12),
    ("pmd", 20),
    ("pud", 31),
    ("p4d", 42),
    ("pgd", 53),
];
const TABLE: u64 = 0x1_2345_4000;
const ASCE: u64 = 0x1_2345_808b;

/// The effect of one instruction on entries of the table.
struct Written {
    indexes: std::ops::Range<u64>,
    becomes: Becomes,
    /// Whether other CPUs drop their entries as well, and whether any CPU does.
    wide: bool,
    purges: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Invalid,
    New,
    MoreRights,
}

fn read(i: &Instruction, at: usize) -> Written {
    let operand = |wanted: &str| {
        let mut all = i.operands.iter();
        let found = all.find(|operand| operand.name == wanted);
        let found = found.unwrap_or_else(|| panic!("{} has no {wanted}", i.name));
        found.value.0
    };
    let (_, shift) = LEVELS[at];
    // Page tables have 256 entries, the others 2048.
    let index = |address: u128| bits(address, shift + if at == 0 { 7 } else { 10 }, shift);
    let wide = !i.name.ends_with("_local");
    let name = i.name.strip_suffix("_local").unwrap_or(&i.name);
    let (first, count, becomes) = match name {
        "ipte" | "ipte_run" => {
            assert_eq!((operand("table"), at), (u128::from(TABLE), 0));
            let more = match name {
                "ipte" => 0,
                _ => operand("more"),
            };
            assert!(more < 256, "options in {more:#x}");
            (
                index(operand("page")),
                bits(more, 7, 0) + 1,
                Becomes::Invalid,
            )
        }
        "rdp" => {
            assert_eq!((operand("table"), at), (u128::from(TABLE), 0));
            (index(operand("page")), 1, Becomes::MoreRights)
        }
        "idte" => {
            let origin = operand("origin");
            assert_eq!(origin & !0xfff, u128::from(TABLE));
            assert_eq!(
                bits(origin, 11, 0),
                4 * (at as u64 - 1),
                "the type of table"
            );
            assert_eq!(
                bits(operand("segment"), 19, 0),
                0,
                "options and more entries"
            );
            (index(operand("segment")), 1, Becomes::Invalid)
        }
        "crdte" => {
            let origin = operand("origin_in_r4");
            let kinds = [0, 0x10, 0x14, 0x18, 0x1c];
            assert_eq!(origin, u128::from(TABLE | kinds[at]));
            assert_eq!(operand("asce"), u128::from(ASCE));
            (index(operand("address_in_r5")), 1, Becomes::New)
        }
        "cspg" => {
            let entry = operand("entry");
            assert_eq!(bits(entry, 2, 0), 1, "purged");
            ((bits(entry, 63, 0) - TABLE) / 8, 1, Becomes::New)
        }
        name => panic!("{name} writes nothing"),
    };
    Written {
        indexes: first..first + count,
        becomes,
        wide,
        purges: becomes != Becomes::MoreRights,
    }
}

fn check(change: &Changing, trace: &Made) {
    let at = change.level.index();
    let mut written: BTreeMap<u64, Becomes> = BTreeMap::new();
    let mut stored = false;
    for step in &trace.here {
        let Some(i) = Step::instruction(step) else {
            stored = true;
            continue;
        };
        let it = read(i, at);
        assert!(!stored, "after the store: {:?}", trace.here);
        assert!(it.wide || change.reach == Reach::Here, "{:?}", trace.here);
        assert!(
            it.purges || change.kind == Kind::MoreRights,
            "{:?}",
            trace.here
        );
        for index in it.indexes {
            let before = written.insert(index, it.becomes);
            assert_eq!(before, None, "entry {index} twice: {:?}", trace.here);
        }
    }
    let all = change.index..change.index + change.entries;
    // POP p. 3-47: a store may change the software bits of a valid page-table entry.
    let by_store = change.kind == Kind::Map || change.kind == Kind::Same && at == 0;
    let wanted: Vec<u64> = match change.kind {
        _ if by_store => Vec::new(),
        _ => all.collect(),
    };
    let found: Vec<u64> = written.keys().copied().collect();
    assert_eq!(found, wanted, "{:?}", trace.here);
    let invalid = written.values().any(|it| *it == Becomes::Invalid);
    let more_rights = written.values().any(|it| *it == Becomes::MoreRights);
    // What takes the place of an invalid entry is stored: another page, or what software keeps in its place.
    let wanted = invalid || more_rights || by_store;
    assert_eq!(stored, wanted, "{:?}", trace.here);
    assert!(trace.deferred.is_nothing());
}

fn kinds() -> impl Strategy<Value = Kind> {
    proptest::sample::select(vec![
        Kind::Map,
        Kind::Unmap,
        Kind::MoreRights,
        Kind::Same,
        Kind::Remap,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_time: 10_000,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn covers(
        config in configurations(s390()),
        kind in kinds(),
        at in 0usize..5,
        first in 0u64..2048,
        count in prop_oneof![3 => Just(1u64), 3 => 2u64..20, 1 => 1u64..2049],
        table in 0u64..256,
        kernel in any::<bool>(),
        here in any::<bool>(),
    ) {
        let size = if at == 0 { 256 } else { 2048 };
        let index = first % size;
        let space = if kernel { Space::Kernel } else { Space::User };
        let (name, shift) = LEVELS[at];
        let whole = (table << shift << if at == 0 { 8 } else { 11 }) & !(1 << 63);
        let change = Changing {
            kind,
            level: level(&s390().model, name),
            va: whole | index << shift,
            entries: count.min(size - index),
            table: TABLE,
            index,
            old: 0x1000_0001,
            new: 0x3000_0001,
            space,
            reach: if here { Reach::Here } else { Reach::Wide },
            may_defer: false,
        };
        check(&change, &change_on(s390(), config, ASCE, change));
    }
}

/// Entries that were changed by stores are flushed by ASCE, or with everything of this CPU, however few they are: no other
/// instruction drops entries without the address of a table.
#[test]
fn flushes_are_of_everything() {
    let flushes = |ask: Ask| {
        let here = ask.clone().here().on(s390(), "ipte_range local_clear");
        assert_eq!(names(&here), ["ptlb"]);
        let wide = ask.others().on(s390(), "ipte_range local_clear");
        assert_eq!(names(&wide), ["idte_asce"]);
    };
    for pages in [1, 2, 255, 256, 257, 100_000] {
        let leaf = Ask::user(0x100_0000_0000, pages << 12, &["pte"]);
        flushes(leaf.clone());
        flushes(leaf.tables());
        flushes(Ask::user(0x100_0000_0000, pages << 20, &["pte"]).live());
    }
}
