//! What is issued for every shape of request on machines of arm64 and x86-64.
//!
//! One snapshot a theme. In each: the request in words, the machines with the same answer, and the
//! answer. To be read as a reviewer of a kernel would: is it published before and complete after,
//! is every view there, who is told, what is owed and until when?

mod common;

use common::{Ask, arm64, level, ranges_on, report, snapshot, x86};
use tlbc::Analysis;
use tlbc::trace::Event;
use tlbc_runtime::backend::Debt;
use tlbc_runtime::request::{Extent, Ranges};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const PAGE: u64 = 4 * KIB;

/// An address in user space, aligned to 1 GiB, and one in the middle of a table.
const USER: u64 = 0x40_0000_0000;
const KERNEL: u64 = 0xffff_8000_4000_0000;

/// Nothing; each feature alone; all; all but one; errata alone and on top of all.
const ARM64: &[&str] = &[
    "",
    "ttl",
    "ranges",
    "kpti",
    "ttl ranges kpti",
    "ranges kpti",
    "ttl kpti",
    "ttl ranges",
    "repeat_tlbi",
    "c1pro_sme",
    "repeat_tlbi c1pro_sme",
    "ttl ranges kpti repeat_tlbi c1pro_sme",
];
/// The larger pages of arm64.
const LARGE: &[&str] = &["g16k", "g16k ttl ranges", "g64k", "g64k ttl ranges"];
/// `invlpgb` needs `pcid` and excludes `pti`: two fullest machines, each also without one feature.
const X86: &[&str] = &[
    "",
    "pge",
    "pcid",
    "invpcid",
    "pti",
    "pcid invlpgb",
    "tce",
    "la57",
    // All but pti, and each off.
    "pge pcid invpcid invlpgb tce la57 invlpgb_pages=8",
    "pcid invpcid invlpgb tce la57 invlpgb_pages=8",
    "pge invpcid tce la57",
    "pge pcid invlpgb tce la57 invlpgb_pages=8",
    "pge pcid invpcid tce la57",
    "pge pcid invpcid invlpgb la57 invlpgb_pages=8",
    "pge pcid invpcid invlpgb tce invlpgb_pages=8",
    // All but invlpgb, and each off.
    "pge pcid invpcid pti tce la57",
    "pcid invpcid pti tce la57",
    "pge invpcid pti tce la57",
    "pge pcid pti tce la57",
    "pge pcid invpcid pti la57",
    // Common machines, and the erratum.
    "pge pcid invpcid",
    "pge pcid invpcid pti",
    "pge pcid pti",
    "pge alder_lake_invlpg",
    "pge pcid alder_lake_invlpg",
    "pge pcid invpcid alder_lake_invlpg",
    "pge pcid invpcid pti alder_lake_invlpg",
];
/// What Intel and AMD sell.
const X86_SOLD: &[&str] = &[
    "pge",
    "pge pcid",
    "pge pcid invpcid",
    "pge pcid invpcid pti",
    "pge pcid pti",
    "pge pcid invpcid alder_lake_invlpg",
    "pge pcid invpcid invlpgb tce invlpgb_pages=8",
];

fn arm64_theme(name: &str, asks: &[(&str, Ask)]) {
    let of = |(words, ask): &(&str, Ask)| report(arm64(), words, ask, ARM64);
    snapshot(
        &format!("traces__arm64_{name}"),
        &asks.iter().map(of).collect::<String>(),
    );
}

fn x86_theme(name: &str, machines: &[&str], asks: &[(&str, Ask)]) {
    let of = |(words, ask): &(&str, Ask)| report(x86(), words, ask, machines);
    snapshot(
        &format!("traces__x86_{name}"),
        &asks.iter().map(of).collect::<String>(),
    );
}

#[test]
fn arm64_page() {
    let page = Ask::user(USER + PAGE, PAGE, &["pte"]);
    arm64_theme(
        "page",
        &[
            ("user: one page, this CPU alone", page.clone()),
            ("user: one page, others too", page.clone().others()),
            (
                "user: one page and its table, this CPU alone",
                page.clone().tables(),
            ),
            (
                "user: one page and its table, others too",
                page.tables().others(),
            ),
        ],
    );
}

#[test]
fn arm64_pages() {
    let of = |pages: u64| Ask::user(USER + PAGE, pages * PAGE, &["pte"]).others();
    arm64_theme(
        "pages",
        &[
            ("user: two pages", of(2)),
            ("user: three pages: a run and an odd one", of(3)),
            ("user: ten pages", of(10)),
            ("user: ten pages, this CPU alone", of(10).here()),
            ("user: ten pages and their table", of(10).tables()),
            (
                "user: 65 pages: one run of the second scale and an odd one",
                of(65),
            ),
            ("user: 511 pages, the ceiling", of(511)),
            ("user: 512 pages, over the ceiling of instructions", of(512)),
        ],
    );
}

