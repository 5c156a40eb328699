//! Switch, resume, entry from user code, arrive.
//!
//! In: what the definition says is loaded. Out: the nodes of the four events. Holds: what is owed
//! for a tag is paid before its entries can be used, and no walker finds the root of one space beside
//! the tag of another.

use std::rc::Rc;

use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::request::{Reach, Space};

use crate::model::View;

use super::builder::{LEAF_AND_WALK, PlanBuilder};
use super::candidates::{How, can_keep, load_drops};
use super::choose::{Choice, Demand, Extent};
use super::context::PlanContext;
use super::factor::seq;
use super::ir::{Node, Reason, Shape, Test};
use super::stages::Staged;
use super::steps::{guarded, issues};

impl PlanBuilder<'_, '_> {
    /// What was asked of this CPU, now done for a whole tag or for every tag, and then the loads.
    pub(super) fn switch(&mut self) -> Node {
        let load_completes = self.switch_drops();
        let deferred_views_ = self.deferred_views();
        let flush = self.flush_before_load();
        let drop = |builder: &Self| {
            let mut steps = vec![Node::CompletePending(Pending::Tag)];
            if !load_completes {
                steps.push(flush.clone());
            }
            steps.push(builder.loads(false));
            steps.extend(deferred_views_.clone());
            seq(steps)
        };
        let all = if self.model.switch_flushes_every_tag(self.machine) {
            let everything = if self.model.online_clean(self.machine) {
                self.drop_all()
            } else {
                Node::Call(Shape::CpuOnline)
            };
            let steps = [
                Node::CompletePending(Pending::All),
                everything,
                self.loads(false),
            ];
            seq(steps.into_iter().chain(deferred_views_.clone()))
        } else {
            // Tags are not given out anew all at once: no instruction needs to be able to drop everything.
            drop(self)
        };
        Node::select(
            Test::Pending(Pending::None),
            self.loads(true),
            Node::select(Test::Pending(Pending::Tag), drop(self), all),
        )
    }

    /// Everything of a space that is about to be loaded. Where an instruction on the loaded tag would be
    /// among what a loaded space is flushed by, another takes its place.
    fn flush_before_load(&mut self) -> Node {
        let user = Shape::Everything(Space::User, Reach::Here);
        let finish = Shape::Finish(Space::User, Reach::Here);
        let demand = Demand {
            extent: Extent::Everything,
            ..LEAF_AND_WALK
        };
        let loaded = self.context(Space::User, Reach::Here, true);
        let entering = PlanContext {
            entering: true,
            ..loaded
        };
        let usual = self.choose(&loaded, demand);
        let choice = self.chooser.choose(&entering, demand);
        match choice {
            Some(choice)
                if choice.candidates != usual.candidates || !self.completes_alike(&loaded) =>
            {
                let steps = self.complete_steps(&entering, &choice);
                let steps = [self.publish(&entering)].into_iter().chain(steps);
                guarded(self.model, &choice, seq(steps))
            }
            _ => seq([Node::Call(user), Node::Call(finish)]),
        }
    }

    /// The instructions of a choice, complete: what is made from other entries is dropped when those are gone.
    pub(super) fn complete_steps(
        &self,
        context: &PlanContext<'_>,
        choice: &Rc<Choice>,
    ) -> Vec<Node> {
        let staged = Staged::of([choice]);
        let parts = staged.now.iter().chain(staged.late.values());
        let issued =
            parts.map(|candidates| (candidates, issues(context, candidates.iter(), false, true)));
        let (mut steps, open) = self.in_turn(context, issued.map(|(m, s)| (m.as_slice(), seq(s))));
        steps.extend(open.into_iter().map(|b| self.complete(context, b)));
        steps
    }

    /// The views whose flush is put off to the return to user code when their tag is dropped whole.
    fn deferred_views(&self) -> Option<Node> {
        let context = self.context(Space::User, Reach::Here, false);
        let deferred = context.deferrals().iter().any(|m| m.how == How::DeferView);
        deferred.then_some(Node::Defer(Deferred::VIEW_UNTIL_RETURN))
    }

