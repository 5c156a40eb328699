//! The whole runtime on hostile hardware: with the plans of the shipped definitions there is no complaint, and with broken
//! plans there is one.

use tlbc::Analysis;
use tlbc::plan::ir::{Node, Shape, Test};
use tlbc::torment::whole::knobs::plans::without;
use tlbc::torment::whole::{Options, Report, torment};
use tlbc_tests::archdefs::{analysis, names};
use tlbc_tests::configurations::machine;

fn run(analysis: &Analysis, schedules: u64, cpus: usize) -> Report {
    let options = Options {
        schedules,
        cpus,
        shrinks: false,
        ..Options::default()
    };
    torment(analysis, &options).expect("a machine")
}

#[test]
fn nothing_is_found_with_the_plans_of_shipped_definitions() {
    for arch in names() {
        for cpus in [2, 3] {
            let report = run(analysis(arch), 8, cpus);
            let failure = report.failure.map_or(String::new(), |it| it.complaint);
            assert_eq!(failure, "", "{arch}, {cpus} CPUs");
            assert!(report.schedules > 3, "{arch}: {}", report.schedules);
            assert!(
                report.points > 400 * report.schedules,
                "{arch}: {}",
                report.points
            );
        }
    }
}

/// Devices that share the tables set bits in the operands of calls that no other flush sets.
#[test]
fn calls_that_name_devices_are_known() {
    let planned = analysis("powerpc64");
    let machine = machine(&planned.model, "");
    let options = Options {
        schedules: 60,
        machine: Some((machine.config, machine.limits)),
        shrinks: false,
        ..Options::default()
    };
    let report = torment(planned, &options).expect("a machine");
    let failure = report.failure.map_or(String::new(), |it| it.complaint);
    assert_eq!(failure, "");
}

/// Replaces nodes of plans by no steps, and returns what is then found.
fn found_without(arch: &str, of: impl Fn(Shape) -> bool, is: &dyn Fn(&Node) -> bool) -> String {
    let mut broken = analysis(arch).clone();
    without(&mut broken.plans, of, is);
    let failure = run(&broken, 1000, 2).failure;
    failure.expect("a complaint").complaint
}

/// Returns whether a report says that an old entry may be used by an access or by a walk, or for a write to a clean page.
fn is_stale(report: &str) -> bool {
    ["may use ", "may walk", "may write"]
        .iter()
        .any(|what| report.contains(what))
}

#[test]
fn a_flush_that_issues_nothing_is_found() {
    let is_flush = |shape| matches!(shape, Shape::Page(..) | Shape::Ranges(..));
    // Where instructions write entries, they flush as well.
    let by_store = |arch: &&str| analysis(arch).model.change.plain_store.value;
    for arch in names().filter(by_store) {
        let text = found_without(arch, is_flush, &|_| true);
        assert!(is_stale(&text), "{arch}: {text}");
    }
}

#[test]
fn a_switch_that_forgets_a_pending_flush_is_found() {
    let is_switch = |shape| shape == Shape::Switch;
    let is_flush = |node: &Node| {
        let is_pending = |on| matches!(on, Test::Pending(_));
        matches!(node, Node::Issue(_)) || matches!(node, Node::Select { on, .. } if is_pending(*on))
    };
    for arch in ["riscv64", "loongarch64"] {
        let text = found_without(arch, is_switch, &is_flush);
        assert!(is_stale(&text), "{arch}: {text}");
    }
}

/// Without tags the next space could use the entries of the previous one.
#[test]
fn a_switch_that_keeps_entries_of_the_space_before_is_found() {
    let is_switch = |shape| shape == Shape::Switch;
    let is_flush = |node: &Node| matches!(node, Node::Call(Shape::Everything(..)));
    let text = found_without("riscv64", is_switch, &is_flush);
    assert!(is_stale(&text), "{text}");
}

#[test]
fn ipis_that_are_not_sent_are_found() {
    let is_target = |shape| matches!(shape, Shape::IpiTargets(_));
    let text = found_without("x86_64", is_target, &|_| true);
    assert!(is_stale(&text), "{text}");
}

#[test]
fn invalidations_that_are_not_completed_are_found() {
    let is_finish = |shape| matches!(shape, Shape::Finish(..));
    let text = found_without("arm64", is_finish, &|node| {
        matches!(node, Node::Complete { .. })
    });
    assert!(is_stale(&text), "{text}");
}

#[test]
fn changes_that_are_not_published_are_found() {
    let text = found_without("arm64", |_| true, &|node| {
        matches!(node, Node::Publish { .. })
    });
    assert!(is_stale(&text), "{text}");
}
