//! What writes an entry is told which, and what it becomes.

use super::{S390, refused};

#[test]
fn writers_that_are_not_told() {
    for (field, instead) in [
        // Of which level the entry is.
        ("[3:0]   level as pmd 0, pud 4, p4d 8, pgd 12;", "[3:0] 0;"),
        (
            "[4:0]   level as pte 0, pmd 0x10, pud 0x14, p4d 0x18, pgd 0x1c;",
            "[4:0] 0;",
        ),
        // Where it is.
        ("[63:3]  entry[63:3];", "[63:3] 0;"),
        // What it becomes.
        ("[63:0]  new;", "[63:0] 0;"),
        ("[63:0]  new;", "[63:0] old;"),
    ] {
        refused(S390, &[(field, instead)], "E0306");
    }
    // What drops nothing is told the table all the same.
    let rdp = S390
        .replace(
            "\"rdp {table}, {page}, %r0, 0\"",
            "\"rdp {asce}, {page}, %r0, 0\"",
        )
        .replace(
            "rrf,0xb98b0000,{table},{page},%r0,0",
            "rrf,0xb98b0000,{asce},{page},%r0,0",
        );
    refused(&rdp, &[], "E0306");
}

#[test]
fn operands_in_one_register() {
    let old = "operand new_in_r3 64 bits in r3";
    refused(S390, &[(old, "operand new_in_r3 64 bits in r2")], "E0410");
    refused(
        super::X86_64,
        &[("edx 32 bits in edx", "edx 32 bits in ecx")],
        "E0410",
    );
}
