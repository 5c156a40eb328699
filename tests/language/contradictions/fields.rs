//! Fields have the width of their source, and carry every bit in which two values differ.

use super::{ARM64, POWERPC64, S390, X86_64, accepted, refused, slate, with};

#[test]
fn counts() {
    let num = "[30:16] 0;\n        [15:0]  num;";
    refused(X86_64, &[("[15:0]  num;", "[15:8] 0; [7:0] num;")], "E0308");
    let scale = "[45:44] scale;\n        [43:39] num;";
    refused(
        &ARM64.replace(scale, "[45:43] scale;\n        [42:39] num;"),
        &[],
        "E0303",
    );
    // The count of a run differs between processors.
    accepted(X86_64, &[(num, "[30:0]  num;")]);
}

#[test]
fn sets() {
    let set = "[63:24] 0;\n        [23:12] set;";
    let of_set = |fields: &str, expected: &str| {
        refused(&POWERPC64.replacen(set, fields, 1), &[], expected);
    };
    of_set("[63:18] 0; [17:12] set;", "E0303");
    of_set("[63:24] 0; [23:12] set when isa31;", "E0306");
    for count in ["0", "65537", "0xffff_ffff_ffff_ffff"] {
        let has = format!("has {count} sets");
        refused(POWERPC64, &[("has 128 sets", &has)], "E0207");
    }
    // The number of sets differs between processors.
    accepted(&POWERPC64.replacen(set, "[63:19] 0; [18:12] set;", 1), &[]);
}

#[test]
fn numbers() {
    let form = "[63:2] 0;\n        [1:0]  form;";
    refused(X86_64, &[(form, "[63:1] 0; [0] form;")], "E0303");
    // A number of the definition may have leading zeros.
    accepted(X86_64, &[(form, "[63:0] form;")]);
    let level = "[3:0]   level as pmd 0, pud 4, p4d 8, pgd 12;";
    refused(
        S390,
        &[(level, "[3] 0; [2:0] level as pmd 0, pud 4, p4d 8, pgd 12;")],
        "E0303",
    );
    refused(
        X86_64,
        &[("level as pmd 1, else 0", "level as pmd 1, else 2")],
        "E0303",
    );
    refused(
        X86_64,
        &[(
            "[63]    keep when pcid;\n        [62:52] 0;",
            "[63:62] keep when pcid; [61:52] 0;",
        )],
        "E0303",
    );
}

#[test]
fn tags_in_parts() {
    let space = "operand space 64 bits {\n        [63:48] tag;";
    let of_space = |fields: &str| format!("operand space 64 bits {{\n        {fields}");
    refused(
        ARM64,
        &[(space, &of_space("[63:56] 0; [55:48] tag[7:0];"))],
        "E0303",
    );
    refused(
        ARM64,
        &[(space, &of_space("[63:56] tag[15:8]; [55:48] 0;"))],
        "E0303",
    );
    accepted(
        ARM64,
        &[(space, &of_space("[63:56] tag[15:8]; [55:48] tag[7:0];"))],
    );
    // What is loaded.
    let loaded = "[63:16] 0;\n        [15:0]  tag;";
    refused(ARM64, &[(loaded, "[63:8] 0; [7:0] tag[7:0];")], "E0303");
}

#[test]
fn addresses_in_parts() {
    let whole = "{ [63:0] va; }";
    accepted(
        slate(),
        &[(whole, "{ [63:26] va[63:26]; [25:0] va[25:0]; }")],
    );
    refused(
        slate(),
        &[(whole, "{ [63:26] va[63:26]; [25:20] 0; [19:0] va[19:0]; }")],
        "E0303",
    );
    // The bit above those of a space distinguishes users from the kernel.
    refused(
        slate(),
        &[(whole, "{ [63:38] 0; [37:0] va[37:0]; }")],
        "E0303",
    );
    accepted(slate(), &[(whole, "{ [63:39] 0; [38:0] va[38:0]; }")]);
    accepted(slate(), &[(whole, "{ [63:27] 0; [26:0] va >> page; }")]);
    refused(
        slate(),
        &[(whole, "{ [63:26] 0; [25:0] va >> page; }")],
        "E0303",
    );
    // The end of a run.
    refused(
        POWERPC64,
        &[("[63:0]  end;", "[63:32] 0; [31:0] end[31:0];")],
        "E0303",
    );
    refused(
        POWERPC64,
        &[("[63:0]  end;", "[63:16] end[63:16]; [15:0] 0;")],
        "E0303",
    );
}

