//! x86-64: interrupts or INVLPGB, globals or not, and the tag of the user view with page-table isolation.

use tlbc::trace::Event;

use crate::traces::{GIB, MIB, PAGE, themes};
use tlbc_tests::requests::{Ask, x86};

/// An address in user space, aligned to 1 GiB, and one in the middle of a table.
const USER: u64 = 0x40_0000_0000;
const KERNEL: u64 = 0xffff_8000_4000_0000;

/// `pcid` needs `pge`, `invlpgb` needs both and `invpcid`, and excludes `pti`: the two machines with most features, and each without one feature.
const MACHINES: &[&str] = &[
    "",
    "pge",
    "pge pcid",
    "invpcid",
    "pti",
    "tce",
    "la57",
    // All but pti, and each off.
    "pge pcid invpcid invlpgb tce la57 invlpgb_pages=8",
    "pge invpcid tce la57",
    "pge pcid invpcid tce la57",
    "pge pcid invpcid invlpgb la57 invlpgb_pages=8",
    "pge pcid invpcid invlpgb tce invlpgb_pages=8",
    // All but invlpgb, and each off.
    "pge pcid invpcid pti tce la57",
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
/// Machines of Intel and AMD.
const SOLD: &[&str] = &[
    "pge",
    "pge pcid",
    "pge pcid invpcid",
    "pge pcid invpcid pti",
    "pge pcid pti",
    "pge pcid invpcid alder_lake_invlpg",
    "pge pcid invpcid invlpgb tce invlpgb_pages=8",
];

fn theme(name: &str, machines: &[&str], asks: &[(&str, Ask)]) {
    themes::compare(&format!("x86_{name}"), x86(), machines, asks);
}

#[test]
fn page() {
    theme("page", MACHINES, &themes::page(USER + PAGE));
}

#[test]
fn pages() {
    let of = |pages: u64| Ask::user(USER + PAGE, pages * PAGE, &["pte"]).others();
    theme(
        "pages",
        SOLD,
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
fn tables() {
    let table = Ask::user(USER, 2 * MIB, &["pte"]).tables().others();
    let two = Ask::user(USER + 2 * MIB - PAGE, 2 * PAGE, &["pte"])
        .tables()
        .others();
    theme(
        "tables",
        MACHINES,
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
fn large_leaves() {
    theme(
        "large_leaves",
        SOLD,
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
fn everything() {
    let all = Ask::event(Event::Everything);
    theme(
        "everything",
        MACHINES,
        &[
            ("user: the whole space, this CPU alone", all.clone()),
            ("user: the whole space, others too", all.others()),
        ],
    );
}

#[test]
fn kernel() {
    theme(
        "kernel",
        MACHINES,
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
fn kernel_ranges() {
    theme(
        "kernel_ranges",
        SOLD,
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
fn live() {
    theme(
        "live",
        SOLD,
        &[
            (
                "user: a table of pages is moved with them in it, 2 MiB",
                Ask::user(USER, 2 * MIB, &["pte"]).live().others(),
            ),
            (
                "user: a table of leaves of 2 MiB and of tables is moved, 1 GiB",
                Ask::user(USER, GIB, &["pmd"]).live().others(),
            ),
        ],
    );
}

#[test]
fn events() {
    theme("events", MACHINES, &themes::events());
}

/// Each range has its own stride; tables come after their pages.
#[test]
fn mixed_levels() {
    themes::mixed_levels("x86_mixed_levels", x86(), SOLD, USER);
}
