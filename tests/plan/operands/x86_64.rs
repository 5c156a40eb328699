//! Operands of x86-64, by the manuals of Intel and AMD.

use tlbc::Analysis;
use tlbc::trace::{Event, Trace};
use tlbc_runtime::deferred::Pending;

use crate::operands::row::is;
use tlbc_tests::requests::{Ask, X86_64, edited, good, x86};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn user(start: u64, bytes: u64, levels: &'static [&'static str]) -> Ask {
    Ask::user(start, bytes, levels).tag(5).others()
}

#[test]
fn invlpg_takes_the_address() {
    let at = |ask: Ask| ask.on(x86(), "pge pcid");
    is(
        &at(user(0x1000, 0x1000, &["pte"]).here()),
        ("invlpg", 0, "va"),
        &[(63, 0, 0x1000)],
        0x1000,
    );
    let last = 0xffff_ffff_ffff_f000;
    is(
        &at(Ask::kernel(last, 0x1000, &["pte"])),
        ("invlpg", 0, "va"),
        &[(63, 0, last)],
        0xffff_ffff_ffff_f000,
    );
}

/// SDM 2, INVPCID: the type in a register, and in memory the PCID in [11:0] and the linear address
/// in [127:64]. Each type, and the descriptor with it.
fn invpcid(trace: &Trace, kind: u64, address: u64, pcid: u64, descriptor: u128) {
    is(
        trace,
        ("invpcid", 0, "kind"),
        &[(63, 2, 0), (1, 0, kind)],
        u128::from(kind),
    );
    is(
        trace,
        ("invpcid", 0, "descriptor"),
        &[(127, 64, address), (63, 12, 0), (11, 0, pcid)],
        descriptor,
    );
}

#[test]
fn invpcid_0_one_address_of_one_pcid() {
    // The user view of PCID 2: bit 11.
    let page = user(0x4000_1000, 0x1000, &["pte"]).tag(2).here();
    invpcid(
        &page.on(x86(), "pge pcid invpcid pti"),
        0,
        0x4000_1000,
        0x802,
        0x0000_0000_4000_1000_0000_0000_0000_0802,
    );
}

/// Returns a variant of the machine that cannot defer flushes: PCIDs are not invalidated lazily, and loading CR3 drops
/// nothing under a PCID. INVPCID then does every flush.
fn without_deferral() -> Analysis {
    let load = "        drops leaf, walk of everything, this tag unless keep;\n";
    let text = edited(
        X86_64,
        load,
        "        drops leaf, walk of everything, this tag when not pcid;\n",
    );
    let text = edited(&text, "        may be invalidated lazily;", "        //");
    good(&edited(&text, "needs pge;", "needs pge and invpcid;"))
}

#[test]
fn invpcid_1_one_pcid() {
    // Nothing of it is left to the return to user code, so the user view's PCID goes here.
    let arch = without_deferral();
    let all = Ask::event(Event::Everything).tag(2);
    invpcid(&all.on(&arch, "pge pcid invpcid pti"), 1, 0, 0x802, 0x802);
}

#[test]
fn invpcid_2_everything() {
    let range = Ask::kernel(0xffff_8000_4000_0000, 2 * MIB, &["pte"]);
    invpcid(&range.on(x86(), "pge pcid invpcid"), 2, 0, 0, 0);
}

#[test]
fn invpcid_3_every_pcid_but_no_globals() {
    // Kernel entries under every PCID, none of them global.
    let range = Ask::kernel(0xffff_8000_4000_0000, 2 * MIB, &["pte"]);
    let words = "pge pcid invpcid pti";
    invpcid(&range.on(&without_deferral(), words), 3, 0, 0, 0);
}

// APM 3, INVLPGB. rAX: 0 address valid, 1 PCID valid, 2 ASID valid, 3 globals too, 4 leaves only,
// 5 nested, [11:6] zero, [63:12] address. ECX: [15:0] more pages, [31] steps of 2 MiB.
// EDX: [15:0] ASID, [27:16] PCID.
struct Invlpgb {
    address: u64,
    /// The bits of rAX from bit 5 to bit 0.
    flags: u64,
    stride: u64,
    more: u64,
    pcid: u64,
    words: (u128, u128, u128),
}

