//! Operands of s390, by the formats of the instructions that write entries. Bits are counted from the
//! right, as everywhere here: IBM's bit 63 is 0.

use tlbc::trace::Event;
use tlbc::trace::interpret::Changing;
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::Reach;

use crate::operands::row::{Fields, is, operands};
use tlbc_tests::configurations::machine;
use tlbc_tests::requests::{Ask, Made, change_on, level, s390};

/// A page table is aligned to half a page, the other tables to four pages.
const PAGE_TABLE: u64 = 0x1_2345_6800;
const TABLE: u64 = 0x1_2345_4000;
const OLD: u64 = 0x0000_0007_6543_2001;
const NEW: u64 = 0x0000_0008_9abc_d201;
/// A region-second table of full length, with storage alteration events.
const ASCE: u64 = 0x1_2345_808b;

fn change(kind: Kind, at: &str, va: u64, entries: u64) -> Changing {
    Changing {
        kind,
        level: level(&s390().model, at),
        va,
        entries,
        table: if at == "pte" { PAGE_TABLE } else { TABLE },
        index: 5,
        old: OLD,
        new: NEW,
        ..Changing::default()
    }
}

fn on(change: Changing, words: &str) -> Made {
    change_on(s390(), machine(&s390().model, words).config, ASCE, change)
}

#[test]
fn ipte() {
    // R1 is the origin of the page table. R2 is the address; the page's index is [19:12], and below it
    // stand options: 0x400 and 0x800 were NODAT and a guest's ASCE.
    let unmap = change(Kind::Unmap, "pte", 0x3ff_8000_5000, 1);
    let here = Changing {
        reach: Reach::Here,
        ..unmap
    };
    let several = Changing {
        entries: 3,
        ..unmap
    };
    let several_here = Changing {
        reach: Reach::Here,
        ..several
    };
    let relaxes = change(Kind::RelaxPermissions, "pte", 0x3ff_8000_5000, 1);
    let relaxes_here = Changing {
        reach: Reach::Here,
        ..relaxes
    };
    for (change, words, name) in [
        (unmap, "", "ipte"),
        (here, "local_clear", "ipte_local"),
        // One entry needs no count.
        (unmap, "ipte_range", "ipte"),
        (here, "ipte_range local_clear", "ipte_local"),
        (several, "ipte_range", "ipte_run"),
        (several_here, "ipte_range local_clear", "ipte_run_local"),
        (relaxes, "local_clear rdp", "rdp"),
        (relaxes_here, "local_clear rdp", "rdp_local"),
    ] {
        let trace = on(change, words);
        is(
            &trace,
            (name, 0, "table"),
            &[(63, 11, 0x24_68ad), (10, 0, 0)],
            0x1_2345_6800,
        );
        is(
            &trace,
            (name, 0, "page"),
            &[(63, 12, 0x3ff8_0005), (11, 11, 0), (10, 10, 0), (9, 0, 0)],
            0x3ff_8000_5000,
        );
    }
    // The last page of the addresses.
    let last = change(Kind::Unmap, "pte", 0xffff_ffff_ffff_f000, 1);
    is(
        &on(last, ""),
        ("ipte", 0, "page"),
        &[(63, 12, 0xf_ffff_ffff_ffff), (11, 0, 0)],
        0xffff_ffff_ffff_f000,
    );
}

#[test]
fn ipte_of_several() {
    // R3 has one less than how many in [7:0], and options above it.
    for (entries, more) in [(2, 1), (251, 0xfa)] {
        let several = change(Kind::Unmap, "pte", 0x3ff_8000_5000, entries);
        is(
            &on(several, "ipte_range"),
            ("ipte_run", 0, "more"),
            &[(63, 12, 0), (11, 8, 0), (7, 0, more)],
            u128::from(more),
        );
        assert_eq!(
            operands(&on(several, "ipte_range"), "ipte_run", "page").len(),
            1
        );
    }
    // All of a table.
    let all = Changing {
        index: 0,
        ..change(Kind::Unmap, "pte", 0x3ff_8000_0000, 256)
    };
    is(
        &on(all, "ipte_range"),
        ("ipte_run", 0, "more"),
        &[(63, 8, 0), (7, 0, 0xff)],
        0xff,
    );
    // Without the facility, one after the other, each by its own address.
    let two = on(change(Kind::Unmap, "pte", 0x3ff_8000_5000, 2), "");
    let pages = operands(&two, "ipte", "page");
    assert_eq!(pages, [0x3ff_8000_5000, 0x3ff_8000_6000]);
}

#[test]
fn idte() {
    // R1: the origin in [63:12], and the type of the table in [3:2]: 0 segment, 1 region-third,
    // 2 region-second, 3 region-first table. R2: the address; [11] is the option to clear by ASCE,
    // [12] NODAT, [13] a guest's ASCE, [10:0] how many entries more. [19:14] are zero like these, since an entry reaches
    // 1 MiB at least: with other bits there IDTE is a specification exception.
    for (at, va, kind, origin) in [
        ("pmd", 0x3ff_8010_0000, 0, 0x1_2345_4000),
        ("pud", 0x3ff_8000_0000, 1, 0x1_2345_4004),
        ("p4d", 0x7_fc00_0000_0000, 2, 0x1_2345_4008),
        ("pgd", 0x7fe0_0000_0000_0000, 3, 0x1_2345_400c),
    ] {
        let wide = change(Kind::Unmap, at, va, 1);
        let here = Changing {
            reach: Reach::Here,
            ..wide
        };
        for (change, name) in [(wide, "idte"), (here, "idte_local")] {
            let trace = on(change, "local_clear");
            is(
                &trace,
                (name, 0, "origin"),
                &[(63, 12, 0x12_3454), (11, 4, 0), (3, 2, kind), (1, 0, 0)],
                origin,
            );
            is(
                &trace,
                (name, 0, "segment"),
                &[
                    (63, 20, va >> 20),
                    (19, 14, 0),
                    (13, 13, 0),
                    (12, 12, 0),
                    (11, 11, 0),
                    (10, 0, 0),
                ],
                u128::from(va),
            );
        }
    }
}

