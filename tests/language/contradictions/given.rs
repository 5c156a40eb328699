//! Instructions that act on CPUs which they are given.

use super::{accepted, refused};

const CALLS: &str = include_str!("../../plan/invented/definitions/calls.arch");

/// The place where one of the calls acts.
const EVERY: &str = "drops leaf, walk of everything, any tag;
        where given;";

#[test]
fn only_a_call_is_given_cpus() {
    accepted(CALLS, &[]);
    let instruction = ("every call flush_all", "every \"flush.all\"");
    refused(CALLS, &[instruction], "E0412");
    let own = (
        "per \"Calls manual, 4.2\";
        drops leaf, walk of everything, any tag;
        where self;",
        "per \"Calls manual, 4.2\";
        drops leaf, walk of everything, any tag;
        where given, self unless guest;",
    );
    refused(CALLS, &[own], "E0412");
}

#[test]
fn a_call_is_finished_when_it_returns() {
    let wait = (
        "barrier refetch ",
        "barrier wait \"wait\" { completes on cpus; gone; drained; }
    barrier refetch ",
    );
    let later = format!("{EVERY}\n        needs no lock;\n        at once;");
    let later = (later.as_str(), later.replace("at once", "after wait"));
    refused(CALLS, &[wait, (later.0, &later.1)], "E0412");
}

#[test]
fn a_call_for_cpus_writes_no_entry() {
    let operand = (
        "operand number ",
        "operand at 64 bits { [63:48] 0; [47:0] entry[47:0]; }
    operand number ",
    );
    let given = ("call flush_all requires", "call flush_all with at requires");
    let writes = format!("writes entry at pte: invalid;\n        {EVERY}");
    refused(CALLS, &[operand, given, (EVERY, &writes)], "E0412");
}

/// The tag that is loaded here is not that of other CPUs, and a per-CPU tag means another space there.
#[test]
fn tags_of_this_cpu_are_not_given() {
    refused(
        CALLS,
        &[(EVERY, &EVERY.replace("any tag", "loaded tag"))],
        "E0404",
    );
    let of_cpu = (
        "of machine; values 1..200; from generations",
        "of cpu; values 1..200",
    );
    refused(CALLS, &[of_cpu], "E0405");
}

/// A call leaves other CPUs running, and a lockless walker with them.
#[test]
fn tables_are_not_free_after_a_call() {
    let freed = ("tables deferred", "tables after flush");
    refused(CALLS, &[freed], "E0602");
}

/// `given` names no agents of a domain or of a barrier.
#[test]
fn no_other_statement_names_given_cpus() {
    let domain = (
        "barrier order_here",
        "domain some is given;
    barrier order_here",
    );
    refused(CALLS, &[domain], "E0202");
    refused(
        CALLS,
        &[("publishes on cpus", "publishes on given")],
        "E0202",
    );
}

/// Calls flush other CPUs, and no instruction flushes all of them together.
#[test]
fn calls_are_no_broadcast() {
    refused(CALLS, &[("shootdown ipi", "shootdown broadcast")], "E0601");
}
