//! Instructions that differ from similar ones.
//!
//! In: invalidations. Out: W0401 where one of several similar ones differs from the others in a fact that most often
//! is the same for all of them. Similar are those with the same operands, and those of one `for`, if they act on the
//! same CPUs and write the same to a table entry.

use crate::ast::{Arch, Item};
use crate::codes::Code;
use crate::describe;
use crate::diagnostic::Diagnostic;
use crate::model::{Invalidate, Model};
use crate::source::Span;

/// A fact in which siblings are compared.
struct Fact {
    name: &'static str,
    /// How many of the others have to agree before one is odd.
    least: usize,
    /// Its words, which are equal where the fact is.
    words: fn(&Model, &Invalidate) -> String,
}

const FACTS: &[Fact] = &[
    Fact {
        name: "when it may be used",
        least: 1,
        words: |model, it| match describe::cond(model, &it.requires) {
            always if always.is_empty() => "always".to_owned(),
            requires => format!("requires {requires}"),
        },
    },
    Fact {
        name: "when it is finished",
        least: 1,
        words: |model, it| match &it.after {
            None => "at once".to_owned(),
            Some(after) => {
                let barrier = |at: &crate::model::At<usize>| {
                    describe::code(&model.barriers[at.value].named.name)
                };
                format!("after {}", describe::cases(model, after, barrier))
            }
        },
    },
    Fact {
        name: "what it needs",
        least: 2,
        words: |_, it| {
            let needs = it.needs.iter().map(|need| describe::need(need.value));
            listed("needs", needs)
        },
    },
    Fact {
        name: "what it keeps",
        least: 2,
        words: |_, it| {
            let keeps = it.template.keeps;
            let kept = [(keeps.flags, "flags"), (keeps.operands, "operands")];
            let kept = kept.iter().filter(|(is_kept, _)| *is_kept);
            listed("keeps", kept.map(|(_, what)| (*what).to_owned()))
        },
    },
];

/// Returns the words of a list: `keeps flags, operands`, or `keeps nothing`.
fn listed(verb: &str, what: impl Iterator<Item = impl Into<String>>) -> String {
    let what: Vec<String> = what.map(Into::into).collect();
    if what.is_empty() {
        return format!("{verb} nothing");
    }
    format!("{verb} {}", what.join(", "))
}

/// Checks W0401: instructions with the same operands.
pub(super) fn of_operands(model: &Model, found: &mut Vec<Diagnostic>) {
    let all = model.invalidates.iter();
    let groups = grouped(all.filter(|it| !it.template.operands.is_empty()), |a, b| {
        a.template.operands == b.template.operands && act_alike(model, a, b)
    });
    for group in groups {
        for fact in FACTS {
            found.extend(odd(
                model,
                &group,
                fact,
                fact.least,
                "takes the same operands",
            ));
        }
    }
}

/// Checks W0401: instructions of one `for`; of many only, since they have less in common.
pub(super) fn of_loops(arch: &Arch, model: &Model, found: &mut Vec<Diagnostic>) {
    const LEAST: usize = 3;
    for item in &arch.items {
        let Item::For(it) = item else { continue };
        let within = model
            .invalidates
            .iter()
            .filter(|other| it.span.contains(other.span));
        let groups = grouped(within, |a, b| act_alike(model, a, b));
        for group in groups {
            for fact in FACTS {
                let odd = odd(model, &group, fact, LEAST, "is in the same `for`");
                let known = |d: &Diagnostic| {
                    found.iter().any(|other| {
                        other.primary.span == d.primary.span && other.primary.text == d.primary.text
                    })
                };
                let new = odd.filter(|d| !known(d));
                found.extend(new);
            }
        }
    }
}

/// Returns whether they act on the same CPUs, and write the same to a table entry.
fn act_alike(model: &Model, a: &Invalidate, b: &Invalidate) -> bool {
    let reach =
        |it: &Invalidate| describe::cases(model, &it.agents, |at| describe::agents(at.value));
    let writes = |it: &Invalidate| it.writes_entry.map(|writes| writes.to);
    reach(a) == reach(b) && writes(a) == writes(b)
}

/// Returns groups of similar instructions; of those that several rows of a `for` make, the first.
fn grouped<'m>(
    all: impl Iterator<Item = &'m Invalidate>,
    alike: impl Fn(&Invalidate, &Invalidate) -> bool,
) -> Vec<Vec<&'m Invalidate>> {
    let mut groups: Vec<Vec<&Invalidate>> = Vec::new();
    for it in all {
        match groups.iter_mut().find(|group| alike(group[0], it)) {
            Some(group) if group.iter().any(|other| other.span == it.span) => {}
            Some(group) => group.push(it),
            None => groups.push(vec![it]),
        }
    }
    groups
}

/// Returns the one of a group that differs from all others, which agree.
fn odd(
    model: &Model,
    group: &[&Invalidate],
    fact: &Fact,
    least: usize,
    alike: &str,
) -> Option<Diagnostic> {
    let said: Vec<String> = group.iter().map(|it| (fact.words)(model, it)).collect();
    let differs = |index: usize| {
        let others = said.iter().enumerate().filter(|(other, _)| *other != index);
        let others: Vec<&String> = others.map(|(_, said)| said).collect();
        let agree = others.windows(2).all(|pair| pair[0] == pair[1]);
        others.len() >= least && agree && others.first().is_some_and(|other| **other != said[index])
    };
    // Of two the later is the odd one.
    let index = (0..group.len()).rev().find(|&index| differs(index))?;
    let other = usize::from(index == 0);
    let (odd, sibling) = (group[index], group[other]);
    let message = format!(
        "`{}` differs from `{}`, which {alike}, in {}",
        odd.named.name, sibling.named.name, fact.name
    );
    let place: Span = odd.named.span;
    Some(
        Diagnostic::new(Code::W0401, place, message)
            .label(said[index].clone())
            .because(sibling.named.span, said[other].clone())
            .note("instructions that agree in everything else usually agree in this, too")
            .help("correct one of them; if both are right, write `// allow W0401: ` and the reason right above it"),
    )
}
