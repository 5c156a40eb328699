//! Instructions with the same text and operands that can have the same values have the same effect.

use super::{ARM64, POWERPC64, RISCV64, X86_64, accepted, refused, slate, with};
use tlbc_tests::requests::findings;

/// Returns slate with a second instruction of the text of `flush_page`, and the operands that it takes.
fn slate_with(operands: &str, invalidate: &str) -> String {
    let more = format!(
        "{operands}
    invalidate again {invalidate} per \"manual, 4.4\"; where cpus; needs no lock; after complete; }}
    change {{ plain store; }}"
    );
    with(slate(), &[("change { plain store; }", &more)])
}

#[test]
fn operands_of_another_layout_with_the_same_values() {
    // A user space may have a page at 0, and a tag may be 1.
    for fixed in ["0", "0x5000", "0xffff_ffff_ffff_f000"] {
        let operands = format!("operand fixed 64 bits {{ [63:0] {fixed}; }}");
        let everything =
            "\"flush.page {fixed}, {number}\" { drops leaf, walk of everything, this tag;";
        refused(&slate_with(&operands, everything), &[], "E0410");
    }
    // The low bits of an address are zero, and addresses between those of user spaces and of the kernel are none.
    for fixed in ["1", "0xfff", "0x40_0000_0000"] {
        let operands = format!("operand fixed 64 bits {{ [63:0] {fixed}; }}");
        let everything =
            "\"flush.page {fixed}, {number}\" { drops leaf, walk of everything, this tag;";
        accepted(&slate_with(&operands, everything), &[]);
    }
}

#[test]
fn tags_have_some_values_only() {
    let everything = "\"flush.page {address}, {tagged}\" { drops leaf of one page, any tag;";
    for (value, is_one) in [("0", false), ("7", true), ("0x1_0007", false)] {
        let operands = format!("operand tagged 64 bits {{ [63:0] {value}; }}");
        let text = slate_with(&operands, everything);
        if is_one {
            refused(&text, &[], "E0410");
        } else {
            accepted(&text, &[]);
        }
    }
    // The kernel's own entries are under a tag that no user space has.
    let of_kernel = (
        "leaf global;     walk under every tag;",
        "leaf under asid 0; walk under asid 0;",
    );
    let operands = "operand tagged 64 bits { [63:0] 0; }";
    let text = slate_with(operands, everything);
    refused(
        &text,
        &[of_kernel, ("this tag or global;\n", "this tag;\n")],
        "E0410",
    );
}

/// The same effect of one value, if that stands for the same entries.
#[test]
fn one_effect_with_other_operands() {
    let again = |operand: &str| {
        let page = "\"flush.page {other}, {number}\" { drops leaf of one page, this tag or global;";
        slate_with(operand, page)
    };
    accepted(
        &again("operand other 64 bits { [63:12] va[63:12]; [11:0] 0; }"),
        &[],
    );
    refused(
        &again("operand other 64 bits { [63:52] 0; [51:0] va >> page; }"),
        &[],
        "E0410",
    );
    accepted(
        &again("operand other 64 bits { [63:53] 0; [52:1] va >> page; [0] 1; }"),
        &[],
    );
}

/// An instruction with a count of one is a run of one page.
#[test]
fn one_page_as_a_run() {
    let page = "[63:0]  4096;";
    for (bytes, is_one) in [("0x1000", true), ("8192", false)] {
        let edits = [(page, &*format!("[63:0]  {bytes};"))];
        if is_one {
            accepted(RISCV64, &edits);
        } else {
            refused(RISCV64, &edits, "E0410");
        }
    }
}

#[test]
fn registers_that_the_text_does_not_name() {
    // What is not given in a register may be there.
    let fewer = "invalidate again \"invlpgb\" with rax, ecx requires invlpgb {
        per \"AMD64 APM 3\"; drops leaf, walk of everything, any tag; where cpus; after tlbsync; needs same cpu; needs no lock; }
    invalidate invlpgb \"invlpgb\"";
    let found = findings(&with(X86_64, &[("invalidate invlpgb \"invlpgb\"", fewer)]));
    let overlaps = |found: &String| found.starts_with("E0410 `again` and `invlpgb` can be");
    assert!(found.iter().any(overlaps), "{found:#?}");
}

/// Which terms an encoding has first makes no difference, nor do the names of operands.
#[test]
fn encodings_with_other_names() {
    let operand = "operand rs_none 64 bits {";
    let other = "operand also 64 bits { [63:32] tag; [31:0] 0; }\n    operand rs_none 64 bits {";
    let pid2 = "encoded \".long 0x7c0b0264 | ({rs} << 21) | ({rb_pid} << 11)\"";
    let encoded = "encoded \".long 0x7c030264 | ({rb_pid} << 11) | ({also} << 21)\"";
    let text = "\"tlbie {rb_pid}, {rs}, 2, 1, 1\"";
    let found = findings(&with(
        POWERPC64,
        &[
            (operand, other),
            (pid2, encoded),
            (text, "\"tlbie {rb_pid}, {also}, 2, 1, 1\""),
        ],
    ));
    assert!(
        found.iter().any(|found| found.starts_with("E0410 ")),
        "{found:#?}"
    );
}

/// With a hint, without one, and with the constant that means that there is none.
#[test]
fn without_a_hint() {
    let copy = "operand page_all 64 bits { [63:48] tag; [47:44] 0; [43:0] va[55:12]; }
    invalidate whole \"tlbi vale1is, {page_all}\" {
        per \"DDI 0601\"; drops leaf of one page, this tag or global; where inner; needs no lock; after dsb_ish; keeps flags, operands; }
    for (is, upper, reach, done) in";
    accepted(ARM64, &[("for (is, upper, reach, done) in", copy)]);
    let walks = copy.replace("drops leaf of", "drops leaf, walk of");
    refused(
        ARM64,
        &[("for (is, upper, reach, done) in", &walks)],
        "E0410",
    );
}
