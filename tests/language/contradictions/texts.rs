//! Texts of instructions.

use super::{ARM64, POWERPC64, S390, X86_64, accepted, refused, slate};

/// Returns the message about a text, and the part of the definition to which it points.
#[track_caller]
fn pointed_at(edit: (&str, &str), place: &str, message: &str) {
    let text = super::edited(slate(), edit.0, edit.1);
    let (_, found) = tlbc_tests::requests::read(&text);
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
        "a brace is closed that was not opened",
    );
    pointed_at(
        ("\"refetch\"", "\"refetch }{\""),
        "}",
        "a brace is closed that was not opened",
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

#[test]
fn a_text_has_an_instruction() {
    for text in [".word", ".balign 4", "2:", ".long; .word"] {
        let flush = ("\"flush.all\"", format!("\"{text}\""));
        refused(slate(), &[(flush.0, &flush.1)], "E0320");
    }
    refused(
        slate(),
        &[(
            "per \"manual, 4.3\";",
            "per \"manual, 4.3\"; encoded \".long\";",
        )],
        "E0320",
    );
    accepted(slate(), &[("\"flush.all\"", "\".word 17\"")]);
}

#[test]
fn texts_for_the_reader_say_something() {
    let per = "per \"manual, 4.2\";";
    let per_of_load = "per \"manual, 3.1\";";
    for blank in ["", "  "] {
        let per_blank = format!("per \"{blank}\";");
        for edit in [per, per_of_load] {
            refused(slate(), &[(edit, &per_blank)], "E0203");
        }
    }
    let emptied = |text: &str, before: &str| {
        let from = text.find(before).expect("is there") + before.len();
        let start = from + text[from..].find('"').expect("a text");
        let end = start + 1 + text[start + 1..].find('"').expect("its end");
        format!("{}\"\"{}", &text[..start], &text[end + 1..])
    };
    for (text, before) in [
        (X86_64, "publishes assumed"),
        (X86_64, "feature pcid"),
        (X86_64, "limit "),
        (ARM64, "\n    cpu_set "),
        (ARM64, "\n    erratum "),
        (POWERPC64, "\n    needs "),
        (S390, "\n    unconfirmed "),
    ] {
        refused(&emptied(text, before), &[], "E0203");
    }
}

#[test]
fn scratch_is_no_name_of_an_operand() {
    let operand = "operand address 64 bits { [63:0] va; }";
    let other = "operand scratch 64 bits { [63:0] va; }";
    let text = super::with(
        slate(),
        &[
            (operand, other),
            ("{address}, {number}", "{scratch}, {number}"),
        ],
    );
    let found = tlbc_tests::requests::findings(&text);
    assert!(
        found
            .iter()
            .any(|it| it.starts_with("E0207 `{scratch}` is the name of the register")),
        "{found:#?}"
    );
}
