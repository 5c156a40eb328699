//! One request, executed by the plans of a machine and by its generated backend.

use std::cell::RefCell;
use std::collections::BTreeSet;

use tlbc::model::{CachedKind, Config, Model, Which};
use tlbc::plan::Plans;
use tlbc::plan::ir::Shape;
use tlbc::trace::interpret::{Changing, Effects, Env, Op, flush, interpret};
use tlbc_runtime::backend::Finished;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Ranges, Reach, Request, Scope, Space, SpaceFlags, Tag};
use tlbc_runtime::{Deferred, FinishSteps, IpiTargets, Pending, Root};

use super::Issued;
use super::machines::{Machine, SPACES, space_flags};

/// A machine with its plans and its backend, and the request.
pub struct Asked<'a> {
    pub model: &'a Model,
    pub plans: &'a Plans,
    pub tlb: &'a dyn Machine,
    pub env: Env,
    /// The names of the instructions that were issued so far, in all cases.
    pub seen: &'a RefCell<BTreeSet<String>>,
}

/// What one side did.
#[derive(Debug, PartialEq)]
pub struct Did {
    pub issued: Vec<Issued>,
    pub deferred: Deferred,
    pub exceeded_ceiling: bool,
    pub flush_ipis: IpiTargets,
    pub sync_ipis: IpiTargets,
}

impl Did {
    pub fn nothing() -> Self {
        Self {
            issued: Vec::new(),
            deferred: Deferred::NOTHING,
            exceeded_ceiling: false,
            flush_ipis: IpiTargets::NONE,
            sync_ipis: IpiTargets::NONE,
        }
    }
}

