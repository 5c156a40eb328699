//! The parser: the shipped definitions, syntax errors with their messages, and noise.

use proptest::prelude::*;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tlbc::ast::{Arch, BinaryOp, Expr, InvalidateFact, Item};
use tlbc::diagnostic::Diagnostic;
use tlbc::parse::{decode, parse};
use tlbc::render::{Format, render};
use tlbc::source::{FileId, Files};

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../archdefs")
        .join(name);
    std::fs::read_to_string(path).expect("a shipped definition")
}

fn parsed(text: &str) -> (Files, Option<Arch>, Vec<Diagnostic>) {
    let mut files = Files::default();
    let file = files.add("x.arch", text);
    let (arch, diagnostics) = parse(&files, file);
    (files, arch, diagnostics)
}

fn messages(text: &str) -> Vec<String> {
    let (_, _, diagnostics) = parsed(text);
    diagnostics
        .into_iter()
        .map(|d| format!("{} {}", d.code, d.message))
        .collect()
}

/// The source and what is said about it.
fn report(text: &str) -> String {
    let (files, arch, diagnostics) = parsed(text);
    let rendered = render(&files, &diagnostics, Format::Human, false);
    let outcome = arch.map_or("no definition".to_owned(), |arch| {
        format!(
            "definition `{}` of {} items",
            arch.name.node,
            arch.items.len()
        )
    });
    let mut source = String::new();
    for line in text.lines() {
        let _ = writeln!(source, "    {line}");
    }
    format!("{source}\n{rendered}\n{outcome}\n")
}

/// A snapshot of the source and the messages about each of several texts.
fn snapshot(name: &str, texts: &[&str]) {
    let reports: Vec<String> = texts.iter().map(|text| report(text)).collect();
    let all = reports.join(&format!("{}\n", "-".repeat(80)));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => true }, {
        insta::assert_snapshot!(name, all);
    });
}

/// Items within a definition.
fn within(items: &str) -> String {
    format!("arch m {{\n{items}\n}}\n")
}

