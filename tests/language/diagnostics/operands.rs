//! Operands and what they name: fields, forms, levels of tables, runs.

use crate::diagnostics::cases;

/// An invalidation of a run with its operand.
fn run(fields: &str, drops: &str) -> String {
    format!(
        "operand run 64 bits {{ {fields} }}
invalidate drop_run \"drop.run {{run}}\" {{
    per \"Toy manual, 4.5\";
    {drops}
    where cpus;
    after wait;
}}"
    )
}

#[test]
fn operands() {
    cases(
        "operands",
        &[
            "operand space 64 bits { [63:56] tag; [55:41] 0; [39:1] 0; }",
            "operand space 32 bits { [39:32] tag; [31:0] 0; }",
            "operand root 64 bits { [63:56] tag; [55:48] 0; [47:0] root; }",
            "operand root 64 bits { [63:56] tag; [55:0] root[47:0]; }",
            "tag color { 56 bits; of machine; is the root; }
operand root 64 bits { [63:44] 0; [43:0] tag; }",
            "operand page 64 bits { [63:56] tag; [55:50] 64; [49:48] hint when hinted; [47:0] va[59:12]; }",
            "operand page 64 bits { [63:56] tag; [55:26] 0; [25:24] hint when hinted; [23:0] va >> page; }",
            "operand page 64 bits { [63:56] tag; [55:26] 0; [25:24] hint when hinted; [23:0] va[35:12]; }",
            "geometry g4k { page 4 KiB; granule 5; levels { pte 12 leaf hint 4; pmd 21 leaf hint 2; pgd 30; } }
operand page 64 bits { [63:56] tag; [55:52] 0; [51:50] granule; [49:48] hint when hinted; [47:0] va[59:12]; }",
            "tag color { 8 bits; of machine; from generations; values 1..256; }",
            "space user { addresses low 38 bits; leaf under color; walk under color; view kernel tag, loaded; view user tag | 1 << 8; }",
            &run(
                "[63:56] tag; [55:54] scale; [53:50] num; [49] 0; [48:0] va[60:12]; names (num + 1) << (5 * scale) pages;",
                "drops leaf of run of 1..64 pages, this tag;",
            ),
            "feature f \"f\";
operand space 64 bits { [63:56] tag when f; [63:56] 3 when not f; [55:0] 0; }
operand root 64 bits { [63:56] tag when f; [63:60] 3; [55:0] root[55:0]; }",
        ],
    );
}

#[test]
fn forms() {
    cases(
        "forms",
        &[
            "operand kind 64 bits { [63:1] 0; [0] form; }
invalidate drop_kind \"drop.kind {kind}\" {
    per \"Toy manual, 4.5\";
    where self;
    at once;
    form everything = 0 { drops leaf, walk of everything, any tag; }
    form tagged     = 2 { drops leaf, walk of everything, this tag; }
}",
            "invalidate drop_kind \"drop.kind\" {
    per \"Toy manual, 4.5\";
    where self;
    at once;
    form everything = 0 { drops leaf, walk of everything, any tag; }
    form nonglobal  = 1 { drops leaf, walk of everything, this or other tag; }
}",
        ],
    );
}

#[test]
fn tables() {
    let geometry = |levels: &str| format!("geometry g4k {{ page 4 KiB; levels {{ {levels} }} }}");
    cases(
        "tables",
        &[
            &geometry("pte 13 leaf hint 1; pmd 21 leaf hint 2; pgd 30;"),
            &geometry("pte 12 leaf hint 1; pmd 21 leaf hint 1; pgd 30;"),
            &format!(
                "feature big \"big\";\n{}",
                geometry("pte 12 leaf hint 1; pmd 21 leaf hint 2; pgd 39 when big, 30;")
            ),
            &format!(
                "feature big \"big\";\n{}",
                geometry("pte 12 leaf hint 1; pmd 21 leaf hint 2; pud 30 when big; pgd 30;")
            ),
            "feature big \"big\";\nspace user { addresses low 38 bits, low 57 bits when big; leaf under color; walk under color; }",
        ],
    );
}

#[test]
fn runs() {
    let fields = "[63:56] tag; [55] level as pte 0, pmd 1; [54:48] num; [47:0] va[59:12];";
    let entries = format!("{fields} names num + 1 entries;");
    let pairs = format!("{fields} names (num + 1) << 1 pages;");
    cases(
        "runs",
        &[
            &run(&entries, "drops leaf of run of 1..64 pages, this tag;"),
            &run(&pairs, "drops leaf of run of 1..64 pages, this tag;"),
            &run(&pairs, "drops leaf of run of 0..64 pages, this tag;"),
            &run(&pairs, "drops leaf of run of 9..8 pages, this tag;"),
            &format!(
                "limit most \"read at boot\" 1..300;\n{}",
                run(
                    &entries,
                    "drops leaf of run of 1..limit(most) entries at pte, this tag;"
                )
            ),
            &run(
                &entries,
                "drops leaf of run of 1..128 entries at pte, pgd, this tag;",
            ),
            &run(
                "[63:56] tag; [55:48] num; [47:0] va[59:12];",
                "drops leaf of run of 1..64 pages, this tag;",
            ),
        ],
    );
}
