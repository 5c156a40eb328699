//! Mistakes that people make in a definition that is otherwise right: each has one finding, at its place, which says what to
//! do about it.

use tlbc::codes::TOY;
use tlbc::render::{Format, render};

use crate::diagnostics::{found, snapshot};

/// The example machine, its invalidations in a `for`.
pub fn looped() -> String {
    const LOOP: &str = r#"    domain all is cpus;
    barrier wait_here "wait here"  { completes on self; gone; drained; }

    for (x, reach, done) in ("", all, wait), ("_here", self, wait_here) {
        invalidate drop_page{x} "drop.page{x} {page}" {
            per "Toy manual, 4.1";
            drops leaf at hint of one page, this tag;
            drops walk of one page, this tag unless hinted;
            where {reach};
            after {done};
        }
        invalidate drop_space{x} "drop.space{x} {space}" {
            per "Toy manual, 4.2";
            drops leaf, walk of everything, this tag;
            where {reach};
            after {done};
        }
        invalidate drop_all{x} "drop.all{x}" {
            per "Toy manual, 4.3";
            drops leaf, walk of everything, any tag;
            where {reach};
            after {done};
        }
    }
    erratum early "E1" { weakens wait: not drained; workaround after wait issue drop_all, wait; }

"#;
    let start = TOY.find("    invalidate drop_page").expect("invalidations");
    let end = TOY.find("    change {").expect("what follows them");
    format!("{}{LOOP}{}", &TOY[..start], &TOY[end..])
}

/// Returns the machine with a part of its text replaced wherever it occurs.
pub fn with(from: &str, to: &str) -> String {
    let text = looped();
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
}

/// Compares the diagnostics about several named texts with a snapshot.
fn reports(name: &str, cases: &[(&str, String)]) {
    let reports = cases.iter().map(|(what, text)| {
        let (files, diagnostics) = found(text, true);
        let rendered = render(&files, &diagnostics, Format::Human, false);
        format!("{what}\n\n{rendered}")
    });
    let rule = format!("{}\n", "-".repeat(80));
    snapshot(name, &reports.collect::<Vec<_>>().join(&rule));
}

/// The messages about a text without their places.
fn messages(text: &str) -> Vec<String> {
    crate::diagnostics::messages(text)
}

#[test]
fn the_machine_is_right() {
    assert_eq!(messages(&looped()), [""; 0]);
}

#[test]
fn one_mistake_has_one_finding() {
    let cases = [
        (
            "a wrong value in the row of a `for`",
            with("self, wait_here)", "self, wait_her)"),
        ),
        (
            "a row that makes the names of another",
            with("(\"_here\",", "(\"\","),
        ),
        (
            "a row without its last value",
            with("self, wait_here)", "self)"),
        ),
        (
            "values in the wrong order",
            with("of machine;", "of machine; values 9..1;"),
        ),
        (
            "an address that is too wide",
            with("low 38 bits", "low 380 bits"),
        ),
        ("a level beyond all addresses", with("pgd 30;", "pgd 300;")),
        (
            "a wrong part of a name in a row",
            with("(\"_here\",", "(\"-here\","),
        ),
        (
            "an item that cannot be read defines its name",
            with("\"wait here\"", "\"wait here\" foo"),
        ),
        (
            "a keyword before a name with a variable",
            with("invalidate drop_all{x}", "invaldate drop_all{x}"),
        ),
        (
            "a variable that the `for` does not have",
            with("after {done}", "after {dnoe}"),
        ),
        (
            "a block that is not closed",
            with(
                "\"refetch\"      { resyncs on self; }",
                "\"refetch\"      { resyncs on self;",
            ),
        ),
        (
            "a block that is opened twice",
            with("operand space 64 bits {", "operand space 64 bits { {"),
        ),
        (
            "a block that is closed twice",
            with("{ resyncs on self; }", "{ resyncs on self; } }"),
        ),
        (
            "a block that is not opened",
            with(
                "barrier refetch \"refetch\"      {",
                "barrier refetch \"refetch\"",
            ),
        ),
        ("a width that no tag has", with("{ 8 bits;", "{ 70 bits;")),
        (
            "one fact that many rely on",
            with("{ completes on cpus;", "{ completes on self;"),
        ),
        (
            "a name that many use",
            with("    domain all is cpus;\n", ""),
        ),
        (
            "comments of C",
            with("    change {", "    /* \"Changes */\n    change {"),
        ),
        (
            "comments of a shell",
            with("    change {", "    # Changes, isn't it?\n    change {"),
        ),
        (
            "a name with a hyphen",
            with("barrier wait_here", "barrier wait-here"),
        ),
        (
            "a `for` within a `for`",
            with("    for (x,", "    for (y) in (a) {\n    for (x,")
                .replace("    erratum", "    }\n    erratum"),
        ),
        (
            "a condition where there are none",
            with(
                "per \"Toy manual, 4.3\";",
                "per \"Toy manual, 4.3\" when hinted;",
            ),
        ),
        (
            "a statement that ends with a comma",
            with("of machine;", "of machine,\n       "),
        ),
        (
            "a barrier that there is none of",
            with("workaround after wait ", "workaround after wiat "),
        ),
        (
            "a statement without its end before another",
            with("completes on self; gone;", "completes on self gone;"),
        ),
        (
            "a fact that cannot be read in what an erratum names",
            with("completes on cpus; gone", "complets on cpus; gone"),
        ),
        (
            "a fact that every row leaves out",
            with("            per \"Toy manual, 4.3\";\n", ""),
        ),
        ("bits in the wrong order", with("[55:0] 0;", "[0:55] 0;")),
        (
            "one page size in two statements",
            with("page 4 KiB;", "page 4 KiB; page 4 KiB;"),
        ),
    ];
    for (what, text) in &cases {
        assert_eq!(messages(text).len(), 1, "{what}: {:#?}", messages(text));
    }
    reports("slips", &cases);
}

