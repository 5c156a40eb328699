//! Passes whose instructions differ: for pages and tables, and for one page and many.

use super::with;
use tlbc::prove::prove;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Extent, Ranges};
use tlbc_tests::requests::{X86_64, ranges_on};

const REFILL: &str = include_str!("definitions/refill.arch");

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

/// One instruction for the walk entries of an address serves the unlinked tables of all levels above it.
#[test]
fn tables_of_two_levels_take_one_instruction() {
    let space = "    invalidate space \"space {number}\" {";
    let walks = "    invalidate walks \"walks {address}, {number}\" {
        per \"Refill manual, 4.4\";
        drops walk of one page, this tag;
        where self;
        at once;
    }
";
    let ceiling = ("ceiling limit(entries) operations", "ceiling 8 operations");
    let entries = "    limit entries  \"Most entries that are flushed one by one\" 1..64;\n";
    let walks = (space, &*format!("{walks}{space}"));
    let arch = with(REFILL, &[walks, ceiling, (entries, "")]);
    let unlinked = |upper: u64| {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0x4000_0000, 0x1000));
        ranges.walk(Level(1), Extent::new(0x4000_0000, 0x20_0000));
        ranges.walk(Level(2), Extent::new(upper, 0x4000_0000));
        ranges_on(&arch, "walker", ranges)
    };
    let walks = |address: u64| format!("walks address={address:#x} number=0x42");
    let order = || "publish".to_owned();
    let page = || "page address=0x40000000 number=0x42".to_owned();
    assert_eq!(unlinked(0x4000_0000), [order(), walks(0x4000_0000), page()]);
    let two = [order(), walks(0x4000_0000), walks(0x8000_0000), page()];
    assert_eq!(unlinked(0x8000_0000), two);
}
