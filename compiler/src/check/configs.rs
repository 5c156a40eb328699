//! Configurations: the machines on which a rule is evaluated.
//!
//! In: the model and the conditions that a rule depends on. Out: configurations, few features first. Holds: no feature is
//! on without what it needs, and a feature that no condition depends on is off. Configurations that differ only in
//! features for which the rule did not ask are evaluated once, so the work grows with the number of cases that a rule
//! tells apart, not with the number of machines.

use std::cell::RefCell;
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
    /// The features for which the rule has asked on the last configuration, in this order.
    asked: RefCell<Vec<usize>>,
}

/// A configuration that notes for which features a rule asks. It is asked only before the next one is taken.
#[derive(Clone, Copy)]
pub struct RecordedConfig<'c> {
    config: Config,
    asked: &'c RefCell<Vec<usize>>,
}

impl Machine for RecordedConfig<'_> {
    fn has(self, feature: usize) -> bool {
        self.asked.borrow_mut().push(feature);
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
            asked: RefCell::default(),
        }
    }

    /// Returns one configuration for each set of answers that a rule gets to its questions: the first one.
    pub fn iter(&self) -> impl Iterator<Item = RecordedConfig<'_>> {
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
            self.asked.borrow_mut().clear();
            let config = Config {
                geometry,
                ..known.config()
            };
            let asked = &self.asked;
            Some(RecordedConfig { config, asked })
        })
    }

    /// Returns what is known of the other configurations: each differs from the last in a feature for which was asked, and
    /// agrees in those before it.
    fn others(&self, mut known: KnownFlags) -> Vec<KnownFlags> {
        let mut others = Vec::new();
        for &feature in self.asked.borrow().iter() {
            let flag = Flag::feature(feature);
            if known.get(flag).is_none() && self.features.contains(&feature) {
                others.extend(self.needs.follow(known.with(flag, true)));
                known = known.with(flag, false);
                known = self.needs.follow(known).unwrap_or(known);
            }
        }
        others
    }

    /// Returns the end of a sentence, such as ` when a is on and b is off`; empty for every configuration.
    pub fn when(&self, RecordedConfig { config, .. }: RecordedConfig<'_>) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::scaling::with;

    /// Returns the configurations of rules that may ask for every feature.
    fn of_all(model: &Model) -> Configs<'_> {
        Configs {
            features: (0..model.features.len()).collect(),
            ..Configs::of(model, [])
        }
    }

    #[test]
    fn a_rule_is_evaluated_for_the_cases_that_it_tells_apart() {
        let model = with((0..24).map(|k| format!("feature f{k} \"one more\";")));
        let last = model.features.len() - 1;
        let configs = of_all(&model);
        let evaluated = |rule: &dyn Fn(RecordedConfig<'_>)| configs.iter().map(rule).count();
        let geometries = model.geometries.len();
        assert_eq!(evaluated(&|_| ()), geometries);
        let one =
            |config: RecordedConfig<'_>| assert!(config.has(last) || config.config.features == 0);
        assert_eq!(evaluated(&one), 2 * geometries);
        // The last feature that is on decides.
        let alternatives = |config: RecordedConfig<'_>| {
            (0..=last).rev().find(|&feature| config.has(feature));
        };
        assert_eq!(evaluated(&alternatives), (last + 2) * geometries);
    }

    /// What a rule finds first is what it would find first among all configurations, whatever it asks for and in
    /// whatever order.
    #[test]
    fn the_first_finding_is_that_of_all_configurations() {
        let needs = ["", "needs a", "needs not b", "", "needs d, c"];
        let features = ["a", "b", "c", "d", "e"].into_iter().zip(needs);
        let feature = |(name, needs)| format!("feature {name} \"one more\" {needs};");
        let model = with(features.map(feature));
        let count = model.features.len();
        let configs = of_all(&model);
        let all = (0..1u32 << count).map(|features| Config {
            features,
            ..Config::default()
        });
        let mut all: Vec<Config> = all.filter(|&config| model.possible(config)).collect();
        all.sort_by_key(|it| {
            (
                it.features.count_ones(),
                Reverse(it.features.reverse_bits()),
            )
        });
        let mut found = 0;
        for seed in 0..2000u64 {
            // A walk through questions, of which each depends on the answers so far.
            let rule = |has: &dyn Fn(usize) -> bool| {
                let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                for _ in 0..seed % 6 {
                    let feature = (state >> 33) as usize % count;
                    let answer = u64::from(has(feature));
                    state = (state ^ answer).wrapping_mul(0xd134_2543_de82_ef95);
                    state = state.rotate_left(17);
                }
                state >> 61 == 0
            };
            let first = configs.iter().find(|config| rule(&|it| config.has(it)));
            let of_all = all.iter().find(|config| rule(&|it| config.has(it)));
            assert_eq!(first.map(|it| it.config), of_all.copied(), "{seed}");
            found += u32::from(first.is_some());
        }
        assert!((500..1900).contains(&found), "{found}");
    }
}
