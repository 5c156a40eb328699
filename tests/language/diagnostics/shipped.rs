//! The shipped definitions: nothing is wrong with them, and whatever is made of them has an answer.

use std::path::Path;

use proptest::prelude::*;
use tlbc::check::check;
use tlbc::lower::lower;
use tlbc::parse::parse;
use tlbc::render::{Format, render};
use tlbc::source::Files;

use crate::diagnostics::messages;

/// The shipped definitions, by name.
pub fn shipped() -> Vec<(String, String)> {
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
