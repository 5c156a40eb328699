//! Operands, bit by bit, worked out by hand from the layouts in the manuals.
//!
//! A row: a request on a machine, one operand of what is issued for it, its fields as
//! `(high, low, value)`, and the whole word. The fields are written from the manual, the word is
//! their sum, and nothing here calls the compiler's encoder.

mod common;

use common::operand::is;
use common::{Ask, X86_64, arm64, edited, good, x86};
use tlbc::Analysis;
use tlbc::trace::{Event, Trace};
use tlbc_runtime::backend::Debt;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn user(start: u64, bytes: u64, levels: &'static [&'static str]) -> Ask {
    Ask::user(start, bytes, levels).tag(5).others()
}

// DDI 0601, TLBI VALE1IS and its relatives: ASID [63:48], TTL [47:44], VA[55:12] in [43:0].
// TTL is the granule (01 4 KiB, 10 16 KiB, 11 64 KiB) in [47:46] and the level in [45:44].

#[test]
fn page_at_4_kib() {
    let page = user(0x1000, 0x1000, &["pte"]);
    is(
        &page.on(arm64(), "ttl"),
        ("vale1is", 0, "page"),
        &[(63, 48, 0x0005), (47, 46, 0b01), (45, 44, 3), (43, 0, 0x1)],
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
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 2),
            (43, 0, 0x4_0000_0200),
        ],
        0x0005_6004_0000_0200,
    );
    // 1 GiB: level 1.
    is(
        &user(0x7f_c000_0000, GIB, &["pud"]).on(arm64(), "ttl"),
        ("vale1is", 0, "page"),
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 1),
            (43, 0, 0x7fc_0000),
        ],
        0x0005_5000_07fc_0000,
    );
    // This CPU alone: the same operand for the form without IS.
    is(
        &page.clone().here().on(arm64(), "ttl"),
        ("vale1", 0, "page"),
        &[(63, 48, 0x0005), (47, 46, 0b01), (45, 44, 3), (43, 0, 0x1)],
        0x0005_7000_0000_0001,
    );
    // A freed table: no hint, which would give up the walk entries (RSQXYZ).
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
        &[(63, 48, 0x0042), (47, 46, 0b01), (45, 44, 3), (43, 0, 0x1)],
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
        &[(63, 48, 5), (47, 46, 0b10), (45, 44, 3), (43, 0, 0xc)],
        0x0005_b000_0000_000c,
    );
    is(
        &user(32 * MIB, 32 * MIB, &["pmd"]).on(arm64(), "g16k ttl"),
        ("vale1is", 0, "page"),
        &[(63, 48, 5), (47, 46, 0b10), (45, 44, 2), (43, 0, 0x2000)],
        0x0005_a000_0000_2000,
    );
    is(
        &user(0x3_0000, 0x1_0000, &["pte"]).on(arm64(), "g64k ttl"),
        ("vale1is", 0, "page"),
        &[(63, 48, 5), (47, 46, 0b11), (45, 44, 3), (43, 0, 0x30)],
        0x0005_f000_0000_0030,
    );
    is(
        &user(512 * MIB, 512 * MIB, &["pmd"]).on(arm64(), "g64k ttl"),
        ("vale1is", 0, "page"),
        &[(63, 48, 5), (47, 46, 0b11), (45, 44, 2), (43, 0, 0x2_0000)],
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
        &[
            (63, 48, 0),
            (47, 46, 0b01),
            (45, 44, 3),
            (43, 0, 0xff8_0000_0001),
        ],
        0x0000_7ff8_0000_0001,
    );
    is(
        &page.clone().here().on(arm64(), "ttl"),
        ("vaale1", 0, "page_any"),
        &[
            (63, 48, 0),
            (47, 46, 0b01),
            (45, 44, 3),
            (43, 0, 0xff8_0000_0001),
        ],
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
        &[
            (63, 48, 0),
            (47, 46, 0b11),
            (45, 44, 3),
            (43, 0, 0xfff_ffff_fff0),
        ],
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
fn remedy_names_nothing() {
    // One more broadcast, of anything: ASID 0, address 0.
    let trace = user(0x1000, 0x1000, &["pte"]).on(arm64(), "ttl repeat_tlbi");
    is(&trace, ("vale1is", 1, "page"), &[(63, 0, 0)], 0);
}

// DDI 0601, TLBI RVAE1IS: ASID [63:48], TG [47:46], SCALE [45:44], NUM [43:39], TTL [38:37],
// BaseADDR [36:0] = VA[48:12], VA[50:14] or VA[52:16]. It names (NUM+1) << (5*SCALE+1) granules.

#[test]
fn range_at_4_kib() {
    // 10 pages: (4+1) << 1.
    is(
        &user(0x1000, 10 << 12, &["pte"]).on(arm64(), "ttl ranges"),
        ("rvale1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 0),
            (43, 39, 4),
            (38, 37, 3),
            (36, 0, 1),
        ],
        0x0005_4260_0000_0001,
    );
    is(
        &user(0x1000, 10 << 12, &["pte"])
            .here()
            .on(arm64(), "ttl ranges"),
        ("rvale1", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 0),
            (43, 39, 4),
            (38, 37, 3),
            (36, 0, 1),
        ],
        0x0005_4260_0000_0001,
    );
    // 512 pages and their table: (7+1) << 6. Here a hint is allowed (C5.5.44).
    is(
        &user(2 * MIB, 2 * MIB, &["pte"])
            .tables()
            .on(arm64(), "ttl ranges"),
        ("rvae1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 1),
            (43, 39, 7),
            (38, 37, 3),
            (36, 0, 0x200),
        ],
        0x0005_53e0_0000_0200,
    );
    // Two leaves of 2 MiB are 1024 pages: (15+1) << 6, level 2.
    is(
        &user(GIB, 4 * MIB, &["pmd"]).on(arm64(), "ttl ranges"),
        ("rvale1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 1),
            (43, 39, 15),
            (38, 37, 2),
            (36, 0, 0x4_0000),
        ],
        0x0005_57c0_0004_0000,
    );
    // Two leaves of 1 GiB are 2^19 pages: (7+1) << 16, level 1.
    is(
        &user(GIB, 2 * GIB, &["pud"]).on(arm64(), "ttl ranges"),
        ("rvale1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 3),
            (43, 39, 7),
            (38, 37, 1),
            (36, 0, 0x4_0000),
        ],
        0x0005_73a0_0004_0000,
    );
    // The most there is: 2^21 pages, (31+1) << 16.
    is(
        &user(0x40_0000_0000, 8 * GIB, &["pte"]).on(arm64(), "ttl ranges"),
        ("rvale1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 3),
            (43, 39, 31),
            (38, 37, 3),
            (36, 0, 0x400_0000),
        ],
        0x0005_7fe0_0400_0000,
    );
    // Three pages: a run of two, (0+1) << 1, and the odd one as a page.
    let trace = user(0x1000, 3 << 12, &["pte"]).on(arm64(), "ttl ranges");
    is(
        &trace,
        ("rvale1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 0),
            (43, 39, 0),
            (38, 37, 3),
            (36, 0, 1),
        ],
        0x0005_4060_0000_0001,
    );
    is(
        &trace,
        ("vale1is", 0, "page"),
        &[(63, 48, 5), (47, 46, 0b01), (45, 44, 3), (43, 0, 3)],
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
        &[
            (63, 48, 5),
            (47, 46, 0b01),
            (45, 44, 0),
            (43, 39, 4),
            (38, 37, 0),
            (36, 0, 1),
        ],
        0x0005_4200_0000_0001,
    );
}

