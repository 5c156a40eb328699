//! Every rule: its explanation fails and is mended as it says, and its message reads well.

use proptest::prelude::*;
use std::path::Path;
use tlbc::analyse;
use tlbc::ast::{Arch, Item};
use tlbc::check::check;
use tlbc::codes::{Code, TOY};
use tlbc::diagnostic::Diagnostic;
use tlbc::lower::lower;
use tlbc::parse::{decode, parse};
use tlbc::render::{Format, render};
use tlbc::source::Files;

/// What is said about a text: by the parser alone, or by all stages.
fn found(text: &str, whole: bool) -> (Files, Vec<Diagnostic>) {
    let mut files = Files::default();
    let file = files.add("x.arch", text);
    let diagnostics = if whole {
        analyse(&files, file).1
    } else {
        parse(&files, file).1
    };
    (files, diagnostics)
}

fn messages(text: &str) -> Vec<String> {
    let (_, diagnostics) = found(text, true);
    let one = |d: Diagnostic| format!("{} {}", d.code, d.message);
    diagnostics.into_iter().map(one).collect()
}

fn arch(text: &str) -> Arch {
    let mut files = Files::default();
    let file = files.add("x.arch", text);
    let (arch, diagnostics) = parse(&files, file);
    let errors = render(&files, &diagnostics, Format::Human, false);
    assert_eq!(errors, "");
    arch.expect("a definition")
}

/// The kind and name of an item, and its place in the text.
fn place(item: &Item) -> (String, std::ops::Range<usize>) {
    let (kind, name, span) = match item {
        Item::TargetArch(it) => ("target_arch", "", it.span),
        Item::Geometry(it) => ("geometry", it.name.node.as_str(), it.span),
        Item::Caches(it) => ("caches", "", it.span),
        Item::Feature(it) => ("feature", it.name.node.as_str(), it.span),
        Item::Limit(it) => ("limit", it.name.node.as_str(), it.span),
        Item::Domain(it) => ("domain", it.name.node.as_str(), it.span),
        Item::Tag(it) => ("tag", it.name.node.as_str(), it.span),
        Item::Space(it) => ("space", it.name.node.as_str(), it.span),
        Item::Assumed(it) => ("publishes", "", it.span),
        Item::Barrier(it) => ("barrier", it.name.node.as_str(), it.span),
        Item::Operand(it) => ("operand", it.name.node.as_str(), it.span),
        Item::Invalidate(it) => ("invalidate", it.name.node.as_str(), it.span),
        Item::Change(it) => ("change", "", it.span),
        Item::Load(it) => ("load", it.name.node.as_str(), it.span),
        Item::Event(it) => match it.kind.node {
            tlbc::ast::EventKind::Switch => ("switch", "", it.span),
            tlbc::ast::EventKind::Resume => ("resume", "", it.span),
            tlbc::ast::EventKind::Arrive => ("arrive", "", it.span),
        },
        Item::Erratum(it) => ("erratum", it.name.node.as_str(), it.span),
        Item::Cpus(it) => ("cpus", it.name.node.as_str(), it.span),
        Item::Policy(it) => ("policy", "", it.span),
        Item::For(it) => ("for", "", it.span),
    };
    (format!("{kind} {name}"), span.range())
}

/// The example machine with some items in place of its own; what it lacks is added at the end.
fn toy_with(items: &str) -> String {
    const HEAD: &str = "arch example {\n";
    let example = format!("{HEAD}{items}\n}}\n");
    let toy = arch(TOY);
    let mut changes = Vec::new();
    let mut added = String::new();
    let mut placed: Vec<String> = Vec::new();
    for (name, range) in arch(&example).items.iter().map(place) {
        let text = &example[range];
        let same = toy.items.iter().map(place).find(|(own, _)| *own == name);
        match same {
            // A second item of that name is part of the example.
            Some((_, range)) if !placed.contains(&name) => changes.push((range, text.to_owned())),
            _ => added.extend(["    ", text, "\n"]),
        }
        placed.push(name);
    }
    changes.push((TOY.len() - 2..TOY.len() - 2, added));
    changes.sort_by_key(|(range, _)| range.start);
    let mut out = TOY.to_owned();
    for (range, text) in changes.into_iter().rev() {
        out.replace_range(range, &text);
    }
    out
}

