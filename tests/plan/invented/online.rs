//! CPUs that come online with unknown contents: entries of every class go, and each as often as it can be made again. Rollovers:
//! those under tags go, and global ones stay.

use tlbc::Analysis;
use tlbc::plan::ir::Shape;
use tlbc::prove::prove;
use tlbc::torment::whole::{Options, torment};
use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;

use super::{issues, with};
use tlbc_tests::requests::{Ask, good};

const CLASSES: &str = include_str!("definitions/classes.arch");

/// Checks the instructions of a CPU that comes online, those of a rollover, and the proof.
#[track_caller]
fn everything(arch: &Analysis, online: &[&str], rollover: &[&str]) {
    let all = [&["order"], online, &["refetch"]].concat();
    issues(arch, "", &Ask::event(Event::CpuOnline), &all);
    let load = ["root 0x42000040000000", "refetch"];
    let ask = Ask::event(Event::Switch(Pending::All));
    issues(arch, "", &ask, &[&["order"], rollover, &load].concat());
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
    let spaces = ["of.spaces", "wait"];
    everything(&good(CLASSES), &["of.spaces", "of.kernel", "wait"], &spaces);
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
    let online = ["of.kernel", "wait", "of.spaces", "wait"];
    everything(&mixed, &online, &["of.spaces", "wait"]);
}

/// Where no instruction keeps global entries, a rollover takes the same as a CPU that comes online.
#[test]
fn a_rollover_keeps_global_entries_where_an_instruction_does() {
    let of_all = |text: &str| {
        let all = "invalidate of_all \"of.all\" {
        per \"Classes manual, 4.5\";
        drops leaf, walk of everything, any tag;
        where self;
        after complete;
    }
    change {";
        with(text, &[("change {", all)])
    };
    let rollover = Ask::event(Event::Switch(Pending::All));
    let issued = |arch: &Analysis| rollover.here_on(arch, "");
    let load = ["root 0x42000040000000", "refetch"];
    let kept = [&["order", "of.spaces", "wait"], &load[..]].concat();
    assert_eq!(issued(&of_all(CLASSES)), kept);
    // To keep global entries counts before the cost.
    let dearer = CLASSES.replacen("this or other tag;", "this or other tag; cost 9;", 1);
    assert_eq!(issued(&of_all(&dearer)), kept);
    let mixed = CLASSES.replacen("this or other tag;", "any tag;", 1);
    let all = [&["order", "of.spaces", "wait", "refetch"], &load[..]].concat();
    assert_eq!(issued(&good(&mixed)), all);
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