#[test]
fn tables_and_entries() {
    // Page tables have 2 KiB.
    refused(
        S390,
        &[("[63:0]  table;   ", "[63:12] table[63:12]; [11:0] 0;")],
        "E0303",
    );
    refused(
        S390,
        &[("[63:0]  table;   ", "[63:32] 0; [31:0] table;")],
        "E0303",
    );
    // Segment tables have 16 KiB.
    let origin = "[63:12] table[63:12];\n        [11:4]  0;";
    accepted(S390, &[(origin, "[63:14] table[63:14]; [13:4] 0;")]);
    refused(
        S390,
        &[(origin, "[63:15] table[63:15]; [14:4] 0;")],
        "E0303",
    );
    let entry = "[63:3]  entry[63:3];\n        [2:1]   0;";
    refused(S390, &[(entry, "[63:4] entry[63:4]; [3:1] 0;")], "E0303");
    refused(S390, &[("[63:3]  entry[63:3];", "[63:3] entry;")], "E0303");
    for (source, fields) in [
        ("[63:0]  old;", "[63:32] 0; [31:0] old;"),
        ("[63:0]  old;", "[63:32] 0; [31:0] old[31:0];"),
        ("[63:0]  new;", "[63:1] new[63:1]; [0] 0;"),
    ] {
        refused(S390, &[(source, fields)], "E0303");
    }
    accepted(
        S390,
        &[("[63:0]  old;", "[63:32] old[63:32]; [31:0] old[31:0];")],
    );
}

#[test]
fn top_tables() {
    refused(
        X86_64,
        &[("[51:12] root[51:12];", "[51:13] root[51:13]; [12] 0;")],
        "E0303",
    );
    refused(
        ARM64,
        &[("[47:1]  root[47:1];", "[47:16] root[47:16]; [15:1] 0;")],
        "E0303",
    );
    let by_size = "[47:16] root[47:16] when g64k; [47:1] root[47:1] unless g64k;";
    accepted(ARM64, &[("[47:1]  root[47:1];", by_size)]);
    let other = "[47:16] root[47:16] when g16k; [47:1] root[47:1] unless g16k;";
    refused(ARM64, &[("[47:1]  root[47:1];", other)], "E0303");
}

#[test]
fn fields_that_are_not_always_there() {
    let missing = |text: &str, field: &str, when: &str| {
        let conditional = format!("{} when {when};", field.trim_end_matches(';'));
        refused(&text.replacen(field, &conditional, 1), &[], "E0306");
    };
    missing(X86_64, "[127:64] va;", "tce");
    missing(X86_64, "[15:0]  num;", "tce");
    missing(X86_64, "[1:0]  form;", "pcid");
    missing(
        ARM64,
        "operand space 64 bits {\n        [63:48] tag;",
        "ttl",
    );
    missing(S390, "[63:0]  table;", "edat1");
    missing(S390, "[63:0]  new;", "edat1");
    missing(X86_64, "[31]    level as pmd 1, else 0;", "tce");
}

#[test]
fn what_nothing_depends_on() {
    refused(X86_64, &[("this tag unless keep;", "this tag;")], "E0313");
    let number = "[63:16] 0; [15:0] tag; }";
    refused(
        slate(),
        &[(number, "[63:16] 0; [15:0] tag; names any entries; }")],
        "E0313",
    );
    refused(
        slate(),
        &[(number, "[63:16] 0; [15:0] tag; start aligned to hint; }")],
        "E0313",
    );
}

/// The help of the only finding.
fn help(text: &str, edits: &[(&str, &str)]) -> String {
    let (_, found) = tlbc_tests::requests::read(&super::with(text, edits));
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].help.clone().unwrap_or_default()
}

#[test]
fn ends_of_runs_are_not_counted() {
    for (old, new) in [
        ("names any entries;", "names num * 3 entries;"),
        (
            "form tlb  = 2 { drops leaf at hint of run of 1.. entries at pte, pmd, pud,",
            "form tlb  = 2 { drops leaf at hint of run of 1.. pages,",
        ),
    ] {
        let help = help(POWERPC64, &[(old, new)]);
        assert!(
            help.contains("entries") && !help.contains("num +"),
            "{help}"
        );
    }
}

