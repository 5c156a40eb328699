//! Changes of the statements of a definition.

use super::names::DEFINERS;
use super::renames::{collided, is_register, with_other_name};
use super::slip::number;
use super::source::{Kind, Source, Statement};
use super::{Edit, Mutant, Rng, brief, edited, one, text_of};

/// Changes a definition, and inserts parts of others.
pub struct Mutator {
    others: Vec<Source>,
}

/// A kind of change; `None` if it does not apply to the definition.
type Change = fn(&Mutator, &Source, &mut Rng) -> Option<(Vec<Edit>, String)>;

/// The kinds of changes; the more useful ones are listed twice.
const CHANGES: &[Change] = &[
    deleted,
    doubled,
    swapped,
    numbered,
    substituted,
    substituted,
    substituted,
    with_other_name,
    with_other_name,
    collided,
    sibling,
    conditioned,
    conditioned,
    unconditioned,
    template,
    template,
    narrowed,
    widened,
    added,
    added,
    transplanted,
];

impl Mutator {
    /// Creates a mutator that may insert parts of these definitions.
    pub fn new<'a>(others: impl IntoIterator<Item = &'a str>) -> Self {
        let others = others.into_iter().map(Source::new).collect();
        Self { others }
    }

    /// Makes one change. Returns `None` if no change was found that applies.
    pub fn mutate(&self, text: &str, rng: &mut Rng) -> Option<Mutant> {
        let source = Source::new(text);
        (0..16).find_map(|_| {
            let change = CHANGES[rng.usize(..CHANGES.len())];
            let (edits, what) = change(self, &source, rng)?;
            let mutant = edited(&source, edits, what);
            (mutant.text != text).then_some(mutant)
        })
    }
}

/// Chooses a statement that satisfies a predicate.
fn pick<'s>(
    source: &'s Source,
    rng: &mut Rng,
    is: impl Fn(&Statement) -> bool,
) -> Option<&'s Statement> {
    let all: Vec<&Statement> = source.statements.iter().filter(|s| is(s)).collect();
    one(rng, &all).copied()
}

fn deleted(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let statement = pick(source, rng, |s| s.parent.is_some())?;
    let what = format!("without `{}`", brief(text_of(source, statement)));
    Some((vec![(source.range(statement), String::new())], what))
}

fn doubled(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let statement = pick(source, rng, |s| s.parent.is_some())?;
    let (text, end) = (text_of(source, statement), source.range(statement).end);
    let what = format!("`{}` twice", brief(text));
    Some((vec![(end..end, format!("\n{text}"))], what))
}

fn swapped(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let first = pick(source, rng, |s| s.parent.is_some())?;
    let second = pick(source, rng, |s| {
        s.parent == first.parent && s.tokens.start > first.tokens.start
    })?;
    let (a, b) = (text_of(source, first), text_of(source, second));
    let what = format!("`{}` and `{}` swapped", brief(a), brief(b));
    let edits = vec![
        (source.range(first), b.to_owned()),
        (source.range(second), a.to_owned()),
    ];
    Some((edits, what))
}

fn numbered(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let numbers: Vec<usize> = (0..source.tokens.len())
        .filter(|index| source.tokens[*index].kind == Kind::Number)
        .collect();
    let index = *one(rng, &numbers)?;
    let (old, new) = (source.token(index), number(source.token(index), rng));
    let what = format!("{new} for {old} after `{}`", source.token(index.max(1) - 1));
    Some((vec![(source.tokens[index].range.clone(), new)], what))
}

/// Puts in another token that follows the same word, here or in another definition.
fn substituted(mutator: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let index = rng.usize(2..source.tokens.len().max(3));
    let token = source
        .tokens
        .get(index)
        .filter(|_| !is_register(source, index))?;
    if token.kind == Kind::Mark || token.kind == Kind::Text {
        return None;
    }
    let (before, old) = (source.token(index - 1), source.token(index));
    let others = if rng.bool() { &mutator.others[..] } else { &[] };
    let mut choices = Vec::new();
    for other in others.iter().chain([source]) {
        let places = (1..other.tokens.len()).filter(|at| {
            other.token(at - 1) == before
                && other.tokens[*at].kind == token.kind
                && other.token(*at) != old
        });
        choices.extend(places.map(|at| other.token(at)));
    }
    choices.sort_unstable();
    choices.dedup();
    let new = *one(rng, &choices)?;
    let what = format!("`{before} {new}` for `{before} {old}`");
    Some((vec![(token.range.clone(), new.to_owned())], what))
}

