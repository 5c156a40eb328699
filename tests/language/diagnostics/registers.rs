//! Registers: where features are read, and what the machine must be set to.

use tlbc::codes::TOY;

use crate::diagnostics::{cases, messages, toy::toy_with};

/// Two features that a ceiling depends on, so that they are used.
fn read(first: &str, second: &str) -> String {
    format!(
        "feature fast \"flushes are fast\" {first};
feature faster \"flushes are faster\" {second};
policy {{
    shootdown broadcast;
    strides pte, pmd;
    gather pages batched, tables deferred;
    ceiling 64 operations, 128 operations when fast, 256 operations when faster;
}}"
    )
}

#[test]
fn what_registers_say() {
    cases(
        "registers",
        &[
            &read("from ID1[3:0] >= 16", "from ID1[7:4] >= 0"),
            &read("from ID1[0:3] = 1", "from ID1[64] = 1"),
            &read("from ID1[3:0] >= 1", "from ID1[4:3] >= 1"),
            // Of the largest value the two comparisons are one.
            &read(
                "from CPUID.07H.0.EBX[10] = 1",
                "from CPUID.07H.0.EBX[10] >= 1",
            ),
            &read("from ID1[0] = 1", "of space from ID1[4] = 1"),
        ],
    );
}

/// The toy with a limit, which the run of an instruction has.
fn limit(statement: &str) -> String {
    format!(
        "limit most {statement};
operand run 64 bits {{ [63:56] tag; [55:54] 0; [53:46] num; [45:0] va[57:12]; names num + 1 entries; }}
invalidate drop_run \"drop.run {{run}}\" {{
    per \"Toy manual, 4.4\";
    drops leaf of run of 1..limit(most) entries at pte, this tag;
    where cpus;
    after wait;
}}"
    )
}

#[test]
fn limits_that_registers_say() {
    let found = |statement: &str| messages(&toy_with(&limit(statement)));
    assert_eq!(found("\"pages\" 1..256 from ID1[7:0] + 1"), [""; 0]);
    assert_eq!(found("\"pages\" 1..256 from ID1[6:0] + 1"), [""; 0]);
    for (statement, gives) in [
        (
            "1..256 from ID1[7:0]",
            "1 to 256, and its bits give 0 to 255",
        ),
        (
            "2..256 from ID1[7:0] + 1",
            "2 to 256, and its bits give 1 to 256",
        ),
        (
            "1..255 from ID1[7:0] + 1",
            "1 to 255, and its bits give 1 to 256",
        ),
        (
            "1..256 from ID1[63:0] + 1",
            "1 to 256, and its bits give 1 to 18446744073709551615",
        ),
    ] {
        let expected = format!("E0701 `most` is {gives}");
        assert_eq!(found(&format!("\"pages\" {statement}")), [expected]);
    }
    assert_eq!(
        found("\"pages\" 1..256 from ID1[0:7] + 1"),
        ["E0207 the bits [0:7] are in the wrong order"]
    );
    // A bit belongs to one field, whatever is read from it.
    let shared = limit("\"pages\" 1..256 from ID1[7:0] + 1");
    let shared = format!("{shared}\n{}", read("from ID1[4:3] >= 1", ""));
    assert_eq!(
        messages(&toy_with(&shared)),
        ["E0702 two fields of `ID1` overlap"]
    );
}

/// Two registers of one name in Rust get two names.
#[test]
fn registers_that_rust_would_call_alike() {
    let fields = |first, second: &str| {
        let text = toy_with(&format!("{}\n{second}", read(first, "")));
        let compiled = tlbc::compile([("x.arch", text)]);
        assert_eq!(compiled.diagnostics, []);
        let (_, rest) = compiled.outputs[0]
            .text
            .split_once("pub struct Registers {")
            .expect("registers");
        let (fields, _) = rest.split_once('}').expect("its end");
        let fields = fields
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub "));
        fields.map(str::to_owned).collect::<Vec<_>>()
    };
    let limit = limit("\"pages\" 1..256 from A_B[7:0] + 1");
    assert_eq!(
        fields("from A.B[0] = 1", &limit),
        ["a_b: u64,", "a_b_2: u64,"]
    );
    let limit = limit.replace("A_B[7:0]", "A.B[15:8]");
    assert_eq!(fields("from A.B[0] = 1", &limit), ["a_b: u64,"]);
    assert_eq!(fields("from SELF[0] = 1", ""), ["self_2: u64,"]);
}

