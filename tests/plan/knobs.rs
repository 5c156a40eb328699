//! Faults that are put back in the runtime, in plans, in operands and in the kernel: random programs find each, by a seed
//! without which nothing is found.
//!
//! `knobs.txt` has a line for each knob, as `tlbc torment FILE --runtime --knobs` prints it: the definition, the number of CPUs
//! and the seed.

use std::collections::{BTreeMap, BTreeSet};

use tlbc::torment::whole::knobs::{KNOBS, Turned, turn};
use tlbc::torment::whole::{Options, Weakness, torment};
use tlbc_tests::archdefs::analysis;

/// By which seed a knob is found.
pub struct Line {
    pub arch: &'static str,
    pub cpus: usize,
    pub seed: u64,
}

/// Returns the lines of `knobs.txt`, by the name of the knob.
pub fn lines() -> BTreeMap<&'static str, Line> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/plan/knobs.txt");
    let text: &'static str = std::fs::read_to_string(file).expect("a text").leak();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let of = |line: &'static str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[name, arch, cpus, seed, ..] = words.as_slice() else {
            panic!("{line}");
        };
        let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("{line}"));
        let (cpus, seed) = (number(cpus) as usize, number(seed));
        (name, Line { arch, cpus, seed })
    };
    lines.map(of).collect()
}

#[test]
fn each_knob_has_a_line() {
    let lines = lines();
    let names: BTreeSet<&str> = KNOBS.iter().map(|knob| knob.name).collect();
    assert_eq!(names.len(), KNOBS.len(), "two knobs have one name");
    assert_eq!(names, lines.keys().copied().collect());
}

fn options(cpus: usize, seed: u64) -> Options {
    Options {
        seed,
        cpus,
        schedules: 1,
        shrinks: false,
        ..Options::default()
    }
}

#[test]
fn each_knob_is_found() {
    let lines = lines();
    let mut wrong = Vec::new();
    for knob in KNOBS {
        let Line { arch, cpus, seed } = lines[knob.name];
        let options = options(cpus, seed);
        let turned = turn(analysis(arch), knob, &options).expect("a machine");
        if !matches!(turned, Turned::Found { .. }) {
            wrong.push(format!("{}: {turned:?}", knob.name));
        }
        let report = torment(analysis(arch), &options).expect("a machine");
        if let Some(failure) = report.failure {
            let text = failure.complaint;
            wrong.push(format!("{}, with the knob off: {text}", knob.name));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Each rule of the hardware is needed to find some fault: without it the seed of the fault finds nothing.
#[test]
fn weak_hardware_hides_faults() {
    let lines = lines();
    let hides = |weak: Weakness| {
        KNOBS.iter().any(|knob| {
            let Line { arch, cpus, seed } = lines[knob.name];
            let options = Options {
                weak: Some(weak),
                ..options(cpus, seed)
            };
            let turned = turn(analysis(arch), knob, &options).expect("a machine");
            matches!(turned, Turned::Nothing { .. })
        })
    };
    for weak in Weakness::ALL {
        assert!(hides(weak), "{weak:?} hides no fault");
    }
}