    /// Whether what a switch loads drops everything under the tag, so that loading pays.
    fn switch_drops(&self) -> bool {
        let loads = self.model.switch.loads.iter();
        let here = loads.filter(|l| l.when.holds(self.machine));
        here.flat_map(|l| &l.loads)
            .any(|&load| load_drops(self.model, load, self.machine, false))
    }

    fn loads(&self, keep: bool) -> Node {
        let event = &self.model.switch;
        let mut steps = Vec::new();
        let here = event.loads.iter().filter(|l| l.when.holds(self.machine));
        // A tag loaded while another space's root stands, or the other way round, would let the walker
        // fill entries of one under the tag of the other.
        if self.model.is_half_loaded(event, self.machine) {
            let each = here
                .clone()
                .flat_map(|loads| loads.loads.iter().map(|&load| (load, loads.view)));
            let has_root = |load: usize| {
                let mut operands = self.model.loads[load].template.operands.iter();
                operands
                    .any(|&operand| super::takes(self.model, operand, crate::model::Source::Root))
            };
            let roots = each.filter(|&(load, _)| has_root(load));
            steps.extend(roots.map(|(load, view)| Node::Load {
                load,
                view,
                empty: true,
                keep: false,
            }));
        }
        for loads in here {
            steps.extend(loads.loads.iter().map(|&load| Node::Load {
                load,
                view: loads.view,
                empty: false,
                keep: keep && can_keep(self.model, load, self.machine),
            }));
        }
        steps.extend(self.resync(event.resync.as_ref()));
        seq(steps)
    }

    pub(super) fn resume(&self) -> Node {
        let event = &self.model.return_to_user;
        let loads = |keep: bool| {
            let mut steps = Vec::new();
            for loads in event.loads.iter().filter(|l| l.when.holds(self.machine)) {
                steps.extend(loads.loads.iter().map(|&load| Node::Load {
                    load,
                    view: loads.view,
                    empty: false,
                    keep: keep && can_keep(self.model, load, self.machine),
                }));
            }
            if !steps.is_empty() {
                steps.extend(self.resync(event.resync.as_ref()));
            }
            if steps.is_empty() {
                Node::Nothing(Reason::SameView)
            } else {
                seq(steps)
            }
        };
        Node::select(Test::Deferred, loads(false), loads(true))
    }

    /// The way back: what the return to user code loaded is loaded again in the view that the kernel runs on, and what
    /// follows the loads of a switch follows these. Nothing is dropped that the load can keep.
    pub(super) fn enter(&self) -> Node {
        let views = &self.model.user.views;
        let of_kernel = |view: &View| view.loaded && view.when.holds(self.machine);
        let kernel = views.iter().position(of_kernel).unwrap_or(0);
        let loads = self.model.return_to_user.loads.iter();
        let there = loads.filter(|l| l.when.holds(self.machine) && l.view != kernel);
        let loads = there.flat_map(|loads| &loads.loads);
        let mut steps: Vec<Node> = loads
            .map(|&load| Node::Load {
                load,
                view: kernel,
                empty: false,
                keep: can_keep(self.model, load, self.machine),
            })
            .collect();
        if steps.is_empty() {
            return Node::Nothing(Reason::SameView);
        }
        steps.extend(self.resync(self.model.switch.resync.as_ref()));
        seq(steps)
    }

    /// Everything of both spaces, under any tag.
    pub(super) fn arrive(&mut self) -> Node {
        if self.model.online_clean(self.machine) {
            Node::Nothing(Reason::Clean)
        } else {
            self.drop_all()
        }
    }

    /// Everything under every tag, of both spaces.
    fn drop_all(&mut self) -> Node {
        let kernel = self.context(Space::Kernel, Reach::Here, true);
        let demand = Demand {
            extent: Extent::Everything,
            ..LEAF_AND_WALK
        };
        let mut steps = vec![self.publish(&kernel)];
        let Some(choice) = self.chooser.choose_any(&kernel) else {
            self.gaps.push((Space::Kernel, Reach::Here, demand));
            return Node::Seq(Vec::new());
        };
        steps.extend(self.complete_steps(&kernel, &choice));
        steps.extend(self.resync(self.model.cpu_online.resync.as_ref()));
        guarded(self.model, &choice, seq(steps))
    }
}
