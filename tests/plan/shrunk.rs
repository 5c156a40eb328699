//! Failures that are made small: they still fail in the same way, are no larger, and are the same each time.

use tlbc::torment::whole::knobs::{KNOBS, Knob, Turned, turn, with_fault};
use tlbc::torment::whole::{FailedSchedule, Options, Small, replay};
use tlbc_tests::archdefs::analysis;

/// Definitions, and knobs that are found on their machines within a few schedules.
const FOUND: [(&str, &str); 4] = [
    ("x86_64", "free_page"),
    ("x86_64", "plan_no_ipi"),
    ("arm64", "plan_publish"),
    ("x86_64", "first_range"),
];

fn knob(name: &str) -> &'static Knob {
    let mut knobs = KNOBS.iter();
    knobs.find(|knob| knob.name == name).expect("a knob")
}

fn options() -> Options {
    Options {
        schedules: 100,
        ..Options::default()
    }
}

fn found(arch: &str, name: &str) -> (FailedSchedule, Small) {
    let turned = turn(analysis(arch), knob(name), &options()).expect("a machine");
    let Turned::Found { failure, .. } = turned else {
        panic!("{arch}, {name}: {turned:?}");
    };
    let small = failure.small.clone().expect("a small failure");
    (*failure, small)
}

/// Returns a complaint without its numbers.
fn kind(complaint: &str) -> String {
    let words = complaint.split(' ');
    let words = words.filter(|word| !word.starts_with(|first: char| first.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_small_failure_fails_again_and_alike() {
    for (arch, name) in FOUND {
        let (failure, small) = found(arch, name);
        assert_eq!(
            kind(&failure.complaint),
            kind(&small.complaint),
            "{arch}, {name}"
        );
        let replayed = with_fault(
            analysis(arch),
            knob(name),
            &options(),
            |analysis, options| replay(analysis, options, &small.case).expect("a machine"),
        );
        let again = replayed.and_then(|(small, _)| small).expect("it fails");
        assert_eq!(again.complaint, small.complaint, "{arch}, {name}");
        assert_eq!(again.case, small.case, "{arch}, {name}");
        let fixed = replay(analysis(arch), &options(), &small.case).expect("a machine");
        assert!(
            fixed.is_none(),
            "{arch}, {name}, with the knob off: {fixed:?}"
        );
    }
}

#[test]
fn a_small_failure_is_small() {
    for (arch, name) in FOUND {
        let (failure, small) = found(arch, name);
        let (before, after) = (failure.case.operations(), small.case.operations());
        assert!(
            after <= before.min(10),
            "{arch}, {name}: {after} of {before} operations"
        );
        let (before, after) = (failure.case.turns.len(), small.case.turns.len());
        assert!(
            after <= before.min(8),
            "{arch}, {name}: {after} of {before} turns"
        );
    }
}

#[test]
fn a_failure_is_made_small_in_one_way() {
    let (arch, name) = FOUND[1];
    let (first, second) = (found(arch, name).1, found(arch, name).1);
    assert_eq!(first.case, second.case);
}
