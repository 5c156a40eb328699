//! Tags can be given out in the stated way, and views are loaded when they must be.

use super::{ARM64, LOONGARCH64, POWERPC64, S390, X86_64, accepted, refused, slate};

#[test]
fn tags_that_some_entries_are_not_under() {
    let both = "leaf under slot or shared;";
    refused(X86_64, &[(both, "leaf under slot;")], "E0503");
    refused(
        X86_64,
        &[("walk under slot or shared;", "walk under shared;")],
        "E0503",
    );
    refused(
        ARM64,
        &[("walk under asid or short_asid;", "walk under asid;")],
        "E0503",
    );
}

#[test]
fn views_under_one_tag() {
    let user = "tag | 1 << 11 when pti and pcid";
    refused(X86_64, &[(user, "tag | 0 when pti and pcid")], "E0510");
    refused(
        X86_64,
        &[(
            "view kernel tag, loaded",
            "view kernel tag | 1 << 11, loaded",
        )],
        "E0510",
    );
    accepted(X86_64, &[(user, "tag | 1 when pti and pcid")]);
    // Without the bits of the views, one value is left.
    let values = ("values 1..6", "values 2..3");
    refused(
        X86_64,
        &[(user, "tag | 1 when pti and pcid"), values],
        "E0503",
    );
}

#[test]
fn views_that_are_not_loaded() {
    let in_user = "loads ttbr1 in user when kpti;";
    for loads in [
        "",
        "loads ttbr1 in kernel when kpti;",
        "loads ttbr1 in user;",
        "loads ttbr0 in user when kpti;",
        "loads ttbr1 in user when kpti and ttl;",
    ] {
        refused(ARM64, &[(in_user, loads)], "E0516");
    }
    let switch = "loads ttbr1, ttbr0;";
    for loads in [
        "loads ttbr1, ttbr0 in user;",
        "loads ttbr1, ttbr0; loads ttbr1 in user when kpti;",
        "loads ttbr0; loads ttbr1 in user when kpti; loads ttbr1 unless kpti;",
    ] {
        refused(ARM64, &[(switch, loads)], "E0516");
    }
    refused(
        X86_64,
        &[("in user when pti;", "in user when pcid;")],
        "E0516",
    );
    refused(X86_64, &[("loads cr3 in user when pti;", "")], "E0516");
}

#[test]
fn values_that_cannot_be() {
    refused(slate(), &[("values 1..65535", "values 65535..1")], "E0207");
    refused(
        POWERPC64,
        &[("reserved 0;", "reserved 0x10_0000;")],
        "E0207",
    );
    refused(slate(), &[("from generations", "from slots")], "E0207");
    refused(X86_64, &[("from slots", "from life")], "E0207");
    refused(X86_64, &[("from generations", "from slots")], "E0207");
    // Two tags `of machine` on one machine: one would never be given out.
    refused(
        X86_64,
        &[(
            "of cpu;\n        values 1..6;\n        from slots;",
            "of machine;\n        values 1..6;",
        )],
        "E0207",
    );
}

/// The address of a top table is not given out, and means the same space on every CPU.
#[test]
fn a_tag_that_is_the_root_is_not_given_out() {
    let root = "        is the root;\n";
    for fact in [
        "values 1..6;",
        "reserved 0;",
        "from generations;",
        "from life;",
        "may be invalidated lazily;",
        "may be renewed by cr1, cost 1;",
    ] {
        refused(S390, &[(root, &format!("{root}{fact}"))], "E0207");
    }
    refused(
        S390,
        &[("of machine;\n        is", "of cpu;\n        is")],
        "E0207",
    );
}