#[test]
fn arm64_tables() {
    let table = Ask::user(USER, 2 * MIB, &["pte"]).tables().others();
    arm64_theme(
        "tables",
        &[
            ("user: 2 MiB of pages and their table", table.clone()),
            ("user: the same, this CPU alone", table.here()),
            (
                "user: a page of one table and a page of the next, and both tables",
                Ask::user(USER + 2 * MIB - PAGE, 2 * PAGE, &["pte"])
                    .tables()
                    .others(),
            ),
            (
                "user: 4 MiB of large leaves and the table of pmd entries",
                Ask::user(USER, 4 * MIB, &["pmd"]).tables().others(),
            ),
            (
                "user: a page, its table and the table above",
                Ask::user(USER, PAGE, &["pte", "pmd"]).tables().others(),
            ),
        ],
    );
}

#[test]
fn arm64_large_leaves() {
    arm64_theme(
        "large_leaves",
        &[
            (
                "user: a leaf of 2 MiB",
                Ask::user(USER, 2 * MIB, &["pmd"]).others(),
            ),
            (
                "user: ten leaves of 2 MiB",
                Ask::user(USER, 20 * MIB, &["pmd"]).others(),
            ),
            (
                "user: a leaf of 1 GiB",
                Ask::user(USER, GIB, &["pud"]).others(),
            ),
            (
                "user: two leaves of 1 GiB",
                Ask::user(USER, 2 * GIB, &["pud"]).others(),
            ),
            (
                "user: a leaf of 2 MiB of which 4 KiB are asked for",
                Ask::user(USER + PAGE, PAGE, &["pmd"]).others(),
            ),
            (
                "user: 4 MiB in which there were pages and leaves of 2 MiB",
                Ask::user(USER, 4 * MIB, &["pte", "pmd"]).others(),
            ),
        ],
    );
}

#[test]
fn arm64_ceilings() {
    arm64_theme(
        "ceilings",
        &[
            (
                "user: 511 leaves of 2 MiB",
                Ask::user(USER, 511 * 2 * MIB, &["pmd"]).others(),
            ),
            (
                "user: 512 leaves of 2 MiB",
                Ask::user(USER, GIB, &["pmd"]).others(),
            ),
            (
                "user: 8 GiB of pages: the ceiling of pages",
                Ask::user(USER, 8 * GIB, &["pte"]).others(),
            ),
            (
                "user: one page more",
                Ask::user(USER, 8 * GIB + PAGE, &["pte"]).others(),
            ),
            (
                "kernel: one page more",
                Ask::kernel(KERNEL, 8 * GIB + PAGE, &["pte"]),
            ),
        ],
    );
}

#[test]
fn arm64_everything() {
    let all = Ask::event(Event::Everything);
    arm64_theme(
        "everything",
        &[
            ("user: the whole space, this CPU alone", all.clone()),
            ("user: the whole space, others too", all.others()),
        ],
    );
}

#[test]
fn arm64_kernel() {
    let table = Ask::kernel(KERNEL, 2 * MIB, &["pte"]).tables();
    arm64_theme(
        "kernel",
        &[
            ("kernel: one page", Ask::kernel(KERNEL, PAGE, &["pte"])),
            (
                "kernel: one page, this CPU alone",
                Ask::kernel(KERNEL, PAGE, &["pte"]).here(),
            ),
            (
                "kernel: ten pages",
                Ask::kernel(KERNEL, 10 * PAGE, &["pte"]),
            ),
            (
                "kernel: a leaf of 2 MiB",
                Ask::kernel(KERNEL, 2 * MIB, &["pmd"]),
            ),
            (
                "kernel: one page and its table",
                Ask::kernel(KERNEL, PAGE, &["pte"]).tables(),
            ),
            ("kernel: 2 MiB of pages and their table", table),
            (
                "kernel: the last page of the addresses",
                Ask::kernel(PAGE.wrapping_neg(), PAGE, &["pte"]),
            ),
        ],
    );
}

#[test]
fn arm64_live() {
    arm64_theme(
        "live",
        &[
            (
                "user: a table of ten pages is moved with them in it",
                Ask::user(USER, 10 * PAGE, &["pte"]).live().others(),
            ),
            (
                "user: a table is moved, 2 MiB",
                Ask::user(USER, 2 * MIB, &["pte"]).live().others(),
            ),
            (
                "user: a table of leaves of 2 MiB is moved, 1 GiB",
                Ask::user(USER, GIB, &["pmd"]).live().others(),
            ),
            (
                "kernel: a table of ten pages is moved",
                Ask::kernel(KERNEL, 10 * PAGE, &["pte"]).live(),
            ),
        ],
    );
}

