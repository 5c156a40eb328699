//! Operands carry the bits that addresses of tables can have, and no others.

use super::{ARM64, S390, X86_64, accepted, refused, slate, with};
use tlbc_tests::requests::{findings, good};

#[test]
fn high_bits_of_a_root_that_no_operand_carries() {
    // The machine has wider addresses than the operand.
    for (text, width, wide) in [
        (slate(), "within 48 bits", "within 52 bits"),
        (slate(), "within 48 bits", "within 49 bits"),
        (ARM64, "within 48 bits", "within 52 bits"),
        (ARM64, "within 48 bits", "within 48 bits, 52 bits when g64k"),
    ] {
        refused(text, &[(width, wide)], "E0303");
    }
    // By default tables may be anywhere.
    let silent = with(slate(), &[("    tables within 48 bits;\n", "")]);
    assert_eq!(
        findings(&silent),
        ["E0303 the address of a top table needs 64 bits and gets 48"]
    );
}

#[test]
fn bits_of_a_root_that_are_never_set() {
    for (text, width, narrow) in [
        (slate(), "within 48 bits", "within 47 bits"),
        (X86_64, "within 52 bits", "within 48 bits"),
        (
            X86_64,
            "within 52 bits",
            "within 48 bits, 46 bits when la57",
        ),
    ] {
        refused(text, &[(width, narrow)], "E0303");
    }
    // A field that some machine fills.
    accepted(
        X86_64,
        &[("within 52 bits", "within 48 bits, 52 bits when la57")],
    );
}

#[test]
fn a_root_in_parts() {
    let parts = |low: &str| format!("[63:48] tag; [47:44] root[51:48]; {low}");
    let wide = ("within 48 bits", "within 52 bits");
    let field = "[63:48] tag; [47:0] root[47:0];";
    let whole = parts("[43:12] root[47:16]; [11:0] 0;");
    // The lowest bits are those of the alignment, and these are more.
    refused(slate(), &[wide, (field, &whole)], "E0303");
    let aligned = "[63:48] tag; [47:40] 0; [39:0] root >> page;";
    accepted(slate(), &[wide, (field, aligned)]);
    let narrow = "[63:48] tag; [47:36] 0; [35:0] root >> page;";
    accepted(slate(), &[(field, narrow)]);
    refused(slate(), &[wide, (field, narrow)], "E0303");
    refused(slate(), &[(field, aligned)], "E0303");
    // One part is there on some machines only.
    let feature = ("    tables", "    feature big \"big\";\n    tables");
    let big = "[63:48] tag; [47:44] root[51:48] when big; [43:36] 0; [35:0] root[47:12];";
    refused(slate(), &[feature, wide, (field, big)], "E0303");
    let both = (
        "tables within 48 bits;",
        "feature big \"big\";\n    tables within 48 bits, 52 bits when big;",
    );
    accepted(slate(), &[both, (field, big)]);
}

#[test]
fn tables_and_entries_that_change() {
    let origin = "[63:12] table[63:12];\n        [11:4]  0;";
    let low = "[63:52] 0; [51:12] table[51:12];\n        [11:4]  0;";
    let entry = "[63:3]  entry[63:3];";
    let low_entry = "[63:52] 0; [51:3]  entry[51:3];";
    refused(S390, &[(origin, low)], "E0303");
    refused(S390, &[(entry, low_entry)], "E0303");
    let within = (
        "    // STFLE stores",
        "    tables within 52 bits;\n    // STFLE stores",
    );
    // The other operand carries all 64 bits.
    refused(S390, &[within, (origin, low), (entry, low_entry)], "E0303");
    let crdte = ("[63:11] table[63:11];", "[63:52] 0; [51:11] table[51:11];");
    accepted(S390, &[within, (origin, low), (entry, low_entry), crdte]);
}

#[test]
fn requirements_on_the_kernel() {
    let demands = |text: &str| -> Vec<String> {
        let analysis = good(text);
        let all = analysis.model.setup.iter().map(|setup| setup.text.clone());
        all.filter(|text| text.contains("tables are")).collect()
    };
    assert_eq!(demands(slate()), ["tables are below 2^48"]);
    assert_eq!(demands(S390), [""; 0]);
    let both = ("within 52 bits", "within 48 bits, 52 bits when la57");
    assert_eq!(
        demands(&with(X86_64, &[both])),
        ["tables are below 2^48", "tables are below 2^52"]
    );
}

#[test]
fn widths_that_no_address_has() {
    for bits in ["0", "65"] {
        let width = format!("within {bits} bits");
        refused(slate(), &[("within 48 bits", &width)], "E0207");
    }
    let twice = "tables within 48 bits; tables within 48 bits;";
    refused(slate(), &[("tables within 48 bits;", twice)], "E0204");
    let late = "within 48 bits, 52 bits when f";
    let feature = (
        "    tag asid",
        "    feature f \"f\" of space;\n    tag asid",
    );
    refused(slate(), &[("within 48 bits", late), feature], "E0303 E0407");
}

/// The addresses of two neighbouring entries differ in the bit of their size: eight bytes, or four on a machine of 32 bits.
#[test]
fn the_lowest_bit_of_an_entry() {
    let small = [
        ("    tables", "    entries 4 bytes;\n    tables"),
        ("pmd 21 leaf; pgd 30;", "pgd 22 leaf;"),
        ("low 38 bits", "low 31 bits"),
        ("high 38 bits", "from 0x8000_0000, 31 bits"),
        ("[47:0] root[47:0]", "[47:32] 0; [31:0] root[31:0]"),
        ("within 48 bits", "within 32 bits"),
    ];
    let writer = |low: u32| {
        format!(
            "operand at 32 bits {{ [31:{low}] entry[31:{low}]; [{}:0] 0; }}
    invalidate clear \"clear.entry {{at}}, {{address}}\" {{
        per \"manual, 4.5\";
        writes entry at pte, pgd: invalid;
        drops leaf, walk of subtree, any tag;
        where cpus;
        at once;
    }}
    change {{ by writers; }}",
            low - 1
        )
    };
    let text = with(slate(), &small);
    accepted(&text, &[("change { plain store; }", &writer(2))]);
    refused(&text, &[("change { plain store; }", &writer(3))], "E0303");
}
