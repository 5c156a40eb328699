//! The kernel's space and user spaces, and the lowest level of the tables.

use super::{ARM64, POWERPC64, S390, X86_64, accepted, refused, slate, with};

#[test]
fn kernel_entries_under_values_that_spaces_get() {
    refused(
        ARM64,
        &[(
            "leaf global, under every tag when kpti",
            "leaf global, under asid when kpti",
        )],
        "E0512",
    );
    refused(
        slate(),
        &[(
            "leaf global;     walk under every tag",
            "leaf global;     walk under asid",
        )],
        "E0512",
    );
    refused(
        POWERPC64,
        &[("leaf under pid 0", "leaf under pid")],
        "E0512",
    );
    accepted(
        slate(),
        &[
            (
                "leaf global;     walk under every tag",
                "leaf under asid 0; walk under asid 0",
            ),
            (
                "drops leaf of one page, this tag or global",
                "drops leaf of one page, this tag",
            ),
        ],
    );
}

#[test]
fn views_of_which_not_one_is_loaded() {
    refused(
        ARM64,
        &[("view kernel tag, loaded", "view kernel tag")],
        "E0513",
    );
    refused(
        ARM64,
        &[(
            "view kernel tag, loaded",
            "view kernel tag, loaded when kpti",
        )],
        "E0513",
    );
    refused(
        ARM64,
        &[(
            "view user   tag | 1 when kpti",
            "view user   tag | 1, loaded when kpti",
        )],
        "E0513",
    );
    // A view need not be marked as loaded where it is the only one.
    accepted(
        X86_64,
        &[
            (
                "        view kernel tag, loaded;\n        view user   tag | 1 << 11 when pti and pcid;\n",
                "",
            ),
            ("loads cr3 in user when pti", "loads cr3 when pti"),
        ],
    );
}

#[test]
fn addresses_of_the_kernel_and_of_users() {
    refused(
        X86_64,
        &[(
            "addresses high 47 bits, high 56",
            "addresses low 47 bits, high 56",
        )],
        "E0514",
    );
    refused(
        X86_64,
        &[(
            "addresses high 47 bits, high 56",
            "addresses from 0x7000_0000_0000, 44 bits, high 56",
        )],
        "E0514",
    );
    refused(slate(), &[("high 38 bits", "low 38 bits")], "E0514");
    // A tag of its own, of the kinds that are cached: the tag of walk entries does not count where there are none.
    let own = |walk| ("leaf global;     walk under every tag", walk);
    let one_tag = (
        "drops leaf of one page, this tag or global",
        "drops leaf of one page, this tag",
    );
    let low = ("high 38 bits", "low 38 bits");
    let both = own("leaf under asid 0; walk under asid 0");
    accepted(slate(), &[low, one_tag, both]);
    let leaf = with(
        slate(),
        &[
            ("tlb holds leaf, walk;", "tlb holds leaf;"),
            (
                "drops leaf, walk of everything, this tag;",
                "drops leaf of everything, this tag;",
            ),
            (
                "drops leaf, walk of everything, any tag;",
                "drops leaf of everything, any tag;",
            ),
            ("leaf under asid; walk under asid", "leaf under asid"),
            ("walk spans its reach;", ""),
        ],
    );
    accepted(&leaf, &[low, one_tag, own("leaf under asid 0")]);
    accepted(
        &leaf,
        &[low, one_tag, own("leaf under asid 0; walk under every tag")],
    );
    refused(&leaf, &[low, one_tag, own("leaf under every tag")], "E0514");
    // On s390 its own root distinguishes them; on Power no space has the kernel's value.
    accepted(S390, &[]);
    accepted(
        POWERPC64,
        &[(
            "addresses from 0xc000_0000_0000_0000, 52 bits",
            "addresses low 52 bits",
        )],
    );
    refused(
        POWERPC64,
        &[
            (
                "addresses from 0xc000_0000_0000_0000, 52 bits",
                "addresses low 52 bits",
            ),
            (
                "leaf under pid 0;\n        walk under pid 0",
                "leaf under pid 7;\n        walk under pid 7",
            ),
        ],
        "E0512 E0514",
    );
}

