//! Themes of several architectures, and the comparison with their snapshots.

use tlbc::Analysis;
use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::{Extent, Ranges};

use crate::traces::{GIB, MIB, PAGE};
use tlbc_tests::requests::{Ask, level, ranges_on, report};
use tlbc_tests::snapshot;

/// Compares the results of requests, each with its description, with the snapshot of a theme.
pub fn compare(name: &str, arch: &Analysis, machines: &[&str], asks: &[(impl AsRef<str>, Ask)]) {
    let of = |(words, ask): &(_, Ask)| report(arch, AsRef::as_ref(words), ask, machines);
    let text: String = asks.iter().map(of).collect();
    snapshot!(name, text);
}

/// One page of user space.
pub fn page(start: u64) -> [(&'static str, Ask); 4] {
    let page = Ask::user(start, PAGE, &["pte"]);
    [
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
    ]
}

/// Events of a CPU.
pub fn events() -> [(&'static str, Ask); 6] {
    [
        (
            "switch, nothing deferred",
            Ask::event(Event::Switch(Pending::None)),
        ),
        (
            "switch, the tag deferred",
            Ask::event(Event::Switch(Pending::Tag)),
        ),
        (
            "switch, everything deferred",
            Ask::event(Event::Switch(Pending::All)),
        ),
        (
            "return to user code, nothing deferred",
            Ask::event(Event::ReturnToUser(false)),
        ),
        (
            "return to user code, its tag deferred",
            Ask::event(Event::ReturnToUser(true)),
        ),
        ("CPU bring-up", Ask::event(Event::CpuOnline)),
    ]
}

/// Pages and leaves of 2 MiB and 1 GiB far apart, with two of the pages' tables.
pub fn mixed_levels(name: &str, arch: &Analysis, machines: &[&str], user: u64) {
    let level = |name| level(&arch.model, name);
    let mut ranges = Ranges::new();
    ranges.leaf(
        level("pte"),
        Extent::new(user + 2 * MIB - 3 * PAGE, 6 * PAGE),
    );
    ranges.walk(level("pmd"), Extent::new(user + 2 * MIB - PAGE, 2 * PAGE));
    ranges.leaf(level("pmd"), Extent::new(user + 64 * MIB, 6 * MIB));
    ranges.leaf(level("pud"), Extent::new(user + 4 * GIB, GIB));
    let on = |machine: &&str| {
        let lines = ranges_on(arch, machine, ranges);
        format!("on: {machine}\n  {}\n\n", lines.join("\n  "))
    };
    let text: String = machines.iter().map(on).collect();
    snapshot!(name, text);
}
