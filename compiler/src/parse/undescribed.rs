//! Words for what no statement describes.
//!
//! In: a place in a text where something else was expected. Out: the help that names what cannot be described, if the text
//! says it there. LANGUAGE.md lists the same.

use std::ops::Range;

/// What cannot be described, each with the words for it.
const UNDESCRIBED: &[(&[&str], &str)] = &[
    (
        &[
            "stage",
            "stage1",
            "stage2",
            "second_stage",
            "nested",
            "guest",
            "ipa",
            "gpa",
        ],
        "a second stage of translation",
    ),
    (
        &["hash", "hashed", "hpt", "inverted"],
        "tables in which addresses are hashed",
    ),
    (
        &["segment", "segments", "vsid", "slb"],
        "a tag that belongs to a part of a space, such as a segment",
    ),
    (
        &["preempted", "vcpu", "vcpus"],
        "a flush that is deferred until a virtual CPU runs",
    ),
];

/// Words between a statement and what it is about.
const LINKS: &[&str] = &["per", "of", "by", "in", "from"];

/// Returns the help for the word in `found`, or for the one after it.
pub(super) fn undescribed(text: &str, found: &Range<usize>) -> Option<String> {
    let word = &text[found.clone()];
    let before = text[..found.start].rsplit([';', '{']).next();
    let under = before.is_some_and(|before| before.split_whitespace().any(|word| word == "under"));
    if under && ["and", "&", "+"].contains(&word) {
        return Some(help("an entry that is under two tags at once"));
    }
    let word = if LINKS.contains(&word) {
        let mut next = text[found.end..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        next.find(|word| !word.is_empty())?
    } else {
        word
    };
    let mut all = UNDESCRIBED.iter();
    let (_, what) = all.find(|(words, _)| words.contains(&word))?;
    Some(help(what))
}

fn help(what: &str) -> String {
    format!("the language cannot describe {what}")
}