#[test]
fn range_at_16_and_64_kib() {
    // BaseADDR counts granules.
    is(
        &user(0x4000, 10 << 14, &["pte"]).on(arm64(), "g16k ttl ranges"),
        ("rvale1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b10),
            (45, 44, 0),
            (43, 39, 4),
            (38, 37, 3),
            (36, 0, 1),
        ],
        0x0005_8260_0000_0001,
    );
    is(
        &user(0x1_0000, 10 << 16, &["pte"]).on(arm64(), "g64k ttl ranges"),
        ("rvale1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b11),
            (45, 44, 0),
            (43, 39, 4),
            (38, 37, 3),
            (36, 0, 1),
        ],
        0x0005_c260_0000_0001,
    );
    // Two leaves of 32 MiB are 4096 pages of 16 KiB: (1+1) << 11, level 2.
    is(
        &user(32 * MIB, 64 * MIB, &["pmd"]).on(arm64(), "g16k ttl ranges"),
        ("rvale1is", 0, "range"),
        &[
            (63, 48, 5),
            (47, 46, 0b10),
            (45, 44, 2),
            (43, 39, 1),
            (38, 37, 2),
            (36, 0, 0x800),
        ],
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
        &[
            (63, 48, 0),
            (47, 46, 0b01),
            (45, 44, 0),
            (43, 39, 4),
            (38, 37, 3),
            (36, 0, 0x18_0004_0000),
        ],
        0x0000_4278_0004_0000,
    );
    is(
        &of(14).on(arm64(), "g16k ttl ranges"),
        ("rvaale1is", 0, "range_any"),
        &[
            (63, 48, 0),
            (47, 46, 0b10),
            (45, 44, 0),
            (43, 39, 4),
            (38, 37, 3),
            (36, 0, 0x1e_0001_0000),
        ],
        0x0000_827e_0001_0000,
    );
    is(
        &of(16).on(arm64(), "g64k ttl ranges"),
        ("rvaale1is", 0, "range_any"),
        &[
            (63, 48, 0),
            (47, 46, 0b11),
            (45, 44, 0),
            (43, 39, 4),
            (38, 37, 3),
            (36, 0, 0x1f_8000_4000),
        ],
        0x0000_c27f_8000_4000,
    );
    // With the table: RVAAE1IS, the same layout, (7+1) << 6 pages.
    is(
        &Ask::kernel(0xffff_8000_4000_0000, 2 * MIB, &["pte"])
            .tables()
            .on(arm64(), "ttl ranges"),
        ("rvaae1is", 0, "range_any"),
        &[
            (63, 48, 0),
            (47, 46, 0b01),
            (45, 44, 1),
            (43, 39, 7),
            (38, 37, 3),
            (36, 0, 0x18_0004_0000),
        ],
        0x0000_53f8_0004_0000,
    );
}

