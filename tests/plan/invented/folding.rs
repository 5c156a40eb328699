//! Passes whose instructions differ: for pages and tables, and for one page and many.

use super::with;
use tlbc::prove::prove;
use tlbc_tests::requests::X86_64;

/// An instruction for runs of pages beside the one for a page of x86-64.
const RUN: &str = r#"operand pages 64 bits { FIELDS }
    invalidate invlpg_run "invlpg_run [{va}], {pages}" {
        per "none";
        drops leaf, walk of run of 1..16 pages, loaded tag or global;
        where self;
        at once;
        cost 2;
    }
    change {"#;

#[track_caller]
fn proves(edit: (&str, &str)) {
    let arch = with(X86_64, &[edit]);
    let proof = prove(&arch.model, &arch.plans);
    let failures = proof.failures.iter();
    let messages: Vec<_> = failures
        .map(|it| it.diagnostic(&arch.model).message)
        .collect();
    assert_eq!(messages, [""; 0], "{}", edit.1);
}

/// One instruction is chosen for the pages of a change and another for its tables: none of the walk entries that the
/// first leaves is forgotten, whether an erratum or the form of the instruction is the reason.
#[test]
fn pages_and_tables_may_take_different_instructions() {
    let known = "erratum alder_lake_invlpg";
    let weak =
        "erratum weak \"leaf entries stay\" needs pcid and invpcid { weakens invlpg: not leaf; }";
    proves((known, &format!("{weak}\n    {known}")));
    let fields = "[63:4] 0; [3:0] num; names num + 1 pages;";
    proves(("change {", &RUN.replace("FIELDS", fields)));
}

/// One page and a run of pages take different instructions, and only one of them drops the leaf entries of every level.
#[test]
fn a_run_may_be_of_one_level() {
    let fields = "[63:6] 0; [5:4] level as pte 0, pmd 1, pud 2; [3:0] num; names num + 1 entries;";
    let run = RUN.replace("FIELDS", fields);
    let run = run.replace(
        "leaf, walk of run of 1..16 pages",
        "leaf at level of run of 1..16 entries at pte, pmd, pud",
    );
    proves(("change {", &run));
}