#[test]
fn machines_without_walk_entries() {
    let text = super::with(
        slate(),
        &[
            ("tlb holds leaf, walk;", "tlb holds leaf;"),
            ("leaf under asid; walk under asid;", "leaf under asid;"),
            ("walk under every tag; ", ""),
            (
                "drops leaf, walk of everything, this tag;",
                "drops leaf of everything, this tag;",
            ),
            (
                "drops leaf, walk of everything, any tag;",
                "drops leaf of everything, any tag;",
            ),
        ],
    );
    accepted(&text, &[]);
    refused(
        &text,
        &[("tlb holds leaf;", "tlb holds leaf, walk;")],
        "E0203",
    );
}

#[test]
fn kinds_that_no_cache_holds() {
    let all = "drops leaf, walk of everything, any tag;";
    let with_root = "drops leaf, walk, root of everything, any tag;";
    refused(slate(), &[(all, with_root)], "E0208");
    let negative = "drops leaf, negative, walk of everything, any tag;";
    refused(slate(), &[(all, negative)], "E0208");
    refused(
        slate(),
        &[("tlb holds leaf, walk;", "tlb holds leaf;")],
        "E0208",
    );
}

#[test]
fn addresses_that_a_tag_tells_apart() {
    let kernel = (
        "leaf global;     walk under every tag",
        "leaf under asid 0; walk under asid 0",
    );
    let one_tag = (
        "drops leaf of one page, this tag or global",
        "drops leaf of one page, this tag",
    );
    let low = (
        "operand address 64 bits { [63:0] va; }",
        "operand address 64 bits { [63:38] 0; [37:0] va[37:0]; }",
    );
    accepted(slate(), &[kernel, one_tag, low]);
    // Under every tag, and by an instruction that compares none.
    refused(slate(), &[low], "E0303");
    let any_tag = (one_tag.0, "drops leaf of one page, any tag");
    let number = (
        "\"flush.page {address}, {number}\"",
        "\"flush.page {address}\"",
    );
    refused(slate(), &[kernel, any_tag, number, low], "E0303");
}

#[test]
fn entries_that_share_a_translation_need_no_bits() {
    let pairs = ("one per cpu;", "one per cpu; leaf at pte covers 2 entries;");
    let entry = (
        "operand number  64 bits {",
        "operand pair 64 bits { [63:13] va[63:13]; [12:8] 0; [7:0] 0; }\n    operand number  64 bits {",
    );
    let page = ("{address}, {number}", "{pair}, {number}");
    let spare = ("operand address 64 bits { [63:0] va; }", "");
    let all = [pairs, entry, page, spare];
    accepted(slate(), &all);
    // Without the pairs, and with quadruples of which half is named.
    refused(slate(), &[entry, page, spare], "E0303");
    let quarter = entry.1.replace(
        "[63:13] va[63:13]; [12:8] 0;",
        "[63:14] va[63:14]; [13:8] 0;",
    );
    refused(slate(), &[pairs, (entry.0, &quarter), page, spare], "E0303");
    let fact = "drops leaf of one page, this tag or global;";
    let negative = (
        fact,
        "drops leaf, negative of one page, this tag or global;",
    );
    let cached = ("invalid never", "invalid cached");
    // Negative entries are shared as well.
    let everything = [
        (
            "drops leaf, walk of everything, this tag;",
            "drops leaf, negative, walk of everything, this tag;",
        ),
        (
            "drops leaf, walk of everything, any tag;",
            "drops leaf, negative, walk of everything, any tag;",
        ),
    ];
    let shared = [pairs, entry, page, spare, negative, cached];
    accepted(&with(slate(), &everything), &shared);
    let alone = [entry, page, spare, negative, cached];
    refused(&with(slate(), &everything), &alone, "E0303");
    // Entries of the level above point at tables.
    accepted(
        slate(),
        &[
            pairs,
            entry,
            page,
            spare,
            (fact, "drops leaf, walk of one page, this tag or global;"),
        ],
    );
}
