//! Calls that are given a set of CPUs: they take the place of the IPI, and CPUs that they do not reach get it.

use tlbc::Analysis;
use tlbc::trace::{Event, Trace};

use super::{issues, with};
use tlbc_tests::requests::{Ask, good, lines};

const CALLS: &str = include_str!("definitions/calls.arch");

/// Returns what is called for other CPUs, and what a CPU issues that gets the IPI.
fn elsewhere(trace: &Trace) -> (Vec<String>, Vec<String>) {
    let [ipi] = &trace.ipis[..] else {
        panic!("{:?}", trace.ipis);
    };
    let issued = |steps: &[tlbc::trace::Step]| {
        lines(steps.iter().filter_map(tlbc::trace::Step::instruction))
    };
    (issued(&ipi.calls), issued(&ipi.steps))
}

#[track_caller]
fn calls(arch: &Analysis, words: &str, ask: &Ask, expected: &[&str], by_ipi: &[&str]) {
    let (called, issued) = elsewhere(&ask.on(arch, words));
    assert_eq!(called, expected, "{ask:?}");
    assert_eq!(issued, by_ipi, "{ask:?}");
}

/// The change is published to all CPUs, and flushed here, before the call.
#[test]
fn a_call_takes_the_place_of_an_ipi() {
    let arch = good(CALLS);
    let page = Ask::user(0x1000, 0x1000, &["pte"]).others();
    let here = ["order.here", "page 0x1000"];
    for words in ["guest", "guest tags"] {
        issues(&arch, words, &page, &here);
        let list = ["order", "flush_list(0x1000, 0x0)"];
        calls(&arch, words, &page, &list, &here);
    }
    // What is one instruction for each page here is one call.
    let pages = Ask::user(0x1000, 0x3000, &["pte"]).others();
    let list = ["order", "flush_list(0x1000, 0x2)"];
    let each = ["order.here", "page 0x1000", "page 0x2000", "page 0x3000"];
    calls(&arch, "guest tags", &pages, &list, &each);
    let kernel = Ask::kernel(0xffff_ffff_8000_0000, 0x1000, &["pte"]);
    let list = ["order", "flush_list(0xffffffff80000000, 0x0)"];
    let here = ["order.here", "page 0xffffffff80000000", "refetch"];
    calls(&arch, "guest", &kernel, &list, &here);
}

/// Without walk entries the call is the narrowest; where it cannot compare tags it flushes all of them.
#[test]
fn the_least_call_is_chosen() {
    let arch = good(CALLS);
    let whole = Ask::event(Event::Everything).others();
    let tables = Ask::user(0x1000, 0x1000, &["pte"]).tables().others();
    for ask in [whole, tables] {
        let here = ["order.here", "all"];
        let space = ["order", "flush_space(0x42)"];
        calls(&arch, "guest tags", &ask, &space, &here);
        calls(&arch, "guest", &ask, &["order", "flush_all()"], &here);
        calls(&arch, "tags", &ask, &[], &here);
    }
}

/// Where no call flushes everything, a CPU could not be flushed by calls alone: all get the IPI.
#[test]
fn calls_that_leave_something_are_not_used() {
    let arch = with(
        CALLS,
        &[(
            "drops leaf, walk of everything, any tag;\n        where given",
            "drops leaf of everything, any tag;\n        where given",
        )],
    );
    let page = Ask::user(0x1000, 0x1000, &["pte"]).others();
    calls(&arch, "guest", &page, &[], &["order.here", "page 0x1000"]);
}

/// A per-CPU tag has another meaning on the CPUs that are given: only calls for every tag serve.
#[test]
fn a_per_cpu_tag_is_given_to_no_call() {
    let of_cpu = (
        "of machine; values 1..200; from generations",
        "of cpu; values 1..200",
    );
    let (start, rest) = CALLS
        .split_once("    invalidate one_space")
        .expect("the call");
    let (_, rest) = rest.split_once("    invalidate every").expect("the next");
    let arch = with(&format!("{start}    invalidate every{rest}"), &[of_cpu]);
    let page = Ask::user(0x1000, 0x1000, &["pte"]).others();
    let here = ["order.here", "page 0x1000"];
    calls(&arch, "guest tags", &page, &[], &here);
    calls(
        &arch,
        "guest",
        &page,
        &["order", "flush_list(0x1000, 0x0)"],
        &here,
    );
}
