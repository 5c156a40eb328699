//! Changes of what an instruction is said to invalidate, where, and when it is complete.
//!
//! In: a statement of a definition. Out: every other effect that differs in one of its parts.

use super::source::{Source, Statement};
use super::{Edit, brief, text_of};

/// Effects that an instruction may be said to have besides its own.
pub const CLAIMS: [&str; 4] = [
    "drops leaf of one page, this tag or global;",
    "drops walk of one page, this tag;",
    "drops leaf, walk of everything, any tag;",
    "drops root of everything, this tag;",
];

const KINDS: [&str; 4] = ["leaf", "walk", "root", "negative"];
const LEVELS: [&str; 4] = ["", " at hint", " above hint", " at level"];
const WHICH: [&str; 4] = ["one page", "one set", "subtree", "everything"];
const WHOSE: [&str; 10] = [
    "this tag",
    "loaded tag",
    "other tag",
    "global",
    "any tag",
    "this table",
    "user tags",
    "this tag or global",
    "loaded tag or global",
    "this or other tag",
];
const AGENTS: [&str; 4] = ["self", "core", "cpus", "devices"];

/// Returns the changes of a statement; none if it states no effect.
pub fn changes(source: &Source, statement: &Statement) -> Vec<(Vec<Edit>, String)> {
    let text = text_of(source, statement);
    let texts = match source.head(statement) {
        "drops" => drops(text),
        "where" | "publishes" | "completes" | "resyncs" => agents(text, source),
        "after" => moment(source),
        "at" if source.token(statement.tokens.start + 1) == "once" => moment(source),
        _ => return Vec::new(),
    };
    let shown = brief(text);
    let changed = texts.into_iter().filter(|new| new != text).map(|new| {
        let what = format!("`{}` for `{shown}`", brief(&new));
        (vec![(source.range(statement), new)], what)
    });
    changed.collect()
}

/// Returns the texts of a clause with other kinds, addresses and tags.
fn drops(text: &str) -> Vec<String> {
    let Some((what, rest)) = text.trim_start_matches("drops ").split_once(" of ") else {
        return Vec::new();
    };
    let whose_starts = |word: &str| WHOSE.iter().any(|it| it.split(' ').next() == Some(word));
    let cut = rest.rmatch_indices(", ").find(|(at, _)| {
        let word = rest[at + 2..].split([' ', ';']).next();
        word.is_some_and(whose_starts)
    });
    let Some((cut, _)) = cut else {
        return Vec::new();
    };
    let (which, rest) = (&rest[..cut], &rest[cut + 2..]);
    let ends = [" when ", " unless ", " in ", ";"];
    let end = ends.iter().filter_map(|it| rest.find(it)).min();
    let (whose, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let with =
        |what: &str, which: &str, whose: &str| format!("drops {what} of {which}, {whose}{rest}");
    let mut all = Vec::new();
    let parts: Vec<&str> = what.split(", ").collect();
    for (nth, part) in parts.iter().enumerate() {
        let kind = part.split(' ').next().unwrap_or_default();
        let replaced = |new: String| {
            let mut parts: Vec<String> = parts.iter().map(|it| (*it).to_owned()).collect();
            parts[nth] = new;
            with(&parts.join(", "), which, whose)
        };
        all.extend(LEVELS.map(|level| replaced(format!("{kind}{level}"))));
        let rest = &part[kind.len()..];
        all.extend(KINDS.map(|other| replaced(format!("{other}{rest}"))));
    }
    let more = KINDS.iter().filter(|kind| !what.contains(**kind));
    all.extend(more.map(|kind| with(&format!("{what}, {kind}"), which, whose)));
    all.extend(WHICH.map(|which| with(what, which, whose)));
    all.extend(WHOSE.map(|whose| with(what, which, whose)));
    all
}

/// Returns the texts of a statement about agents with others.
fn agents(text: &str, source: &Source) -> Vec<String> {
    let mut names: Vec<&str> = AGENTS.to_vec();
    names.extend(source.defined("domain"));
    let is_agent = |word: &str| names.contains(&word);
    let words = text.split_inclusive([' ', ',', ';']);
    let mut all = Vec::new();
    let mut at = 0;
    for word in words {
        let name = word.trim_end_matches([' ', ',', ';']);
        if is_agent(name) {
            let (before, after) = (&text[..at], &text[at + name.len()..]);
            all.extend(names.iter().map(|new| format!("{before}{new}{after}")));
        }
        at += word.len();
    }
    all
}

/// Returns the texts for every moment at which an invalidation may be complete.
fn moment(source: &Source) -> Vec<String> {
    let barriers = source.defined("barrier").into_iter();
    let after = barriers.map(|name| format!("after {name};"));
    after.chain(["at once;".to_owned()]).collect()
}
