//! Operands of arm64, by DDI 0487 and DDI 0601.

use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;

use crate::operands::row::{Field, is};
use tlbc_tests::requests::{Ask, arm64, lines};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn user(start: u64, bytes: u64, levels: &'static [&'static str]) -> Ask {
    Ask::user(start, bytes, levels).tag(5).others()
}

/// DDI 0601, TLBI VALE1IS and its relatives: ASID [63:48], TTL [47:44], VA[55:12] in [43:0].
/// TTL is the granule (01 4 KiB, 10 16 KiB, 11 64 KiB) in [47:46] and the level in [45:44].
fn by_page([asid, granule, level, va]: [u64; 4]) -> [Field; 4] {
    [
        (63, 48, asid),
        (47, 46, granule),
        (45, 44, level),
        (43, 0, va),
    ]
}

/// DDI 0601, TLBI RVAE1IS: ASID [63:48], TG [47:46], SCALE [45:44], NUM [43:39], TTL [38:37],
/// `BaseADDR` [36:0] = VA[48:12], VA[50:14] or VA[52:16]. It names (NUM+1) << (5*SCALE+1) granules.
fn by_range([asid, tg, scale, num, ttl, base]: [u64; 6]) -> [Field; 6] {
    [
        (63, 48, asid),
        (47, 46, tg),
        (45, 44, scale),
        (43, 39, num),
        (38, 37, ttl),
        (36, 0, base),
    ]
}

#[test]
fn page_at_4_kib() {
    let page = user(0x1000, 0x1000, &["pte"]);
    is(
        &page.on(arm64(), "ttl"),
        ("vale1is", 0, "page"),
        &by_page([0x0005, 0b01, 3, 0x1]),
        0x0005_7000_0000_0001,
    );
    // Without FEAT_TTL the field is RES0.
    is(
        &page.on(arm64(), ""),
        ("vale1is", 0, "page"),
        &[(63, 48, 0x0005), (47, 44, 0), (43, 0, 0x1)],
        0x0005_0000_0000_0001,
    );
    // 2 MiB at 0x4000_0020_0000: the address without its low twelve bits, level 2.
    is(
        &user(0x4000_0020_0000, 2 * MIB, &["pmd"]).on(arm64(), "ttl"),
        ("vale1is", 0, "page"),
        &by_page([5, 0b01, 2, 0x4_0000_0200]),
        0x0005_6004_0000_0200,
    );
    // 1 GiB: level 1.
    is(
        &user(0x7f_c000_0000, GIB, &["pud"]).on(arm64(), "ttl"),
        ("vale1is", 0, "page"),
        &by_page([5, 0b01, 1, 0x7fc_0000]),
        0x0005_5000_07fc_0000,
    );
    // This CPU alone: the same operand for the form without IS.
    is(
        &page.clone().here().on(arm64(), "ttl"),
        ("vale1", 0, "page"),
        &by_page([0x0005, 0b01, 3, 0x1]),
        0x0005_7000_0000_0001,
    );
    // A freed table: no hint, which would exclude walk entries (RSQXYZ).
    is(
        &page.tables().on(arm64(), "ttl"),
        ("vae1is", 0, "page"),
        &[(63, 48, 0x0005), (47, 44, 0), (43, 0, 0x1)],
        0x0005_0000_0000_0001,
    );
}

#[test]
fn page_under_the_asid_of_user_code() {
    // With the kernel unmapped user code runs under the odd ASID: bit 48 of the operand.
    let trace = user(0x1000, 0x1000, &["pte"])
        .tag(0x42)
        .on(arm64(), "ttl kpti");
    is(
        &trace,
        ("vale1is", 0, "page"),
        &by_page([0x0042, 0b01, 3, 0x1]),
        0x0042_7000_0000_0001,
    );
    is(
        &trace,
        ("vale1is", 1, "page"),
        &[
            (63, 49, 0x0021),
            (48, 48, 1),
            (47, 46, 0b01),
            (45, 44, 3),
            (43, 0, 0x1),
        ],
        0x0043_7000_0000_0001,
    );
}

#[test]
fn page_at_16_and_64_kib() {
    // The field is VA[55:12] whatever the granule: the low bits stay zero.
    is(
        &user(0xc000, 0x4000, &["pte"]).on(arm64(), "g16k ttl"),
        ("vale1is", 0, "page"),
        &by_page([5, 0b10, 3, 0xc]),
        0x0005_b000_0000_000c,
    );
    is(
        &user(32 * MIB, 32 * MIB, &["pmd"]).on(arm64(), "g16k ttl"),
        ("vale1is", 0, "page"),
        &by_page([5, 0b10, 2, 0x2000]),
        0x0005_a000_0000_2000,
    );
    is(
        &user(0x3_0000, 0x1_0000, &["pte"]).on(arm64(), "g64k ttl"),
        ("vale1is", 0, "page"),
        &by_page([5, 0b11, 3, 0x30]),
        0x0005_f000_0000_0030,
    );
    is(
        &user(512 * MIB, 512 * MIB, &["pmd"]).on(arm64(), "g64k ttl"),
        ("vale1is", 0, "page"),
        &by_page([5, 0b11, 2, 0x2_0000]),
        0x0005_e000_0002_0000,
    );
}

