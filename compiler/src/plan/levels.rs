//! Choices by level: a request whose level is known issues what entries of that level need.
//!
//! In: the choice for entries of every level. Out: the levels that have a cheaper one, each with its demand. Holds: a demand of a
//! level is one for everything that a request at that level may change. A choice with several stages is made for all levels
//! together, because completion knows the last stage, and not the level.

use std::rc::Rc;

use tlbc_runtime::level::{Level, Levels};

use super::builder::PlanBuilder;
use super::choose::Choice;
use super::context::PlanContext;
use super::demand::{Demand, LEAF, LEAF_AND_WALK, WALK};
use crate::model::{CachedKind, LevelSel, Model};

/// A demand, and the levels of the requests that have it.
pub type LevelDemand = (Levels, Demand);

/// The demands of passes, by their strides. Strides without a demand have no passes: their entries are not flushed by address.
pub struct PassDemands {
    /// Leaf entries.
    pub leaf: Vec<LevelDemand>,
    /// Leaf entries and the walk entries above them. If walk entries are invalidated level by level, no pass is for both, and these
    /// are the demands for walk entries.
    pub both: Vec<LevelDemand>,
    /// Walk entries.
    pub walk: Vec<LevelDemand>,
}

impl PassDemands {
    /// Returns whether a pass over leaf entries invalidates those of its stride alone.
    pub fn has_leaves_of_level(&self) -> bool {
        let mut demands = self.leaf.iter().chain(&self.both);
        demands.any(|(_, demand)| demand.leaf != Levels::ALL)
    }

    /// Returns whether a pass over walk entries invalidates those of its stride alone.
    pub fn has_walks_of_level(&self) -> bool {
        self.walk.iter().any(|(_, demand)| *demand != WALK.each())
    }

    /// Returns the levels whose leaf entries have no pass.
    pub fn leaves_without_pass(&self, model: &Model) -> Levels {
        let without = strides(model).without(levels_of(&self.leaf));
        let leaves = without.iter().map(|level| leaves_at(model, level));
        leaves.fold(Levels::NONE, Levels::union)
    }

    /// Returns the levels whose walk entries have no pass.
    pub fn walks_without_pass(&self, model: &Model) -> Levels {
        tables(model).without(levels_of(&self.walk))
    }
}

