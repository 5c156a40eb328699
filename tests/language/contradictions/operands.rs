//! An operand agrees with the effect, and carries every bit in which values differ.

use super::{ARM64, POWERPC64, S390, X86_64, accepted, refused, slate, with};

#[test]
fn levels_with_one_number() {
    refused(
        X86_64,
        &[("level as pmd 1, else 0", "level as pmd 1, else 1")],
        "E0312",
    );
    refused(
        X86_64,
        &[("level as pmd 1, else 0", "level as pmd 0, else 0")],
        "E0312",
    );
    refused(
        POWERPC64,
        &[(
            "pmd 1, pud 2;\n        [4:0]",
            "pmd 1, pud 1;\n        [4:0]",
        )],
        "E0312",
    );
    refused(
        POWERPC64,
        &[(
            "pte 0, pte 5 when g64k, pmd 1, pud 2",
            "pte 0, pte 1 when g64k, pmd 1, pud 2",
        )],
        "E0312",
    );
    refused(
        S390,
        &[("pmd 0, pud 4, p4d 8", "pmd 0, pud 4, p4d 4")],
        "E0312",
    );
    // Levels that no instruction distinguishes by it: INVLPGB does not serve `pud`.
    accepted(
        X86_64,
        &[("level as pmd 1, else 0", "level as pmd 1, pud 1, else 0")],
    );
}

#[test]
fn page_sizes_with_one_number() {
    refused(ARM64, &[("granule 0b11", "granule 0b01")], "E0312");
    refused(ARM64, &[("granule 0b10", "granule 0b11")], "E0312");
}

#[test]
fn address_bits_that_are_lost() {
    let low = |old: &str, new: &str| {
        refused(&ARM64.replacen(old, new, 1), &[], "E0303");
    };
    low("[43:0]  va[55:12]", "[43:0]  va[56:13]");
    refused(
        S390,
        &[(
            "[63:12] va[63:12];\n        [11:0]  0;                 ",
            "[63:13] va[63:13];\n        [12:0]  0;",
        )],
        "E0303",
    );
    refused(
        X86_64,
        &[(
            "[63:12] va[63:12];\n        [11:6]  0",
            "[63:13] va[63:13];\n        [12:6]  0",
        )],
        "E0303",
    );
    // One bit less at the upper end.
    low("[43:0]  va[55:12]", "[43:36] 0; [35:0] va[47:12]");
    // A page of 16 KiB has no bits 12 and 13; one of 4 KiB has.
    low("[43:0]  va[55:12]", "[43:42] 0; [41:0] va[55:14]");
    let by_size = "[43:0] va[55:12] unless g16k; [43:42] 0 when g16k; [41:0] va[55:14] when g16k";
    accepted(&ARM64.replacen("[43:0]  va[55:12]", by_size, 1), &[]);
}

#[test]
fn tags_in_fields_that_are_too_wide() {
    refused(
        ARM64,
        &[(
            "[63:48] tag;\n        [47:0]  0",
            "[63:40] tag;\n        [39:0]  0",
        )],
        "E0303",
    );
    refused(
        POWERPC64,
        &[("[63:52] 0;\n        [51:32] tag", "[63:32] tag")],
        "E0303",
    );
    refused(
        slate(),
        &[("[63:16] 0; [15:0] tag", "[63:17] 0; [16:0] tag")],
        "E0303",
    );
}