/// The block of a section of an explanation.
fn block(code: Code, section: &str) -> Option<&'static str> {
    let (_, rest) = code
        .explanation()
        .split_once(&format!("\n## {section}\n"))?;
    let rest = rest.split("\n## ").next()?;
    let (_, rest) = rest.split_once("```arch\n")?;
    rest.split_once("\n```").map(|(block, _)| block)
}

/// Codes about the text itself, whose examples are whole files.
fn is_of_text(code: Code) -> bool {
    code.name().starts_with("E01")
}

/// An example as a file.
fn example(code: Code, block: &str) -> String {
    if is_of_text(code) {
        format!("{block}\n")
    } else {
        toy_with(block)
    }
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => true }, {
        insta::assert_snapshot!(name, text);
    });
}

/// Items with what is said about them within the example machine.
fn cases(name: &str, all: &[&str]) {
    let reports = all.iter().map(|items| {
        let (files, diagnostics) = found(&toy_with(items), true);
        let rendered = render(&files, &diagnostics, Format::Human, false);
        format!("{items}\n\n{rendered}")
    });
    let rule = format!("{}\n", "-".repeat(80));
    snapshot(name, &reports.collect::<Vec<_>>().join(&rule));
}

#[test]
fn nothing_is_wrong_with_the_example_machine() {
    assert_eq!(messages(TOY), [""; 0]);
}

/// The shipped definitions, by name.
fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../archdefs");
    let paths = std::fs::read_dir(folder).expect("the folder");
    let paths = paths.map(|entry| entry.expect("an entry").path());
    let definitions = paths.filter(|path| path.extension().is_some_and(|ext| ext == "arch"));
    let mut texts: Vec<(String, String)> = definitions
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a definition");
            (path.display().to_string(), text)
        })
        .collect();
    texts.sort();
    assert!(texts.len() >= 2);
    texts
}

#[test]
fn nothing_is_wrong_with_the_shipped_definitions() {
    for (name, text) in shipped() {
        assert_eq!(messages(&text), [""; 0], "{name}");
    }
}

/// Resolves and checks a text that may be anything; every finding can be shown.
fn endure(text: &str) {
    let mut files = Files::default();
    let file = files.add("x.arch", text);
    let (arch, mut diagnostics) = parse(&files, file);
    if let Some(arch) = arch {
        let (model, names) = lower(&arch);
        diagnostics.extend(names);
        diagnostics.extend(model.iter().flat_map(check));
    }
    for diagnostic in &diagnostics {
        let labels = std::iter::once(&diagnostic.primary).chain(&diagnostic.secondary);
        for label in labels {
            assert!(text.get(label.span.range()).is_some(), "{diagnostic:?}");
        }
    }
    let shown = render(&files, &diagnostics, Format::Human, false);
    assert_eq!(diagnostics.is_empty(), shown.is_empty());
}

