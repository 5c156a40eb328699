//! What the picture says of each instruction, before it is drawn.
//!
//! In: a [`Model`]. Out: a [`Block`] for each form of each instruction, with the texts of its lines.

use crate::describe;
use crate::matrix::done;
use crate::model::{Drops, Form, Invalidate, LevelSel, Model};

/// What stands in a picture of an instruction, or of one of its forms.
pub struct Block<'m> {
    /// Its name and what it takes.
    pub name: Vec<String>,
    pub invalidate: &'m Invalidate,
    pub clauses: Vec<Clause<'m>>,
    /// Whose caches, under a condition.
    pub reach: Vec<String>,
    pub when: Vec<String>,
}

/// A line of it.
pub struct Clause<'m> {
    pub drops: &'m Drops,
    pub levels: String,
    pub stretch: String,
    pub note: String,
}

/// A text for the picture, which has no backticks.
#[must_use]
pub fn bare(text: &str) -> String {
    text.replace('`', "")
}

/// Every instruction, form by form.
pub fn blocks<'m>(model: &'m Model) -> Vec<Block<'m>> {
    let of = |invalidate: &'m Invalidate| {
        let forms = invalidate.forms.iter();
        forms.map(move |form| block(model, invalidate, form))
    };
    model.invalidates.iter().flat_map(of).collect()
}

fn block<'m>(model: &'m Model, invalidate: &'m Invalidate, form: &'m Form) -> Block<'m> {
    let mut name = vec![match &form.named {
        Some((named, _)) => format!("{} {}", invalidate.named.name, named.name),
        None => invalidate.named.name.clone(),
    }];
    let needed = bare(&describe::cond(
        model,
        &invalidate.requires.and(&form.requires),
    ));
    if !needed.is_empty() {
        name.extend(wrapped(&format!("when {needed}"), 36));
    }
    if let Some(writes) = &invalidate.writes_entry {
        name.extend(wrapped(&bare(&describe::writes(model, writes)), 36));
    }
    let when = wrapped(&bare(&done(model, invalidate)), 18);
    let reach = invalidate.holders.cases.iter();
    let reach = reach.filter(|(_, cond)| !cond.terms.is_empty());
    let reach = reach.flat_map(|(at, cond)| {
        let when = describe::when(model, cond);
        wrapped(&bare(&format!("{}{when}", describe::holders(at.value))), 24)
    });
    let reach = reach.collect();
    let clauses = form.drops.iter().map(|drops| Clause {
        drops,
        levels: levels_of(model, drops),
        stretch: bare(&describe::which(model, &drops.which.value)),
        note: note(model, drops),
    });
    Block {
        name,
        invalidate,
        clauses: clauses.collect(),
        reach,
        when,
    }
}

/// Lines of at most so many letters, where words are no longer.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The levels of a clause: once where they are the same for every kind.
fn levels_of(model: &Model, drops: &Drops) -> String {
    let word = |of: LevelSel| match of {
        LevelSel::Any => "all levels".to_owned(),
        LevelSel::Hint => "at the hint".to_owned(),
        LevelSel::AboveHint => "above the hint".to_owned(),
        LevelSel::Given => "the one given".to_owned(),
        LevelSel::Only(levels) => format!("at {}", bare(&describe::levels(model, levels))),
    };
    let kinds = [
        ("leaf", drops.leaf),
        ("walk", drops.walk),
        ("absent", drops.absent),
    ];
    let kinds = kinds
        .into_iter()
        .filter_map(|(kind, of)| Some((kind, word(of?))));
    let kinds: Vec<(&str, String)> = kinds.collect();
    match kinds.as_slice() {
        [] => String::new(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, word)| word == first) => first.clone(),
        all => {
            let all = all.iter().map(|(kind, word)| format!("{kind} {word}"));
            all.collect::<Vec<_>>().join(", ")
        }
    }
}

fn note(model: &Model, drops: &Drops) -> String {
    let caches = drops
        .stores
        .map(|of| format!("in {}", bare(&describe::stores(model, of))));
    let when = describe::cond(model, &drops.when);
    let when = (!when.is_empty()).then(|| format!("when {}", bare(&when)));
    caches
        .into_iter()
        .chain(when)
        .collect::<Vec<_>>()
        .join(", ")
}
