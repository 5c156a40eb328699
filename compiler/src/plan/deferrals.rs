//! Candidates that defer a flush: other tags of this CPU, and a view that the return to user code loads.
//!
//! In: a [`PlanContext`]. Out: the deferrals that its machine has. Holds: the load that ends a deferral can invalidate
//! everything that was deferred.

use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{EntryKinds, TagSelector};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::Space;
use tlbc_runtime::request::passes::Leaves;

use super::addressing::Addressing;
use super::candidates::{Candidate, How};
use super::context::PlanContext;
use crate::model::{AddressSelector, Drops, LevelSel, Machine, Model, Source, Value};

impl PlanContext<'_> {
    /// Returns the flushes that can be deferred.
    pub fn deferrals(&self) -> Vec<Candidate> {
        let mut deferrals = Vec::new();
        let views = self.views();
        let defer = |how, view: Option<usize>, whose: TagSelector| Candidate {
            how,
            space: self.space,
            view,
            tag: None,
            addressing: Addressing::Everything,
            leaves: Leaves::Named,
            stage: 0,
            cells: (views.iter())
                .map(|&v| {
                    let whose = TagSelector {
                        this: whose.this && view == Some(v),
                        ..whose
                    };
                    Cells::of(EntryKinds::LEAF_AND_WALK, whose, Agents::SELF)
                })
                .collect(),
            hinted: Rc::default(),
            everywhere: vec![Cells::NONE; views.len()].into(),
            deferred_classes: whose.bits(),
            cost: 0,
            before: None,
            after: Vec::new(),
            workarounds: Vec::new(),
        };
        // Other tags include global and per-CPU tags, and that of a space that is about to be loaded.
        let mut tags = self.tags().peekable();
        let are_lazy = tags.peek().is_some() && tags.all(|tag| tag.invalidated_lazily.is_some());
        if are_lazy && !self.entering {
            let others = TagSelector {
                this: false,
                other: true,
                global: false,
            };
            deferrals.push(defer(How::InvalidateOtherTags, None, others));
        }
        if self.space == Space::User {
            for &view in &views {
                if !self.model.user.views[view].loaded && self.return_drops(view) {
                    deferrals.push(defer(How::DeferView, Some(view), TagSelector::THIS));
                }
            }
        }
        deferrals
    }

    /// Returns whether the return to user code loads this view and can invalidate everything under its tag.
    fn return_drops(&self, view: usize) -> bool {
        let mut loads = self.model.return_to_user.loads.iter();
        loads.any(|l| {
            l.view == view
                && l.when.holds(self.machine)
                && l.loads
                    .iter()
                    .any(|&load| load_drops(self.model, load, self.machine, false))
        })
    }
}

/// Returns whether loading a register invalidates everything under the tag that is loaded.
pub fn load_drops(model: &Model, load: usize, machine: impl Machine, keep: bool) -> bool {
    let keep = keep && can_keep(model, load, machine);
    model.loads[load].drops.iter().any(|d| {
        d.leaf == Some(LevelSel::Any)
            && d.walk == Some(LevelSel::Any)
            && drops_negative(d, model.caches.negative_levels(machine))
            && d.which.value == AddressSelector::Everything
            && d.whose.value.this
            && d.when.holds_with(machine, false, keep)
    })
}

/// Returns whether a clause invalidates the negative entries that are cached, which are of these levels.
fn drops_negative(drops: &Drops, cached: Levels) -> bool {
    match drops.negative {
        Some(LevelSel::Any) => true,
        Some(LevelSel::Only(levels)) => cached.and(levels) == cached,
        _ => cached.is_empty(),
    }
}

/// Returns whether a load can keep the entries under the tag.
pub fn can_keep(model: &Model, load: usize, machine: impl Machine) -> bool {
    model.loads[load].template.operands.iter().any(|&operand| {
        let mut fields = model.operands[operand].fields.iter();
        fields.any(|f| f.value == Value::Source(Source::Keep) && f.when.holds(machine))
    })
}
