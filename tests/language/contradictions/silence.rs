//! A statement that is left out never means that the machine does more: whether a CPU fetches anew, and whether CPUs may issue an
//! instruction at once.

use tlbc::model::Need;

use super::{ARM64, POWERPC64, X86_64, accepted, refused, slate, with};
use tlbc_tests::requests::{Ask, findings, good, lines};

/// Returns what a flush of one page of a user space issues.
fn flush(text: &str) -> Vec<String> {
    let asked = Ask::user(0x1000, 0x1000, &["pte"]).others();
    lines(asked.on(&good(text), "").issued())
}

#[test]
fn a_flush_of_user_space_is_followed_by_the_barrier_that_resyncs() {
    let said = flush(slate());
    let silent = [("walk under asid; resync nothing;", "walk under asid;")];
    let expected: Vec<String> = said.into_iter().chain(["refetch".to_owned()]).collect();
    assert_eq!(flush(&with(slate(), &silent)), expected);
}

/// A barrier that some machines lack cannot be the default, because no barrier would follow there.
#[test]
fn a_barrier_that_resyncs_on_some_machines_is_named_with_them() {
    let some = [
        ("barrier refetch", "feature f \"f\";\n    barrier refetch"),
        ("{ resyncs on self; }", "requires f { resyncs on self; }"),
    ];
    let text = with(slate(), &some).replace(" resync refetch;", "");
    refused(&text, &[], "E0406");
    let said = [
        ("loads root;", "loads root; resync nothing, refetch when f;"),
        ("unknown;", "unknown; resync nothing, refetch when f;"),
    ];
    refused(&text, &said, "E0406");
    let kernel = ("every tag;", "every tag; resync nothing, refetch when f;");
    accepted(&text, &[&said[..], &[kernel]].concat());
    // One that every machine has is preferred.
    let other = "barrier again \"again\" { resyncs on self; }\n    barrier complete";
    accepted(&text, &[("barrier complete", other), kernel]);
}

/// Where no alternative holds, nothing is stated: that a flush is finished at once, or that a CPU need not fetch anew, would
/// be the stronger claim.
#[test]
fn alternatives_leave_no_machine_out() {
    let feature = ("    tables", "    feature f \"f\";\n    tables");
    let on_some = |all: &str| {
        let some = all.strip_suffix(';').expect("a statement");
        let text = slate().replace(all, &format!("{some} when f;"));
        refused(&text, &[feature], "E0203");
    };
    on_some("invalid never;");
    on_some("fills while loaded;");
    on_some("stricter dropped by the fault;");
    on_some("leaf under asid;");
    on_some("walk under asid;");
    on_some("leaf global;");
    on_some("walk under every tag;");
    on_some("resync nothing;");
    on_some("loads root; resync refetch;");
    on_some("where cpus;");
    on_some("after complete;");
    // The alternatives need not begin with one that always holds, and a statement need not say more than counts.
    let fills = (
        "fills while loaded;",
        "fills while loaded when f, by software unless f;",
    );
    accepted(slate(), &[feature, fills]);
    let paths = (
        "tlb holds leaf, walk;",
        "tlb holds leaf; paths holds walk when f;",
    );
    let walk = ("walk under asid;", "walk under asid when f;");
    accepted(slate(), &[feature, paths, walk]);
    let page = (
        "{address}, {number}\" {",
        "{address}, {number}\" requires f {",
    );
    let text = slate().replacen("after complete;", "after complete when f;", 1);
    accepted(&text, &[feature, page]);
}

#[test]
fn without_a_barrier_that_resyncs_each_block_says_so() {
    for before in ["loads cr3;\n", "when pti;\n", "unknown;\n", "affect them\n"] {
        let said = format!("{before}        resync nothing;\n");
        refused(X86_64, &[(&said, before)], "E0203");
    }
    assert_eq!(
        findings(&X86_64.replace("        resync nothing;\n", "")),
        [
            "E0203 `space user`, `space kernel`, `switch`, `return_to_user` and `cpu_online` do not state `resync`"
        ]
    );
}

#[test]
fn a_broadcast_needs_a_lock_unless_it_says_that_it_needs_none() {
    let locks = |text: &str| good(text).plans.needs(Need::Lock);
    for (text, none) in [
        (slate(), "        needs no lock;\n"),
        (ARM64, "            needs no lock;\n"),
    ] {
        assert!(!locks(text));
        assert!(locks(&text.replacen(none, "", 1)), "of one instruction");
    }
    // The handler of an IPI broadcasts to devices, without the lock. Where one instruction needs it, others serve.
    assert!(!locks(POWERPC64));
    let none = "        needs no lock;\n";
    assert!(locks(&POWERPC64.replacen(none, "", 1)));
    refused(&POWERPC64.replace(none, ""), &[], "E0413");
}

#[test]
fn an_instruction_that_stays_on_its_core_needs_no_lock() {
    let local = "        where self;\n        at once;\n";
    assert!(X86_64.contains(local));
    let said = X86_64.replace(local, &format!("{local}        needs no lock;\n"));
    for text in [X86_64, &said] {
        assert!(!good(text).plans.needs(Need::Lock));
    }
}

#[test]
fn a_lock_is_needed_or_not() {
    let both = "needs no lock;\n        needs lock;";
    let first = slate().replacen("needs no lock;", both, 1);
    refused(&first, &[], "E0204");
}