#[test]
fn page_of_the_kernel() {
    // VAALE1IS, VAAE1IS: [63:48] is RES0; the address keeps bit 55, which chooses TTBR1.
    let page = Ask::kernel(0xffff_8000_0000_1000, 0x1000, &["pte"]);
    is(
        &page.on(arm64(), "ttl"),
        ("vaale1is", 0, "page_any"),
        &by_page([0, 0b01, 3, 0xff8_0000_0001]),
        0x0000_7ff8_0000_0001,
    );
    is(
        &page.clone().here().on(arm64(), "ttl"),
        ("vaale1", 0, "page_any"),
        &by_page([0, 0b01, 3, 0xff8_0000_0001]),
        0x0000_7ff8_0000_0001,
    );
    is(
        &page.tables().on(arm64(), "ttl"),
        ("vaae1is", 0, "page_any"),
        &[(63, 48, 0), (47, 44, 0), (43, 0, 0xff8_0000_0001)],
        0x0000_0ff8_0000_0001,
    );
    is(
        &Ask::kernel(0xffff_ffff_ffff_f000, 0x1000, &["pte"]).on(arm64(), ""),
        ("vaale1is", 0, "page_any"),
        &[(63, 48, 0), (47, 44, 0), (43, 0, 0xfff_ffff_ffff)],
        0x0000_0fff_ffff_ffff,
    );
    is(
        &Ask::kernel(0xffff_ffff_ffff_0000, 0x1_0000, &["pte"]).on(arm64(), "g64k ttl"),
        ("vaale1is", 0, "page_any"),
        &by_page([0, 0b11, 3, 0xfff_ffff_fff0]),
        0x0000_ffff_ffff_fff0,
    );
}

#[test]
fn space() {
    // ASIDE1IS: the ASID, and zeros.
    let trace = Ask::event(Event::Everything)
        .tag(0x42)
        .others()
        .on(arm64(), "kpti");
    is(
        &trace,
        ("aside1is", 0, "space"),
        &[(63, 48, 0x42), (47, 0, 0)],
        0x0042_0000_0000_0000,
    );
    is(
        &trace,
        ("aside1is", 1, "space"),
        &[(63, 48, 0x43), (47, 0, 0)],
        0x0043_0000_0000_0000,
    );
}

#[test]
fn the_workaround_names_nothing() {
    // One more broadcast, of anything: ASID 0, address 0.
    let trace = user(0x1000, 0x1000, &["pte"]).on(arm64(), "ttl repeat_tlbi");
    is(&trace, ("vale1is", 1, "page"), &[(63, 0, 0)], 0);
}

#[test]
fn range_at_4_kib() {
    // 10 pages: (4+1) << 1.
    is(
        &user(0x1000, 10 << 12, &["pte"]).on(arm64(), "ttl ranges"),
        ("rvale1is", 0, "range"),
        &by_range([5, 0b01, 0, 4, 3, 1]),
        0x0005_4260_0000_0001,
    );
    is(
        &user(0x1000, 10 << 12, &["pte"])
            .here()
            .on(arm64(), "ttl ranges"),
        ("rvale1", 0, "range"),
        &by_range([5, 0b01, 0, 4, 3, 1]),
        0x0005_4260_0000_0001,
    );
    // 512 pages and their table: (7+1) << 6. Here a hint is allowed (C5.5.44).
    is(
        &user(2 * MIB, 2 * MIB, &["pte"])
            .tables()
            .on(arm64(), "ttl ranges"),
        ("rvae1is", 0, "range"),
        &by_range([5, 0b01, 1, 7, 3, 0x200]),
        0x0005_53e0_0000_0200,
    );
    // Two leaves of 2 MiB are 1024 pages: (15+1) << 6, level 2.
    is(
        &user(GIB, 4 * MIB, &["pmd"]).on(arm64(), "ttl ranges"),
        ("rvale1is", 0, "range"),
        &by_range([5, 0b01, 1, 15, 2, 0x4_0000]),
        0x0005_57c0_0004_0000,
    );
    // Two leaves of 1 GiB are 2^19 pages: (7+1) << 16, level 1.
    is(
        &user(GIB, 2 * GIB, &["pud"]).on(arm64(), "ttl ranges"),
        ("rvale1is", 0, "range"),
        &by_range([5, 0b01, 3, 7, 1, 0x4_0000]),
        0x0005_73a0_0004_0000,
    );
    // The most there is: 2^21 pages, (31+1) << 16.
    is(
        &user(0x40_0000_0000, 8 * GIB, &["pte"]).on(arm64(), "ttl ranges"),
        ("rvale1is", 0, "range"),
        &by_range([5, 0b01, 3, 31, 3, 0x400_0000]),
        0x0005_7fe0_0400_0000,
    );
    // Three pages: a run of two, (0+1) << 1, and the odd one as a page.
    let trace = user(0x1000, 3 << 12, &["pte"]).on(arm64(), "ttl ranges");
    is(
        &trace,
        ("rvale1is", 0, "range"),
        &by_range([5, 0b01, 0, 0, 3, 1]),
        0x0005_4060_0000_0001,
    );
    is(
        &trace,
        ("vale1is", 0, "page"),
        &by_page([5, 0b01, 3, 3]),
        0x0005_7000_0000_0003,
    );
}

