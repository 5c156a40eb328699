//! Plans on hostile hardware: those of the shipped definitions leave nothing, and those of a definition with a wrong fact
//! are found on the hardware of the right one.

use tlbc::torment::{Options, Report, torment};
use tlbc_tests::archdefs::{analysis, names};
use tlbc_tests::requests::{POWERPC64, X86_64, edited, good};

fn options(machines: u64, requests: u64) -> Options {
    Options {
        seed: 1,
        machines,
        requests,
        machine: None,
    }
}

fn shipped(arch: &str) -> Report {
    let known = analysis(arch);
    torment(known, &known.model, &options(15, 20))
}

#[test]
fn nothing_is_left_by_shipped_definitions() {
    for arch in names() {
        let report = shipped(arch);
        let failure = report.failure.map_or(String::new(), |it| it.text);
        assert_eq!(failure, "", "{arch}");
        assert!(report.requests > 250, "{arch}: {}", report.requests);
        assert_eq!(report.incomparable, 0, "{arch}");
    }
}

#[test]
fn a_field_at_another_place_is_found() {
    let wrong = edited(
        X86_64,
        "[63:12]  0;\n        [11:0]   tag;",
        "[63:13]  0;\n        [12:1]   tag;\n        [0]      0;",
    );
    let right = &analysis("x86_64").model;
    let failure = torment(&good(&wrong), right, &options(10, 20)).failure;
    let text = failure.expect("a failure").text;
    assert!(text.contains("no `invpcid` has these operands"), "{text}");
}

#[test]
fn a_workaround_with_another_operand_is_found() {
    let wrong = edited(
        POWERPC64,
        "workaround after tlbie_va issue ptesync, tlbie_va with tag 0;",
        "workaround after tlbie_va issue ptesync, tlbie_va with tag 1;",
    );
    let right = &analysis("powerpc64").model;
    let failure = torment(&good(&wrong), right, &options(10, 20)).failure;
    let text = failure.expect("a failure").text;
    assert!(text.contains("in `erat`"), "{text}");
}
