//! Every rule: its explanation fails and is mended as it says, and its message reads well.

use std::path::Path;
use tlbc::analyse;
use tlbc::ast::{Arch, Item};
use tlbc::codes::{Code, TOY};
use tlbc::diagnostic::Diagnostic;
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
            _ => added += &format!("    {text}\n"),
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

#[test]
fn nothing_is_wrong_with_the_shipped_definitions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../archdefs");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "arch")
        {
            let text = std::fs::read_to_string(&path).expect("a definition");
            assert_eq!(messages(&text), [""; 0], "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 2);
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
    let mut failures = String::new();
    for code in Code::all() {
        let Some(wrong) = block(code, "Wrong") else {
            continue;
        };
        let (files, diagnostics) = found(&example(code, wrong), !is_of_text(code));
        let rendered = render(&files, &diagnostics, Format::Human, false);
        let helps = |d: &Diagnostic| d.help.is_some() || is_of_text(code);
        let good = diagnostics.iter().all(|d| d.code == code && helps(d));
        if diagnostics.is_empty() || !good {
            failures += &format!("{code}:\n{rendered}\n");
        }
        snapshot(code.name(), &format!("{wrong}\n\n{rendered}"));
    }
    assert_eq!(failures, "");
}

#[test]
fn every_mended_example_is_right() {
    let mut failures = String::new();
    for code in Code::all() {
        if let Some(right) = block(code, "Right") {
            let (files, diagnostics) = found(&example(code, right), !is_of_text(code));
            if !diagnostics.is_empty() {
                let rendered = render(&files, &diagnostics, Format::Human, false);
                failures += &format!("{code}:\n{rendered}\n");
            }
        }
    }
    assert_eq!(failures, "");
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