/// [38:37] is RES0 without `FEAT_TTL` (DDI 0601, TLBI RVAE1IS, field TTL), as [47:44] of the forms
/// without a range is, so a machine with ranges alone must get zero.
#[test]
fn range_without_ttl_has_no_hint() {
    is(
        &user(0x1000, 10 << 12, &["pte"]).on(arm64(), "ranges"),
        ("rvale1is", 0, "range"),
        &by_range([5, 0b01, 0, 4, 0, 1]),
        0x0005_4200_0000_0001,
    );
}

#[test]
fn range_at_16_and_64_kib() {
    // BaseADDR counts granules.
    is(
        &user(0x4000, 10 << 14, &["pte"]).on(arm64(), "g16k ttl ranges"),
        ("rvale1is", 0, "range"),
        &by_range([5, 0b10, 0, 4, 3, 1]),
        0x0005_8260_0000_0001,
    );
    is(
        &user(0x1_0000, 10 << 16, &["pte"]).on(arm64(), "g64k ttl ranges"),
        ("rvale1is", 0, "range"),
        &by_range([5, 0b11, 0, 4, 3, 1]),
        0x0005_c260_0000_0001,
    );
    // Two leaves of 32 MiB are 4096 pages of 16 KiB: (1+1) << 11, level 2.
    is(
        &user(32 * MIB, 64 * MIB, &["pmd"]).on(arm64(), "g16k ttl ranges"),
        ("rvale1is", 0, "range"),
        &by_range([5, 0b10, 2, 1, 2, 0x800]),
        0x0005_a0c0_0000_0800,
    );
}

#[test]
fn range_of_the_kernel() {
    // BaseADDR is cut off above: VA[48:12], VA[50:14], VA[52:16] of 0xffff_8000_4000_0000.
    let of = |shift: u32| Ask::kernel(0xffff_8000_4000_0000, 10 << shift, &["pte"]);
    is(
        &of(12).on(arm64(), "ttl ranges"),
        ("rvaale1is", 0, "range_any"),
        &by_range([0, 0b01, 0, 4, 3, 0x18_0004_0000]),
        0x0000_4278_0004_0000,
    );
    is(
        &of(14).on(arm64(), "g16k ttl ranges"),
        ("rvaale1is", 0, "range_any"),
        &by_range([0, 0b10, 0, 4, 3, 0x1e_0001_0000]),
        0x0000_827e_0001_0000,
    );
    is(
        &of(16).on(arm64(), "g64k ttl ranges"),
        ("rvaale1is", 0, "range_any"),
        &by_range([0, 0b11, 0, 4, 3, 0x1f_8000_4000]),
        0x0000_c27f_8000_4000,
    );
    // With the table: RVAAE1IS, the same layout, (7+1) << 6 pages.
    is(
        &Ask::kernel(0xffff_8000_4000_0000, 2 * MIB, &["pte"])
            .tables()
            .on(arm64(), "ttl ranges"),
        ("rvaae1is", 0, "range_any"),
        &by_range([0, 0b01, 1, 7, 3, 0x18_0004_0000]),
        0x0000_53f8_0004_0000,
    );
}

#[test]
fn switch_and_resume() {
    let switch = Ask::event(Event::Switch(Pending::None))
        .tag(0x42)
        .on(arm64(), "kpti");
    // The empty root first: nothing is walked while root and ASID belong to different spaces.
    is(
        &switch,
        ("ttbr0", 0, "ttbr0"),
        &[(63, 48, 0), (47, 1, 0x800), (0, 0, 0)],
        0x1000,
    );
    is(
        &switch,
        ("ttbr0", 1, "ttbr0"),
        &[(63, 48, 0), (47, 1, 0x2000_0000), (0, 0, 0)],
        0x4000_0000,
    );
    // The ASID goes to TTBR1_EL1[63:48] by a bit field insert: it is in [15:0] of its register.
    is(
        &switch,
        ("ttbr1", 0, "asid"),
        &[(63, 16, 0), (15, 0, 0x42)],
        0x42,
    );
    let lines = lines(switch.issued());
    let insert = "bfi scratch, 0x42, #48, #16".to_owned();
    assert!(lines.contains(&insert), "{lines:?}");
    let resume = Ask::event(Event::ReturnToUser(false))
        .tag(0x42)
        .on(arm64(), "kpti");
    is(
        &resume,
        ("ttbr1", 0, "asid"),
        &[(63, 16, 0), (15, 0, 0x43)],
        0x43,
    );
}

/// Every operand of the definition is checked in this file.
#[test]
fn every_operand_has_a_row() {
    let source = include_str!("arm64.rs");
    for name in arm64()
        .model
        .operands
        .iter()
        .map(|operand| &operand.named.name)
    {
        let row = source.contains(&format!("\"{name}\")"));
        assert!(row, "no row for operand {name}");
    }
}