impl<'m> PlanBuilder<'m, '_> {
    /// Returns the demands of one page, with the table that held its entry or without.
    pub(super) fn page_demands(
        &mut self,
        context: &PlanContext<'m>,
        table: bool,
    ) -> Vec<LevelDemand> {
        let all = if table { LEAF_AND_WALK } else { LEAF };
        let model = self.model;
        self.level_demands(context, model.leaf_levels(), all, |level| Demand {
            leaf: Levels::only(level),
            walk: all.walk.and(tables_above(model, level)),
            ..all
        })
    }

    /// Returns the demands of passes. A level that another one's strides include has no pass.
    pub(super) fn pass_demands(&mut self, context: &PlanContext<'m>) -> PassDemands {
        let model = self.model;
        let of_leaves = |all: Demand| {
            move |level| Demand {
                leaf: leaves_at(model, level),
                ..all
            }
        };
        let mut demands = PassDemands {
            leaf: self.strided(context, strides(model), LEAF.each(), of_leaves(LEAF.each())),
            both: Vec::new(),
            walk: self.strided(context, tables(model), WALK.each(), |level| Demand {
                walk: Levels::only(level),
                ..WALK.each()
            }),
        };
        demands.both = if demands.has_walks_of_level() {
            demands.walk.clone()
        } else {
            let both = LEAF_AND_WALK.each();
            let levels = levels_of(&demands.leaf);
            let each = self.strided(context, levels, both, of_leaves(both));
            if levels_of(&each) == levels {
                each
            } else {
                vec![(levels, both)]
            }
        };
        demands
    }

    /// Returns the demands of passes where entries are new, by their levels. Entries of the other levels are not flushed by address.
    pub(super) fn negative_demands(&mut self, context: &PlanContext<'m>) -> Vec<LevelDemand> {
        if !self.model.caches.hold(CachedKind::Negative, self.machine) {
            return Vec::new();
        }
        let cached = self.model.caches.negative_levels(self.machine);
        let of_level = |level| {
            let of = |levels: Levels| levels.and(Levels::only(level));
            Demand {
                leaf: of(self.model.leaf_levels()),
                negative: of(cached),
                ..LEAF.each()
            }
        };
        let levels = self.levels_with_negative().iter();
        let mut demands: Vec<LevelDemand> = levels
            .map(|level| (Levels::only(level), of_level(level)))
            .collect();
        demands.retain(|(_, demand)| {
            let choice = self.chooser.choose(context, *demand);
            choice.is_some_and(|choice| choice.by_address())
        });
        demands
    }

    /// Returns the levels of a request for new entries: of leaf entries, and of negative ones.
    pub(super) fn levels_with_negative(&self) -> Levels {
        let cached = self.model.caches.negative_levels(self.machine);
        let there = self.levels().into_iter().map(Levels::only);
        let there = there.fold(Levels::NONE, Levels::union);
        there.and(cached.union(self.model.leaf_levels()))
    }

    /// Returns the demands of passes of one kind: for all levels together, or for each level that is flushed by address.
    fn strided(
        &mut self,
        context: &PlanContext<'m>,
        levels: Levels,
        all: Demand,
        of: impl Fn(Level) -> Demand,
    ) -> Vec<LevelDemand> {
        let mut demands = self.level_demands(context, levels, all, of);
        demands.retain(|(_, demand)| self.choose(context, *demand).by_address());
        if demands.is_empty() {
            demands.push((levels, all));
        }
        demands
    }

    /// Returns the demands of requests at these levels: `all`, unless what `of` a level requires has a cheaper choice.
    fn level_demands(
        &mut self,
        context: &PlanContext<'m>,
        levels: Levels,
        all: Demand,
        of: impl Fn(Level) -> Demand,
    ) -> Vec<LevelDemand> {
        let together = vec![(levels, all)];
        if !distinguishes_levels(self.model) {
            return together;
        }
        let Some(usual) = self.chooser.choose(context, all) else {
            return together;
        };
        let has_one_stage = |choice: &Choice| choice.candidates.iter().all(|it| it.stage == 0);
        let is_cheaper = |own: Rc<Choice>| own.cost < usual.cost && has_one_stage(&own);
        let mut groups: Vec<LevelDemand> = Vec::new();
        for level in levels.iter() {
            let own = of(level);
            let choice = self.chooser.choose(context, own);
            let is_own = has_one_stage(&usual) && choice.is_some_and(is_cheaper);
            let demand = if is_own { own } else { all };
            match groups.iter_mut().find(|(_, same)| *same == demand) {
                Some((levels, _)) => *levels = levels.union(Levels::only(level)),
                None => groups.push((Levels::only(level), demand)),
            }
        }
        groups
    }
}

/// Returns whether an instruction invalidates entries of some levels, whatever level it is given.
fn distinguishes_levels(model: &Model) -> bool {
    let forms = model.invalidates.iter().flat_map(|it| &it.forms);
    let mut drops = forms.flat_map(|form| &form.drops);
    drops.any(|it| {
        let mut of = [it.leaf, it.walk].into_iter().flatten();
        of.any(|of| matches!(of, LevelSel::Only(_)))
    })
}

/// Returns the levels that have these demands.
pub fn levels_of(demands: &[LevelDemand]) -> Levels {
    let levels = demands.iter().map(|(levels, _)| *levels);
    levels.fold(Levels::NONE, Levels::union)
}

/// Returns the levels whose leaf entries have passes at their own stride.
fn strides(model: &Model) -> Levels {
    model.strides().and(model.leaf_levels())
}

/// Returns the levels whose leaf entries a pass of this stride may name.
fn leaves_at(model: &Model, stride: Level) -> Levels {
    let merged = model.merged_levels().and(Levels::above(stride));
    Levels::only(stride).union(merged)
}

/// Returns the levels whose entries may point at tables.
fn tables(model: &Model) -> Levels {
    let of_geometry = model.geometries.iter().map(|geometry| {
        let levels = Level::all().zip(&geometry.levels);
        levels.filter(|(_, there)| there.is_some()).skip(1)
    });
    of_geometry.flatten().fold(Levels::NONE, |all, (level, _)| {
        all.union(Levels::only(level))
    })
}

/// Returns the levels of the entries that may point at a table of this level: the next one of each geometry.
fn tables_above(model: &Model, level: Level) -> Levels {
    let next = model.geometries.iter().filter_map(|geometry| {
        let levels = Level::all().zip(&geometry.levels);
        let mut above = levels.filter(|(other, there)| *other > level && there.is_some());
        above.next()
    });
    next.fold(Levels::NONE, |all, (level, _)| {
        all.union(Levels::only(level))
    })
}