impl Asked<'_> {
    /// Interprets the plan of a shape.
    pub fn plan(&self, shape: Shape) -> Did {
        self.did(interpret(self.model, self.plans, shape, &self.env))
    }

    /// Returns what a backend that does the same is seen to do.
    pub fn did(&self, effects: Effects) -> Did {
        let Effects {
            ops,
            deferred,
            exceeded_ceiling,
            flush_ipis,
            sync_ipis,
            ..
        } = effects;
        let operand = |&(operand, bits): &(usize, u128)| {
            let named = &self.model.operands[operand].named;
            (named.name.clone(), bits)
        };
        let op = |op: Op| {
            let named = match op.which {
                Which::Barrier(index) => &self.model.barriers[index].named,
                Which::Invalidate(index) => &self.model.invalidates[index].named,
                Which::Load(index) => &self.model.loads[index].named,
                // The sink does not see plain stores.
                Which::Store => return None,
            };
            let operands = op.operands.iter().map(operand).collect();
            Some((named.name.clone(), operands))
        };
        Did {
            issued: ops.into_iter().filter_map(op).collect(),
            deferred,
            exceeded_ceiling,
            flush_ipis,
            sync_ipis,
        }
    }

    /// Runs the generated code with a recording sink.
    pub fn backend<T>(
        &self,
        run: impl FnOnce(&dyn Machine, &mut Vec<Issued>) -> T,
    ) -> (Vec<Issued>, T) {
        let mut issued = Vec::new();
        let result = run(self.tlb, &mut issued);
        let names = issued.iter().map(|(name, _)| name.clone());
        self.seen.borrow_mut().extend(names);
        (issued, result)
    }

    /// Checks that a flush of ranges that exceeds the ceiling issues the same as a flush of everything.
    fn exceeds_ceiling(&self, request: &Request<'_>) {
        let everything = Request {
            scope: Scope::Everything {
                tables: request.tables(),
            },
            ..*request
        };
        let issued = |request: &Request<'_>| {
            let (issued, started) = self.backend(|tlb, sink| tlb.start(sink, request));
            let exceeded = started.outcome.exceeded_ceiling;
            let (after, _) = self.backend(|tlb, sink| tlb.finish(sink, started));
            (issued, after, exceeded)
        };
        let (start, finish, exceeded) = issued(request);
        if exceeded {
            assert_eq!((start, finish, false), issued(&everything), "{request:?}");
        }
    }

    /// Compares a flush: its start, its end, and what an interrupted CPU does. The runtime gives CPUs to calls only where
    /// there are calls, and publishes changes only before a flush of one CPU.
    pub fn flush(&mut self, space: Space, reach: Reach, scope: Scope<'_>) {
        let has_calls = self.plans.get(Shape::Page(space, Reach::Given)).is_some();
        if reach == Reach::Given && !has_calls {
            return;
        }
        self.flush_published(false, (space, reach), scope);
        if reach == Reach::Here {
            self.flush_published(true, (space, reach), scope);
        }
    }

    fn flush_published(
        &mut self,
        published: bool,
        (space, reach): (Space, Reach),
        scope: Scope<'_>,
    ) {
        let request = Request {
            space,
            tag: self.env.tag,
            reach,
            published,
            flags: space_flags(self.model, self.env.config),
            scope,
        };
        self.env.published = published;
        self.env.walk = request.tables();
        self.env.teardown = matches!(scope, Scope::Teardown);
        let shape = |reach| match scope {
            Scope::Page { .. } => Shape::Page(space, reach),
            Scope::Ranges(_) => Shape::Ranges(space, reach),
            Scope::Teardown if self.model.caches.ever_hold(CachedKind::Root) => {
                Shape::Teardown(space, reach)
            }
            Scope::Everything { .. } | Scope::Teardown => Shape::Everything(space, reach),
        };

        let flushed = flush(self.model, self.plans, shape(reach), &self.env);
        let [mut start, mut finish] = flushed.map(|effects| self.did(effects));
        if reach == Reach::Wide {
            let targets = self.plan(Shape::IpiTargets(space));
            start.flush_ipis = targets.flush_ipis;
            assert_eq!(
                targets.issued,
                [],
                "the choice of IPI targets issues nothing"
            );
        }
        finish.deferred |= start.deferred;

        self.exceeds_ceiling(&request);
        let (issued, started) = self.backend(|tlb, sink| tlb.start(sink, &request));
        let here = Did {
            issued,
            deferred: started.outcome.deferred,
            exceeded_ceiling: started.outcome.exceeded_ceiling,
            flush_ipis: started.flush_ipis,
            ..Did::nothing()
        };
        assert_eq!(here, start, "start of {request:?}");
        let (
            issued,
            Finished {
                sync_ipis,
                deferred,
            },
        ) = self.backend(|tlb, sink| tlb.finish(sink, started));
        let here = Did {
            issued,
            deferred,
            sync_ipis,
            ..Did::nothing()
        };
        assert_eq!(here, finish, "finish of {request:?}");

        // An interrupted CPU flushes for itself alone, under its own tag.
        self.env.tag.global = false;
        self.env.published = false;
        let config = self.env.config;
        self.env.config.features &= !self.tlb.sender_only().0;
        let flushed = flush(self.model, self.plans, shape(Reach::Here), &self.env);
        let [mut wanted, finish] = flushed.map(|effects| self.did(effects));
        wanted.exceeded_ceiling = false;
        wanted.issued.extend(finish.issued);
        wanted.deferred |= finish.deferred;
        self.env.tag = request.tag;
        self.env.config = config;
        let (issued, deferred) = self.backend(|tlb, sink| tlb.handle(sink, &request));
        let there = Did {
            issued,
            deferred,
            ..Did::nothing()
        };
        assert_eq!(there, wanted, "handle of {request:?}");
    }

    /// Compares loading a space or another tag, the return to user code, entry from it, publishing, and a CPU that comes online.
    pub fn events(&mut self) {
        // Events concern this CPU alone, and no devices.
        let config = self.env.config;
        self.env.root.flags = space_flags(self.model, config);
        self.env.config.features &= !self.tlb.sender_only().0;
        self.events_of_cpu();
        self.env.config = config;
    }

    fn events_of_cpu(&mut self) {
        for pending in [Pending::None, Pending::Tag, Pending::All] {
            self.env.pending = pending;
            let to = self.env.root;
            let plan = self.plan(Shape::Switch);
            let (issued, deferred) = self.backend(|tlb, sink| tlb.switch(sink, &to, pending));
            let did = Did {
                issued,
                deferred,
                ..Did::nothing()
            };
            assert_eq!(did, plan, "switch, pending: {pending:?}");
            let plan = self.plan(Shape::LoadTag);
            let (issued, deferred) = self.backend(|tlb, sink| tlb.load_tag(sink, &to, pending));
            let did = Did {
                issued,
                deferred,
                ..Did::nothing()
            };
            assert_eq!(did, plan, "load of a tag, pending: {pending:?}");
        }
        for pending in [false, true] {
            self.env.view_pending = pending;
            let to = self.env.root;
            let plan = self.plan(Shape::ReturnToUser);
            let (issued, ()) = self.backend(|tlb, sink| tlb.return_to_user(sink, &to, pending));
            let did = Did {
                issued,
                ..Did::nothing()
            };
            assert_eq!(did, plan, "return to user code, pending: {pending}");
        }
        let to = self.env.root;
        let plan = self.plan(Shape::EnterFromUser);
        let (issued, ()) = self.backend(|tlb, sink| tlb.enter_from_user(sink, &to));
        let did = Did {
            issued,
            ..Did::nothing()
        };
        assert_eq!(did, plan, "entry from user code");
        for space in SPACES {
            let plan = self.plan(Shape::Publish(space));
            let (issued, ()) = self.backend(|tlb, sink| tlb.publish(sink, space));
            let did = Did {
                issued,
                ..Did::nothing()
            };
            assert_eq!(did, plan, "publish, {space:?}");
        }
        let plan = self.plan(Shape::CpuOnline);
        let (issued, deferred) = self.backend(|tlb, sink| tlb.cpu_online(sink));
        let did = Did {
            issued,
            deferred,
            ..Did::nothing()
        };
        assert_eq!(did, plan, "CPU online");
    }
}

pub fn env(config: Config, limits: &[u64], tag: Tag) -> Env {
    Env {
        config,
        limits: limits.to_vec(),
        tag,
        walk: false,
        teardown: false,
        published: false,
        change: Changing::default(),
        page: (0, Level(0)),
        ranges: Ranges::new(),
        root: Root {
            table: 0xfedc_ba98_7654_3000,
            tag,
            empty: 0x1234_5678_9abc_d000,
            flags: SpaceFlags::NONE,
        },
        pending: Pending::None,
        view_pending: false,
        steps: FinishSteps::NONE,
    }
}
