//! The example machine with items of a test in place of its own.

use std::ops::Range;

use tlbc::ast::{Arch, EventKind, Item};
use tlbc::codes::TOY;
use tlbc::parse::parse;
use tlbc::render::{Format, render};
use tlbc::source::Files;

use crate::diagnostics::messages;

fn arch(text: &str) -> Arch {
    let mut files = Files::default();
    let file = files.add("x.arch", text);
    let (arch, diagnostics) = parse(&files, file);
    let errors = render(&files, &diagnostics, Format::Human, false);
    assert_eq!(errors, "");
    arch.expect("a definition")
}

/// The kind and name of an item, and its place in the text.
fn place(item: &Item) -> (String, Range<usize>) {
    let (kind, name, span) = match item {
        Item::TargetArch(it) => ("target_arch", "", it.span),
        Item::Geometry(it) => ("geometry", it.name.node.as_str(), it.span),
        Item::Caches(it) => ("caches", "", it.span),
        Item::Feature(it) => ("feature", it.name.node.as_str(), it.span),
        Item::Limit(it) => ("limit", it.name.node.as_str(), it.span),
        Item::Setup(it) => ("needs", it.text.node.as_str(), it.span),
        Item::Domain(it) => ("domain", it.name.node.as_str(), it.span),
        Item::Tag(it) => ("tag", it.name.node.as_str(), it.span),
        Item::Space(it) => ("space", it.name.node.as_str(), it.span),
        Item::TablesWithin(it) => ("tables", "", it.span),
        Item::EntrySize(it) => ("entries", "", it.span),
        Item::Assumed(it) => ("publishes", "", it.span),
        Item::AtomicsOrder(span) => ("atomics", "", *span),
        Item::Barrier(it) => ("barrier", it.name.node.as_str(), it.span),
        Item::Operand(it) => ("operand", it.name.node.as_str(), it.span),
        Item::Invalidate(it) => ("invalidate", it.name.node.as_str(), it.span),
        Item::Change(it) => ("change", "", it.span),
        Item::Load(it) => ("load", it.name.node.as_str(), it.span),
        Item::Event(it) => match it.kind.node {
            EventKind::Switch => ("switch", "", it.span),
            EventKind::ReturnToUser => ("return_to_user", "", it.span),
            EventKind::CpuOnline => ("cpu_online", "", it.span),
        },
        Item::Erratum(it) => ("erratum", it.name.node.as_str(), it.span),
        Item::CpuSet(it) => ("cpu_set", it.name.node.as_str(), it.span),
        Item::Policy(it) => ("policy", "", it.span),
        Item::Unconfirmed(it) => ("unconfirmed", it.text.node.as_str(), it.span),
        Item::For(it) => ("for", "", it.span),
    };
    (format!("{kind} {name}"), span.range())
}

/// The example machine with some items in place of its own; what it lacks is added at the end.
pub fn toy_with(items: &str) -> String {
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

#[test]
fn nothing_is_wrong_with_the_example_machine() {
    assert_eq!(messages(TOY), [""; 0]);
}