#[test]
fn any_line_may_be_missing() {
    for (_, text) in shipped() {
        let lines: Vec<&str> = text.lines().collect();
        for missing in 0..lines.len() {
            let rest = [&lines[..missing], &lines[missing + 1..]].concat();
            endure(&rest.join("\n"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn any_word_may_stand_in_for_another(
        file in any::<prop::sample::Index>(),
        places in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            1..4,
        ),
    ) {
        let mut texts = shipped();
        let (_, text) = texts.swap_remove(file.index(texts.len()));
        // A word of a comment would change nothing.
        let code = text.lines().map(|line| line.split("//").next().unwrap_or(line));
        let code = code.collect::<Vec<_>>().join("\n");
        let mut words: Vec<&str> = code.split_inclusive([' ', '\n', ';', ',', ']']).collect();
        for (from, to) in &places {
            let (from, to) = (from.index(words.len()), to.index(words.len()));
            words[to] = words[from];
        }
        endure(&words.concat());
    }
}

#[test]
fn every_code_is_explained() {
    for code in Code::all() {
        let text = code.explanation();
        assert!(
            text.starts_with(&format!("# {code}: {}\n", code.title())),
            "{code}"
        );
        assert!(text.contains("\n## Wrong\n"), "{code}");
        assert!(text.contains("\n## Right\n"), "{code}");
        let ending = if is_of_text(code) {
            "\nThe examples are whole files; what else a definition needs is left out.\n"
        } else {
            "\nThe examples change a few items of the example machine; `tlbc explain toy` prints it.\n"
        };
        assert!(text.ends_with(ending), "{code}");
        let blocks = block(code, "Wrong").is_some() && block(code, "Right").is_some();
        assert!(
            blocks || [Code::E0104, Code::E0105].contains(&code),
            "{code}"
        );
    }
}

#[test]
fn every_example_fails_and_is_mended() {
    let mut failures: Vec<String> = Vec::new();
    for code in Code::all() {
        let Some(wrong) = block(code, "Wrong") else {
            continue;
        };
        let (files, diagnostics) = found(&example(code, wrong), !is_of_text(code));
        let rendered = render(&files, &diagnostics, Format::Human, false);
        let helps = |d: &Diagnostic| d.help.is_some() || is_of_text(code);
        let good = diagnostics.iter().all(|d| d.code == code && helps(d));
        if diagnostics.is_empty() || !good {
            failures.push(format!("{code}:\n{rendered}"));
        }
        snapshot(code.name(), &format!("{wrong}\n\n{rendered}"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_mended_example_is_right() {
    let mut failures: Vec<String> = Vec::new();
    for code in Code::all() {
        if let Some(right) = block(code, "Right") {
            let (files, diagnostics) = found(&example(code, right), !is_of_text(code));
            if !diagnostics.is_empty() {
                let rendered = render(&files, &diagnostics, Format::Human, false);
                failures.push(format!("{code}:\n{rendered}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn bytes_and_sizes_that_no_block_can_show() {
    let mut files = Files::default();
    let latin = b"arch m {\n    // caf\xe9\n}\n".to_vec();
    let refused = decode(&mut files, "x.arch", latin).expect_err("no text");
    assert_eq!(refused.code, Code::E0104);
    let deep = format!("arch m {{\n{}\n}}\n", "{".repeat(1000));
    let (_, diagnostics) = found(&deep, false);
    assert_eq!(diagnostics[0].code, Code::E0105);
}

#[test]
fn codes_are_found_by_name() {
    assert_eq!(Code::named("e0301"), Some(Code::E0301));
    assert_eq!(Code::named("E9999"), None);
    let names: Vec<&str> = Code::all().map(Code::name).collect();
    assert!(names.is_sorted());
}

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

/// An invalidation without operands of its own.
fn invalidate(head: &str, facts: &str) -> String {
    format!("invalidate {head} {{\n    per \"Toy manual, 4.5\";\n    {facts}\n}}")
}

#[test]
fn names() {
    cases(
        "names",
        &[
            "tag color { 8 bits; of machine; from generations; }\ntag color { 8 bits; of cpu; from slots; }",
            "barrier drop_all \"x\" { publishes on self; }\nfeature f \"f\";\nerratum f \"f\" { weakens wait: not drained; remedy after wait issue drop_all, wait; }",
            "operand page 64 bits { [63:56] tga; [55:50] 0; [49:48] hint when hinted; [47:0] va[59:12]; }",
            "operand page 64 bits { [63:56] tag; [55:50] 0; [49:48] hint when hinted; [47:0] va[69:12]; }",
            "space user { addresses low 38 bits; leaf under colour; walk under nothing; }",
            &invalidate(
                "drop_two \"drop.two {pages}\"",
                "drops leaf at ptf of one page, this tag when far; where cpu; after waits;",
            ),
            "for (x) in (a) { switch { loads root; } }",
        ],
    );
}

#[test]
fn missing_parts() {
    let (files, diagnostics) = found("arch empty { }\n", true);
    snapshot(
        "missing_parts",
        &render(&files, &diagnostics, Format::Human, false),
    );
    cases(
        "missing_facts",
        &[
            "geometry g4k { levels { pte 12 leaf; } }",
            "geometry g16k { page 16 KiB; }",
            "tag color { 8 bits; from generations; }",
            "space user { views; }"
                .replace("views;", "view one tag;")
                .as_str(),
            "change { }",
            "invalidate drop_two \"drop.two\" { }",
            "load spare \"load.spare {root}\" { }\nresume { loads spare; }",
            "operand page 64 bits { [63:56] tag; [55:50] granule; [49:48] hint when hinted; [47:0] va[59:12]; }",
            "geometry g4k { page 4 KiB; levels { pte 12 leaf; pmd 21 leaf; pgd 30; } }",
        ],
    );
}

#[test]
fn more_flags_than_bits() {
    let features: Vec<String> = (0..40).map(|n| format!("feature f{n} \"f\";")).collect();
    let found = messages(&toy_with(&features.join("\n")));
    assert_eq!(found, ["E0207 there are more than 16 features"]);
}

/// The least values of a tag may be reserved, and no others: what is given out is one stretch.
#[test]
fn reserved_tags_are_the_least() {
    let with = |facts: &str| {
        let color = "tag color { 8 bits; of machine; from generations; }";
        let reserved = format!("tag color {{ 8 bits; of machine; from generations; {facts} }}");
        messages(&TOY.replace(color, &reserved))
    };
    assert_eq!(with("reserved 1; reserved 0;"), [""; 0]);
    assert_eq!(with("values 3..9; reserved 3; reserved 0;"), [""; 0]);
    let found = with("reserved 0; reserved 9;");
    assert_eq!(found, ["E0207 9 is not the least value that the tag has"]);
}

#[test]
fn circles_of_features() {
    cases(
        "circles",
        &[
            "feature a \"a\" needs b;\nfeature b \"b\" needs c and d;\nfeature c \"c\" needs a;\nfeature d \"d\";",
            "feature a \"a\" needs a;",
        ],
    );
}

#[test]
fn unused_names() {
    cases(
        "unused",
        &[
            "feature far \"far\";\nlimit most \"most\" 1..5;\ntag spare { 4 bits; of machine; from generations; }
barrier late \"late\" { completes on cpus; gone; drained; }
operand spare 64 bits { [63:0] va; }
load spare \"load.spare {root}\" { per \"Toy manual, 3.2\"; }
cpus some \"some CPUs\";",
            "feature f \"f\";\nspace user { addresses low 38 bits when f, low 30 bits; leaf under color; walk under color; }",
        ],
    );
}

#[test]
fn operands() {
    cases(
        "operands",
        &[
            "operand space 64 bits { [63:56] tag; [55:41] 0; [39:1] 0; }",
            "operand space 32 bits { [39:32] tag; [31:0] 0; }",
            "operand root 64 bits { [63:56] tag; [55:0] root; }",
            "operand root 64 bits { [63:56] tag; [55:0] root[47:0]; }",
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
                geometry(
                    "pte 12 leaf hint 1; pmd 21 leaf hint 2; pud 30 when big; pgd 39, 30 when big;"
                )
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
                "drops leaf of run of 1..64 entries at pte, pgd, this tag;",
            ),
            &run(
                "[63:56] tag; [55:48] num; [47:0] va[59:12];",
                "drops leaf of run of 1..64 pages, this tag;",
            ),
        ],
    );
}

#[test]
fn instructions() {
    cases(
        "instructions",
        &[
            &invalidate(
                "drop_two \"drop.two\"",
                "drops leaf at hint of one page, this tag; where self; after refetch;",
            ),
            "barrier wait \"wait flushes\" { completes on cpus; drained; }",
            "barrier wait \"wait flushes\" { completes on cpus; }",
            "operand none 64 bits { [63:0] 0; }\nload none \"load.none {none}\" { per \"Toy manual, 3.2\"; drops leaf, walk of everything, this tag unless keep; }\nresume { loads none; }",
        ],
    );
}

#[test]
fn features() {
    cases(
        "features",
        &[
            "feature tags \"has tags\";
feature near \"drops here\" needs tags;
tag color when tags { 8 bits; of machine; from generations; }
invalidate drop_page requires near \"drop.page {page}\" {
    per \"Toy manual, 4.1\";
    drops leaf at hint of one page, this tag;
    where cpus;
    after wait;
}
operand root 64 bits { [63:56] tag when tags; [55:0] root[55:0]; }
load root \"load.root {root}\" { per \"Toy manual, 3.1\"; drops leaf, walk of everything, this tag unless tags; }",
            "feature own \"has its own refetch\";
barrier refetch \"refetch\" requires own { resyncs on self; }",
            "feature one \"one\";
invalidate drop_again requires one \"drop.again\" {
    per \"Toy manual, 4.5\";
    drops leaf, walk of everything, any tag;
    where cpus;
    after wait;
}
erratum early \"Toy 4\" { weakens wait: not drained; remedy after wait issue drop_again, wait; }",
            "feature late \"late\" of space;
feature early \"early\" needs late;
tag color when early { 8 bits; of machine; from generations; }
space user { addresses low 38 bits, low 37 bits when late; leaf under color; walk under color; }
geometry g4k { page 4 KiB; levels { pte 12 leaf hint 1; pmd 21 leaf hint 2; pgd 30, 31 when late; } }
invalidate drop_page requires early \"drop.page {page}\" { per \"Toy manual, 4.1\"; drops leaf of one page, this tag; where cpus; after wait; }
invalidate drop_space requires early \"drop.space {space}\" { per \"Toy manual, 4.2\"; drops leaf of everything, this tag; where cpus; after wait; }
operand root 64 bits { [63:56] tag when early; [55:0] root[55:0]; }
load root \"load.root {root}\" { per \"Toy manual, 3.1\"; drops leaf, walk of everything, this tag unless early; }",
        ],
    );
}

#[test]
fn switches() {
    let page = &invalidate(
        "drop_page requires tags \"drop.page {page}\"",
        "drops leaf of one page, this tag; where cpus; after wait;",
    );
    let space = &invalidate(
        "drop_space requires tags \"drop.space {space}\"",
        "drops leaf of everything, this tag; where cpus; after wait;",
    );
    let optional = format!(
        "feature tags \"has tags\";\ntag color when tags {{ 8 bits; of machine; from generations; }}\n{page}\n{space}"
    );
    let root = "operand root 64 bits { [63:56] tag when tags; [55] keep; [54:0] root[54:0]; }";
    cases(
        "switches",
        &[
            "tag color { 8 bits; of machine; from generations; values 7..7; }",
            &format!(
                "{optional}\noperand root 64 bits {{ [63:56] tag when tags; [55:0] root[55:0]; }}"
            ),
            &format!(
                "{optional}\n{root}\nload root \"load.root {{root}}\" {{ per \"Toy manual, 3.1\"; drops leaf, walk of everything, this tag unless keep; }}"
            ),
            &format!(
                "{optional}\n{}\nload root \"load.root {{root}}\" {{ per \"Toy manual, 3.1\"; drops leaf, walk of everything, this tag unless keep; }}",
                root.replace("keep;", "keep when tags;")
            ),
            "feature other \"other\";\nswitch { loads root when other; resync refetch; }",
        ],
    );
}

#[test]
fn errata() {
    let erratum =
        |facts: &str| format!("cpus some \"some CPUs\";\nerratum e \"Toy 9\" {{\n    {facts}\n}}");
    cases(
        "errata",
        &[
            &erratum("weakens wait: not walk on some;"),
            &erratum("weakens wait: not gone on some;"),
            &erratum("weakens wait: not drained on some;"),
            &erratum(
                "weakens wait: not drained;\n    weakens wait: not drained on some;\n    remedy after wait issue wait, drop_all;",
            ),
            &format!(
                "barrier wait_here \"wait here\" {{ completes on self; gone; drained; }}\n{}",
                erratum(
                    "weakens wait: not gone;\n    weakens wait: not drained on some;\n    remedy after wait issue drop_all, wait_here;"
                )
            ),
        ],
    );
}

#[test]
fn policies() {
    let policy = |facts: &str| format!("policy {{\n    {facts}\n    ceiling 64 operations;\n}}");
    cases(
        "policies",
        &[
            &policy("gather pages batched, tables after flush;"),
            &policy("delivery interrupts; gather pages batched, tables after flush;"),
            &format!(
                "caches {{ tlb holds leaf; one per cpu; large leaf may split, dropped together; fills while loaded; invalid never; stricter refetched; }}\n{}",
                policy("delivery interrupts; gather pages batched, tables after flush;")
            ),
        ],
    );
}

#[test]
fn what_planning_finds() {
    cases(
        "planning",
        &[
            "space kernel { addresses high 38 bits; leaf under color; walk under color; resync refetch; }
invalidate drop_all \"drop.all {space}\" { per \"Toy manual, 4.3\"; drops leaf, walk of everything, this tag; where cpus; after wait; }
invalidate drop_mine \"drop.mine\" { per \"Toy manual, 4.4\"; drops leaf, walk of everything, loaded tag; where self; after wait; }",
            "invalidate drop_page \"drop.page {page}\" { per \"Toy manual, 4.1\"; drops leaf of one page, this tag; where cpus; after wait; }
invalidate drop_space \"drop.space {space}\" { per \"Toy manual, 4.2\"; drops leaf of everything, this tag; where cpus; after wait; }
invalidate drop_all \"drop.all\" { per \"Toy manual, 4.3\"; drops leaf of everything, any tag; where cpus; after wait; }
invalidate drop_mine \"drop.mine\" { per \"Toy manual, 4.4\"; drops leaf of everything, any tag; where self; after wait; }",
        ],
    );
}

/// Sizes that must be given, sets, calls of the platform, entries that instructions write.
#[test]
fn stranger_machines() {
    let page = |fields: &str, drops: &str| {
        format!(
            "operand page 64 bits {{ [63:56] tag; {fields} [47:0] va[59:12]; }}
invalidate drop_page \"drop.page {{page}}\" {{ per \"Toy manual, 4.1\"; drops {drops}; where cpus; after wait; }}"
        )
    };
    let call = |name: &str, with: &str| {
        format!(
            "invalidate {name} call firmware with {with} {{ per \"Toy manual, 9\"; drops leaf, walk of everything, any tag; where cpus; at once; }}"
        )
    };
    let writer = |levels: &str, drops: &str| {
        format!(
            "operand entry 64 bits {{ [63:0] table; }}
operand of 64 bits {{ [63:0] va; }}
change {{ by writers; }}
invalidate clear \"clear {{entry}}, {{of}}\" {{ per \"Toy manual, 4.5\"; writes entry at {levels}: invalid; drops {drops}; where cpus; at once; }}"
        )
    };
    let erratum = "erratum e \"Toy 9\" {
    weakens drop_page: not leaf;
    remedy after drop_page issue drop_page with tag 0;
}";
    let leafless = "invalidate drop_page \"drop.page {page}\" { per \"Toy manual, 4.1\"; drops walk of one page, this tag; where cpus; after wait; }
invalidate drop_space \"drop.space {space}\" { per \"Toy manual, 4.2\"; drops walk of everything, this tag; where cpus; after wait; }
invalidate drop_all \"drop.all\" { per \"Toy manual, 4.3\"; drops walk of everything, any tag; where cpus; after wait; }
invalidate drop_mine \"drop.mine\" { per \"Toy manual, 4.4\"; drops walk of everything, any tag; where self; after wait; }";
    let levels = "pte, pmd, pgd";
    cases(
        "stranger_machines",
        &[
            &page("[55:48] 0;", "leaf at level of one page, this tag"),
            &page(
                "[55:50] 0; [49:48] level as pte 1, pmd 2 when big;",
                "leaf at level of one page, this tag",
            )
            .replace("operand", "feature big \"large pages\";\noperand"),
            "caches { tlb holds leaf, walk; tlb has 8 sets; one per core; walk spans its reach; large leaf kept whole; fills while loaded; invalid never; stricter refetched; }
invalidate drop_mine \"drop.mine\" { per \"Toy manual, 4.4\"; drops leaf, walk of one set, any tag; where core; after wait; }",
            "caches { tlb holds leaf, walk; one per core; walk spans its reach; large leaf kept whole; fills while loaded; invalid never; stricter refetched; }
tag color { 8 bits; of cpu; from slots; }",
            &format!("{}\n{}", call("a", "page"), call("b", "page, space")),
            &call("a", "page, page"),
            &writer("pte, pmd", "leaf, walk of subtree, this table"),
            &writer(levels, "leaf of one page, this tag"),
            &writer(levels, "walk of subtree, this table"),
            &format!("{}\n{leafless}", writer(levels, "leaf, walk of subtree, this table")),
            erratum,
        ],
    );
}

#[test]
fn several_findings_in_one_run() {
    let items = "operand space 64 bits { [63:58] tag; [57:1] 0; }
barrier wait \"wait flushes\" { completes on self; gone; }
policy { delivery broadcast; strides pgd; gather pages at change, tables after flush; ceiling 64 operations; }";
    let (files, diagnostics) = found(&toy_with(items), true);
    for (name, format) in [
        ("several_short", Format::Short),
        ("several_json", Format::Json),
    ] {
        snapshot(name, &render(&files, &diagnostics, format, false));
    }
}

/// One run says both: a statement that cannot be read hides only the names that stand in it.
#[test]
fn a_syntax_error_hides_no_unknown_name() {
    let text = TOY
        .replace(
            "    caches {",
            "    feature lost \"lost\" neds other;\n    caches {",
        )
        .replace("after wait;", "after wiat;")
        .replace(
            "space kernel {",
            "tag spare when lost { 8 bits; of machine; }\n    space kernel {",
        );
    let found = messages(&text);
    let has = |part: &str| found.iter().any(|message| message.contains(part));
    assert!(
        has("E0101") && has("there is no barrier `wiat`"),
        "{found:#?}"
    );
    assert!(!has("`lost`"), "{found:#?}");
}