#[test]
fn registers_that_cannot_be_read() {
    let found = |statement: &str| {
        messages(&TOY.replace(
            "change { plain store; }",
            &format!("change {{ plain store; }} {statement}"),
        ))
    };
    assert_eq!(
        found("feature fast \"fast\" from id1[0] = 1;"),
        ["E0101 expected a register, found `id1`"]
    );
    assert_eq!(
        found("feature fast \"fast\" from ID1 = 1;"),
        ["E0101 expected `[`, found `=`"]
    );
    assert_eq!(
        found("needs CTRL.MODE[9] 1 \"on\";"),
        ["E0101 expected `=` or `>=`, found `1`"]
    );
    assert_eq!(
        found("needs CTRL.MODE[9] = 1;"),
        ["E0101 expected one of `,`, `unless`, `when` or a text in quotes, found `;`"]
    );
}

#[test]
fn what_the_machine_must_be_set_to() {
    let read = read("from CTRL[7] = 1", "");
    let with = |setup: &str| format!("{read}\n{setup}");
    cases(
        "setup",
        &[
            "needs CTRL.TAGS[4:2] = 8 \"tags of eight bits\";",
            "needs CTRL = 1 \"on\";",
            "needs CTRL.TAGS[4:2] = 4 \"tags of eight bits\";\nneeds CTRL.TAGS[5:3] = 4 \"tags of eight bits \";",
            "needs CTRL.TAGS[4:2] = 4 \"tags of eight bits\";\nneeds CTRL.TAGS[4:2] >= 4 \"at least eight bits\";",
            "needs CTRL.TAGS[4:2] = 3 \"tags of eight bits\";\nneeds CTRL.TAGS[4:2] >= 4 \"at least eight bits\";",
            &with("needs CTRL.FAST[7] = 0 when fast \"the bit means slow\";"),
            &with("needs CTRL.FAST[7] = 1 \"every machine is fast\";"),
            &with("needs CTRL.MODE[9] = 0 when fast, 1 \"never 0\";"),
            &with("needs CTRL.MODE[9] = 0, 1 when faster \"faster\";\nneeds CTRL.MODE[9] = 0 when fast \"fast\";"),
            &with("needs \"entries are marked\" when slow;"),
            "feature shared \"a device shares the tables\" of space;
space user { addresses low 38 bits; leaf under color; walk under color; devices when shared; }
invalidate drop_all \"drop.all\" { per \"Toy manual, 4.3\"; drops leaf, walk of everything, any tag; where all_agents; after wait; }
barrier publish \"order stores\" { publishes on all_agents; }
domain all_agents is cpus, devices;
barrier wait \"wait flushes\" { completes on all_agents; gone; drained; }
needs CTRL.MODE[9] = 0, 1 when shared \"devices are let in\";",
        ],
    );
}

/// The last part of a name is a field, unless the whole is a register that is read.
#[test]
fn a_register_that_is_read_is_no_field() {
    let read = read("from ID.X[3] = 1", "from ID.Y[7:4] >= 2");
    let of = |setup: &str| messages(&toy_with(&format!("{read}\n{setup}")));
    assert_eq!(of("needs ID.X.FAST[3] = 0, 1 when fast \"fast\";"), [""; 0]);
    for register in ["ID.X", "ID.Y"] {
        let found = of(&format!("needs {register}[3] = 0 \"slow\";"));
        let expected = format!("E0207 `{register}` is a register without a field");
        assert_eq!(found, [expected]);
    }
}

#[test]
fn setup_that_agrees() {
    let read = read("from CTRL[7] = 1", "from ID1[3:0] >= 2");
    let agreeing = [
        // A field may be named without its bits, and several statements may each be for other machines.
        "needs CTRL.MODE = 1 when fast \"fast\";\nneeds CTRL.MODE = 0 unless fast \"slow\";",
        // The bits that tell a feature have to be as the feature.
        "needs CTRL.FAST[7] = 0, 1 when fast \"on every CPU\";",
        "needs CTRL.FAST[7] >= 1 when fast \"on every CPU\";",
        "needs \"entries of the kernel are marked\";\nneeds \"entries of user code are not\" when fast and not faster;",
    ];
    for setup in agreeing {
        assert_eq!(
            messages(&toy_with(&format!("{read}\n{setup}"))),
            [""; 0],
            "{setup}"
        );
    }
}
