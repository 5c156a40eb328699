//! Warnings: what each kind finds and what it leaves alone, and how a definition allows one.

use tlbc::codes::TOY;
use tlbc::render::{Format, render};

use crate::diagnostics::toy::toy_with;
use crate::diagnostics::{cases, found, messages};

/// A `for` of instructions that take nothing, with what the last of them states in place of the common facts.
fn looped(last: &str) -> String {
    let one = |name: &str, facts: &str| {
        format!(
            "invalidate {name}{{x}} \"{name}{{x}}\" {{ per \"Toy manual, 9\"; drops leaf, walk of everything, any tag; where cpus; {facts} }}"
        )
    };
    let common = "after wait; keeps flags, operands;";
    let items = [
        one("a", common),
        one("b", common),
        one("c", common),
        one("d", last),
    ];
    format!("for (x) in (\"1\"), (\"2\") {{ {} }}", items.join(" "))
}

#[test]
fn unused() {
    cases(
        "unused_warnings",
        &["barrier late \"late\" { completes on cpus; gone; drained; }
operand spare 64 bits { [63:0] va; }
load spare \"load.spare {root}\" { per \"Toy manual, 3.2\"; }
cpu_set some \"some CPUs\";"],
    );
}

#[test]
fn tables() {
    let with = |levels: &str| {
        let levels = levels
            .replacen("leaf", "leaf hint 1", 1)
            .replacen("leaf;", "leaf hint 2;", 1);
        messages(&toy_with(&format!(
            "geometry g4k {{ page 4 KiB; levels {{ {levels} }} }}"
        )))
    };
    let odd = |name: &str, has: u64, others: u64| {
        [format!(
            "W0301 a table of `{name}` entries has {has} of them, other tables have {others}"
        )]
    };
    assert_eq!(
        with("pte 12 leaf; pmd 21 leaf; pud 30; pgd 38;"),
        odd("pud", 256, 512)
    );
    assert_eq!(
        with("pte 12 leaf; pmd 20 leaf; pud 30; pgd 39;"),
        odd("pmd", 1024, 512)
    );
    assert_eq!(
        with("pte 12 leaf; pmd 21 leaf; pud 30; p4d 40; pgd 48;"),
        odd("pud", 1024, 512)
    );
    // The lowest table may have another size; of two tables there is nothing to compare.
    assert_eq!(
        with("pte 12 leaf; pmd 20 leaf; pud 31; p4d 42; pgd 53;"),
        [""; 0]
    );
    assert_eq!(with("pte 12 leaf; pmd 20 leaf; pgd 32;"), [""; 0]);
}

#[test]
fn ceilings() {
    let with = |ceiling: &str| {
        let policy = format!(
            "shootdown broadcast; strides pte, pmd; gather pages batched, tables deferred; ceiling {ceiling};"
        );
        messages(&toy_with(&format!("policy {{ {policy} }}")))
    };
    assert_eq!(
        with("0 operations"),
        ["W0302 with a ceiling of 0 every flush is a flush of everything"]
    );
    assert_eq!(
        with("33 operations, 256 operations here, 0 operations for kernel"),
        [""; 0]
    );
}

#[test]
fn siblings() {
    let in_what = |last: &str| messages(&toy_with(&looped(last)));
    let differ = |what: &str| {
        ["1", "2"].map(|x| {
            format!("W0401 `d{x}` differs from `a{x}`, which is in the same `for`, in {what}")
        })
    };
    assert_eq!(in_what("after wait; keeps flags, operands;"), [""; 0]);
    assert_eq!(
        in_what("after wait; keeps flags;"),
        differ("what it keeps")[..1]
    );
    let (_, diagnostics) = found(&toy_with(&looped("after wait;")), true);
    assert_eq!(diagnostics[0].primary.text, "keeps nothing");
    assert_eq!(
        in_what("at once; keeps flags, operands;"),
        differ("when it is finished")[..1]
    );
}

/// A comment removes a warning on its line, or below it with other comments between.
#[test]
fn allowed() {
    let with = |before: &str, after: &str| {
        let spare =
            format!("    {before}\n    operand spare 64 bits {{ [63:0] va; }} {after}\n    change");
        TOY.replace("    change", &spare)
    };
    assert_eq!(messages(&with("// allow W0201: later", "")), [""; 0]);
    assert_eq!(
        messages(&with("// allow W0201: later\n    // More.", "")),
        [""; 0]
    );
    assert_eq!(messages(&with("", "// allow W0201: later")), [""; 0]);
    let unused = "W0201 the operand `spare` is never used";
    assert_eq!(
        messages(&with("// allow W0201: later\n", "")),
        [
            unused,
            "W0101 this allows `W0201`, and there is no such warning here"
        ]
    );
    assert_eq!(
        messages(&with("", "// allow W0201")),
        ["W0101 this allows `W0201` without a reason"]
    );
    for code in ["E0208", "W9999"] {
        let expected = [
            unused.to_owned(),
            format!("W0101 `{code}` is not a warning"),
        ];
        assert_eq!(
            messages(&with("", &format!("// allow {code}: no"))),
            expected
        );
    }
}

/// A definition with warnings has an analysis; besides errors, warnings are not shown.
#[test]
fn warnings_are_no_errors() {
    let spare = "operand spare 64 bits { [63:0] va; }";
    let (files, diagnostics) = found(&toy_with(spare), true);
    let shown = render(&files, &diagnostics, Format::Short, false);
    assert_eq!(
        shown,
        "x.arch:70:13: warning[W0201]: the operand `spare` is never used\n"
    );
    let compiled = tlbc::compile([("x.arch", toy_with(spare))]);
    assert_eq!((compiled.outputs.len(), compiled.has_errors()), (2, false));
    let both = toy_with(&format!("{spare} feature unused \"f\";"));
    assert_eq!(
        messages(&both),
        ["E0208 the feature `unused` is never used"]
    );
}

/// An instruction that acts on a domain uses it, and so does another domain.
#[test]
fn domains_that_nothing_names() {
    let text = |more: &str| toy_with(&format!("domain all is cpus;\n{more}"));
    let unused = |name: &str| format!("W0201 the domain `{name}` is never used");
    assert_eq!(crate::diagnostics::messages(&text("")), [unused("all")]);
    assert_eq!(
        crate::diagnostics::messages(&text("domain more is all;")),
        [unused("more")]
    );
    let barrier = "barrier wait \"wait flushes\" { completes on all; gone; drained; }";
    assert_eq!(crate::diagnostics::messages(&text(barrier)), [""; 0]);
}
