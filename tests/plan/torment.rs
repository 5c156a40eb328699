//! Plans on hostile hardware: those of the shipped definitions leave nothing, and those of a definition with a wrong fact
//! are found on the hardware of the right one.

use tlbc::codes::TOY;
use tlbc::torment::{Options, Report, torment};
use tlbc_tests::archdefs::{analysis, names};
use tlbc_tests::requests::{Ask, POWERPC64, X86_64, edited, good};

fn options(machines: u64, requests: u64) -> Options {
    Options {
        seed: 1,
        machines,
        requests,
        machine: None,
        ends_at_long: false,
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
    let failure = torment(&good(&wrong), right, &options(40, 20)).failure;
    let text = failure.expect("a failure").text;
    assert!(text.contains("in `erat`"), "{text}");
}

/// The cause names what applies: the barrier that is missing, or the entry from which another is filled again.
#[test]
fn a_cause_is_a_missing_barrier_or_an_entry_that_is_left() {
    let cause = |wrong: &str, right: &str| {
        let failure = torment(&good(wrong), &good(right).model, &options(10, 20)).failure;
        failure.expect("a failure").cause
    };
    let missing = cause(&TOY.replace("after wait;", "at once;"), TOY);
    assert!(
        missing.ends_with("removes the entry after `wait`, which does not follow"),
        "{missing}"
    );
    let twofold = include_str!("invented/definitions/twofold.arch");
    let apart = edited(twofold, "leaf from stage", "leaf");
    let again = cause(&apart, twofold);
    let (_, source) = again.split_once(" from the ").unwrap_or(("", &again));
    assert!(again.contains("and it is filled again"), "{again}");
    assert!(source.starts_with("leaf entry of p"), "{again}");
    assert!(source.contains(" in `stage`, which "), "{again}");
}

/// A loop that no ceiling limits is cut off, and takes neither all memory nor hours: torment finds the flush of a table that is
/// unlinked, and a trace of as many entries is refused.
#[test]
fn a_flush_that_no_ceiling_limits_is_found() {
    let without = edited(
        X86_64,
        "ceiling 33 operations",
        "ceiling 0x4000_0000 operations",
    );
    let planned = good(&without);
    let failure = torment(&planned, &planned.model, &options(10, 20)).failure;
    let text = failure.expect("a failure").summary;
    assert!(text.contains("a lower `ceiling`"), "{text}");
    let trace = |bytes| Ask::user(0x1000, bytes, &["pte"]).try_on(&planned, "");
    assert!(trace(1 << 24).is_ok());
    let refused = trace(1 << 34).expect_err("too many");
    assert!(refused.contains("a lower `ceiling`"), "{refused}");
}
