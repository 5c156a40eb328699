//! Words for what no statement describes, or another one than expected.
//!
//! In: a name that is not defined, or a place in a text where something else was expected. Out: the help that names what cannot be
//! described, or the statement that describes it, if the name or the statement says it. LANGUAGE.md lists the same.

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
            "guest_physical",
            "ipa",
            "gpa",
            "gva",
            "ept",
            "npt",
            "lpid",
            "partition",
        ],
        "a second stage of translation",
    ),
    (
        &[
            "hash", "hashed", "hpt", "htab", "hpte", "pteg", "inverted", "bucket",
        ],
        "tables in which addresses are hashed",
    ),
    (
        &[
            "segment", "segments", "vsid", "slb", "esid", "region", "regions", "rid",
        ],
        "a tag that belongs to a part of a space, such as a segment",
    ),
    (
        &["halves", "split_entry", "low_word", "high_word"],
        "a table entry that is stored in two halves",
    ),
    (
        &["way", "ways", "slot_index", "entry_index"],
        "an instruction for one entry of a cache, by its place: one text, or a call, does what is needed for all of them",
    ),
];

/// What is described by other words, each with the words that suggest it.
const DESCRIBED_OTHERWISE: &[(&[&str], &str)] = &[
    (
        &["preempted", "vcpu", "vcpus"],
        "a hypervisor that flushes a virtual CPU before it runs again is a `call` with `where given`, which reaches those that do not run",
    ),
    (
        &["mask", "masks"],
        "a mask of page sizes is a `hint`: the `hint` of each level is its bit, and without a hint the operand has the bits of all levels",
    ),
];

/// Words before a name that defines it.
const DEFINES: &[&str] = &[
    "arch",
    "barrier",
    "cpu_set",
    "domain",
    "erratum",
    "feature",
    "invalidate",
    "limit",
    "load",
    "operand",
    "tag",
    "view",
];

/// Returns the help for a name that is not defined.
pub fn named(name: &str) -> Option<String> {
    let of = |all: &[(&[&str], &'static str)]| {
        let mut all = all.iter();
        all.find(|(words, _)| words.contains(&name))
            .map(|(_, what)| *what)
    };
    let otherwise = of(DESCRIBED_OTHERWISE).map(str::to_owned);
    otherwise.or_else(|| of(UNDESCRIBED).map(help))
}

/// Returns the help for the words of a statement, in which the token in `found` does not fit: for that token, the one before it, or
/// one that follows it.
pub fn in_statement(text: &str, found: &Range<usize>) -> Option<String> {
    let word = &text[found.clone()];
    let before = text[..found.start].rsplit([';', '{']).next()?;
    let mut words = before.split_whitespace().rev();
    let last = words.next().unwrap_or_default();
    if ["and", "&", "+"].contains(&word) && before.split_whitespace().any(|word| word == "under") {
        return Some(help("an entry that is under two tags at once"));
    }
    if word == "as" && last == "levels" {
        return named("mask");
    }
    let rest = text[found.end..].split([';', '{', '}', '"']).next()?;
    let rest = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut words = [word, last].into_iter().chain(rest);
    words.find_map(|word| named(word).filter(|_| !is_defined(text, word)))
}

/// Returns whether a name is defined somewhere in a text.
fn is_defined(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let mut before = text[..at].split_whitespace();
        let ends = text[..at].ends_with(char::is_whitespace);
        ends && before
            .next_back()
            .is_some_and(|word| DEFINES.contains(&word))
    })
}

fn help(what: &str) -> String {
    format!("the language cannot describe {what}")
}