#[test]
fn operands_that_the_effect_ignores() {
    let any = (
        "drops leaf, walk of everything, this tag;\n            where {reach}",
        "drops leaf, walk of everything, any tag;\n            where {reach}",
    );
    refused(ARM64, &[any], "E0313");
    let everything = |clause: &str, new: &str| {
        refused(&ARM64.replacen(clause, new, 1), &[], "E0313");
    };
    // The page, the hint and the tag of VALE1.
    let clause = "drops leaf at hint of one page, this tag or global;";
    everything(
        clause,
        "drops leaf at hint of everything, this tag or global;",
    );
    everything(clause, "drops leaf of one page, this tag or global;");
    everything(clause, "drops leaf at hint of one page, any tag;");
    // The count of a run.
    let run = "drops leaf at hint of run of 2..2097152 pages, this tag or global;";
    everything(run, "drops leaf at hint of one page, this tag or global;");
    // The set of a cache.
    refused(
        POWERPC64,
        &[(
            "drops leaf of one set, this tag in tlb;\n        where core;",
            "drops leaf of everything, this tag in tlb;\n        where core;",
        )],
        "E0313",
    );
    // A tag in an operand, in addition to the loaded one.
    refused(
        slate(),
        &[
            (
                "drops leaf, walk of everything, this tag;",
                "drops leaf, walk of everything, loaded tag;",
            ),
            (
                "\"flush.tag {number}\" {\n        per \"manual, 4.2\";",
                "\"flush.tag {number}\" {\n        per \"manual, 4.2\";",
            ),
        ],
        "E0313 E0404",
    );
}

#[test]
fn sources_that_are_not_at_hand() {
    let root = (
        "operand number  64 bits { [63:16] 0; [15:0] tag; }",
        "operand number  64 bits { [63:48] 0; [47:16] root[47:16]; [15:0] tag; }",
    );
    refused(slate(), &[root], "E0409");
    for source in ["va", "entry", "old", "new", "table"] {
        let root = format!("[63:48] tag; [47:0] {source}[47:0]; }}\n    load");
        refused(
            slate(),
            &[("[63:48] tag; [47:0] root[47:0]; }\n    load", &root)],
            "E0409 E0509",
        );
    }
    refused(slate(), &[("\"wait\"", "\"wait {number}\"")], "E0409");
    refused(
        S390,
        &[("[63:3]  entry[63:3]", "[63:3]  root[63:3]")],
        "E0306 E0409",
    );
}

#[test]
fn fields_of_machines_that_exclude_each_other() {
    let by_size = |fields: &str| {
        let fields = format!("{fields} [55:48] tag;");
        let tag = (
            "tag asid { 16 bits; of machine; values 1..65535;",
            "tag asid { 8 bits; of machine; values 1..255;",
        );
        let number = ("[63:16] 0; [15:0] tag", "[63:8] 0; [7:0] tag");
        let other = (
            "geometry base {",
            "geometry other { page 4 KiB; levels { pte 12 leaf; pmd 21; pgd 30; } }\n    geometry base {",
        );
        with(slate(), &[other, tag, number, ("[63:48] tag;", &fields)])
    };
    accepted(&by_size("[63:56] 1 when other; [63:56] 2 when base;"), &[]);
    accepted(
        &by_size("[63:56] 1 unless other; [63:56] 2 unless base;"),
        &[],
    );
    refused(&by_size("[63:56] 1 when other; [63:56] 2;"), &[], "E0301");
    refused(
        &by_size("[63:56] 1 when other; [63:56] 2 when other;"),
        &[],
        "E0301",
    );
    // INVLPGB is not there with PTI.
    let both = "[31:30] 0 when pti; [30] 0 unless pti; [31]    level as pmd 1, else 0;\n        [29:16] 0;";
    refused(
        X86_64,
        &[("[31]    level as pmd 1, else 0;\n        [30:16] 0;", both)],
        "E0301",
    );
    let excluded = "[30:28] 1 when pti; [30:28] 2 when invlpgb; [31]    level as pmd 1, else 0;\n        [27:16] 0;";
    accepted(
        X86_64,
        &[(
            "[31]    level as pmd 1, else 0;\n        [30:16] 0;",
            excluded,
        )],
    );
}

/// Numbers that do not fit the field would reach into the next one.
#[test]
fn numbers_of_levels_and_sets_fit_their_fields() {
    let level = (
        "[7:5]   level as pte 0, pte 5 when g64k, pmd 1, pud 2;",
        "[7:5]   level as pte 0, pte 5 when g64k, pmd 1, pud 8;",
    );
    refused(POWERPC64, &[level], "E0303");
    let of_pid = "[63:24] 0;\n        [23:12] set;\n        [11:10] 1;";
    let narrow = "[63:15] 0;\n        [14:12] set;\n        [11:10] 1;";
    refused(POWERPC64, &[(of_pid, narrow)], "E0303");
}

