//! Switches, return to user code, entry from user code, and CPUs that come online.
//!
//! In: what the definition says is loaded. Out: the nodes of the four events. Holds: the pending flush of a tag is
//! completed before its entries can be used; no walker sees the root of one space together with the tag of another.

use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::request::{Reach, Space};

use crate::model::View;

use super::builder::PlanBuilder;
use super::candidates::How;
use super::context::PlanContext;
use super::deferrals::{can_keep, load_drops};
use super::demand::{Demand, DemandExtent, LEAF_AND_WALK};
use super::factor::seq;
use super::ir::{Node, Reason, Shape, Test};
use super::stages::Staged;
use super::steps::{guarded, issues};

impl<'m> PlanBuilder<'m, '_> {
    /// Completes the pending flush of this CPU, for the tag or for every tag, and loads the space.
    pub(super) fn switch(&mut self) -> Node {
        let after = self.flush_after_load();
        let load_completes = after.is_some() || self.switch_invalidates();
        let deferred_views_ = self.deferred_views();
        let flush = self.flush_before_load();
        let of_tag = |builder: &Self| {
            let mut steps = vec![Node::CompletePending(Pending::Tag)];
            if !load_completes {
                steps.push(flush.clone());
            }
            steps.push(builder.loads(false));
            steps.extend(after.clone());
            steps.extend(deferred_views_.clone());
            seq(steps)
        };
        let all = if self.model.switch_flushes_every_tag(self.machine) {
            let steps = [
                Node::CompletePending(Pending::All),
                self.everything_flushed(),
                self.loads(false),
            ];
            let steps = steps.into_iter().chain(after.clone());
            seq(steps.chain(deferred_views_.clone()))
        } else {
            // Tags are not given out anew all at once, so no instruction has to invalidate everything.
            of_tag(self)
        };
        let nothing_pending = seq([self.loads(true)].into_iter().chain(after.clone()));
        Node::select(
            Test::Pending(Pending::None),
            nothing_pending,
            Node::select(Test::Pending(Pending::Tag), of_tag(self), all),
        )
    }

    /// Invalidates everything of user spaces after the loads, where the definition says so: no tag tells the entries of
    /// the previous space apart.
    fn flush_after_load(&mut self) -> Option<Node> {
        let flushes = self.model.switch_flushes(self.machine);
        flushes.then(|| self.whole_flush())
    }

    /// Flushes everything of a user space on this CPU.
    fn whole_flush(&mut self) -> Node {
        let flush =
            [Shape::Everything, Shape::Finish].map(|of| Node::Call(of(Space::User, Reach::Here)));
        seq(self.begin(Space::User).into_iter().chain(flush))
    }

    /// Flushes everything of a space that is about to be loaded. Instructions for the loaded tag would act on
    /// another space, so others are used.
    fn flush_before_load(&mut self) -> Node {
        let demand = Demand {
            extent: DemandExtent::Everything,
            ..LEAF_AND_WALK
        };
        let loaded = self.context(Space::User, Reach::Here, true);
        let entering = PlanContext {
            entering: true,
            unlocked: true,
            ..loaded
        };
        let usual = self.choose(&loaded, demand);
        let choice = self.chooser.choose(&entering, demand);
        match choice {
            Some(choice)
                if choice.candidates != usual.candidates || !self.completes_alike(&loaded) =>
            {
                // Nothing makes entries of a space that is not loaded.
                let steps = self.complete_steps(&entering, &Staged::of([&choice]));
                let steps = [self.publish(&entering)].into_iter().chain(steps);
                guarded(&entering, seq(steps))
            }
            _ => self.whole_flush(),
        }
    }

    /// Returns instructions with their completion. Each part starts when the one before is complete.
    pub(super) fn complete_steps(&self, context: &PlanContext<'_>, staged: &Staged) -> Vec<Node> {
        let parts = staged.now.iter().chain(staged.late.values());
        let issued =
            parts.map(|candidates| (candidates, issues(context, candidates.iter(), false, true)));
        let (mut steps, open) = self.in_turn(context, issued.map(|(m, s)| (m.as_slice(), seq(s))));
        steps.extend(open.into_iter().map(|b| self.complete(context, b)));
        steps
    }

    /// Returns the deferred flush of user views, if the flush of a whole tag leaves it to the return to user code.
    fn deferred_views(&mut self) -> Option<Node> {
        let context = self.context(Space::User, Reach::Here, false);
        let deferred = context.deferrals().iter().any(|m| m.how == How::DeferView);
        deferred.then_some(Node::Defer(Deferred::VIEW_UNTIL_RETURN))
    }

    /// Returns whether a load of the switch invalidates everything under the tag, and so completes the pending
    /// flush.
    fn switch_invalidates(&self) -> bool {
        let loads = self.model.switch.loads.iter();
        let here = loads.filter(|l| l.when.holds(self.machine));
        here.flat_map(|l| &l.loads)
            .any(|&load| load_drops(self.model, load, self.machine, false))
    }

    fn loads(&self, keep: bool) -> Node {
        let event = &self.model.switch;
        let mut steps = Vec::new();
        let here = event.loads.iter().filter(|l| l.when.holds(self.machine));
        let each = here.flat_map(|loads| loads.loads.iter().map(|&load| (load, loads.view)));
        let mut each: Vec<_> = each.collect();
        // A tag loaded before the root of its space, or after another root, would let the walker fill entries
        // of one space under the tag of the other. So the root is empty while the tag changes.
        if self.model.is_half_loaded(event, self.machine) {
            let has_root = |load: usize| {
                let mut operands = self.model.loads[load].template.operands.iter();
                operands
                    .any(|&operand| super::takes(self.model, operand, crate::model::Source::Root))
            };
            let roots = each.iter().filter(|&&(load, _)| has_root(load));
            steps.extend(roots.flat_map(|&(load, view)| self.empty_root(load, view)));
            each.sort_by_key(|&(load, _)| has_root(load));
        }
        let each = each.into_iter();
        steps.extend(each.flat_map(|(load, view)| self.load(load, view, keep)));
        steps.extend(self.resync(event.resync.as_ref()));
        seq(steps)
    }

    /// Returns a load after the barrier that it follows. Entries are kept if it should keep them and can.
    pub(super) fn load(&self, load: usize, view: usize, keep: bool) -> Vec<Node> {
        let of_space = Node::Load {
            load,
            view,
            empty: false,
            keep: keep && can_keep(self.model, load, self.machine),
        };
        self.after_its_barrier(load, of_space)
    }

    /// Returns the load of an empty root after the barrier that it follows.
    fn empty_root(&self, load: usize, view: usize) -> Vec<Node> {
        let empty = Node::Load {
            load,
            view,
            empty: true,
            keep: false,
        };
        self.after_its_barrier(load, empty)
    }

    fn after_its_barrier(&self, load: usize, node: Node) -> Vec<Node> {
        let before = self.model.loads[load].follows;
        let before = before.map(|at| Node::Publish {
            barrier: Some(at.value),
        });
        before.into_iter().chain([node]).collect()
    }

    pub(super) fn return_to_user(&self) -> Node {
        let event = &self.model.return_to_user;
        let loads = |keep: bool| {
            let mut steps = Vec::new();
            for loads in event.loads.iter().filter(|l| l.when.holds(self.machine)) {
                let each = loads.loads.iter();
                steps.extend(each.flat_map(|&load| self.load(load, loads.view, keep)));
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
        Node::select(Test::ViewDeferred, loads(false), loads(true))
    }

    /// Loads again, for the view that the kernel runs on, what the return to user code loaded; what follows the
    /// loads of a switch follows. Entries are kept if the load can keep them.
    pub(super) fn enter_from_user(&self) -> Node {
        let views = &self.model.user.views;
        let of_kernel = |view: &View| view.loaded && view.when.holds(self.machine);
        let kernel = views.iter().position(of_kernel).unwrap_or(0);
        let loads = self.model.return_to_user.loads.iter();
        let there = loads.filter(|l| l.when.holds(self.machine) && l.view != kernel);
        let loads = there.flat_map(|loads| &loads.loads);
        let steps = loads.flat_map(|&load| self.load(load, kernel, true));
        let mut steps: Vec<Node> = steps.collect();
        if steps.is_empty() {
            return Node::Nothing(Reason::SameView);
        }
        steps.extend(self.resync(self.model.switch.resync.as_ref()));
        seq(steps)
    }

    /// Invalidates everything of both spaces, under every tag, unless the CPU has nothing cached.
    pub(super) fn cpu_online(&mut self) -> Node {
        if self.model.online_clean(self.machine) {
            Node::Nothing(Reason::Clean)
        } else {
            self.invalidate_all()
        }
    }

    /// Returns the context of a flush of everything that this CPU may hold, which takes no lock.
    pub(super) fn of_this_cpu(&self) -> PlanContext<'m> {
        PlanContext {
            unlocked: true,
            ..PlanContext::new(self.model, self.machine, Space::Kernel, Reach::Here)
        }
    }

    /// Invalidates everything of both spaces, under every tag.
    pub(super) fn invalidate_all(&mut self) -> Node {
        let kernel = self.of_this_cpu();
        let demand = Demand {
            extent: DemandExtent::Everything,
            ..LEAF_AND_WALK
        };
        let mut steps = vec![self.publish(&kernel)];
        let Some(choice) = self
            .chooser
            .choose_any(&kernel, |kind| kernel.every_class(kind))
        else {
            self.gaps.push((Space::Kernel, Reach::Here, demand));
            return Node::Seq(Vec::new());
        };
        let staged = Staged::everything(&kernel, &choice, |kind| kernel.every_class(kind));
        steps.extend(self.complete_steps(&kernel, &staged));
        steps.extend(self.resync(self.model.cpu_online.resync.as_ref()));
        guarded(&kernel, seq(steps))
    }
}