#[test]
fn tags_that_cannot_be_renewed() {
    let renewed = "may be renewed by asid, cost 1;";
    let by_pgdl = "may be renewed by pgdl, cost 1;";
    refused(LOONGARCH64, &[(renewed, by_pgdl)], "E0519");
    let unknown = "may be renewed by root, cost 1;";
    refused(LOONGARCH64, &[(renewed, unknown)], "E0202");
    let twice = format!("{renewed} {renewed}");
    refused(LOONGARCH64, &[(renewed, &twice)], "E0204");
    accepted(LOONGARCH64, &[(renewed, "")]);
    accepted(LOONGARCH64, &[(renewed, "may be renewed by asid, cost 9;")]);
    refused(
        LOONGARCH64,
        &[("from generations;", "from slots;")],
        "E0519",
    );
    // Another load of the tag, which no switch issues.
    let other = (
        "switch {",
        "load other \"move {scratch}, {number}; csrwr {scratch}, 0x99\" { per \"none\"; }\n    switch {",
    );
    let by_other = (renewed, "may be renewed by other, cost 1;");
    refused(LOONGARCH64, &[other, by_other], "E0519");
    let views = (
        "leaf under asid;",
        "leaf under asid; view one tag, loaded; view two tag | 2;",
    );
    let loads = (
        "cpu_online {",
        "return_to_user { loads asid in two; resync nothing; }\n    cpu_online {",
    );
    let wider = ("in ASID[23:16]\" 2..10;", "in ASID[23:16]\" 3..10;");
    accepted(LOONGARCH64, &[views, loads, wider, (renewed, "")]);
    refused(LOONGARCH64, &[views, loads, wider], "E0519");
    // A machine on which a space may have a global tag instead.
    let global = (
        "space user {",
        "tag wide { 10 bits; of machine; values 4..1023; from life; }\n    space user {",
    );
    let values = ("values 1..1023;", "values 1..3;");
    let under = ("leaf under asid;", "leaf under asid or wide;");
    accepted(LOONGARCH64, &[global, values, under, (renewed, "")]);
    refused(LOONGARCH64, &[global, values, under], "E0519");
}

#[test]
fn values_of_the_kernel() {
    let kernel = "leaf under pid 0;\n        walk under pid 0";
    let under =
        |leaf: &str, walk: &str| format!("leaf under pid {leaf};\n        walk under pid {walk}");
    refused(POWERPC64, &[(kernel, &under("5", "5"))], "E0512");
    refused(POWERPC64, &[(kernel, &under("0", "1"))], "E0512");
    refused(
        POWERPC64,
        &[(kernel, &under("0x20_0000", "0x20_0000"))],
        "E0303",
    );
    accepted(POWERPC64, &[(kernel, &under("1", "1"))]);
    // The view sets a bit, and is then under the value of the kernel.
    let page = (
        "drops leaf of one page, this tag or global",
        "drops leaf of one page, this tag",
    );
    let kernel = (
        "leaf global;     walk under every tag;",
        "leaf under asid 1; walk under asid 1;",
    );
    let values = ("values 1..65535", "values 2..65535");
    accepted(slate(), &[page, kernel, values]);
    let views = (
        "leaf under asid; walk under asid;",
        "leaf under asid; walk under asid; view own tag | 1, loaded;",
    );
    let kernel_of_five = (kernel.0, "leaf under asid 5; walk under asid 5;");
    let values = ("values 1..65535", "values 2..4");
    accepted(slate(), &[page, kernel_of_five, values]);
    refused(slate(), &[page, kernel_of_five, values, views], "E0512");
    refused(slate(), &[kernel], "E0512");
}

#[test]
fn addresses_that_cannot_be() {
    refused(slate(), &[("low 38 bits", "low 11 bits")], "E0307");
    refused(slate(), &[("high 38 bits", "high 0 bits")], "E0207");
    refused(
        POWERPC64,
        &[(
            "from 0xc000_0000_0000_0000, 52 bits",
            "from 0xc000_0000_0000_1000, 52 bits",
        )],
        "E0307",
    );
    // A level that is missing.
    refused(ARM64, &[("        pud 36;\n", "")], "E0307");
    refused(
        &POWERPC64.replacen("            pmd 21 leaf hint 4;\n", "", 1),
        &[],
        "E0307",
    );
}