fn invlpgb(trace: &Trace, nth: usize, of: &Invlpgb) {
    let (rax, ecx, edx) = of.words;
    let fields = [(63, 12, of.address), (11, 6, 0), (5, 0, of.flags)];
    is(trace, ("invlpgb", nth, "rax"), &fields, rax);
    is(
        trace,
        ("invlpgb", nth, "ecx"),
        &[(31, 31, of.stride), (30, 16, 0), (15, 0, of.more)],
        ecx,
    );
    is(
        trace,
        ("invlpgb", nth, "edx"),
        &[(31, 28, 0), (27, 16, of.pcid), (15, 0, 0)],
        edx,
    );
}

const AMD: &str = "pge pcid invpcid invlpgb tce invlpgb_pages=8";

#[test]
fn invlpgb_run_of_a_pcid() {
    let of = |start, bytes, levels| user(start, bytes, levels).tag(0x123).on(x86(), AMD);
    let run = Invlpgb {
        address: 0x40001,
        flags: 0b01_0111,
        stride: 0,
        more: 0,
        pcid: 0x123,
        words: (0x4000_1017, 0, 0x0123_0000),
    };
    invlpgb(&of(0x4000_1000, 0x1000, &["pte"]), 0, &run);
    // Ten pages: eight, then two; the count is of further pages.
    let ten = of(0x4000_1000, 10 << 12, &["pte"]);
    invlpgb(
        &ten,
        0,
        &Invlpgb {
            more: 7,
            words: (0x4000_1017, 7, 0x0123_0000),
            ..run
        },
    );
    let rest = Invlpgb {
        address: 0x40009,
        more: 1,
        words: (0x4000_9017, 1, 0x0123_0000),
        ..run
    };
    invlpgb(&ten, 1, &rest);
    // Leaves of 2 MiB: bit 31.
    let large = Invlpgb {
        address: 0x40000,
        stride: 1,
        more: 2,
        words: (0x4000_0017, 0x8000_0002, 0x0123_0000),
        ..run
    };
    invlpgb(&of(0x4000_0000, 6 * MIB, &["pmd"]), 0, &large);
    // A leaf of 1 GiB has no stride: one address.
    let huge = Invlpgb {
        address: 0x40000,
        words: (0x4000_0017, 0, 0x0123_0000),
        ..run
    };
    invlpgb(&of(0x4000_0000, GIB, &["pud"]), 0, &huge);
    // Walk entries as well, where a table was unlinked.
    let walk = Invlpgb {
        flags: 0b00_0111,
        words: (0x4000_1007, 0, 0x0123_0000),
        ..run
    };
    let table = user(0x4000_1000, 0x1000, &["pte"]).tables();
    invlpgb(&table.tag(0x123).on(x86(), AMD), 0, &walk);
}

#[test]
fn invlpgb_without_an_address() {
    let zero = Invlpgb {
        address: 0,
        flags: 0,
        stride: 0,
        more: 0,
        pcid: 0,
        words: (0, 0, 0),
    };
    // One PCID, non-globals: PCID and ASID valid.
    let tag = Invlpgb {
        flags: 0b00_0110,
        pcid: 0x123,
        words: (0x6, 0, 0x0123_0000),
        ..zero
    };
    invlpgb(
        &Ask::event(Event::Everything)
            .tag(0x123)
            .others()
            .on(x86(), AMD),
        0,
        &tag,
    );
    // Everything: ASID valid and globals.
    let range = Ask::kernel(0xffff_8000_4000_0000, 2 * MIB, &["pte"]).tables();
    invlpgb(
        &range.on(x86(), AMD),
        0,
        &Invlpgb {
            flags: 0b00_1100,
            words: (0xc, 0, 0),
            ..zero
        },
    );
    // Every PCID, no globals: ASID valid alone.
    let nonglobal = Invlpgb {
        flags: 0b00_0100,
        words: (0x4, 0, 0),
        ..zero
    };
    let global = "leaf under every tag, global when pge and not pti;";
    let without_globals = good(&edited(X86_64, global, "leaf under every tag;"));
    invlpgb(&range.on(&without_globals, AMD), 0, &nonglobal);
}