fn snapshot_within(name: &str, items: &[&str]) {
    let texts: Vec<String> = items.iter().map(|items| within(items)).collect();
    snapshot(name, &texts.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn shipped_definitions_parse() {
    for name in ["arm64.arch", "x86_64.arch"] {
        let (files, arch, diagnostics) = parsed(&shipped(name));
        assert_eq!(render(&files, &diagnostics, Format::Short, false), "");
        let arch = arch.expect("a definition");
        assert_eq!(format!("{}.arch", arch.name.node), name);
        assert!(arch.doc[0].len() > 10);
    }
}

#[test]
fn every_construct_parses() {
    let items = r#"
        caches { refetch holds leaf, walk, root; invalid cached; large leaf may split; stricter refetched; }
        geometry g { levels { p4d 39 when a and not b; pgd 39, 48 unless c hint 1; } page 2 MiB; granule 0x_1F; }
        feature a "a" of cpu needs b and not c;
        feature b "b" of space;
        domain d is self, core, devices;
        change { by writers; output, size of a valid entry through invalid when a; }
    "#;
    let (files, arch, diagnostics) = parsed(&within(items));
    assert_eq!(render(&files, &diagnostics, Format::Short, false), "");
    assert_eq!(arch.expect("a definition").items.len(), 6);

    let items = r#"
        /// What it does.
        invalidate i requires a, b "i" with x, y requires c {
            form f = 0xFF { drops root at pmd of run of 1..limit(l) entries at pte, global, this tag or other tag unless keep; }
            writes entry at pte: invalid;
        }
        erratum e "e" {
            remedy before i issue j, k;
            weakens i for user: not walk on set when a;
            weakens i: not leaf;
        }
    "#;
    let (files, arch, diagnostics) = parsed(&within(items));
    assert_eq!(render(&files, &diagnostics, Format::Short, false), "");
    let arch = arch.expect("a definition");
    let [Item::Invalidate(invalidate), Item::Erratum(_)] = arch.items.as_slice() else {
        panic!("{arch:#?}");
    };
    assert_eq!(invalidate.doc, ["What it does."]);
    assert_eq!(
        invalidate
            .requires
            .as_ref()
            .map_or(0, |cond| cond.terms.len()),
        3
    );
    assert_eq!(invalidate.with.len(), 2);
    assert!(
        matches!(&invalidate.facts[0].node, InvalidateFact::Form(form) if form.value.node == 255)
    );
}

#[test]
fn operators_bind_by_strength() {
    let source = within("operand o 64 bits { names num + 2 * scale << 1 + 1 pages; }");
    let (_, arch, _) = parsed(&source);
    let Some(Item::Operand(operand)) = arch.expect("a definition").items.pop() else {
        panic!("an operand");
    };
    let Some(Expr::Binary(BinaryOp::Shl, left, right)) =
        operand.names.and_then(|n| n.count).map(|count| count.node)
    else {
        panic!("a shift");
    };
    assert!(matches!(*left, Expr::Binary(BinaryOp::Add, _, ref product)
        if matches!(**product, Expr::Binary(BinaryOp::Mul, ..))));
    assert!(matches!(*right, Expr::Binary(BinaryOp::Add, ..)));
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
            "    tag asid { 12; of mashine; values 1-6; from; may be retierd; }",
            "    space user { addresses 48 bits; leaf under; view user tag + 1; walk under any tag; }",
            r#"    barrier isb "isb" { resync on self; completes cpus; gone, drained; }"#,
            "    operand o 64 bits { [63:48 tag; [47:0] va[55-12]; names (num + 1 << 3 pages; start aligned hint; [1:0] level pmd; }",
            "    change { plan store; output of valid entry through invalid; }",
            r#"    load cr3 "mov cr3" { per SDM; drop leaf; }"#,
            "    switch { load cr3; half loaded unsafe; }",
            r#"    erratum e "e" { weakens isb: drained; weakens isb for user not drained; remedy after isb vale1; }"#,
            "    policy { delivery ipi; gather pages batched; lazy never; ceiling 5; ceiling 5 operations, 4 pages; }",
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
    cpus sme "text";"#],
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

#[test]
fn definitions_per_file() {
    snapshot(
        "definitions_per_file",
        &[
            "",
            "// Nothing.\n/// Nothing either.\n",
            "arch a { }\narch b { }\n",
            "arhc m {\n    frobnicate;\n}\n",
            "module m;\narch m { }\n",
            "arch m { }\ntrailing words;\n",
            "arch { domain d is cpus; frobnicate; }\n",
        ],
    );
}

#[test]
fn byte_order_mark_and_carriage_returns() {
    let plain = "/// Text.\narch m {\n    domain d is cpus;\n    domain e are cpus;\n}\n";
    let (_, _, expected) = parsed(plain);
    let dos = format!("\u{FEFF}{}", plain.replace('\n', "\r\n"));
    let (files, arch, diagnostics) = parsed(&dos);
    assert_eq!(arch.expect("a definition").doc, ["Text."]);
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].message, expected[0].message);
    assert_eq!(files.text(diagnostics[0].primary.span), "are");
    for name in ["arm64.arch", "x86_64.arch"] {
        let dos = format!("\u{FEFF}{}", shipped(name).replace('\n', "\r\n"));
        assert_eq!(messages(&dos), [""; 0]);
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut files = Files::default();
    let latin = decode(
        &mut files,
        "latin.arch",
        b"arch m {\n    // \xe9t\xe9\n}\n".to_vec(),
    );
    let wide = decode(&mut files, "wide.arch", b"\xff\xfea\0r\0c\0h\0".to_vec());
    let found = [*latin.unwrap_err(), *wide.unwrap_err()];
    insta::assert_snapshot!("bytes", render(&files, &found, Format::Human, false));
    assert_eq!(
        decode(&mut files, "good.arch", b"arch m { }".to_vec()),
        Ok(FileId(2))
    );
}

#[test]
fn formats() {
    let text = "arch a {\n    wher \"\u{e9}\\\" x;\n}\narch b { }\n";
    let (files, _, mut diagnostics) = parsed(text);
    diagnostics.extend(diagnostics.clone());
    diagnostics.reverse();
    for (name, format) in [("short", Format::Short), ("json", Format::Json)] {
        insta::assert_snapshot!(name, render(&files, &diagnostics, format, false));
    }
    assert!(render(&files, &diagnostics, Format::Human, true).contains("\u{1b}["));
    diagnostics[0].primary.span.start = 1000;
    diagnostics[0].primary.span.end = 2000;
    for format in [Format::Human, Format::Short, Format::Json] {
        assert!(render(&files, &diagnostics, format, false).contains("x.arch"));
    }
}

/// Parses what nobody wrote by hand, in time, and shows what is said about it.
fn endure(text: &str) -> Vec<String> {
    let start = Instant::now();
    let (files, _, diagnostics) = parsed(text);
    let rendered = render(&files, &diagnostics, Format::Human, false);
    // Unoptimized and on a busy machine; it guards against work that grows faster than the text.
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(rendered.len() < 1 << 20);
    diagnostics
        .into_iter()
        .map(|d| format!("{} {}", d.code, d.message))
        .collect()
}

/// Every printable character but the space, over and over, on one line.
fn noise(length: usize) -> String {
    let cycle: String = ('!'..='~').cycle().step_by(23).take(94).collect();
    cycle.chars().cycle().take(length).collect()
}

#[test]
fn large_and_deep_texts_are_refused() {
    let noise = noise(10 << 20);
    assert_eq!(
        endure(&noise),
        ["E0105 the file has 10485760 bytes, and 4194304 is the most"]
    );
    let too_deep = ["E0105 more than 200 nested braces and parentheses"];
    assert_eq!(endure(&within(&"{".repeat(100_000))), too_deep);
    let parentheses = "(".repeat(100_000);
    let deep = within(&format!(
        "operand o 64 bits {{ names {parentheses}1 pages; }}"
    ));
    assert_eq!(endure(&deep), too_deep);
    let long = within(&format!(
        "operand o 64 bits {{ names 1{} pages; }}",
        " + 1".repeat(100_000)
    ));
    assert_eq!(
        endure(&long),
        ["E0105 an expression of more than 64 operators"]
    );
}

#[test]
fn noise_is_capped() {
    let noise = noise(1 << 18);
    assert!(endure(&noise).len() <= 50);
    let (_, _, diagnostics) = parsed(&within(&"frobnicate;\n".repeat(5000)));
    assert_eq!(diagnostics.len(), 50);
    assert_eq!(
        diagnostics[49].notes.last().map(String::as_str),
        Some("4950 more errors in this file not shown")
    );
    for unit in [
        "arch ",
        "arch m { }\n",
        "arch m {\n  \"\n",
        "one per cpu\n",
        "\"\n",
        "}\n",
        "/",
    ] {
        assert!(endure(&unit.repeat(5000)).len() <= 50, "{unit}");
        assert!(endure(&within(&unit.repeat(5000))).len() <= 50, "{unit}");
    }
}

/// A text with some of its characters deleted, replaced or inserted.
fn mutated(text: &str, changes: &[(prop::sample::Index, u8, char)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (place, kind, c) in changes {
        let at = place.index(chars.len());
        match kind {
            0 => drop(chars.remove(at)),
            1 => chars[at] = *c,
            _ => chars.insert(at, *c),
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut files = Files::default();
        let diagnostics = match decode(&mut files, "x.arch", bytes) {
            Ok(file) => parse(&files, file).1,
            Err(diagnostic) => vec![*diagnostic],
        };
        prop_assert!(!render(&files, &diagnostics, Format::Human, true).is_empty());
    }

    #[test]
    fn any_words(text in "(arch|caches|m|[{};(),\"/\n ]|invalidate|for|names|1|\\+|\u{e9}){0,60}") {
        endure(&text);
    }

    #[test]
    fn any_slip(
        first in any::<bool>(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 0u8..3, "[{}();,\"/a-z0-9 \n\u{e9}]"),
            1..5,
        ),
    ) {
        let text = shipped(if first { "arm64.arch" } else { "x86_64.arch" });
        let changes: Vec<_> = changes
            .into_iter()
            .map(|(place, kind, c)| (place, kind, c.chars().next().unwrap_or(' ')))
            .collect();
        let text = mutated(&text, &changes);
        let (files, arch, diagnostics) = parsed(&text);
        let rendered = render(&files, &diagnostics, Format::Human, false);
        prop_assert!(!diagnostics.is_empty() || arch.is_some());
        prop_assert!(diagnostics.is_empty() == rendered.is_empty());
        for diagnostic in &diagnostics {
            let span = diagnostic.primary.span.range();
            prop_assert!(text.get(span).is_some(), "within characters: {diagnostic:?}");
        }
    }
}