#[test]
fn what_is_written_into_an_entry_is_whole() {
    let entry = ("[63:3]  entry[63:3]", "[63:3]  entry");
    refused(S390, &[entry], "E0303");
}

/// Of two numbers without a condition the last counts, and the first has no effect.
#[test]
fn a_level_with_two_numbers() {
    let two = (
        "pte 0, pte 5 when g64k, pmd 1, pud 2;",
        "pte 0, pte 5, pmd 1, pud 2;",
    );
    refused(POWERPC64, &[two], "E0208");
    let never = (
        "pte 0, pte 5 when g64k, pmd 1, pud 2;",
        "pte 5 when g64k, pte 0, pmd 1, pud 2;",
    );
    refused(POWERPC64, &[never], "E0208");
}

/// Which tags are the other ones depends on the tag that they differ from.
#[test]
fn other_tags_are_distinguished_by_a_field() {
    let all = "drops leaf, walk of everything, any tag;\n        where self;";
    refused(
        S390,
        &[(all, &all.replace("any tag", "other tag"))],
        "E0306",
    );
    refused(
        S390,
        &[(all, &all.replace("any tag", "loaded or other tag"))],
        "E0306",
    );
}

#[test]
fn a_hint_is_not_the_lack_of_one() {
    // The granule tells the two apart where it depends on the hint, but runs always have it.
    refused(
        ARM64,
        &[("pte 12 leaf hint 3", "pte 12 leaf hint 0")],
        "E0307",
    );
    let run = "[47:46] granule;";
    let given = ARM64.replace(run, "[47:46] granule when hinted;");
    accepted(&given, &[("pte 12 leaf hint 3", "pte 12 leaf hint 0")]);
    let number = "granule 0b01;";
    let edits = [
        ("pte 12 leaf hint 3", "pte 12 leaf hint 0"),
        (number, "granule 0;"),
    ];
    refused(&given, &edits, "E0307");
}

#[test]
fn one_bit_of_an_address_is_named_by_its_number() {
    let whole = "operand address 64 bits { [63:0] va; }";
    for bits in [
        "[63] va[63]; [62:0] va[62:0];",
        "[63] va[63:63]; [62:0] va[62:0];",
    ] {
        let operand = format!("operand address 64 bits {{ {bits} }}");
        accepted(slate(), &[(whole, &operand)]);
    }
}

/// A range of pages is divided into runs of every length that the operand can name.
#[test]
fn runs_that_end_before_their_operand_does() {
    let run = |most: &str, names: &str, least: u32| {
        let operand = format!(
            "    operand run 64 bits {{ [63:53] 0; [52:48] num; [47:36] 0; [35:0] va[47:12]; names {names}; }}\n    invalidate \
             flush_run \"flush.run {{run}}, {{number}}\" {{ per \"m\"; drops leaf of run of {least}..{most}, this tag or global; \
             where cpus; needs no lock; after complete; }}\n    invalidate flush_page "
        );
        with(slate(), &[("    invalidate flush_page ", &operand)])
    };
    accepted(&run("64 pages", "(num + 1) << 1 pages", 2), &[]);
    accepted(&run("32 entries at pte", "num + 1 entries", 1), &[]);
    accepted(&run("8 entries at pte", "num + 1 entries", 1), &[]);
    for text in [
        run("8 pages", "(num + 1) << 1 pages", 2),
        run("64 pages", "(num + 1) << 1 pages", 4),
        run("8 entries at pte", "num + 1 entries", 4),
    ] {
        refused(&text, &[], "E0308");
    }
    let limit = ("    tables", "    limit most \"most\" 1..16;\n    tables");
    refused(
        &run("limit(most) pages", "num + 1 pages", 1),
        &[limit],
        "E0308",
    );
}