#[test]
fn invlpgb_run_of_every_pcid() {
    // Address and ASID valid, PCID not compared, globals too, leaves only.
    let run = Invlpgb {
        address: 0xf_fff8_0000_0001,
        flags: 0b01_1101,
        stride: 0,
        more: 2,
        pcid: 0,
        words: (0xffff_8000_0000_101d, 2, 0),
    };
    let of = |start, bytes, levels| Ask::kernel(start, bytes, levels).on(x86(), AMD);
    invlpgb(&of(0xffff_8000_0000_1000, 3 << 12, &["pte"]), 0, &run);
    let last = Invlpgb {
        address: 0xf_ffff_ffff_ffff,
        more: 0,
        words: (0xffff_ffff_ffff_f01d, 0, 0),
        ..run
    };
    invlpgb(&of(0xffff_ffff_ffff_f000, 0x1000, &["pte"]), 0, &last);
    let large = Invlpgb {
        address: 0xf_fff8_0004_0000,
        stride: 1,
        more: 1,
        words: (0xffff_8000_4000_001d, 0x8000_0001, 0),
        ..run
    };
    invlpgb(&of(0xffff_8000_4000_0000, 4 * MIB, &["pmd"]), 0, &large);
}

#[test]
fn cr3() {
    // SDM 3A 4.5, 4.10.4.1: root in [51:12], PCID in [11:0], and bit 63 keeps what is cached.
    let switch = |pending, machine| Ask::event(Event::Switch(pending)).tag(3).on(x86(), machine);
    is(
        &switch(Pending::None, "pge pcid"),
        ("cr3", 0, "cr3"),
        &[(63, 63, 1), (62, 52, 0), (51, 12, 0x4_0000), (11, 0, 3)],
        0x8000_0000_4000_0003,
    );
    is(
        &switch(Pending::Tag, "pge pcid"),
        ("cr3", 0, "cr3"),
        &[(63, 63, 0), (62, 52, 0), (51, 12, 0x4_0000), (11, 0, 3)],
        0x4000_0003,
    );
    // Without PCIDs both are reserved.
    is(
        &switch(Pending::None, "pge"),
        ("cr3", 0, "cr3"),
        &[(63, 63, 0), (62, 52, 0), (51, 12, 0x4_0000), (11, 0, 0)],
        0x4000_0000,
    );
    // Return to user code: the view's PCID has bit 11.
    let resume = |deferred| {
        Ask::event(Event::ReturnToUser(deferred))
            .tag(3)
            .on(x86(), "pge pcid pti")
    };
    is(
        &resume(false),
        ("cr3", 0, "cr3"),
        &[
            (63, 63, 1),
            (62, 52, 0),
            (51, 12, 0x4_0000),
            (11, 11, 1),
            (10, 0, 3),
        ],
        0x8000_0000_4000_0803,
    );
    is(
        &resume(true),
        ("cr3", 0, "cr3"),
        &[
            (63, 63, 0),
            (62, 52, 0),
            (51, 12, 0x4_0000),
            (11, 11, 1),
            (10, 0, 3),
        ],
        0x4000_0803,
    );
}

/// Every operand of the definition is checked in this file.
#[test]
fn every_operand_has_a_row() {
    let source = include_str!("x86_64.rs");
    for name in x86()
        .model
        .operands
        .iter()
        .map(|operand| &operand.named.name)
    {
        let row = source.contains(&format!("\"{name}\")"));
        assert!(row, "no row for operand {name}");
    }
}