/// Repeats an item, with another name and possibly another number or word.
fn sibling(mutator: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let statement = pick(source, rng, |s| DEFINERS.contains(&source.head(s)))?;
    let (text, end) = (text_of(source, statement), source.range(statement).end);
    let head = source.head(statement);
    let name = source.token(statement.tokens.start + 1);
    let copy = Source::new(text.replacen(name, &format!("{name}_2"), 1));
    let change = if rng.bool() { numbered } else { substituted };
    let changed = change(mutator, &copy, rng);
    let what = format!("another {head} like `{name}`");
    let (copy, what) = match changed {
        Some((edits, how)) if rng.u8(..3) > 0 => {
            let mutant = edited(&copy, edits, how);
            (mutant.text, format!("{what}, {}", mutant.what))
        }
        _ => (copy.text, what),
    };
    Some((vec![(end..end, format!("\n{copy}"))], what))
}

/// Makes a condition with the names of a definition.
fn condition(source: &Source, rng: &mut Rng) -> Option<String> {
    let mut names = source.defined("feature");
    names.extend(source.defined("geometry"));
    names.extend(["hinted", "keep"]);
    let (first, second) = (*one(rng, &names)?, *one(rng, &names)?);
    Some(match rng.u8(..5) {
        0 | 1 => format!("when {first}"),
        2 => format!("unless {first}"),
        3 => format!("when not {first}"),
        _ => format!("when {first} and not {second}"),
    })
}

fn conditioned(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let statement = pick(source, rng, |s| !s.is_block)?;
    let at = source.range(statement).end - 1;
    let condition = condition(source, rng)?;
    let what = format!("`{}` {condition}", brief(text_of(source, statement)));
    Some((vec![(at..at, format!(" {condition}"))], what))
}

fn unconditioned(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let is = |index: usize| ["when", "unless", "requires"].contains(&source.token(index));
    let at: Vec<usize> = (0..source.tokens.len())
        .filter(|index| is(*index))
        .collect();
    let first = *one(rng, &at)?;
    let ends = |index: &usize| [";", ",", "{"].contains(&source.token(*index));
    let end = (first..source.tokens.len()).find(ends)?;
    let range = source.tokens[first].range.start..source.tokens[end].range.start;
    let what = format!("without `{}`", brief(&source.text[range.clone()]));
    Some((vec![(range, String::new())], what))
}

/// Changes the text of an instruction.
fn template(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let instructions = ["barrier", "invalidate", "load", "encoded"];
    let statement = pick(source, rng, |s| instructions.contains(&source.head(s)))?;
    let is_text = |index: &usize| source.tokens[*index].kind == Kind::Text;
    let index = statement.tokens.clone().find(is_text)?;
    let old = source.token(index).trim_matches('"');
    let mut new = old.to_owned();
    let at = rng.usize(..=old.len());
    if !old.is_char_boundary(at) {
        return None;
    }
    let operands = source.defined("operand");
    let operand = one(rng, &operands).copied().unwrap_or("scratch");
    match rng.u8(..14) {
        0 => new.insert(at, '{'),
        1 => new.insert(at, '}'),
        2 => new.insert_str(at, "{{"),
        3 => new.insert_str(at, "{{}}"),
        4 => new.clear(),
        5 => new.insert_str(at, "; "),
        6 => new.insert(at, '%'),
        7 => new.insert_str(at, "{scratch}"),
        8 => new.insert_str(0, "mov {scratch}, 1; "),
        9 => new.push_str(&format!(", {{{operand}}}")),
        10 => new.insert_str(at, "{}"),
        11 => new.push_str("; .balign 4"),
        12 => new.insert(at, '\\'),
        _ => {
            let braces: Vec<usize> = old.match_indices(['{', '}']).map(|(at, _)| at).collect();
            new.remove(*one(rng, &braces)?);
        }
    }
    let what = format!("the text \"{new}\" for \"{old}\"");
    let range = source.tokens[index].range.clone();
    Some((vec![(range, format!("\"{new}\""))], what))
}

/// Shrinks an operand of 64 bits to 32 and leaves out what does not fit.
fn narrowed(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let is_wide =
        |s: &Statement| source.head(s) == "operand" && source.token(s.tokens.start + 2) == "64";
    let operand = pick(source, rng, is_wide)?;
    let index = source
        .statements
        .iter()
        .position(|s| s.tokens == operand.tokens)?;
    let width = source.tokens[operand.tokens.start + 2].range.clone();
    let mut edits = vec![(width, "32".to_owned())];
    for field in source.statements.iter().filter(|s| s.parent == Some(index)) {
        let at = field.tokens.start;
        let bit = |index: usize| source.token(index).parse::<u32>();
        let (Ok(high), "[") = (bit(at + 1), source.token(at)) else {
            continue;
        };
        let low = if source.token(at + 2) == ":" {
            bit(at + 3).unwrap_or(high)
        } else {
            high
        };
        if low >= 32 {
            edits.push((source.range(field), String::new()));
        } else if high >= 32 {
            edits.push((source.tokens[at + 1].range.clone(), "31".to_owned()));
            // `va[63:12]` loses as many bits.
            if source.token(at + 6) == "[" {
                let top = bit(at + 7).unwrap_or(63).saturating_sub(high - 31);
                edits.push((source.tokens[at + 7].range.clone(), top.to_string()));
            } else if source.token(at + 6) == ";" && source.tokens[at + 5].kind == Kind::Word {
                let end = source.tokens[at + 5].range.end;
                edits.push((end..end, format!("[{}:0]", 31 - low)));
            }
        }
    }
    let name = source.token(operand.tokens.start + 1);
    Some((edits, format!("operand `{name}` in 32 bits")))
}

