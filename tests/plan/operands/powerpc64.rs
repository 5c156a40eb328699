//! Operands of powerpc64, by the ISA and PAPR.
//!
//! IBM counts bits from the left: RB[0:51] is [63:12] here, IS = RB[52:53] is [11:10], AP = RB[56:58] is
//! [7:5], SET = RB[40:51] is [23:12], and the PID in RS[0:31] is [63:32]. AP is 0 for 4 KiB, 5 for
//! 64 KiB, 1 for 2 MiB and 2 for 1 GiB.

use tlbc::trace::{Event, Trace};
use tlbc_runtime::deferred::Pending;

use crate::operands::row::{Fields, is, operands};
use tlbc_tests::requests::{Ask, powerpc};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const KERNEL: u64 = 0xc008_0000_4000_0000;

/// Of a space with PID 0x12345.
fn user(start: u64, bytes: u64, levels: &'static [&'static str]) -> Ask {
    Ask::user(start, bytes, levels).tag(0x1_2345)
}

fn on(ask: &Ask, words: &str) -> Trace {
    ask.on(powerpc(), words)
}

#[test]
fn by_address() {
    // The last page but one of 4 KiB in quadrant 0, and its PID.
    let page = user(0xf_ffff_ffff_e000, 0x1000, &["pte"]);
    for (trace, name) in [
        (on(&page, "gtse"), "tlbiel_va"),
        (on(&page.clone().others(), "gtse broadcast"), "tlbie_va"),
    ] {
        is(
            &trace,
            (name, 0, "rb_va"),
            &[
                (63, 12, 0xff_ffff_fffe),
                (11, 10, 0),
                (9, 8, 0),
                (7, 5, 0),
                (4, 0, 0),
            ],
            0x000f_ffff_ffff_e000,
        );
        is(
            &trace,
            (name, 0, "rs"),
            &[(63, 32, 0x1_2345), (31, 0, 0)],
            0x0001_2345_0000_0000,
        );
    }
    // 2 MiB at 0x2_0060_0000: AP 1.
    is(
        &on(&user(0x2_0060_0000, 2 * MIB, &["pmd"]), "gtse"),
        ("tlbiel_va", 0, "rb_va"),
        &[(63, 12, 0x20_0600), (11, 8, 0), (7, 5, 1), (4, 0, 0)],
        0x2_0060_0020,
    );
    // 1 GiB at 0x1c0_0000_0000: AP 2, with either page size.
    for words in ["gtse broadcast", "g64k gtse broadcast"] {
        is(
            &on(&user(0x1c0_0000_0000, GIB, &["pud"]).others(), words),
            ("tlbie_va", 0, "rb_va"),
            &[(63, 12, 0x1c00_0000), (11, 8, 0), (7, 5, 2), (4, 0, 0)],
            0x1c0_0000_0040,
        );
    }
    // 64 KiB at 0x7_0003_0000: AP 5, and the address is in units of 4 KiB all the same.
    is(
        &on(
            &user(0x7_0003_0000, 0x1_0000, &["pte"]).others(),
            "g64k gtse broadcast",
        ),
        ("tlbie_va", 0, "rb_va"),
        &[(63, 12, 0x70_0030), (11, 8, 0), (7, 5, 5), (4, 0, 0)],
        0x7_0003_00a0,
    );
    // Three pages: one after the other.
    let three = on(&user(0x3000, 0x3000, &["pte"]), "gtse");
    let pages = operands(&three, "tlbiel_va", "rb_va");
    assert_eq!(pages, [0x3000, 0x4000, 0x5000]);
    // The kernel: quadrant 3, PID 0.
    let kernel = on(&Ask::kernel(KERNEL, 0x1000, &["pte"]), "gtse broadcast");
    is(
        &kernel,
        ("tlbie_va", 0, "rb_va"),
        &[(63, 12, 0xc_0080_0004_0000), (11, 0, 0)],
        0xc008_0000_4000_0000,
    );
    is(&kernel, ("tlbie_va", 0, "rs"), &[(63, 0, 0)], 0);
}

