//! No process reads another's memory.

use super::{ARM64, POWERPC64, RISCV64, S390, X86_64, accepted, refused, slate};

#[test]
fn global_entries_of_user_space() {
    let leaf = ("low 38 bits;  leaf under asid", "low 38 bits;  leaf global");
    refused(slate(), &[leaf], "E0503");
    let walk = (
        "leaf under asid; walk under asid",
        "leaf under asid; walk global",
    );
    refused(slate(), &[walk], "E0503");
    let fixed = (
        "low 38 bits;  leaf under asid",
        "low 38 bits;  leaf under asid 7",
    );
    refused(slate(), &[fixed], "E0503");
    refused(
        ARM64,
        &[(
            "leaf under asid or short_asid;",
            "leaf under asid or short_asid, global when ttl;",
        )],
        "E0503",
    );
    // A load that drops them is a fix.
    let drops = (
        "{ per \"manual, 3.1\"; }",
        "{ per \"manual, 3.1\"; drops leaf, walk of everything, any tag; }",
    );
    let leaf_and_page = (
        "leaf under asid; walk under asid",
        "leaf global; walk under asid",
    );
    accepted(slate(), &[drops, leaf_and_page]);
    let not_enough = (
        "{ per \"manual, 3.1\"; }",
        "{ per \"manual, 3.1\"; drops leaf, walk of everything, this tag; }",
    );
    refused(slate(), &[not_enough, leaf_and_page], "E0503");
}

#[test]
fn flushes_of_a_switch() {
    let flushes = "flushes unless asids;";
    refused(RISCV64, &[(flushes, "")], "E0503");
    refused(
        RISCV64,
        &[(flushes, "flushes unless svinval;")],
        "E0503 E0518",
    );
    // Where spaces have tags, nothing is shared.
    refused(RISCV64, &[(flushes, "flushes;")], "E0518");
    refused(
        RISCV64,
        &[(flushes, "flushes unless asids; flushes when sbi;")],
        "E0204",
    );
    // A load that invalidates everything needs no instruction after it.
    let load = "load satp \"csrw satp, {satp}\" {";
    let drops = "load satp \"csrw satp, {satp}; sfence.vma zero, zero\" {\n drops leaf, negative, walk of everything, any tag unless asids;";
    refused(RISCV64, &[(load, drops)], "E0518");
    accepted(RISCV64, &[(load, drops), (flushes, "")]);
}

#[test]
fn switches_without_a_root() {
    refused(slate(), &[("root[47:0]", "0")], "E0509");
    refused(X86_64, &[("[51:12] root[51:12]", "[51:12] 0")], "E0509");
    // One of its loads then loads nothing of a space.
    refused(ARM64, &[("[47:1]  root[47:1]", "[47:1]  0")], "E0306 E0509");
    refused(
        X86_64,
        &[("[51:12] root[51:12]", "[51:12] root[51:12] unless pti")],
        "E0509",
    );
    // The tables of s390 are found by the tag, which is the root; those of Power in a table of processes.
    accepted(S390, &[]);
    accepted(POWERPC64, &[]);
    let rootless = POWERPC64.replace("walk, root of", "walk of");
    refused(&rootless, &[("procs holds root;", "")], "E0509");
}

#[test]
fn tags_with_common_values() {
    refused(X86_64, &[("values 7..4094", "values 1..4094")], "E0510");
    refused(X86_64, &[("values 7..4094", "values 6..4094")], "E0510");
    // Without values, a tag may have all.
    refused(X86_64, &[("values 7..4094;", "")], "E0510");
    refused(X86_64, &[("values 1..6;", "")], "E0510");
}

#[test]
fn tags_that_no_switch_loads() {
    refused(
        X86_64,
        &[(
            "needs pcid and invpcid and not pti",
            "needs invpcid and not pti",
        )],
        "E0511",
    );
}