#[test]
fn arm64_switch_and_resume() {
    let switch = Ask::event(Event::Switch(Debt::None))
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
    // The ASID goes to TTBR1_EL1[63:48] by a bit field insert: it stands in [15:0] of its register.
    is(
        &switch,
        ("ttbr1", 0, "asid"),
        &[(63, 16, 0), (15, 0, 0x42)],
        0x42,
    );
    let insert = switch.here.iter().find(|i| i.asm.starts_with("bfi"));
    assert_eq!(
        insert.map(|i| i.asm.as_str()),
        Some("bfi scratch, 0x42, #48, #16")
    );
    let resume = Ask::event(Event::Resume(false))
        .tag(0x42)
        .on(arm64(), "kpti");
    is(
        &resume,
        ("ttbr1", 0, "asid"),
        &[(63, 16, 0), (15, 0, 0x43)],
        0x43,
    );
}

// x86-64.

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

/// The machine as it would be if nothing could be put off: no PCID is disowned, and loading CR3 drops
/// nothing under a PCID. INVPCID then has to do it all.
fn without_debts() -> Analysis {
    let load = "        drops leaf, walk of everything, this tag unless keep;\n";
    let text = edited(
        X86_64,
        load,
        "        drops leaf, walk of everything, this tag when not pcid;\n",
    );
    let text = edited(&text, "        may be retired;", "        //");
    let pcid = "process-context identifiers\"";
    good(&edited(&text, pcid, &format!("{pcid} needs invpcid")))
}

