//! Syntax errors within a definition: each is found, and separated from the next.

use crate::syntax::{snapshot, within};

fn snapshot_within(name: &str, items: &[&str]) {
    let texts: Vec<String> = items.iter().map(|items| within(items)).collect();
    snapshot(name, &texts.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn heads_of_items() {
    snapshot_within(
        "heads_of_items",
        &[
            r#"    invaldiate vae1 "x" { drops leaf; }"#,
            "    invalidate vae1 { at once; }",
            r#"    feature ttl "text" need pcid;"#,
            r#"    feature Ttl "text";"#,
            r#"    limit pages "text" 1-5;"#,
            "    domain inner = cpus;",
            "    tag asid if pcid { 12 bits; }",
            "    operand page 64 bit { [63:0] va; }",
            "    target_arch aarch64;",
            r#"    barrier isb "isb" requires { resyncs on self; }"#,
            "    frobnicate;",
        ],
    );
}

#[test]
fn facts() {
    snapshot_within(
        "facts",
        &[
            "    geometry g { page 4 KB; granul 1; levels { pte 12 leef; pmd; } }",
            "    caches { tlb holds leaf, wlak; one per core; invalid sometimes; stricter dropped by fault; }",
            "    tag asid { 12; of mashine; values 1-6; from; may be invalidatd lazily; }",
            "    space user { addresses 48 bits; leaf under; view user tag + 1; walk under any tag; }",
            r#"    barrier isb "isb" { resync on self; completes cpus; gone, drained; }"#,
            "    operand o 64 bits { [63:48 tag; [47:0] va[55-12]; names (num + 1 << 3 pages; start aligned hint; [1:0] level pmd; }",
            "    change { plan store; output of valid entry through invalid; }",
            r#"    load cr3 "mov cr3" { per SDM; drop leaf; }"#,
            "    switch { load cr3; half loaded unsafe; }",
            r#"    erratum e "e" { weakens isb: drained; weakens isb for user not drained; workaround after isb vale1; }"#,
            "    policy { shootdown ipis; gather pages batched; lazy never; ceiling 5; ceiling 5 operations, 4 pages; }",
        ],
    );
}

#[test]
fn invalidations() {
    snapshot_within(
        "invalidations",
        &[r#"    invalidate i "i" {
        drop leaf of one page, this tag;
        drops leef of one page, this tag;
        drops leaf of a page, this tag;
        drops leaf of one page;
        drops leaf of one page, this;
        drops leaf of run of 2.2097152 pages, this tag;
        drops leaf of run of 2..9, this tag;
        drops leaf of one page, this tag wen pcid;
        where {reach};
        needs interrupts of;
        form page 0 { drops leaf of one page, this tag; }
    }"#],
    );
}

#[test]
fn loops() {
    snapshot_within(
        "loops",
        &[
            r#"    for (a) in ("x"), ("y") {
        for (b) in ("x") { }
        barrier x{a} "x" { gone }
    }
    barrier y{a} "x" { gone; }"#,
            r#"    for a in ("x") { }"#,
            r#"    for (a, b) in "x", "y" { }"#,
        ],
    );
}

#[test]
fn independent_errors_in_one_file() {
    snapshot_within(
        "independent_errors",
        &[r#"    domain inner are cpus;
    caches {
        tlb holds leaf, wlak;
    }
    feature a "a";
    invalidate i "i" {
        wher inner;
        at once;
    }
    cpu_set sme "text";"#],
    );
}

#[test]
fn missing_semicolons() {
    snapshot_within(
        "missing_semicolons",
        &[
            r#"    target_arch "m"
    invalidate i "i" {
        per "manual"   // section 4
        where self
        drops leef of one page, this tag;
        at once
    }"#,
            "    caches { one per cpu }",
        ],
    );
}

#[test]
fn missing_braces() {
    snapshot(
        "missing_braces",
        &[
            "arch m {\n    geometry g {\n        page 4 KiB;\n        levels {\n            pte 12 leaf;\n    }\n    domain d is cpus;\n}\n",
            "arch m {\n    caches {\n        one per cpu;\n\n    domain d is cpus;\n    frobnicate;\n}\n",
            "arch m {\n    domain d is cpus;\n",
            "arch m { caches { one per cpu; }",
            "arch m {\n    change { output of",
            "arch m {\n    domain d is cpus;\n}\n}\n",
            "arch m\n    domain d is cpus;\n}\n",
        ],
    );
}

#[test]
fn unclosed_quotes() {
    snapshot_within(
        "unclosed_quotes",
        &[
            "    target_arch \"m;\n    frobnicate;",
            "    target_arch \"m\u{e9};\n    domain d are cpus;",
            "    barrier isb \"isb { resyncs on self; }\n    cpus sme text\";\n    domain d is cpus;",
        ],
    );
}

#[test]
fn numbers() {
    snapshot_within(
        "numbers",
        &[
            "    tag t { 99999999999999999999 bits; reserved 0x1_0000_0000_0000_0000; values 12abc..4; }",
            "    geometry g { page 99999999999999 GiB; granule 0b2; granule 0x; }",
            "    space user { view user tag | 1 << 64; }",
        ],
    );
}

#[test]
fn twice() {
    snapshot_within(
        "twice",
        &[
            "    space user { resync a; resync b; }",
            "    change { plain store; by writers; }",
        ],
    );
}
