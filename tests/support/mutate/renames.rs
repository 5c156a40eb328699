//! Renaming what a definition defines, with its uses.

use super::changes::Mutator;
use super::names::{DEFINERS, HOSTILE};
use super::source::{Kind, Source};
use super::{Edit, Rng, edited, one};

/// Returns whether a word is the register of an operand. Only the assembler knows which registers exist.
pub(super) fn is_register(source: &Source, index: usize) -> bool {
    let before = |back: usize| index.checked_sub(back).map_or("", |at| source.token(at));
    before(1) == "in" && before(2) == "bits" || before(1) == "by" && before(2) == "memory"
}

/// Returns the names that a definition defines, with levels and caches.
fn names(source: &Source) -> Vec<&str> {
    let mut names: Vec<&str> = DEFINERS.iter().flat_map(|of| source.defined(of)).collect();
    names.extend(source.levels());
    let of_caches = source.statements.iter().filter(|statement| {
        source.parent(statement) == "caches" && source.token(statement.tokens.start + 1) == "holds"
    });
    names.extend(of_caches.map(|statement| source.head(statement)));
    names.sort_unstable();
    names.dedup();
    names
}

/// Replaces names in a definition, all at once.
pub fn renamed(text: &str, names: &[(&str, &str)]) -> String {
    let source = Source::new(text);
    let edits = rename(&source, names);
    edited(&source, edits, String::new()).text
}

/// Renames definitions and their uses.
fn rename(source: &Source, names: &[(&str, &str)]) -> Vec<Edit> {
    let tokens = source.tokens.iter().enumerate();
    let edits = tokens.filter_map(|(index, token)| {
        let text = source.token(index);
        let new = match token.kind {
            Kind::Text => placeholders(text, names),
            Kind::Word if !is_register(source, index) => {
                let (_, new) = names.iter().find(|(old, _)| *old == text)?;
                (*new).to_owned()
            }
            _ => return None,
        };
        (new != text).then(|| (token.range.clone(), new))
    });
    edits.collect()
}

/// Returns the text of an instruction with other names of operands.
fn placeholders(text: &str, names: &[(&str, &str)]) -> String {
    let mut parts = text.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let new = part.split_once('}').and_then(|(name, rest)| {
            let (_, new) = names.iter().find(|(old, _)| *old == name)?;
            Some(format!("{new}}}{rest}"))
        });
        out += "{";
        out += new.as_deref().unwrap_or(part);
    }
    out
}

fn other_name(source: &Source, old: &str, new: &str) -> (Vec<Edit>, String) {
    let edits = rename(source, &[(old, new)]);
    (edits, format!("`{old}` renamed to `{new}`"))
}

pub(super) fn with_other_name(
    _: &Mutator,
    source: &Source,
    rng: &mut Rng,
) -> Option<(Vec<Edit>, String)> {
    let names = names(source);
    let old = *one(rng, &names)?;
    Some(other_name(source, old, one(rng, &HOSTILE)?))
}

/// Renames a definition to nearly the name of another.
pub(super) fn collided(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let names = names(source);
    let (old, other) = (*one(rng, &names)?, *one(rng, &names)?);
    let new = match rng.u8(..9) {
        0 => format!("{other}_"),
        1 => format!("_{other}"),
        2 => other.replace('_', "__"),
        3 => other.replace('_', ""),
        4 => format!("load_{other}"),
        5 => format!("{other}_bits"),
        6 => format!("{other}_0"),
        7 => format!("{other}_units"),
        _ => other.to_owned(),
    };
    Some(other_name(source, old, &new))
}