#[test]
fn arm64_events() {
    arm64_theme(
        "events",
        &[
            (
                "switch, nothing owed",
                Ask::event(Event::Switch(Debt::None)),
            ),
            ("switch, the tag owed", Ask::event(Event::Switch(Debt::Tag))),
            (
                "switch, everything owed",
                Ask::event(Event::Switch(Debt::All)),
            ),
            (
                "return to user code, nothing owed",
                Ask::event(Event::Resume(false)),
            ),
            (
                "return to user code, its tag owed",
                Ask::event(Event::Resume(true)),
            ),
            ("CPU bring-up", Ask::event(Event::Arrive)),
        ],
    );
}

#[test]
fn arm64_larger_pages() {
    let page = |shift: u32| 1u64 << shift;
    let theme = |name: &str, asks: &[(&str, Ask)], machines: &[&str]| {
        let of = |(words, ask): &(&str, Ask)| report(arm64(), words, ask, machines);
        snapshot(
            &format!("traces__arm64_{name}"),
            &asks.iter().map(of).collect::<String>(),
        );
    };
    let asks = |base: u32, pmd: u32| {
        [
            (
                "user: one page",
                Ask::user(USER + page(base), page(base), &["pte"]).others(),
            ),
            (
                "user: eleven pages and their table",
                Ask::user(USER, 11 * page(base), &["pte"]).tables().others(),
            ),
            (
                "user: a leaf of a pmd entry",
                Ask::user(USER, page(pmd), &["pmd"]).others(),
            ),
            (
                "user: three leaves of pmd entries",
                Ask::user(USER, 3 * page(pmd), &["pmd"]).others(),
            ),
            (
                "user: a table's worth of pages less one",
                Ask::user(USER, page(pmd) - page(base), &["pte"]).others(),
            ),
            (
                "user: a table's worth of pages",
                Ask::user(USER, page(pmd), &["pte"]).others(),
            ),
            (
                "user: a table of leaves of pmd entries and its table",
                Ask::user(USER, page(pmd), &["pmd"]).tables().others(),
            ),
            (
                "kernel: one page and its table",
                Ask::kernel(KERNEL, page(base), &["pte"]).tables(),
            ),
            (
                "kernel: the last page of the addresses",
                Ask::kernel(page(base).wrapping_neg(), page(base), &["pte"]),
            ),
        ]
    };
    theme("g16k", &asks(14, 25), &LARGE[..2]);
    theme("g64k", &asks(16, 29), &LARGE[2..]);
}

/// Pages and leaves of 2 MiB and 1 GiB far apart, with two of the pages' tables: each at its own
/// stride, the tables behind their pages.
#[test]
fn mixed_levels() {
    let of = |arch: &Analysis, machines: &[&str]| {
        let level = |name| level(&arch.model, name);
        let mut ranges = Ranges::new();
        ranges.leaf(
            level("pte"),
            Extent::new(USER + 2 * MIB - 3 * PAGE, 6 * PAGE),
        );
        ranges.walk(level("pmd"), Extent::new(USER + 2 * MIB - PAGE, 2 * PAGE));
        ranges.leaf(level("pmd"), Extent::new(USER + 64 * MIB, 6 * MIB));
        ranges.leaf(level("pud"), Extent::new(USER + 4 * GIB, GIB));
        let on = |machine: &&str| {
            let lines = ranges_on(arch, machine, ranges);
            format!("on: {machine}\n  {}\n\n", lines.join("\n  "))
        };
        machines.iter().map(on).collect::<String>()
    };
    let arm = of(
        arm64(),
        &[
            "g4k",
            "ttl",
            "ranges",
            "ttl ranges",
            "ttl ranges kpti",
            "repeat_tlbi",
        ],
    );
    snapshot("traces__arm64_mixed_levels", &arm);
    snapshot("traces__x86_mixed_levels", &of(x86(), X86_SOLD));
}

#[test]
fn x86_page() {
    let page = Ask::user(USER + PAGE, PAGE, &["pte"]);
    x86_theme(
        "page",
        X86,
        &[
            ("user: one page, this CPU alone", page.clone()),
            ("user: one page, others too", page.clone().others()),
            (
                "user: one page and its table, this CPU alone",
                page.clone().tables(),
            ),
            (
                "user: one page and its table, others too",
                page.tables().others(),
            ),
        ],
    );
}

