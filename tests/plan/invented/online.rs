//! CPUs that come online with unknown contents, and rollovers: entries of every class go, and each as often as it can be made
//! again.

use tlbc::Analysis;
use tlbc::plan::ir::Shape;
use tlbc::prove::prove;
use tlbc::torment::whole::{Options, torment};
use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;

use super::{issues, with};
use tlbc_tests::requests::{Ask, good};

const CLASSES: &str = include_str!("definitions/classes.arch");

/// Checks the instructions of a CPU that comes online, the same at a rollover, and the proof.
#[track_caller]
fn everything(arch: &Analysis, expected: &[&str]) {
    let all = [&["order"], expected, &["refetch"]].concat();
    issues(arch, "", &Ask::event(Event::CpuOnline), &all);
    let load = ["root 0x42000040000000", "refetch"];
    let rollover = Ask::event(Event::Switch(Pending::All));
    issues(arch, "", &rollover, &[&all[..], &load].concat());
    let proof = prove(&arch.model, &arch.plans);
    let failures = proof
        .failures
        .iter()
        .map(|it| it.diagnostic(&arch.model).message);
    assert_eq!(failures.collect::<Vec<_>>(), Vec::<String>::new());
}

/// No walk through the tables of a user space makes a global entry, and none through global entries makes one under a tag.
#[test]
fn classes_that_are_not_made_from_each_other_go_together() {
    everything(&good(CLASSES), &["of.spaces", "of.kernel", "wait"]);
}

/// The walk entries of the kernel are global, and make leaf entries under every tag: they go, and first.
#[test]
fn global_walk_entries_go_where_no_leaf_entry_is_global() {
    let edits = [
        (
            "leaf global;     walk global;",
            "leaf under every tag; walk global;",
        ),
        (
            "leaf, walk of everything, global;",
            "walk of everything, global;",
        ),
    ];
    let mixed = with(CLASSES, &edits);
    everything(&mixed, &["of.kernel", "wait", "of.spaces", "wait"]);
}

/// What is walked at addresses of the kernel is an entry of the kernel, also in tables with which a CPU boots and that map
/// user addresses as well: global entries make none under a tag.
#[test]
fn walks_at_addresses_of_the_kernel_make_entries_of_the_kernel() {
    let options = Options {
        schedules: 100,
        shrinks: false,
        ..Options::default()
    };
    let report = torment(&good(CLASSES), &options).expect("a machine");
    assert_eq!(report.failure.map_or(String::new(), |it| it.complaint), "");
}

/// A CPU of the hardware boots with entries of every kind at addresses of the kernel: a plan that leaves some is found.
#[test]
fn hardware_boots_with_entries_of_the_kernel() {
    let mixed = |walk: &str| {
        let kernel = format!("leaf under every tag; walk {walk};");
        with(
            CLASSES,
            &[("leaf global;     walk global;", kernel.as_str())],
        )
    };
    let (mut arch, other) = (mixed("global"), mixed("under every tag"));
    let options = Options {
        schedules: 30,
        shrinks: false,
        ..Options::default()
    };
    let run = |arch: &Analysis| torment(arch, &options).expect("a machine").failure;
    assert!(run(&arch).is_none());
    let online = other.plans.get(Shape::CpuOnline).expect("a plan");
    arch.plans.replace(online.clone());
    let text = run(&arch).expect("a complaint").complaint;
    assert!(text.contains("may walk table"), "{text}");
}