#[test]
fn by_pid() {
    // RIC is in the instruction: RB is the same for 0, 1 and 2.
    let row: (Fields<'_>, u128) = (&[(63, 12, 0), (11, 10, 1), (9, 0, 0)], 0x400);
    let pid: (Fields<'_>, u128) = (&[(63, 32, 0x1_2345), (31, 0, 0)], 0x0001_2345_0000_0000);
    let page = user(0x3000, 0x3000, &["pte"]).tables();
    let many = user(0, 300 * 0x1000, &["pte"]);
    let all = Ask::event(Event::Everything).tag(0x1_2345);
    for (ask, name) in [
        (&many, "tlbie_pid0"),
        (&page, "tlbie_pid1"),
        (&all, "tlbie_pid2"),
    ] {
        let trace = on(&ask.clone().others(), "gtse broadcast");
        is(&trace, (name, 0, "rb_pid"), row.0, row.1);
        is(&trace, (name, 0, "rs"), pid.0, pid.1);
    }
    let trace = on(&page, "gtse");
    is(&trace, ("tlbiel_pid1", 0, "rb_pid"), row.0, row.1);
    is(&trace, ("tlbiel_pid1", 0, "rs"), pid.0, pid.1);
}

#[test]
fn by_set() {
    let all = on(&Ask::event(Event::Everything).tag(0x1_2345), "gtse");
    // The first is set 0, the last set 127.
    is(
        &all,
        ("tlbiel_pid0", 0, "rb_pid_set"),
        &[(63, 24, 0), (23, 12, 0), (11, 10, 1), (9, 0, 0)],
        0x400,
    );
    is(
        &all,
        ("tlbiel_pid0", 1, "rb_pid_set"),
        &[(63, 24, 0), (23, 12, 1), (11, 10, 1), (9, 0, 0)],
        0x1400,
    );
    is(
        &all,
        ("tlbiel_pid0", 127, "rb_pid_set"),
        &[(63, 24, 0), (23, 12, 0x7f), (11, 10, 1), (9, 0, 0)],
        0x7_f400,
    );
    is(
        &all,
        ("tlbiel_pid0", 127, "rs"),
        &[(63, 32, 0x1_2345), (31, 0, 0)],
        0x0001_2345_0000_0000,
    );
    // A CPU that comes up: IS = 2.
    let arrive = on(&Ask::event(Event::CpuOnline), "gtse");
    is(
        &arrive,
        ("tlbiel_all2", 0, "rb_all_set"),
        &[(63, 24, 0), (23, 12, 0), (11, 10, 2), (9, 0, 0)],
        0x800,
    );
    is(
        &arrive,
        ("tlbiel_all0", 127, "rb_all_set"),
        &[(63, 24, 0), (23, 12, 0x7f), (11, 10, 2), (9, 0, 0)],
        0x7_f800,
    );
    is(&arrive, ("tlbiel_all2", 0, "rs_none"), &[(63, 0, 0)], 0);
}

#[test]
fn workarounds() {
    let words = "gtse broadcast p9_erat p9_stq";
    let page = on(&user(0x3000, 0x1000, &["pte"]).others(), words);
    // The same address: of PID 0, then of the real one.
    assert_eq!(operands(&page, "tlbie_va", "rb_va"), [0x3000; 3]);
    let pid = 0x0001_2345_0000_0000;
    assert_eq!(operands(&page, "tlbie_va", "rs"), [pid, 0, pid]);
    let large = on(&user(2 * MIB, 2 * MIB, &["pmd"]).others(), words);
    assert_eq!(operands(&large, "tlbie_va", "rb_va"), [0x20_0020; 3]);
    // For a PID: PID 0, then the last address of quadrant 0.
    let all = on(&Ask::event(Event::Everything).tag(0x1_2345).others(), words);
    is(
        &all,
        ("tlbie_pid0", 0, "rb_pid"),
        &[(63, 12, 0), (11, 10, 1), (9, 0, 0)],
        0x400,
    );
    is(&all, ("tlbie_pid0", 0, "rs"), &[(63, 0, 0)], 0);
    // Its size is 64 KiB, whatever pages the kernel has.
    for words in [words, "g64k gtse broadcast p9_stq"] {
        let all = on(&Ask::event(Event::Everything).tag(0x1_2345).others(), words);
        is(
            &all,
            ("tlbie_unused", 0, "rb_unused"),
            &[(63, 12, 0xff_ffff_ffff), (11, 8, 0), (7, 5, 5), (4, 0, 0)],
            0x000f_ffff_ffff_f0a0,
        );
        is(
            &all,
            ("tlbie_unused", 0, "rs"),
            &[(63, 32, 0x1_2345), (31, 0, 0)],
            0x0001_2345_0000_0000,
        );
    }
}

// PAPR, H_RPT_INVALIDATE: id, target, type, page sizes, start, end. Targets: 1 CPUs, 4 nest MMU. Types:
// 2 TLB, 4 walk cache, 8 process table. Sizes: 1 for 4 KiB, 2 for 64 KiB, 4 for 2 MiB, 8 for 1 GiB.

#[test]
fn calls_for_a_range() {
    let row = |ask: &Ask, words: &str, expected: [u64; 6]| {
        let trace = on(&ask.clone().others(), words);
        let names = [
            "rpt_pid",
            "rpt_target",
            "rpt_type",
            "rpt_size",
            "rpt_start",
            "rpt_end",
        ];
        for (name, value) in names.into_iter().zip(expected) {
            is(
                &trace,
                ("rpt_run", 0, name),
                &[(63, 0, value)],
                u128::from(value),
            );
        }
    };
    let pages = user(0x1_0000_3000, 0x5000, &["pte"]);
    let (start, end) = (0x1_0000_3000, 0x1_0000_8000);
    row(&pages, "", [0x1_2345, 1, 2, 1, start, end]);
    row(&pages, "coprocessors", [0x1_2345, 5, 2, 1, start, end]);
    row(&pages.others(), "isa31", [0x1_2345, 1, 2, 1, start, end]);
    let large = user(0x1_0003_0000, 0x3_0000, &["pte"]);
    row(
        &large,
        "g64k",
        [0x1_2345, 1, 2, 2, 0x1_0003_0000, 0x1_0006_0000],
    );
    let pmd = user(0x4020_0000, 4 * MIB, &["pmd"]);
    row(&pmd, "", [0x1_2345, 1, 2, 4, 0x4020_0000, 0x4060_0000]);
    let pud = user(0x8000_0000, 3 * GIB, &["pud"]);
    row(
        &pud,
        "g64k",
        [0x1_2345, 1, 2, 8, 0x8000_0000, 0x1_4000_0000],
    );
    // The end of user space, and a page of the kernel's.
    let last = user(0xf_ffff_ffff_f000, 0x1000, &["pte"]);
    row(
        &last,
        "",
        [0x1_2345, 1, 2, 1, 0xf_ffff_ffff_f000, 0x10_0000_0000_0000],
    );
    let kernel = Ask::kernel(KERNEL, 0x1000, &["pte"]);
    row(&kernel, "", [0, 1, 2, 1, KERNEL, KERNEL + 0x1000]);
    // A table that was unlinked as well: both types in one call.
    let table = user(0x20_0000, 2 * MIB, &["pte"]).tables();
    row(&table, "", [0x1_2345, 1, 6, 1, 0x20_0000, 0x40_0000]);
    row(
        &table,
        "coprocessors",
        [0x1_2345, 5, 6, 1, 0x20_0000, 0x40_0000],
    );
    // The end is as far away as the space has addresses.
    let far = user(0, 1 << 43, &["pte"]);
    row(&far, "", [0x1_2345, 1, 2, 1, 0, 1 << 43]);
    // The largest PID has 20 bits.
    let pid = user(0x3000, 0x1000, &["pte"]).tag(0xf_ffff);
    row(&pid, "", [0xf_ffff, 1, 2, 1, 0x3000, 0x4000]);
}

#[test]
fn calls_for_a_space() {
    let row = |ask: &Ask, words: &str, pid: u64, target: u64, form: u64| {
        let trace = on(&ask.clone().tag(0x1_2345).others(), words);
        let expected = [
            ("rpt_pid", pid),
            ("rpt_target", target),
            ("rpt_type", form),
            ("rpt_every_size", u64::MAX),
            ("rpt_from_first", 0),
            ("rpt_to_last", u64::MAX),
        ];
        for (name, value) in expected {
            is(
                &trace,
                ("rpt_space", 0, name),
                &[(63, 0, value)],
                u128::from(value),
            );
        }
    };
    let pid = 0x1_2345;
    // Pages of the kernel are not flushed one by one.
    row(&Ask::kernel(KERNEL, 0x2000, &["pte"]), "", 0, 1, 2);
    row(&Ask::event(Event::Everything), "", pid, 1, 6);
    row(&Ask::event(Event::Teardown), "coprocessors", pid, 5, 14);
}

#[test]
fn pid_register() {
    // PIDR[44:63].
    for (tag, word) in [(0x1_2345, 0x1_2345), (0xf_ffff, 0xf_ffff)] {
        is(
            &on(&Ask::event(Event::Switch(Pending::None)).tag(tag), "gtse"),
            ("pid", 0, "pidr"),
            &[(63, 20, 0), (19, 0, tag)],
            word,
        );
    }
}

/// Every operand of the definition is checked in this file.
#[test]
fn every_operand_has_a_row() {
    let source = include_str!("powerpc64.rs");
    for operand in &powerpc().model.operands {
        let name = &operand.named.name;
        let row = source.contains(&format!("\"{name}\""));
        assert!(row, "no row for operand {name}");
    }
}
