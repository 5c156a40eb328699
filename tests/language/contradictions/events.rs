//! Events: their statements, and the defaults.

use tlbc::trace::Event;

use super::{ARM64, RISCV64, S390, X86_64, accepted, refused, slate, with};
use tlbc_tests::requests::{Ask, good, lines};

#[test]
fn facts_of_other_events() {
    for (event, fact) in [
        ("contents unknown;", "contents unknown; loads cr3;"),
        (
            "contents unknown;",
            "contents unknown; half loaded is unsafe;",
        ),
        ("contents unknown;", "contents unknown; waits for changes;"),
        (
            "loads cr3 in user when pti;",
            "loads cr3 in user when pti; contents unknown;",
        ),
        (
            "loads cr3 in user when pti;",
            "loads cr3 in user when pti; waits for changes;",
        ),
        ("        loads cr3;\n", "loads cr3; contents unknown;\n"),
        ("contents unknown;", "contents unknown; flushes;"),
        (
            "loads cr3 in user when pti;",
            "loads cr3 in user when pti; flushes;",
        ),
    ] {
        refused(X86_64, &[(event, fact)], "E0207");
    }
}

#[test]
fn facts_that_are_said_twice() {
    // Otherwise the second would count, and CPUs without the feature would come online with empty caches.
    let contents = "contents unknown; contents unknown when pge;";
    refused(X86_64, &[("contents unknown;", contents)], "E0204");
    for fact in [
        "tlb holds leaf, walk;",
        "walk spans its reach;",
        "large leaf may split, dropped together;",
        "fills while loaded;",
    ] {
        refused(slate(), &[(fact, &format!("{fact} {fact}"))], "E0204");
    }
    refused(
        S390,
        &[(
            "waits for changes;",
            "waits for changes; waits for changes;",
        )],
        "E0204",
    );
    refused(
        RISCV64,
        &[("flushes unless asids;", "flushes unless asids; flushes;")],
        "E0204",
    );
    refused(
        ARM64,
        &[(
            "clean to dirty walks;",
            "clean to dirty walks; clean to dirty walks;",
        )],
        "E0204",
    );
}

#[test]
fn a_cpu_that_attaches_waits_where_changes_depend_on_it() {
    let waits = |text: &str| {
        let module = tlbc::compile([("s390.arch", text)]);
        module.outputs[0]
            .text
            .contains("attach_waits_for_changes: true")
    };
    assert!(waits(S390));
    let unsaid = S390.replace("        waits for changes;\n", "");
    assert_ne!(unsaid, S390);
    assert!(waits(&unsaid));
    // Forms for this CPU alone depend on it, too.
    assert!(waits(
        &unsaid.replace(", deferred while detached or here", "")
    ));
    assert!(!waits(slate()));
}

#[test]
fn events_end_with_what_fetches_anew() {
    let of = |text: &str, event: Event| lines(Ask::event(event).on(&good(text), "").issued());
    let online = of(slate(), Event::CpuOnline);
    assert_eq!(
        online.last().map(String::as_str),
        Some("refetch"),
        "{online:?}"
    );
    let nothing = ("contents unknown;", "contents unknown; resync nothing;");
    let silent = of(&with(slate(), &[nothing]), Event::CpuOnline);
    assert_eq!(silent, online[..online.len() - 1]);
    let unsaid = ARM64.replace("        resync nothing;                             // the exception return synchronises\n", "");
    assert_ne!(unsaid, ARM64);
    let returns = |text: &str| {
        let ask = Ask::event(Event::ReturnToUser(false));
        lines(ask.on(&good(text), "kpti").issued())
    };
    assert_eq!(returns(&unsaid).last().map(String::as_str), Some("isb"));
    assert_ne!(returns(ARM64).last().map(String::as_str), Some("isb"));
}

#[test]
fn a_resync_names_a_barrier_that_resyncs() {
    let refetch = "barrier refetch  \"refetch\" { resyncs on self; }";
    let silent = |facts: &str| refetch.replace("resyncs on self;", facts);
    refused(slate(), &[(refetch, &silent(""))], "E0402");
    refused(
        slate(),
        &[(refetch, &silent("publishes on self;"))],
        "E0402",
    );
    refused(
        slate(),
        &[(
            "under every tag; resync refetch;",
            "under every tag; resync publish;",
        )],
        "E0402",
    );
    for (event, resync) in [
        ("resync nothing;", "resync complete;"),
        (
            "loads root; resync refetch;",
            "loads root; resync complete;",
        ),
        ("contents unknown; }", "contents unknown; resync publish; }"),
    ] {
        refused(slate(), &[(event, resync)], "E0402");
    }
    // One barrier may have several roles.
    let complete = "completes on cpus; gone; drained; }";
    accepted(
        slate(),
        &[
            (
                complete,
                "completes on cpus; gone; drained; resyncs on self; }",
            ),
            (
                "contents unknown; }",
                "contents unknown; resync complete; }",
            ),
        ],
    );
}

#[test]
fn a_resync_is_of_this_cpu() {
    let on = |agents: &str| format!("resyncs on {agents};");
    refused(slate(), &[("resyncs on self;", &on("devices"))], "E0207");
    refused(slate(), &[("resyncs on self;", &on("everywhere"))], "E0202");
    accepted(slate(), &[("resyncs on self;", &on("cpus"))]);
}
