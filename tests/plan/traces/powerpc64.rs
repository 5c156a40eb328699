//! powerpc64: broadcasts, interrupts or calls of the hypervisor; devices, and the errata of POWER9.

use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;

use crate::traces::{GIB, KIB, MIB, PAGE, themes};
use tlbc_tests::requests::{Ask, powerpc};

/// An address in user space, aligned to 1 GiB, and one of the kernel's mappings.
const USER: u64 = 0x100_0000_0000;
const KERNEL: u64 = 0xc008_0000_4000_0000;

/// Guests without `tlbie`; interrupts; broadcasts; each before and since ISA 3.1, with and without a
/// device; then POWER9's errata alone and together.
const MACHINES: &[&str] = &[
    "",
    "isa31",
    "coprocessors",
    "gtse",
    "gtse isa31",
    "gtse coprocessors",
    "gtse isa31 coprocessors",
    "gtse broadcast",
    "gtse broadcast isa31",
    "gtse broadcast coprocessors",
    "gtse broadcast p9_erat",
    "gtse broadcast p9_stq",
    "gtse broadcast p9_erat p9_stq",
    "gtse broadcast coprocessors p9_nest",
    "gtse broadcast coprocessors p9_erat p9_stq p9_nest",
    "gtse p9_erat p9_stq p9_nest",
    "gtse coprocessors p9_erat p9_stq p9_nest",
];
/// Machines of IBM: guests without `tlbie`, POWER9 with its errata, POWER10; each with a device too.
const SOLD: &[&str] = &[
    "",
    "coprocessors",
    "gtse p9_erat p9_nest",
    "gtse isa31",
    "gtse coprocessors p9_erat p9_nest",
    "gtse broadcast p9_erat p9_nest",
    "gtse broadcast isa31",
    "gtse broadcast coprocessors p9_erat p9_nest",
    "gtse broadcast isa31 coprocessors",
];
/// The same without the machine that issues both `tlbiel` and `tlbie`, for requests with long results.
const LONG: &[&str] = &[
    "",
    "coprocessors",
    "gtse p9_erat p9_nest",
    "gtse isa31",
    "gtse broadcast p9_erat p9_nest",
    "gtse broadcast isa31",
    "gtse broadcast coprocessors p9_erat p9_nest",
    "gtse broadcast isa31 coprocessors",
];
/// The larger pages.
const LARGE: &[&str] = &[
    "g64k",
    "g64k gtse p9_erat p9_nest",
    "g64k gtse broadcast p9_erat p9_stq p9_nest",
    "g64k gtse broadcast isa31",
];

fn theme(name: &str, machines: &[&str], asks: &[(&str, Ask)]) {
    themes::compare(&format!("powerpc64_{name}"), powerpc(), machines, asks);
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
        MACHINES,
        &[
            ("user: three pages", of(3)),
            ("user: three pages, this CPU alone", of(3).here()),
            ("user: three pages and their table", of(3).tables()),
        ],
    );
}

#[test]
fn ceilings() {
    let of = |pages: u64| Ask::user(USER + PAGE, pages * PAGE, &["pte"]).others();
    theme(
        "ceilings",
        LONG,
        &[
            ("user: 33 pages, the ceiling of broadcasts", of(33)),
            ("user: 34 pages", of(34)),
            ("user: 33 pages and their table", of(33).tables()),
            (
                "user: 256 pages, the ceiling of this CPU alone",
                of(256).here(),
            ),
            ("user: 257 pages, this CPU alone", of(257).here()),
            (
                "user: 2^20 pages, as many as one call takes",
                of(1 << 20).here(),
            ),
            (
                "kernel: two pages, which is over the ceiling",
                Ask::kernel(KERNEL, 2 * PAGE, &["pte"]),
            ),
        ],
    );
}

#[test]
fn tables() {
    let table = Ask::user(USER, 2 * MIB, &["pte"]).tables().others();
    theme(
        "tables",
        SOLD,
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
        SOLD,
        &[
            (
                "user: a leaf of 2 MiB",
                Ask::user(USER, 2 * MIB, &["pmd"]).others(),
            ),
            (
                "user: two leaves of 2 MiB, this CPU alone",
                Ask::user(USER, 4 * MIB, &["pmd"]),
            ),
            (
                "user: a leaf of 1 GiB",
                Ask::user(USER, GIB, &["pud"]).others(),
            ),
            (
                "user: a leaf of 2 MiB of which 4 KiB are asked for",
                Ask::user(USER + PAGE, PAGE, &["pmd"]).others(),
            ),
            (
                "user: 8 KiB in which there were pages and leaves of 2 MiB",
                Ask::user(USER, 2 * PAGE, &["pte", "pmd"]).others(),
            ),
        ],
    );
}

/// Each range has its own page size. Walk entries are flushed once, by PID.
#[test]
fn mixed_levels() {
    themes::mixed_levels("powerpc64_mixed_levels", powerpc(), LONG, USER);
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
                "user: the same, this CPU alone",
                Ask::user(USER, 2 * MIB, &["pte"]).live(),
            ),
            (
                "user: a table of tables is moved, 1 GiB",
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
                "kernel: 2 MiB of pages and their table",
                Ask::kernel(KERNEL, 2 * MIB, &["pte"]).tables(),
            ),
            (
                "kernel: a leaf of 2 MiB",
                Ask::kernel(KERNEL, 2 * MIB, &["pmd"]),
            ),
        ],
    );
}

#[test]
fn everything() {
    let all = Ask::event(Event::Everything);
    let end = Ask::event(Event::Teardown);
    theme(
        "everything",
        MACHINES,
        &[
            ("user: the whole space, this CPU alone", all.clone()),
            ("user: the whole space, others too", all.others()),
            ("user: the space ends, this CPU alone", end.clone()),
            ("user: the space ends, others too", end.others()),
        ],
    );
}

#[test]
fn events() {
    theme(
        "events",
        MACHINES,
        &[
            (
                "switch, nothing deferred",
                Ask::event(Event::Switch(Pending::None)),
            ),
            (
                "switch, the tag deferred",
                Ask::event(Event::Switch(Pending::Tag)),
            ),
            (
                "return to user code, nothing deferred",
                Ask::event(Event::ReturnToUser(false)),
            ),
            ("CPU bring-up", Ask::event(Event::CpuOnline)),
        ],
    );
}

#[test]
fn larger_pages() {
    let page = 64 * KIB;
    theme(
        "g64k",
        LARGE,
        &[
            (
                "user: one page",
                Ask::user(USER + page, page, &["pte"]).others(),
            ),
            (
                "user: three pages and their table",
                Ask::user(USER, 3 * page, &["pte"]).tables().others(),
            ),
            (
                "user: a leaf of 2 MiB",
                Ask::user(USER, 2 * MIB, &["pmd"]).others(),
            ),
            (
                "user: 33 pages",
                Ask::user(USER, 33 * page, &["pte"]).others(),
            ),
            (
                "user: 34 pages",
                Ask::user(USER, 34 * page, &["pte"]).others(),
            ),
            (
                "kernel: one page and its table",
                Ask::kernel(KERNEL, page, &["pte"]).tables(),
            ),
        ],
    );
}
