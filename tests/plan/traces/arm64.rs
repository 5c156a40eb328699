//! arm64: broadcasts between barriers, with level hints and ranges, and under both ASIDs of a space.

use tlbc::trace::Event;

use crate::traces::{GIB, MIB, PAGE, themes};
use tlbc_tests::requests::{Ask, arm64};

/// An address in user space, aligned to 1 GiB, and one in the middle of a table.
const USER: u64 = 0x40_0000_0000;
const KERNEL: u64 = 0xffff_8000_4000_0000;

/// Machines without features, with each feature alone, with all, with all but one, and with errata.
const MACHINES: &[&str] = &[
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
    "ets2",
    "ttl ranges kpti asid16 ets2",
];
/// The larger pages of arm64.
const LARGE: &[&str] = &["g16k", "g16k ttl ranges", "g64k", "g64k ttl ranges"];

fn theme(name: &str, asks: &[(&str, Ask)]) {
    theme_on(name, MACHINES, asks);
}

fn theme_on(name: &str, machines: &[&str], asks: &[(&str, Ask)]) {
    themes::compare(&format!("arm64_{name}"), arm64(), machines, asks);
}

#[test]
fn page() {
    theme("page", &themes::page(USER + PAGE));
}

#[test]
fn pages() {
    let of = |pages: u64| Ask::user(USER + PAGE, pages * PAGE, &["pte"]).others();
    theme(
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
fn tables() {
    let table = Ask::user(USER, 2 * MIB, &["pte"]).tables().others();
    theme(
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
fn large_leaves() {
    theme(
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
fn ceilings() {
    theme(
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
fn everything() {
    let all = Ask::event(Event::Everything);
    theme(
        "everything",
        &[
            ("user: the whole space, this CPU alone", all.clone()),
            ("user: the whole space, others too", all.others()),
        ],
    );
}

#[test]
fn kernel() {
    let table = Ask::kernel(KERNEL, 2 * MIB, &["pte"]).tables();
    theme(
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
fn live() {
    theme(
        "live",
        &[
            (
                "user: a table of pages is moved with them in it, 2 MiB",
                Ask::user(USER, 2 * MIB, &["pte"]).live().others(),
            ),
            (
                "user: a table of leaves of 2 MiB and of tables is moved, 1 GiB",
                Ask::user(USER, GIB, &["pmd"]).live().others(),
            ),
            (
                "kernel: a table of pages is moved, 2 MiB",
                Ask::kernel(KERNEL, 2 * MIB, &["pte"]).live(),
            ),
        ],
    );
}

#[test]
fn events() {
    theme("events", &themes::events());
}

#[test]
fn larger_pages() {
    let page = |shift: u32| 1u64 << shift;
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
    theme_on("g16k", &LARGE[..2], &asks(14, 25));
    theme_on("g64k", &LARGE[2..], &asks(16, 29));
}

/// Each range has its own stride; tables come after their pages.
#[test]
fn mixed_levels() {
    let machines = [
        "g4k",
        "ttl",
        "ranges",
        "ttl ranges",
        "ttl ranges kpti",
        "repeat_tlbi",
    ];
    themes::mixed_levels("arm64_mixed_levels", arm64(), &machines, USER);
}
