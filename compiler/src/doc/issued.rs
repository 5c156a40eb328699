//! What is issued for a sample on which machine, in few lines.
//!
//! In: a definition with its plans, and a [`Sample`]. Out: lines of a table, each with a description of machines and
//! what is issued on them. Holds: each possible machine belongs to exactly one line.

use std::collections::BTreeSet;

use crate::analysis::Analysis;
use crate::describe::code;
use crate::model::{Config, Model};
use crate::plan::ir::{Node, Test};
use crate::sample_requests::Sample;

/// The features and errata that plans test.
pub struct TestedFlags(Vec<Test>);

impl TestedFlags {
    /// Returns the features and errata that the plans of a definition test.
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

    /// The most for which the machines are listed: each one more can double their number.
    const MOST: usize = 12;

    /// Returns how many there are, where they are too many for the machines to be listed.
    pub fn too_many(&self) -> Option<usize> {
        (self.0.len() > Self::MOST).then_some(self.0.len())
    }

    /// Returns every possible combination of these features and errata, completed to a possible machine.
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

    /// Adds features that no plan tests, if others need them. None if the machine is still impossible.
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

/// Returns the lines of a sample: descriptions of machines, and what is issued on them.
pub fn lines(
    analysis: &Analysis,
    flags: &TestedFlags,
    sample: Sample,
    others: bool,
) -> Vec<(String, String)> {
    let configs = flags.configs(&analysis.model).into_iter();
    let answers: Vec<IssuedOn> = configs
        .map(|config| (config, sample.summary(analysis, config, others)))
        .collect();
    let mut lines: Vec<(String, String)> = Vec::new();
    let all: Vec<&IssuedOn> = answers.iter().collect();
    split(&all, &flags.0, &mut Vec::new(), &mut |path, answer| {
        let machine = machine(&analysis.model, path);
        // Machines with the same answer share a line.
        match lines.iter_mut().find(|(_, known)| known == answer) {
            Some((machines, _)) => *machines += &format!("\nor {machine}"),
            None => lines.push((machine, answer.to_owned())),
        }
    });
    lines
}

/// A machine and what is issued on it.
type IssuedOn = (Config, String);

fn has(config: Config, flag: Test) -> bool {
    match flag {
        Test::Feature(feature) => config.has(feature),
        Test::Erratum(erratum) => config.suffers(erratum),
        _ => false,
    }
}

/// Splits machines by the flag that leaves the fewest different answers on both sides, until each part has one
/// answer.
fn split<'a>(
    answers: &[&'a IssuedOn],
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
    let parts = |flag: Test| -> (Vec<&'a IssuedOn>, Vec<_>) {
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

/// Returns the number of different answers.
fn kinds(answers: &[&IssuedOn]) -> usize {
    let kinds: BTreeSet<&str> = answers.iter().map(|(_, text)| text.as_str()).collect();
    kinds.len()
}

/// Describes a machine.
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
