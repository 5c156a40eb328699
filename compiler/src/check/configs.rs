//! Configurations: the machines on which a rule is evaluated.
//!
//! In: the model and the conditions that a rule depends on. Out: configurations, few features first. Holds: no feature is
//! on without what it needs, and a feature that no condition depends on is off. Configurations that differ only in
//! features for which the rule did not ask are evaluated once, so the work grows with the number of cases that a rule
//! tells apart, not with the number of machines.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::flags::{Flag, KnownFlags, Needs};
use crate::model::{Cond, Config, Machine, Model, Var};

/// The configurations that make a difference to some conditions.
pub struct Configs<'m> {
    model: &'m Model,
    needs: Needs,
    features: Vec<usize>,
    by_geometry: bool,
    /// The features for which the rule has asked on the last configuration, one bit each.
    asked: Cell<u32>,
}

/// A configuration that notes for which features a rule asks. It is asked only before the next one is taken.
#[derive(Clone, Copy)]
pub struct Asked<'c> {
    config: Config,
    asked: &'c Cell<u32>,
}

impl Machine for Asked<'_> {
    fn has(self, feature: usize) -> bool {
        self.asked.set(self.asked.get() | 1 << feature);
        self.config.has(feature)
    }

    fn suffers(self, erratum: usize) -> bool {
        self.config.suffers(erratum)
    }

    fn geometry(self) -> usize {
        self.config.geometry
    }
}

/// The configurations that agree with what is known, on one geometry. Those with few features come first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    /// The number of features that are on, and which: among equally many, those of the end of the file are off.
    order: Reverse<(u32, Reverse<u32>, usize)>,
    known: KnownFlags,
}

impl Open {
    fn new(known: KnownFlags, geometry: usize) -> Self {
        let on = known.config().features;
        Self {
            order: Reverse((on.count_ones(), Reverse(on.reverse_bits()), geometry)),
            known,
        }
    }
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
        Self {
            model,
            needs: Needs::of(model),
            features,
            by_geometry,
            asked: Cell::new(0),
        }
    }

    /// Returns all that a rule tells apart by what it asks for. The first of those that a rule asks alike is returned.
    pub fn iter(&self) -> impl Iterator<Item = Asked<'_>> {
        let all = 0..self.model.geometries.len();
        let nothing = KnownFlags::default();
        let mut open: BinaryHeap<Open> = all.map(|g| Open::new(nothing, g)).collect();
        let mut last: Option<(KnownFlags, usize)> = None;
        std::iter::from_fn(move || {
            if let Some((known, geometry)) = last.take() {
                let others = self.others(known).into_iter();
                open.extend(others.map(|known| Open::new(known, geometry)));
            }
            let Open { order, known } = open.pop()?;
            let Reverse((.., geometry)) = order;
            last = Some((known, geometry));
            self.asked.set(0);
            let config = Config {
                geometry,
                ..known.config()
            };
            let asked = &self.asked;
            Some(Asked { config, asked })
        })
    }

    /// Returns what is known of the other configurations, which differ from the last in a feature for which was asked.
    fn others(&self, mut known: KnownFlags) -> Vec<KnownFlags> {
        let asked = self.asked.get();
        let asked = self.features.iter().filter(|&&it| asked & 1 << it != 0);
        let mut others = Vec::new();
        for flag in asked.map(|&feature| Flag::feature(feature)) {
            if known.get(flag).is_none() {
                others.extend(self.needs.follow(known.with(flag, true)));
                known = known.with(flag, false);
                known = self.needs.follow(known).unwrap_or(known);
            }
        }
        others
    }

    /// Returns the end of a sentence, such as ` when a is on and b is off`; empty for every configuration.
    pub fn when(&self, Asked { config, .. }: Asked<'_>) -> String {
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
pub fn can_hold(cond: &Cond, machine: impl Machine) -> bool {
    let cases = [(false, false), (true, false), (false, true), (true, true)];
    let mut cases = cases.into_iter();
    cases.any(|(hinted, keep)| cond.holds_with(machine, hinted, keep))
}

/// Returns where two conditions both hold, in the form of [`Configs::when`]: on one machine, which has one geometry
/// and no feature without what that needs, and in one use of an instruction. Nothing if they exclude each other.
pub fn both_hold(model: &Model, a: &Cond, b: &Cond) -> Option<String> {
    let both = a.and(b);
    let configs = Configs::of(model, [&both]);
    let config = configs.iter().find(|&config| can_hold(&both, config))?;
    Some(configs.when(config))
}
