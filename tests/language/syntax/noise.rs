//! Random input: large, deep, cut, changed. It is read in time, with few diagnostics.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tlbc::parse::{decode, parse};
use tlbc::render::{Format, render};
use tlbc::source::Files;

use crate::syntax::{parsed, shipped, within};

/// Parses random input in time, and shows the diagnostics about it.
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
        ["E0105 the file has 10485760 bytes; the most is 4194304"]
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
