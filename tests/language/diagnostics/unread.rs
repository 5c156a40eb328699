//! What cannot be read or resolved hides what follows from it, in every place of every definition.

use std::ops::Range;

use tlbc::codes::TOY;

use super::messages;
use super::shipped::shipped;
use super::slips::looped;

/// The words of a text outside of its comments and quoted texts, each with whether it begins a statement.
fn words(text: &str) -> Vec<(Range<usize>, bool)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_{}".contains(c);
    let (mut found, mut at, mut begins) = (Vec::new(), 0, true);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let whole = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(quoted) = rest.strip_prefix('"') {
            begins = false;
            quoted.find('"').map_or(rest.len(), |end| end + 2)
        } else if c.is_ascii_alphanumeric() || c == '_' {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            // A brace that belongs to no variable is a mark.
            let word = rest[..end].trim_end_matches(['{', '}']);
            let word = if word.contains('{') {
                &rest[..end]
            } else {
                word
            };
            found.push((at..at + word.len(), begins));
            begins = false;
            word.len()
        } else if c == '[' && begins {
            found.push((at..at + 1, true));
            begins = false;
            1
        } else {
            begins = matches!(c, ';' | '{' | '}') || begins && c.is_whitespace();
            c.len_utf8()
        };
        at += whole;
    }
    found
}

/// Returns what is reported beside words that cannot be read and names that are not defined, if one of these is.
fn follow_ups(text: &str, word: &Range<usize>, new: &str) -> Vec<String> {
    let mut changed = text.to_owned();
    changed.replace_range(word.clone(), new);
    let found = messages(&changed);
    let is_cause = |message: &&String| message.starts_with("E01") || message.starts_with("E0202");
    let (causes, others): (Vec<_>, Vec<_>) = found.iter().partition(is_cause);
    if causes.is_empty() {
        return Vec::new();
    }
    let line = changed[..word.start].lines().count();
    let others = others.into_iter();
    others
        .map(|other| format!("{line}: {} {other}", &text[word.clone()]))
        .collect()
}

#[test]
fn a_statement_that_cannot_be_read_has_no_follow_ups() {
    let mut texts = shipped();
    texts.push(("toy".to_owned(), TOY.to_owned()));
    texts.push(("looped".to_owned(), looped()));
    let mut found = Vec::new();
    for (name, text) in texts {
        let words = words(&text);
        let begins = words.iter().filter(|(_, begins)| *begins);
        let begins: Vec<_> = begins.map(|(word, _)| word).collect();
        assert!(begins.len() > 50, "{name}: {}", begins.len());
        let new = |word: &Range<usize>| format!("{}_x", &text[word.clone()]);
        let begins = begins.into_iter();
        found.extend(begins.flat_map(|word| follow_ups(&text, word, &new(word))));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_name_that_is_not_defined_has_no_follow_ups() {
    let mut found = Vec::new();
    for text in [TOY.to_owned(), looped()] {
        // Rows of a `for` still make different names.
        let new = |word: &Range<usize>| {
            let word = &text[word.clone()];
            let variables = word.find('{').map_or("", |at| &word[at..]);
            format!("no_such_name{variables}")
        };
        let words = words(&text).into_iter();
        found.extend(words.flat_map(|(word, _)| follow_ups(&text, &word, &new(&word))));
    }
    assert!(found.is_empty(), "{found:#?}");
}