#[test]
fn idte_by_asce() {
    let trace = Ask::event(Event::Everything)
        .tag(ASCE)
        .others()
        .on(s390(), "");
    is(
        &trace,
        ("idte_asce", 0, "clear_by_asce"),
        &[(63, 12, 0), (11, 11, 1), (10, 0, 0)],
        0x800,
    );
    // The whole ASCE: origin, control bits, type and length.
    is(
        &trace,
        ("idte_asce", 0, "asce"),
        &[
            (63, 12, 0x12_3458),
            (11, 8, 0),
            (7, 7, 1),
            (6, 4, 0),
            (3, 2, 2),
            (1, 0, 3),
        ],
        0x1_2345_808b,
    );
}

#[test]
fn crdte() {
    // R1 and the register after it: old and new entry. R2: origin and, in [4:0], what is to change:
    // 0 for a page table, 0x10, 0x14, 0x18, 0x1c for segment and region tables. The address follows it.
    for (at, va, kind, origin) in [
        ("pte", 0x3ff_8000_5000, 0, 0x1_2345_6800),
        ("pmd", 0x3ff_8010_0000, 0x10, 0x1_2345_4010),
        ("pud", 0x3ff_8000_0000, 0x14, 0x1_2345_4014),
        ("p4d", 0x7_fc00_0000_0000, 0x18, 0x1_2345_4018),
        ("pgd", 0x7fe0_0000_0000_0000, 0x1c, 0x1_2345_401c),
    ] {
        let trace = on(change(Kind::Remap, at, va, 1), "edat1 edat2");
        let table = if at == "pte" { 0x24_68ad } else { 0x24_68a8 };
        let expected: [(&str, Fields<'_>, u128); 5] = [
            ("old_in_r2", &[(63, 0, 0x7_6543_2001)], 0x7_6543_2001),
            ("new_in_r3", &[(63, 0, 0x8_9abc_d201)], 0x8_9abc_d201),
            (
                "origin_in_r4",
                &[(63, 11, table), (10, 5, 0), (4, 0, kind)],
                origin,
            ),
            (
                "address_in_r5",
                &[(63, 12, va >> 12), (11, 0, 0)],
                u128::from(va),
            ),
            ("asce", &[(63, 0, 0x1_2345_808b)], 0x1_2345_808b),
        ];
        for (name, fields, word) in expected {
            is(&trace, ("crdte", 0, name), fields, word);
        }
    }
    // Several: each at its own address, in the same table.
    let two = change(Kind::Remap, "pmd", 0x3ff_8010_0000, 2);
    let two = on(two, "edat1 edat2");
    let addresses = operands(&two, "crdte", "address_in_r5");
    assert_eq!(addresses, [0x3ff_8010_0000, 0x3ff_8020_0000]);
}

#[test]
fn cspg() {
    // R2: where the entry is, on eight bytes, and in [0] that the TLBs are purged. It is the fifth.
    let change = Changing {
        space: tlbc_runtime::request::Space::Kernel,
        ..change(Kind::Remap, "pte", 0x5000, 1)
    };
    let trace = on(change, "");
    is(
        &trace,
        ("cspg", 0, "entry"),
        &[(63, 3, 0x2468_ad05), (2, 1, 0), (0, 0, 1)],
        0x1_2345_6829,
    );
    is(
        &trace,
        ("cspg", 0, "old_in_r2"),
        &[(63, 0, 0x7_6543_2001)],
        0x7_6543_2001,
    );
    is(
        &trace,
        ("cspg", 0, "new_in_r3"),
        &[(63, 0, 0x8_9abc_d201)],
        0x8_9abc_d201,
    );
}

/// Neighbouring entries are replaced at neighbouring addresses.
#[test]
fn cspg_of_several() {
    let change = Changing {
        space: tlbc_runtime::request::Space::Kernel,
        ..change(Kind::Remap, "pte", 0x5000, 3)
    };
    let entries = operands(&on(change, ""), "cspg", "entry");
    assert_eq!(entries, [0x1_2345_6829, 0x1_2345_6831, 0x1_2345_6839]);
}

#[test]
fn control_registers() {
    let trace = Ask::event(Event::Switch(Pending::None))
        .tag(ASCE)
        .on(s390(), "");
    for name in ["cr1", "cr7"] {
        is(
            &trace,
            (name, 0, "control"),
            &[(63, 12, 0x12_3458), (11, 0, 0x8b)],
            0x1_2345_808b,
        );
    }
}

/// Every operand of the definition is checked in this file.
#[test]
fn every_operand_has_a_row() {
    let source = include_str!("s390.rs");
    for operand in &s390().model.operands {
        let name = &operand.named.name;
        let row = source.contains(&format!("\"{name}\""));
        assert!(row, "no row for operand {name}");
    }
}
