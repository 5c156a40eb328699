//! A new tag for the space that is loaded, in place of a flush.
//!
//! In: a [`PlanContext`]. Out: the candidate, if the machine has it, and the node that loads a tag. Holds: entries under the old tag are
//! not reached from the moment of the load, and everything is invalidated before an old tag is given out again.

use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::TagSelector;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::Space;
use tlbc_runtime::request::passes::Leaves;

use super::addressing::Addressing;
use super::builder::PlanBuilder;
use super::candidates::{Candidate, How};
use super::choose::held;
use super::context::PlanContext;
use super::factor::seq;
use super::ir::{Node, Shape, Test};
use super::stages::Staged;
use super::steps::guarded;
use crate::model::{CachedKind, View};

impl PlanContext<'_> {
    /// Returns the new tag as a candidate for a flush of the user space that is loaded, if it may get one.
    pub fn renewal(&self) -> Option<Candidate> {
        let renewal = self.model.renewal(self.machine)?;
        if self.space != Space::User || self.entering {
            return None;
        }
        let kinds = [CachedKind::Leaf, CachedKind::Walk, CachedKind::Negative];
        let kinds = kinds.into_iter().filter(|kind| held(self, *kind));
        let of_tag = kinds.fold(Cells::NONE, |all, kind| {
            all.union(&self.cells(kind, Levels::ALL, TagSelector::THIS, Agents::SELF))
        });
        let cells: Rc<[Cells]> = vec![of_tag; self.views().len()].into();
        Some(Candidate {
            how: How::RenewTag,
            space: self.space,
            view: None,
            tag: None,
            addressing: Addressing::Everything,
            leaves: Leaves::Named,
            stage: 0,
            everywhere: Rc::clone(&cells),
            cells,
            hinted: Rc::default(),
            deferred_classes: 0,
            cost: renewal.cost,
            before: None,
            after: Vec::new(),
            workarounds: Vec::new(),
        })
    }
}

impl PlanBuilder<'_, '_> {
    /// Loads a new tag of the space that is loaded, after a flush of everything if all tags were given out. Nothing where no space
    /// gets one.
    pub(super) fn load_tag(&mut self) -> Option<Node> {
        let load = self.model.renewal(self.machine)?.load;
        let mut views = self.model.user.views.iter();
        let is_loaded = |view: &View| view.loaded && view.when.holds(self.machine);
        let mut loads = self.load(load, views.position(is_loaded).unwrap_or(0), true);
        loads.extend(self.resync(self.model.switch.resync.as_ref()));
        let all = [
            Node::CompletePending(Pending::All),
            self.everything_flushed(),
        ];
        let all = seq(all.into_iter().chain(loads.iter().cloned()));
        Some(Node::select(Test::Pending(Pending::None), seq(loads), all))
    }

    /// Invalidates everything under every tag on this CPU, before it loads a tag that was given out anew. Global entries may stay.
    pub(super) fn everything_flushed(&mut self) -> Node {
        let online = self.of_this_cpu();
        // A tag that is loaded is not the one that is about to be loaded.
        let entering = PlanContext {
            entering: true,
            ..online
        };
        let online = self
            .chooser
            .choose_any(&online, |kind| online.every_class(kind));
        let choice = self
            .chooser
            .choose_any(&entering, |kind| entering.tagged_classes(kind));
        let tagged = choice.filter(|choice| {
            let online = online.iter().flat_map(|online| &online.candidates);
            entering.tags().next().is_some() && !online.eq(&choice.candidates)
        });
        match tagged {
            Some(choice) => {
                let staged =
                    Staged::everything(&entering, &choice, |kind| entering.tagged_classes(kind));
                let steps = self.complete_steps(&entering, &staged);
                guarded(
                    &entering,
                    seq([self.publish(&entering)].into_iter().chain(steps)),
                )
            }
            None if self.model.online_clean(self.machine) => self.invalidate_all(),
            None => Node::Call(Shape::CpuOnline),
        }
    }
}