#[test]
fn invpcid_1_one_pcid() {
    // Nothing of it is left to the return to user code, so the user view's PCID goes here.
    let arch = without_debts();
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
    invpcid(&range.on(&without_debts(), "pcid invpcid"), 3, 0, 0, 0);
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
        flags: 0b00_0111,
        stride: 0,
        more: 0,
        pcid: 0x123,
        words: (0x4000_1007, 0, 0x0123_0000),
    };
    invlpgb(&of(0x4000_1000, 0x1000, &["pte"]), 0, &run);
    // Ten pages: eight, then two; the count is of further pages.
    let ten = of(0x4000_1000, 10 << 12, &["pte"]);
    invlpgb(
        &ten,
        0,
        &Invlpgb {
            more: 7,
            words: (0x4000_1007, 7, 0x0123_0000),
            ..run
        },
    );
    let rest = Invlpgb {
        address: 0x40009,
        more: 1,
        words: (0x4000_9007, 1, 0x0123_0000),
        ..run
    };
    invlpgb(&ten, 1, &rest);
    // Leaves of 2 MiB: bit 31.
    let large = Invlpgb {
        address: 0x40000,
        stride: 1,
        more: 2,
        words: (0x4000_0007, 0x8000_0002, 0x0123_0000),
        ..run
    };
    invlpgb(&of(0x4000_0000, 6 * MIB, &["pmd"]), 0, &large);
    // A leaf of 1 GiB has no stride: one address.
    let huge = Invlpgb {
        address: 0x40000,
        words: (0x4000_0007, 0, 0x0123_0000),
        ..run
    };
    invlpgb(&of(0x4000_0000, GIB, &["pud"]), 0, &huge);
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
    // Every PCID, no globals: ASID valid alone. There are no globals without PGE.
    let nonglobal = Invlpgb {
        flags: 0b00_0100,
        words: (0x4, 0, 0),
        ..zero
    };
    invlpgb(&range.on(x86(), "pcid invpcid invlpgb tce"), 0, &nonglobal);
}

#[test]
fn invlpgb_run_of_every_pcid() {
    // Address and ASID valid, PCID not compared, globals too.
    let run = Invlpgb {
        address: 0xf_fff8_0000_0001,
        flags: 0b00_1101,
        stride: 0,
        more: 2,
        pcid: 0,
        words: (0xffff_8000_0000_100d, 2, 0),
    };
    let of = |start, bytes, levels| Ask::kernel(start, bytes, levels).on(x86(), AMD);
    invlpgb(&of(0xffff_8000_0000_1000, 3 << 12, &["pte"]), 0, &run);
    let last = Invlpgb {
        address: 0xf_ffff_ffff_ffff,
        more: 0,
        words: (0xffff_ffff_ffff_f00d, 0, 0),
        ..run
    };
    invlpgb(&of(0xffff_ffff_ffff_f000, 0x1000, &["pte"]), 0, &last);
    let large = Invlpgb {
        address: 0xf_fff8_0004_0000,
        stride: 1,
        more: 1,
        words: (0xffff_8000_4000_000d, 0x8000_0001, 0),
        ..run
    };
    invlpgb(&of(0xffff_8000_4000_0000, 4 * MIB, &["pmd"]), 0, &large);
}

#[test]
fn cr3() {
    // SDM 3A 4.5, 4.10.4.1: root in [51:12], PCID in [11:0], and bit 63 keeps what is cached.
    let switch = |debt, machine| Ask::event(Event::Switch(debt)).tag(3).on(x86(), machine);
    is(
        &switch(Debt::None, "pge pcid"),
        ("cr3", 0, "cr3"),
        &[(63, 63, 1), (62, 52, 0), (51, 12, 0x4_0000), (11, 0, 3)],
        0x8000_0000_4000_0003,
    );
    is(
        &switch(Debt::Tag, "pge pcid"),
        ("cr3", 0, "cr3"),
        &[(63, 63, 0), (62, 52, 0), (51, 12, 0x4_0000), (11, 0, 3)],
        0x4000_0003,
    );
    // Without PCIDs both are reserved.
    is(
        &switch(Debt::None, "pge"),
        ("cr3", 0, "cr3"),
        &[(63, 63, 0), (62, 52, 0), (51, 12, 0x4_0000), (11, 0, 0)],
        0x4000_0000,
    );
    // Return to user code: the view's PCID has bit 11.
    let resume = |owed| {
        Ask::event(Event::Resume(owed))
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

/// An operand that is added to a definition is to be checked here too.
#[test]
fn every_operand_has_a_row() {
    let source = include_str!("operands.rs");
    let operands = arm64().model.operands.iter().chain(&x86().model.operands);
    for name in operands.map(|operand| &operand.named.name) {
        let row = source.contains(&format!("\"{name}\")"));
        assert!(row, "no row for operand {name}");
    }
}
