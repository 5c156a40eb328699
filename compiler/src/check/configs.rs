//! Configurations: the machines on which a rule is evaluated.
//!
//! In: the model and the conditions that a rule asks about. Out: every possible configuration that
//! makes a difference to those conditions, few features first. Holds: no feature is on without what it
//! needs, and a feature that no condition depends on is off.

use std::cmp::Reverse;

use crate::model::{Cond, Config, Model, Var};

/// The configurations that make a difference to some conditions.
pub struct Configs<'m> {
    model: &'m Model,
    features: Vec<usize>,
    by_geometry: bool,
    all: Vec<Config>,
}

impl<'m> Configs<'m> {
    /// Returns those that differ in what the conditions name.
    pub fn of<'c>(model: &'m Model, conds: impl IntoIterator<Item = &'c Cond>) -> Self {
        let conds: Vec<&Cond> = conds.into_iter().collect();
        let features = closed(
            model,
            conds.iter().flat_map(|cond| cond.features()).collect(),
        );
        let by_geometry = (conds.iter().flat_map(|cond| &cond.terms))
            .any(|term| matches!(term.value.0, Var::Geometry(_)));
        let mut all = Vec::new();
        for geometry in 0..model.geometries.len() {
            for bits in 0..1u64 << features.len() {
                let on = features.iter().enumerate();
                let on = on.filter(|(index, _)| bits & (1 << index) != 0);
                let config = Config {
                    features: on.fold(0, |word, (_, feature)| word | 1 << feature),
                    errata: 0,
                    geometry,
                };
                if model.possible(config) {
                    all.push(config);
                }
            }
        }
        // Among equally many, the one in which features of the end of the file are off.
        all.sort_by_key(|c| (c.features.count_ones(), Reverse(c.features.reverse_bits())));
        Self {
            model,
            features,
            by_geometry,
            all,
        }
    }

    /// Returns all of them.
    pub fn iter(&self) -> impl Iterator<Item = Config> + '_ {
        self.all.iter().copied()
    }

    /// Returns the end of a sentence, such as ` when a is on and b is off`; empty for every configuration.
    pub fn when(&self, config: Config) -> String {
        let name = |feature: &usize| &self.model.features[*feature].named.name;
        let (on, off): (Vec<usize>, Vec<usize>) = self
            .features
            .iter()
            .partition(|&&feature| config.has(feature));
        let mut parts: Vec<String> = Vec::new();
        if self.by_geometry && self.model.geometries.len() > 1 {
            let geometry = &self.model.geometries[config.geometry].named.name;
            parts.push(format!("the geometry is `{geometry}`"));
        }
        parts.extend(on.iter().map(|f| format!("`{}` is on", name(f))));
        parts.extend(off.iter().map(|f| format!("`{}` is off", name(f))));
        if parts.is_empty() {
            String::new()
        } else {
            format!(" when {}", parts.join(" and "))
        }
    }
}

/// Returns the features, with those that they need.
fn closed(model: &Model, mut features: Vec<usize>) -> Vec<usize> {
    let mut seen = vec![false; model.features.len()];
    while let Some(feature) = features.pop() {
        if !std::mem::replace(&mut seen[feature], true) {
            features.extend(model.features[feature].needs.features());
        }
    }
    (0..seen.len()).filter(|&feature| seen[feature]).collect()
}

/// Returns whether a condition can hold with that geometry.
pub fn admits(cond: &Cond, geometry: usize) -> bool {
    cond.terms.iter().all(|term| match term.value {
        (Var::Geometry(other), wanted) => (other == geometry) == wanted,
        _ => true,
    })
}

/// Returns whether a condition can hold in a configuration, with a hint or without, keeping or not.
pub fn can_hold(cond: &Cond, config: Config) -> bool {
    let cases = [(false, false), (true, false), (false, true), (true, true)];
    let mut cases = cases.into_iter();
    cases.any(|(hinted, keep)| cond.holds_with(config, hinted, keep))
}

/// Returns where two conditions both hold, in the form of [`Configs::when`]: on one machine, which has one geometry
/// and no feature without what that needs, and in one use of an instruction. Nothing if they exclude each other.
pub fn both_hold(model: &Model, a: &Cond, b: &Cond) -> Option<String> {
    let both = a.and(b);
    let configs = Configs::of(model, [&both]);
    let config = configs.iter().find(|&config| can_hold(&both, config))?;
    Some(configs.when(config))
}
