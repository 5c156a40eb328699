//! What is issued on which machine: the answers of a sample over all configurations, as few lines as
//! say it.
//!
//! In: a definition with its plans, and a [`Sample`]. Out: lines of a table, machines and what is
//! issued on them. Holds: the machines of the lines are all that there can be, and no machine is of two.

use std::collections::BTreeSet;

use crate::Analysis;
use crate::describe::code;
use crate::model::{Config, Model};
use crate::plan::ir::{Node, Test};
use crate::sample_requests::Sample;

/// The features and errata that plans ask for.
pub struct Flags(Vec<Test>);

impl Flags {
    /// Those of a definition.
    pub fn of(analysis: &Analysis) -> Self {
        let mut found = Vec::new();
        for plan in analysis.plans.iter() {
            plan.body.walk(&mut |node| {
                if let Node::Select {
                    on: on @ (Test::Feature(_) | Test::Erratum(_)),
                    ..
                } = node
                {
                    found.push(*on);
                }
            });
        }
        found.sort_unstable();
        found.dedup();
        Self(found)
    }

    /// Every configuration of them that a machine can have, with what else it takes.
    fn configs(&self, model: &Model) -> Vec<Config> {
        let all = (0..1u32 << self.0.len()).filter_map(|bits| {
            let mut config = Config::default();
            let set = self.0.iter().enumerate();
            for (_, flag) in set.filter(|(index, _)| bits & (1 << index) != 0) {
                match *flag {
                    Test::Feature(feature) => config.features |= 1 << feature,
                    Test::Erratum(erratum) => config.errata |= 1 << erratum,
                    _ => {}
                }
            }
            self.completed(model, config)
        });
        all.collect()
    }

    /// With features that no plan asks for where others need them.
    fn completed(&self, model: &Model, config: Config) -> Option<Config> {
        if model.possible(config) {
            return Some(config);
        }
        let features = model.features.iter().enumerate();
        let free = features.filter(|(index, feature)| {
            !self.0.contains(&Test::Feature(*index)) && feature.needs.terms.is_empty()
        });
        let whole = Config {
            features: free.fold(config.features, |all, (index, _)| all | 1 << index),
            ..config
        };
        model.possible(whole).then_some(whole)
    }
}

/// The lines of a sample: a machine, and what is issued on it.
pub fn lines(
    analysis: &Analysis,
    flags: &Flags,
    sample: Sample,
    others: bool,
) -> Vec<(String, String)> {
    let configs = flags.configs(&analysis.model).into_iter();
    let answers: Vec<Answer> = configs
        .map(|config| (config, sample.summary(analysis, config, others)))
        .collect();
    let mut lines: Vec<(String, String)> = Vec::new();
    let all: Vec<&Answer> = answers.iter().collect();
    split(&all, &flags.0, &mut Vec::new(), &mut |path, answer| {
        let machine = machine(&analysis.model, path);
        // What is issued on several kinds of machines is said once.
        match lines.iter_mut().find(|(_, known)| known == answer) {
            Some((machines, _)) => *machines += &format!("\nor {machine}"),
            None => lines.push((machine, answer.to_owned())),
        }
    });
    lines
}

/// A machine, and what is issued on it.
type Answer = (Config, String);

fn has(config: Config, flag: Test) -> bool {
    match flag {
        Test::Feature(feature) => config.has(feature),
        Test::Erratum(erratum) => config.suffers(erratum),
        _ => false,
    }
}

/// Cuts machines in two by the flag that leaves the fewest answers on either side, until each part has
/// one answer.
fn split<'a>(
    answers: &[&'a Answer],
    flags: &[Test],
    path: &mut Vec<(Test, bool)>,
    found: &mut impl FnMut(&[(Test, bool)], &'a str),
) {
    let Some((first, rest)) = answers.split_first() else {
        return;
    };
    if rest.iter().all(|other| other.1 == first.1) {
        found(path, &first.1);
        return;
    }
    let parts = |flag: Test| -> (Vec<&'a Answer>, Vec<_>) {
        answers.iter().partition(|(config, _)| !has(*config, flag))
    };
    let cost = |flag: Test| {
        let (without, with) = parts(flag);
        let whole = without.is_empty() || with.is_empty();
        (whole, kinds(&without) + kinds(&with))
    };
    let Some(&flag) = flags.iter().min_by_key(|flag| cost(**flag)) else {
        return;
    };
    let (without, with) = parts(flag);
    if without.is_empty() || with.is_empty() {
        return;
    }
    for (part, is) in [(without, false), (with, true)] {
        path.push((flag, is));
        split(&part, flags, path, found);
        path.pop();
    }
}

/// How many answers differ.
fn kinds(answers: &[&Answer]) -> usize {
    let kinds: BTreeSet<&str> = answers.iter().map(|(_, text)| text.as_str()).collect();
    kinds.len()
}

/// A machine in words.
fn machine(model: &Model, path: &[(Test, bool)]) -> String {
    let words = path.iter().map(|(flag, is)| {
        let name = match flag {
            Test::Feature(feature) => code(&model.features[*feature].named.name),
            Test::Erratum(erratum) => code(&model.errata[*erratum].named.name),
            _ => String::new(),
        };
        if *is { name } else { format!("no {name}") }
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        "every machine".to_owned()
    } else {
        words.join(", ")
    }
}