/// Where no row has a name for a place, that place is wrong, and not the rows.
#[test]
fn values_of_another_variable() {
    let swapped = "where {done};\n            after {reach};";
    let text = with("where {reach};\n            after {done};", swapped);
    let mut found = messages(&text);
    found.sort();
    assert_eq!(
        found,
        [
            "E0202 this is not the name of a barrier in any row",
            "E0202 this is not the name of a reach or domain in any row"
        ]
    );
    let text = looped().replacen("after {done}", "after {reach}", 1);
    reports(
        "slips_of_variables",
        &[("a value of another variable", text)],
    );
}

/// The syntax of another language is answered with that of this one.
#[test]
fn words_of_other_languages() {
    let cases = [
        ("page 4 KiB;", "page 4 KB;", "did you mean `KiB`?"),
        (
            "page 4 KiB;",
            "page 4096 bytes;",
            "a number without a unit counts bytes",
        ),
        ("64 operations", "64 ops", "did you mean `operations`?"),
        ("hint when hinted", "hint if hinted", "did you mean `when`?"),
        (
            "hint when hinted",
            "hint when !hinted",
            "did you mean `not`?",
        ),
        (
            "hint when hinted",
            "hint when hinted && keep",
            "did you mean `and`?",
        ),
        (
            "hint when hinted",
            "hint when hinted || keep",
            "a condition has no `or`: write one statement, or one case, for each",
        ),
        (
            "domain all is cpus",
            "domain all = cpus",
            "did you mean `is`?",
        ),
        ("[55:0] 0; }", "[55..0] 0; }", "did you mean `:`?"),
        ("[55:0] 0; }", "[55-0] 0; }", "did you mean `:`?"),
        (
            "target_arch \"toy\"",
            "target_arch 'toy'",
            "a text is written between double quotes: `\"...\"`",
        ),
        (
            "of machine; from",
            "of machine; values 1-6; from",
            "did you mean `..`?",
        ),
        (
            "of machine; from",
            "of machine; values 1...6; from",
            "did you mean `..`?",
        ),
        (
            "    change",
            "    needs CTRL.X[1] == 1 \"set\";\n    change",
            "did you mean `=`?",
        ),
        (
            "barrier wait_here",
            "barrier wait-here",
            "names have no `-`; did you mean `wait_here`?",
        ),
        (
            "barrier refetch",
            "barrier Refetch",
            "a name begins with a lower-case letter or `_`; lower-case letters, digits and `_` follow",
        ),
    ];
    check_helps(&cases);
}

/// Frequent mistakes that are no words of another language.
#[test]
fn words_too_many_and_too_few() {
    check_helps(&[
        (
            "page 4 KiB;",
            "page 4K;",
            "write the unit as a word of its own: `4 KiB`",
        ),
        (
            "page 4 KiB;",
            "page 4kb;",
            "write the unit as a word of its own: `4 KiB`",
        ),
        ("page 4 KiB;", "page = 4 KiB;", "remove the `=`"),
        (
            "target_arch \"toy\"",
            "target_arch: \"toy\"",
            "remove the `:`",
        ),
        (
            "target_arch \"toy\"",
            "target_arch “toy”",
            "a text is written between double quotes: `\"...\"`",
        ),
        (
            "shootdown broadcast",
            "shootdown interrupts",
            "did you mean `ipi`?",
        ),
        (
            "completes on self; gone;",
            "completes on self; gone,",
            "the statement ends here: write `;`, and what follows as another statement",
        ),
        (
            "one per cpu;",
            "one per cpu; fill while loaded;",
            "did you mean `fills`?",
        ),
        ("space user", "space usr", "did you mean `user`?"),
    ]);
}

/// Words in another order, and units that are left out.
#[test]
fn order_and_units() {
    check_helps(&[
        (
            "ceiling 64 operations;",
            "ceiling 64;",
            "write what is counted: `64 operations` or `64 pages`",
        ),
        (
            "ceiling 64 operations;",
            "ceiling operations 64;",
            "write the number first: `64 operations`",
        ),
        (
            "page 4 KiB;",
            "page 4;",
            "a number without a unit counts bytes: write, for instance, `4 KiB`",
        ),
        (
            "pmd 21 leaf",
            "pmd 2 MiB leaf",
            "a level has the log2 of the bytes that one entry reaches: 21 for 2 MiB",
        ),
        (
            "addresses low 38 bits",
            "addresses 38 bits low",
            "write the end first: `low 38 bits`",
        ),
        (
            "operand space 64 bits {",
            "operand space 64 {",
            "write the unit: `64 bits`",
        ),
        (
            "operand space 64 bits {",
            "operand space bits 64 {",
            "write the number first: `64 bits`",
        ),
        (
            "invalid never;",
            "invalid never, cached unless a and b;",
            "`unless` takes one name: `when not a and not ...` holds if none does",
        ),
        (
            "resync refetch; }\n    cpu_online",
            "resync barrier refetch; }\n    cpu_online",
            "remove the `barrier`: the name is enough",
        ),
    ]);
}

fn check_helps(cases: &[(&str, &str, &str)]) {
    for &(from, to, help) in cases {
        let (_, diagnostics) = found(&with(from, to), true);
        let helps: Vec<_> = diagnostics.iter().map(|d| d.help.as_deref()).collect();
        assert_eq!(helps, [Some(help)], "{to}: {diagnostics:#?}");
    }
}