/// Changes the width of an operand; additional upper bits are 0.
fn widened(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let operand = pick(source, rng, |s| source.head(s) == "operand" && s.is_block)?;
    let at = operand.tokens.start + 2;
    let bits: u32 = source.token(at).parse().ok()?;
    let wide = *one(rng, &[bits + 8, 64, 128])?;
    if wide <= bits {
        return None;
    }
    let open = operand
        .tokens
        .clone()
        .find(|index| source.token(*index) == "{")?;
    let end = source.tokens[open].range.end;
    let edits = vec![
        (source.tokens[at].range.clone(), wide.to_string()),
        (end..end, format!(" [{}:{bits}] 0;", wide - 1)),
    ];
    let name = source.token(at - 1);
    Some((edits, format!("operand `{name}` in {wide} bits")))
}

/// Adds a statement at the end of a block.
fn added(_: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    const ADDED: [(&str, &str); 27] = [
        ("arch", "feature extra \"more\"; "),
        ("arch", "feature extra \"more\" from ID1[3:0] >= 2; "),
        (
            "arch",
            "erratum extra \"4711\" { weakens INVALIDATE: not leaf; } ",
        ),
        (
            "arch",
            "erratum extra \"4711\" { weakens BARRIER: not drained; workaround after BARRIER issue INVALIDATE, BARRIER; } ",
        ),
        ("arch", "cpu_set extra \"suspects\"; "),
        ("arch", "limit extra \"as many\" 1..256; "),
        ("arch", "operand extra 32 bits { [31:0] 0; } "),
        ("arch", "needs CTRL.ON[0] = 1 \"it is on\"; "),
        ("arch", "publishes assumed \"the manual says so\"; "),
        ("arch", "atomics order everything; "),
        ("arch", "return_to_user { } "),
        ("invalidate", "cost 2; "),
        ("invalidate", "needs lock; "),
        ("invalidate", "needs same cpu; "),
        ("invalidate", "needs interrupts off; "),
        ("invalidate", "keeps flags, operands; "),
        ("invalidate", "at once; "),
        ("invalidate", "drops walk of one page, this tag; "),
        ("invalidate", "drops leaf of run of 1..16 pages, this tag; "),
        ("caches", "leaf at pte covers 2 entries; "),
        ("caches", "micro holds leaf from tlb; "),
        ("policy", "strides pte, pmd; "),
        ("tag", "may be invalidated lazily; "),
        ("tag", "reserved 0; "),
        ("tag", "may be renewed by LOAD, cost 1; "),
        ("space", "devices; "),
        ("space", "view other tag | 1; "),
    ];
    let (head, text) = *one(rng, &ADDED)?;
    let block = pick(source, rng, |s| source.head(s) == head && s.is_block)?;
    let filled = |keyword: &str, rng: &mut Rng| {
        let names = source.defined(&keyword.to_lowercase());
        one(rng, &names).map_or("none", |name| *name)
    };
    let text = text.replace("INVALIDATE", filled("INVALIDATE", rng));
    let text = text.replace("LOAD", filled("LOAD", rng));
    let mut text = text.replace("BARRIER", filled("BARRIER", rng));
    // A feature or a limit that is not used is an error.
    let mut edits = Vec::new();
    if text.starts_with("feature") {
        let statement = pick(source, rng, |s| !s.is_block && s.parent.is_some())?;
        let at = source.range(statement).end - 1;
        let when = *one(rng, &[" when extra", " unless extra"])?;
        edits.push((at..at, when.to_owned()));
    }
    if text.starts_with("cpus") {
        let barrier = filled("BARRIER", rng);
        text.push_str(&format!(
            "erratum wrong \"4712\" {{ weakens {barrier}: not drained on extra; }} "
        ));
    }
    let what = format!("`{}` in `{head}`", text.trim());
    let end = source.range(block).end - 1;
    edits.push((end..end, text));
    Some((edits, what))
}

/// Inserts a statement of another definition.
fn transplanted(mutator: &Mutator, source: &Source, rng: &mut Rng) -> Option<(Vec<Edit>, String)> {
    let other = one(rng, &mutator.others)?;
    let statement = pick(other, rng, |s| s.parent.is_some())?;
    let parent = other.parent(statement);
    let block = pick(source, rng, |s| source.head(s) == parent && s.is_block)?;
    let text = text_of(other, statement);
    let what = format!("`{}` in `{parent}`", brief(text));
    let end = source.range(block).end - 1;
    Some((vec![(end..end, format!("{text}\n"))], what))
}
