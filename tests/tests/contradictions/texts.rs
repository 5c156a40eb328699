//! Texts of instructions.

use super::{accepted, refused, slate};

/// What is wrong with a text, and the part of the definition that the finding points at.
#[track_caller]
fn pointed_at(edit: (&str, &str), place: &str, message: &str) {
    let text = super::edited(slate(), edit.0, edit.1);
    let (_, found) = super::common::read(&text);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|it| {
            let span = it.primary.span;
            (
                &text[span.start as usize..span.end as usize],
                it.message.as_str(),
            )
        })
        .collect();
    assert_eq!(found, [(place, message)]);
}

#[test]
fn braces_are_paired_and_have_a_name() {
    pointed_at(
        ("\"refetch\"", "\"refetch {\""),
        "{",
        "a brace is not closed",
    );
    pointed_at(
        ("\"refetch\"", "\"refetch }\""),
        "}",
        "a brace closes nothing",
    );
    pointed_at(
        ("\"refetch\"", "\"refetch }{\""),
        "}",
        "a brace closes nothing",
    );
    pointed_at(
        ("\"refetch\"", "\"refetch {}\""),
        "{}",
        "there is no name in the braces",
    );
    pointed_at(
        ("flush.tag {number}", "flush.tag {number:w}"),
        "{number:w}",
        "`number:w` is not the name of an operand",
    );
    pointed_at(
        ("flush.tag {number}", "flush.tag {nimber}"),
        "{nimber}",
        "there is no operand `nimber`",
    );
    accepted(
        slate(),
        &[("\"refetch\"", "\"refetch {{{scratch}}}, {{}}\"")],
    );
}

#[test]
fn instructions_are_there_and_labels_local() {
    pointed_at(("\"refetch\"", "\"\""), "", "there is no instruction here");
    pointed_at(
        ("\"refetch\"", "\"nop;; nop\""),
        ";",
        "there is no instruction here",
    );
    pointed_at(
        ("\"refetch\"", "\"again: refetch\""),
        "again:",
        "`again:` may be defined twice",
    );
    pointed_at(
        ("\"refetch\"", "\"nop; 1: refetch\""),
        " 1:",
        "`1:` may be defined twice",
    );
    accepted(slate(), &[("\"refetch\"", "\"2: refetch; jnz 2b\"")]);
}

#[test]
fn what_a_row_makes_of_a_text_is_checked_as_well() {
    let barrier = "    barrier refetch  \"refetch\" {";
    let rows = |value: &str| {
        format!(
            "    for (how) in (\"{value}\") {{ barrier refetch \"refetch {{how}}\" {{ resyncs on self; }} }}\n    barrier other \"other\" {{"
        )
    };
    let used = (
        "switch { loads root; resync refetch; }",
        "switch { loads root; resync other; }",
    );
    refused(slate(), &[(barrier, &rows("{")), used], "E0320");
    accepted(slate(), &[(barrier, &rows("all")), used]);
}

#[test]
fn an_operand_is_named_or_in_a_register_of_its_own() {
    let encoded = |line: &str| format!("per \"manual, 4.2\"; encoded \"{line}\";");
    let of_tag = "per \"manual, 4.2\";";
    refused(slate(), &[(of_tag, &encoded(".long 17"))], "E0321");
    refused(
        slate(),
        &[(of_tag, &encoded(".long {number}, {address}"))],
        "E0321",
    );
    refused(slate(), &[(of_tag, &encoded(".long {number}, {"))], "E0320");
    accepted(slate(), &[(of_tag, &encoded("mov {scratch}, {number}"))]);
    // Given, but in no register of its own.
    let with = ("\"flush.tag {number}\"", "\"flush.tag\" with number");
    refused(slate(), &[with], "E0321");
    // In a register of its own, but named.
    let fixed = (
        "operand number  64 bits {",
        "operand number 64 bits in rax {",
    );
    let page = ("{address}, {number}\"", "{address}, rax\" with number");
    refused(slate(), &[fixed, page], "E0321");
    accepted(
        slate(),
        &[
            fixed,
            page,
            ("\"flush.tag {number}\"", "\"flush.tag rax\" with number"),
        ],
    );
}

#[test]
fn a_barrier_has_no_operand() {
    let operand = (
        "    barrier publish",
        "    operand none 64 bits { [63:0] 0; }\n    barrier publish",
    );
    refused(
        slate(),
        &[operand, ("\"refetch\"", "\"refetch {none}\"")],
        "E0321",
    );
}