#[test]
fn tags_without_a_value_for_the_kernel() {
    refused(
        &ARM64.replacen("reserved 0;", "values 0..65535;", 1),
        &[],
        "E0515",
    );
    refused(slate(), &[("values 1..65535", "values 0..65535")], "E0515");
    // By default 0 is reserved.
    accepted(&ARM64.replace("        reserved 0;\n", ""), &[]);
    accepted(slate(), &[("values 1..65535; ", "")]);
    // Two tags in one field leave none between them.
    refused(
        X86_64,
        &[
            ("values 1..6", "values 0..6"),
            ("values 7..4094", "values 7..4095"),
        ],
        "E0515",
    );
    accepted(X86_64, &[("values 1..6", "values 0..6")]);
}

#[test]
fn lowest_levels_that_map_nothing() {
    refused(ARM64, &[("pte 12 leaf hint 3", "pte 12 hint 3")], "E0307");
    refused(S390, &[("pte 12 leaf", "pte 12 leaf when edat1")], "E0307");
    refused(slate(), &[("pte 12 leaf", "pte 12")], "E0307");
}

#[test]
fn a_space_without_addresses() {
    let low = ("addresses low 38 bits;", "addresses low 38 bits when wide;");
    let wide = (
        "    barrier publish",
        "    feature wide \"wide\";\n    barrier publish",
    );
    super::refused(super::slate(), &[low, wide], "E0307");
}

#[test]
fn a_value_of_the_kernel_is_the_tag_of_both_kinds() {
    let kernel = "leaf global;     walk under every tag;";
    for (leaf, walk, expected) in [
        ("under asid 0", "under every tag", "E0512"),
        ("under every tag", "under asid 0", "E0512"),
        ("under asid 0", "under asid 7", "E0512"),
    ] {
        let under = format!("leaf {leaf}; walk {walk};");
        refused(slate(), &[(kernel, &under)], expected);
    }
    // Entries without a tag are possible with both.
    for (leaf, walk) in [("global", "under asid 0"), ("under asid 0", "under asid 0")] {
        let under = format!("leaf {leaf}; walk {walk};");
        accepted(slate(), &[(kernel, &under)]);
    }
    // Without walk entries there is no statement about them.
    accepted(
        slate(),
        &[
            (kernel, "leaf under asid 0;"),
            ("tlb holds leaf, walk;", "tlb holds leaf;"),
            ("leaf under asid; walk under asid;", "leaf under asid;"),
            (
                "drops leaf, walk of everything, this tag",
                "drops leaf of everything, this tag",
            ),
            (
                "drops leaf, walk of everything, any tag",
                "drops leaf of everything, any tag",
            ),
        ],
    );
}

/// Faults of the kernel are fixed where stale entries cause some.
#[test]
fn faults_of_the_kernel_that_never_occur() {
    const FIXED: (&str, &str) = ("lazy refcounted;", "lazy refcounted; kernel faults fixed;");
    const NO_FAULT: (&str, &str) = ("stricter dropped by the fault;", "stricter refetched;");
    accepted(slate(), &[FIXED]);
    refused(slate(), &[FIXED, NO_FAULT], "E0208");
    let twice = "lazy refcounted; kernel faults fixed; kernel faults fixed;";
    refused(slate(), &[(FIXED.0, twice)], "E0204");
    let fixed = |text: &str| {
        let module = tlbc::compile([("slate.arch", text)]);
        let text = &module.outputs[0].text;
        text.contains("kernel_faults_fixed: true")
    };
    assert!(fixed(&super::with(slate(), &[FIXED])) && !fixed(slate()));
}

/// A value with a bit by which views differ is given to a space only if the rest of it is.
#[test]
fn the_kernel_has_a_value_that_no_view_has() {
    let views = "walk under asid; view kern tag, loaded; view user tag | 1 << 3; resync nothing;";
    let returns = "return_to_user { loads root in user; resync refetch; }\n    cpu_online {";
    let with_value = |value: u32| {
        let kernel =
            format!("addresses low 38 bits; leaf under asid {value}; walk under asid {value};");
        with(
            slate(),
            &[
                (
                    "addresses high 38 bits; leaf global;     walk under every tag;",
                    &kernel,
                ),
                ("walk under asid; resync nothing;", views),
                ("this tag or global;", "this tag;"),
                ("cpu_online {", returns),
            ],
        )
    };
    // The user view of the space with the tag 0, which is no value of a space, would have it.
    accepted(&with_value(8), &[]);
    // The user view of the space with the tag 1 has it.
    refused(&with_value(9), &[], "E0512 E0514");
}