#[test]
fn x86_pages() {
    let of = |pages: u64| Ask::user(USER + PAGE, pages * PAGE, &["pte"]).others();
    x86_theme(
        "pages",
        X86_SOLD,
        &[
            ("user: three pages", of(3)),
            ("user: ten pages", of(10)),
            ("user: ten pages, this CPU alone", of(10).here()),
            ("user: ten pages and their table", of(10).tables()),
            ("user: 33 pages, the ceiling", of(33)),
            ("user: 34 pages, over the ceiling without runs", of(34)),
            ("user: 34 pages and their table", of(34).tables()),
            ("user: 264 pages: 33 runs of eight", of(264)),
            ("user: 265 pages", of(265)),
        ],
    );
}

#[test]
fn x86_tables() {
    let table = Ask::user(USER, 2 * MIB, &["pte"]).tables().others();
    let two = Ask::user(USER + 2 * MIB - PAGE, 2 * PAGE, &["pte"])
        .tables()
        .others();
    x86_theme(
        "tables",
        X86,
        &[
            ("user: 2 MiB of pages and their table", table.clone()),
            ("user: the same, this CPU alone", table.here()),
            (
                "user: a page of one table and a page of the next, and both tables",
                two,
            ),
            (
                "user: 4 MiB of large leaves and the table of pmd entries",
                Ask::user(USER, 4 * MIB, &["pmd"]).tables().others(),
            ),
        ],
    );
}

#[test]
fn x86_large_leaves() {
    x86_theme(
        "large_leaves",
        X86_SOLD,
        &[
            (
                "user: a leaf of 2 MiB",
                Ask::user(USER, 2 * MIB, &["pmd"]).others(),
            ),
            (
                "user: ten leaves of 2 MiB",
                Ask::user(USER, 20 * MIB, &["pmd"]).others(),
            ),
            (
                "user: a leaf of 1 GiB",
                Ask::user(USER, GIB, &["pud"]).others(),
            ),
            (
                "user: two leaves of 1 GiB",
                Ask::user(USER, 2 * GIB, &["pud"]).others(),
            ),
            (
                "user: 40 KiB in which there were pages and leaves of 2 MiB",
                Ask::user(USER, 10 * PAGE, &["pte", "pmd"]).others(),
            ),
        ],
    );
}

#[test]
fn x86_everything() {
    let all = Ask::event(Event::Everything);
    x86_theme(
        "everything",
        X86,
        &[
            ("user: the whole space, this CPU alone", all.clone()),
            ("user: the whole space, others too", all.others()),
        ],
    );
}

#[test]
fn x86_kernel() {
    x86_theme(
        "kernel",
        X86,
        &[
            ("kernel: one page", Ask::kernel(KERNEL, PAGE, &["pte"])),
            (
                "kernel: one page, this CPU alone",
                Ask::kernel(KERNEL, PAGE, &["pte"]).here(),
            ),
            (
                "kernel: one page and its table",
                Ask::kernel(KERNEL, PAGE, &["pte"]).tables(),
            ),
            (
                "kernel: the last page of the addresses",
                Ask::kernel(PAGE.wrapping_neg(), PAGE, &["pte"]),
            ),
        ],
    );
}

#[test]
fn x86_kernel_ranges() {
    x86_theme(
        "kernel_ranges",
        X86_SOLD,
        &[
            (
                "kernel: ten pages",
                Ask::kernel(KERNEL, 10 * PAGE, &["pte"]),
            ),
            (
                "kernel: two leaves of 2 MiB",
                Ask::kernel(KERNEL, 4 * MIB, &["pmd"]),
            ),
            (
                "kernel: 2 MiB of pages and their table",
                Ask::kernel(KERNEL, 2 * MIB, &["pte"]).tables(),
            ),
        ],
    );
}

#[test]
fn x86_live() {
    x86_theme(
        "live",
        X86_SOLD,
        &[
            (
                "user: a table of ten pages is moved with them in it",
                Ask::user(USER, 10 * PAGE, &["pte"]).live().others(),
            ),
            (
                "user: a table is moved, 2 MiB",
                Ask::user(USER, 2 * MIB, &["pte"]).live().others(),
            ),
            (
                "user: a table of three leaves of 2 MiB is moved",
                Ask::user(USER, 6 * MIB, &["pmd"]).live().others(),
            ),
        ],
    );
}

#[test]
fn x86_events() {
    x86_theme(
        "events",
        X86,
        &[
            (
                "switch, nothing owed",
                Ask::event(Event::Switch(Debt::None)),
            ),
            ("switch, the tag owed", Ask::event(Event::Switch(Debt::Tag))),
            (
                "switch, everything owed",
                Ask::event(Event::Switch(Debt::All)),
            ),
            (
                "return to user code, nothing owed",
                Ask::event(Event::Resume(false)),
            ),
            (
                "return to user code, its tag owed",
                Ask::event(Event::Resume(true)),
            ),
            ("CPU bring-up", Ask::event(Event::Arrive)),
        ],
    );
}
