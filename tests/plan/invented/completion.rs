//! Completion does what the instructions of a request require, and nothing else.

use tlbc::trace::Event;

use super::{issues, with};
use tlbc_tests::requests::{Ask, good};

const BATCH: &str = include_str!("definitions/batch.arch");

fn pages(count: u64) -> Ask {
    Ask::user(0x1000, count * 0x1000, &["pte"]).others()
}

#[test]
fn what_is_done_at_once_waits_for_nothing() {
    let batch = good(BATCH);
    let by_address = [
        "begin",
        "page 0x1000, 0x42",
        "page 0x2000, 0x42",
        "end",
        "micro",
        "other",
    ];
    issues(&batch, "", &pages(2), &by_address);
    issues(
        &batch,
        "",
        &pages(1),
        &["begin", "page 0x1000, 0x42", "end", "micro", "other"],
    );
    let whole = ["begin", "space 0x42"];
    issues(&batch, "", &Ask::event(Event::Everything).others(), &whole);
    issues(&batch, "", &Ask::event(Event::Teardown).others(), &whole);
    issues(&batch, "", &pages(1).tables(), &whole);
    issues(&batch, "", &pages(2).tables(), &whole);
    // More than the ceiling allows.
    issues(&batch, "", &pages(9), &whole);
}

/// CPUs that a barrier leaves undrained are interrupted where the barrier was issued.
#[test]
fn cpus_are_interrupted_for_what_was_issued() {
    let batch = good(BATCH);
    let page = pages(1).on(&batch, "slow");
    assert_eq!(page.targets().collect::<Vec<_>>(), ["CPUs of `busy`"]);
    let everything = Ask::event(Event::Everything).others();
    assert_eq!(everything.on(&batch, "slow").targets().count(), 0);
}

/// A barrier that has several roles is issued once.
#[test]
fn a_barrier_is_not_issued_twice_in_a_row() {
    let edits = [
        (
            "barrier end   \"end\"   { completes on cpus; gone; drained; }",
            "barrier end \"end\" { completes on cpus; gone; drained; resyncs on self; }",
        ),
        (
            "    invalidate micro",
            "    invalidate wide \"wide {address}\" {
        per \"Batch manual, 8.5\";
        drops leaf of one page, any tag;
        where cpus;
        after end;
    }
    invalidate micro",
        ),
    ];
    let both = with(BATCH, &edits);
    let kernel = Ask::kernel(0xffff_ffc0_0000_0000, 0x1000, &["pte"]);
    issues(
        &both,
        "",
        &kernel,
        &["begin", "wide 0xffffffc000000000", "end"],
    );
}

/// A workaround may need another barrier than the instruction that needs it.
#[test]
fn instructions_of_a_workaround_are_completed_as_well() {
    let erratum = "erratum stuck \"8\" { weakens space: not leaf; workaround after space issue micro; }\n    policy";
    let batch = with(BATCH, &[("policy", erratum)]);
    let everything = Ask::event(Event::Everything).others();
    issues(
        &batch,
        "stuck",
        &everything,
        &["begin", "space 0x42", "micro", "other"],
    );
}

/// An instruction that is issued once beside a loop over addresses has its workarounds.
#[test]
fn an_instruction_beside_a_loop_has_its_workarounds() {
    let walks = "    invalidate walks \"walks\" {
        per \"Batch manual, 8.6\";
        drops walk of everything, any tag;
        where cpus;
        at once;
    }
    erratum stuck \"8\" { weakens walks: not walk; workaround after walks issue walks, other; }
    change";
    let batch = with(
        BATCH,
        &[
            ("    change", walks),
            (
                "at once;\n    }\n    invalidate all",
                "at once;\n        cost 9;\n    }\n    invalidate all",
            ),
        ],
    );
    let expected = [
        "begin",
        "walks",
        "walks",
        "other",
        "page 0x1000, 0x42",
        "page 0x2000, 0x42",
        "end",
        "micro",
        "other",
    ];
    issues(&batch, "stuck", &pages(2).tables(), &expected);
}

/// On a machine without walk entries unlinked tables require no flush of their own.
#[test]
fn freed_tables_take_no_instruction_where_no_walk_entry_is_cached() {
    let edits = [
        ("tlb   holds leaf, walk;", "tlb holds leaf;"),
        (
            "drops leaf, walk of everything, this tag;",
            "drops leaf of everything, this tag;",
        ),
        (
            "drops leaf, walk of everything, any tag;",
            "drops leaf of everything, any tag;",
        ),
    ];
    let batch = with(BATCH, &edits);
    let by_address = [
        "begin",
        "page 0x1000, 0x42",
        "page 0x2000, 0x42",
        "end",
        "micro",
        "other",
    ];
    issues(&batch, "", &pages(2).tables(), &by_address);
}
