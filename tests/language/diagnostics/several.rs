//! Several findings in one run.

use tlbc::codes::TOY;
use tlbc::render::{Format, render};

use crate::diagnostics::toy::toy_with;
use crate::diagnostics::{found, messages, snapshot};

#[test]
fn several_findings_in_one_run() {
    let items = "operand space 64 bits { [63:58] tag; [57:1] 0; }
barrier wait \"wait flushes\" { completes on self; gone; }
policy { shootdown broadcast; strides pgd; gather pages at change, tables after flush; ceiling 64 operations; }";
    let (files, diagnostics) = found(&toy_with(items), true);
    for (name, format) in [
        ("several_short", Format::Short),
        ("several_json", Format::Json),
    ] {
        snapshot(name, &render(&files, &diagnostics, format, false));
    }
}

/// One run says both: a statement that cannot be read hides only the names that stand in it.
#[test]
fn a_syntax_error_hides_no_unknown_name() {
    let text = TOY
        .replace(
            "    caches {",
            "    feature lost \"lost\" neds other;\n    caches {",
        )
        .replace("after wait;", "after wiat;")
        .replace(
            "space kernel {",
            "tag spare when lost { 8 bits; of machine; }\n    space kernel {",
        );
    let found = messages(&text);
    let has = |part: &str| found.iter().any(|message| message.contains(part));
    assert!(
        has("E0101") && has("there is no barrier `wiat`"),
        "{found:#?}"
    );
    assert!(!has("`lost`"), "{found:#?}");
}
