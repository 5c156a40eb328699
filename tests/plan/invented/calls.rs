//! Calls that are given a set of CPUs: they take the place of the IPI, and CPUs that they do not reach get it.

use tlbc::Analysis;
use tlbc::trace::{Event, Trace};

use super::{issues, with};
use tlbc_tests::requests::{Ask, edited, findings, good, lines};

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

/// A run may be given by its bytes, of any number of pages and at any level.
#[test]
fn a_call_is_given_bytes() {
    const PTE: &[&str] = &["pte"];
    const PMD: &[&str] = &["pmd"];
    let counted = "{ [63:4] 0; [3:0] num; names num + 1 pages; }";
    let bytes = "{ [63:0] bytes; names any pages; }";
    let edits = [(counted, bytes), ("run of 1..16 pages", "run of 1.. pages")];
    let arch = with(CALLS, &edits);
    let here = |addresses: &[&str]| -> Vec<String> {
        let pages = addresses.iter().map(|address| format!("page {address}"));
        std::iter::once("order.here".to_owned())
            .chain(pages)
            .collect()
    };
    for (start, size, level, list, pages) in [
        (
            0x1000,
            0x1000,
            PTE,
            "flush_list(0x1000, 0x1000)",
            &["0x1000"][..],
        ),
        (
            0x1000,
            0x3000,
            PTE,
            "flush_list(0x1000, 0x3000)",
            &["0x1000", "0x2000", "0x3000"],
        ),
        (
            0x20_0000,
            0x20_0000,
            PMD,
            "flush_list(0x200000, 0x200000)",
            &["0x200000"],
        ),
        (
            0x20_0000,
            0x40_0000,
            PMD,
            "flush_list(0x200000, 0x400000)",
            &["0x200000", "0x400000"],
        ),
    ] {
        let ask = Ask::user(start, size, level).others();
        let here = here(pages);
        let here: Vec<&str> = here.iter().map(String::as_str).collect();
        calls(&arch, "guest tags", &ask, &["order", list], &here);
    }
}

/// A field for the bytes of a run has all bits in which two runs differ, up to the size of a whole space.
#[test]
fn bytes_that_do_not_fit() {
    let counted = "{ [63:4] 0; [3:0] num; names num + 1 pages; }";
    for (field, expected) in [
        (
            "[63:39] 0; [38:12] bytes[38:12]; [11:0] 0; names any pages;",
            None,
        ),
        (
            "[63:38] 0; [37:12] bytes[37:12]; [11:0] 0; names any pages;",
            Some("E0303 the size of a run needs 39 bits and gets 38"),
        ),
        (
            "[63:39] 0; [38:13] bytes[38:13]; [12:0] 0; names any pages;",
            Some("E0303 the size of a run differs in bit 12, which no field of `list` carries"),
        ),
        (
            "[63:32] 0; [31:0] bytes; names any pages;",
            Some("E0303 a whole virtual address needs 64 bits and gets 32"),
        ),
        (
            "[63:0] bytes;",
            Some("E0306 `list` drops a run, and its operands do not say what `num` counts"),
        ),
        (
            "[63:0] bytes; names bytes pages;",
            Some("E0304 the count of a run is `num + 1` units, each a power of two"),
        ),
        (
            "[63:0] 0; names any pages;",
            Some("E0313 the operand `count` says what a run counts, and carries no count"),
        ),
        (
            "[63:0] bytes; names any entries;",
            Some("E0308 `list` and its operand count different things"),
        ),
    ] {
        let edits = [
            (counted, format!("{{ {field} }}")),
            ("run of 1..16 pages", "run of 1.. pages".to_owned()),
        ];
        let text = edits
            .iter()
            .fold(CALLS.to_owned(), |text, (old, new)| edited(&text, old, new));
        let found = findings(&text);
        match expected {
            None => assert_eq!(found, [""; 0]),
            Some(expected) => assert!(found.iter().any(|it| it == expected), "{field}: {found:#?}"),
        }
    }
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

/// A per-CPU tag has another meaning on the CPUs that are given: calls for every tag serve.
#[test]
fn a_per_cpu_tag_is_given_to_no_call() {
    let page = Ask::user(0x1000, 0x1000, &["pte"]).others();
    let here = ["order.here", "page 0x1000"];
    let arch = of_cpu(&without("one_space", CALLS));
    for words in ["guest", "guest tags"] {
        let list = ["order", "flush_list(0x1000, 0x0)"];
        calls(&arch, words, &page, &list, &here);
    }
}

/// A hypervisor that flushes a virtual CPU before it runs again is given all CPUs, and reaches those that do not run.
#[test]
fn a_hypervisor_flushes_preempted_cpus() {
    let text = without("list", &without("one_space", CALLS));
    let page = Ask::user(0x1000, 0x1000, &["pte"]).others();
    let here = ["order.here", "page 0x1000"];
    for arch in [good(&text), of_cpu(&text)] {
        for words in ["guest", "guest tags"] {
            issues(&arch, words, &page, &here);
            calls(&arch, words, &page, &["order", "flush_all()"], &here);
        }
        calls(&arch, "tags", &page, &[], &here);
    }
}

/// Returns a definition without one of its calls.
fn without(call: &str, text: &str) -> String {
    let (before, rest) = text
        .split_once(&format!("    invalidate {call} call"))
        .expect("the call");
    let (_, after) = rest.split_once("    }\n").expect("its end");
    format!("{before}{after}")
}

/// Returns a definition whose tags have another meaning on each CPU.
fn of_cpu(text: &str) -> Analysis {
    let machine = "of machine; values 1..200; from generations";
    with(text, &[(machine, "of cpu; values 1..200")])
}
