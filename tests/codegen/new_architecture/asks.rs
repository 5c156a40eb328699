//! Requests flushes of a generated backend and prints a line for each: the instructions of this CPU, those of each
//! interrupted CPU, and the CPUs that defer flushes, separated by `|`.

use fifth::quartz::{Config, Op, PMD, PTE, PUD, Tlb};
use tlbc_runtime::pte::{Below, Change, Entry, Marks};
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{SpaceFlags, Extent, Ranges, Reach, Request, Scope, Space, Tag};
use tlbc_runtime::{Backend, Pending, Shootdown, Deferred, Record, Root};

const TAG: Tag = Tag {
    value: 5,
    global: false,
};
const TLB: Tlb = Tlb {
    config: Config::NONE,
};

fn text(op: Op) -> String {
    let mut text = op.name().to_owned();
    op.operands(|name, bits| text += &format!(" {name}={bits:#x}"));
    text
}

fn show(here: Vec<String>, others: Vec<String>, deferred: Deferred) {
    let kinds = [
        (Deferred::OTHERS_UNTIL_LOAD, "this CPU"),
        (Deferred::VIEW_UNTIL_RETURN, "this CPU"),
        (Deferred::TAG_UNTIL_RENEWAL, "this CPU"),
        (Deferred::LAZY_UNTIL_LOAD, "lazy CPUs"),
        (Deferred::INACTIVE_UNTIL_LOAD, "inactive CPUs"),
    ];
    let by = kinds.iter().filter(|(kind, _)| deferred.contains(*kind));
    let by: Vec<&str> = by.map(|(_, cpus)| *cpus).collect();
    println!(
        "{}|{}|{}",
        here.join("; "),
        others.join("; "),
        by.join("; ")
    );
}

fn flush(space: Space, reach: Reach, scope: Scope<'_>) {
    let request = Request {
        space,
        tag: TAG,
        reach,
        published: false,
        flags: SpaceFlags::NONE,
        scope,
    };
    let (mut here, mut others) = (Vec::new(), Vec::new());
    let mut sink = Record(|op| here.push(text(op)));
    let started = TLB.start(&mut sink, &request);
    let interrupts = !started.flush_ipis.is_empty();
    let finished = TLB.finish(&mut sink, started);
    assert!(finished.sync_ipis.is_empty());
    let mut deferred = finished.deferred;
    if interrupts {
        deferred |= TLB.handle(&mut Record(|op| others.push(text(op))), &request);
    }
    show(here, others, deferred);
}

fn cleared(level: Level, start: u64, bytes: u64) -> Ranges {
    let mut ranges = Ranges::new();
    ranges.leaf(level, Extent::new(start, bytes));
    ranges
}

fn negative(level: Level, start: u64, bytes: u64) -> Ranges {
    let mut ranges = Ranges::new();
    ranges.negative(level, Extent::new(start, bytes));
    ranges
}

/// Two pages were mapped, and a table elsewhere was unlinked.
fn both() -> Ranges {
    let mut ranges = negative(PTE, 0x4000, 0x4000);
    ranges.walk(PMD, Extent::new(0x8000_0000, 0x40_0000));
    ranges
}

fn freed(start: u64, bytes: u64) -> Ranges {
    let mut ranges = cleared(PTE, start, bytes);
    ranges.walk(PMD, Extent::new(start, bytes));
    ranges
}

fn switch(pending: Pending) {
    let to = Root {
        table: 0x4000_0000,
        tag: TAG,
        empty: 0,
        flags: SpaceFlags::NONE,
    };
    let mut here = Vec::new();
    let deferred = TLB.switch(&mut Record(|op| here.push(text(op))), &to, pending);
    show(here, Vec::new(), deferred);
}

fn cpu_online() {
    let mut here = Vec::new();
    let deferred = TLB.cpu_online(&mut Record(|op| here.push(text(op))));
    show(here, Vec::new(), deferred);
}

/// Checks the facts that the runtime reads.
fn facts() {
    let facts = <Tlb>::FACTS;
    assert!(facts.one_at_a_time, "the bus takes one at a time");
    // Tags differ from CPU to CPU, so flushes of user spaces take IPIs.
    assert_eq!(facts.shootdown, Shootdown::Either);
    let page = Entry::Leaf { page: 7, rights: 1, attributes: 0 };
    let new = Change {
        level: PTE,
        old: Entry::Invalid,
        new: page,
        new_bits: 7,
        clears: Marks::NONE,
        below: Below::Cleared,
    };
    let required = new.required_flush(&TLB.change_facts(SpaceFlags::NONE));
    assert!(
        !required.negative.is_empty() && required.leaf.is_empty(),
        "a negative entry is stale now"
    );
    let levels = TLB.levels();
    assert_eq!([levels[0].joined, levels[1].joined], [1, 1]);
}

fn main() {
    facts();
    include!("cases.rs");
}
