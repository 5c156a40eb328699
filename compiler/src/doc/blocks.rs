//! The texts that the picture shows for each instruction.
//!
//! In: a [`Model`]. Out: a [`InstructionText`] for each form of each instruction, with the texts of its lines.

use crate::describe;
use crate::matrix::done;
use crate::model::{Drops, Form, Invalidate, LevelSel, Model};
use crate::text::wrap;

/// The texts for an instruction, or for one of its forms.
pub struct InstructionText<'m> {
    /// Its name and its condition.
    pub name: Vec<String>,
    pub invalidate: &'m Invalidate,
    pub clauses: Vec<ClauseText<'m>>,
    /// On which CPUs and devices it acts, where that depends on a condition.
    pub reach: Vec<String>,
    pub when: Vec<String>,
}

/// The texts for one clause of an instruction, on one line.
pub struct ClauseText<'m> {
    pub drops: &'m Drops,
    pub levels: String,
    pub addresses: String,
    pub note: String,
}

/// Removes the backticks, which the picture does not show.
#[must_use]
pub fn bare(text: &str) -> String {
    text.replace('`', "")
}

/// Returns a block for each form of each instruction.
pub fn blocks<'m>(model: &'m Model) -> Vec<InstructionText<'m>> {
    let of = |invalidate: &'m Invalidate| {
        let forms = invalidate.forms.iter();
        forms.map(move |form| block(model, invalidate, form))
    };
    model.invalidates.iter().flat_map(of).collect()
}

fn block<'m>(model: &'m Model, invalidate: &'m Invalidate, form: &'m Form) -> InstructionText<'m> {
    let mut name = vec![match &form.named {
        Some((named, _)) => format!("{} {}", invalidate.named.name, named.name),
        None => invalidate.named.name.clone(),
    }];
    let needed = bare(&describe::cond(
        model,
        &invalidate.requires.and(&form.requires),
    ));
    if !needed.is_empty() {
        name.extend(wrap(&format!("when {needed}"), 36));
    }
    if let Some(writes) = &invalidate.writes_entry {
        name.extend(wrap(&bare(&describe::writes(model, writes)), 36));
    }
    let when = wrap(&bare(&done(model, invalidate)), 18);
    let reach = invalidate.agents.cases.iter();
    let reach = reach.filter(|(_, cond)| !cond.terms.is_empty());
    let reach = reach.flat_map(|(at, cond)| {
        let when = describe::when(model, cond);
        wrap(&bare(&format!("{}{when}", describe::agents(at.value))), 24)
    });
    let reach = reach.collect();
    let clauses = form.drops.iter().map(|drops| ClauseText {
        drops,
        levels: levels_of(model, drops),
        addresses: bare(&describe::which(model, &drops.which.value)),
        note: note(model, drops),
    });
    InstructionText {
        name,
        invalidate,
        clauses: clauses.collect(),
        reach,
        when,
    }
}

/// Describes the levels of a clause, only once if they are the same for every kind.
fn levels_of(model: &Model, drops: &Drops) -> String {
    let word = |of: LevelSel| match of {
        LevelSel::Any => "all levels".to_owned(),
        LevelSel::Hint => "at the hint".to_owned(),
        LevelSel::AboveHint => "above the hint".to_owned(),
        LevelSel::Given => "the given level".to_owned(),
        LevelSel::Only(levels) => format!("at {}", bare(&describe::levels(model, levels))),
    };
    let kinds = [
        ("leaf", drops.leaf),
        ("walk", drops.walk),
        ("negative", drops.negative),
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
        .caches
        .map(|of| format!("in {}", bare(&describe::caches(model, of))));
    let when = describe::cond(model, &drops.when);
    let when = (!when.is_empty()).then(|| format!("when {}", bare(&when)));
    caches
        .into_iter()
        .chain(when)
        .collect::<Vec<_>>()
        .join(", ")
}
