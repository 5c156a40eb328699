//! Flushes: every request, on this CPU alone and with others.
//!
//! In: the plans. Out: rows and failures. Holds: entries on an agent that can use them are invalidated by the sender, or by
//! an IPI whose handler runs the plan for its own CPU, which is a request of its own here; entries on other CPUs are
//! invalidated, or deferred until the CPU loads the space, which is an event of its own.

use std::time::Instant;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::TableFree;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::{Reach, Scope, Space};

use super::ask::{Ask, What};
use super::effect::{Cell, Path};
use super::events;
use super::failure::{Failure, Rule};
use super::machine::{Partial, Question, every_path};
use super::proof::{Part, Proof, Row};
use super::reading::{Later, Reading};
use super::run::Execution;
use super::steps::{Step, ipi_targets};
use crate::model::{CachedKind, Instr, Model};
use crate::plan::Plans;
use crate::plan::ir::Shape;

/// One kind of request: what changed, where.
struct Flush<'a> {
    facts: &'a Reading<'a>,
    plans: &'a Plans,
    what: What,
    space: Space,
    reach: Reach,
}

/// Returns the proof of each flush, with its space and reach.
pub fn requests() -> impl Iterator<Item = ((Space, Reach), Part)> {
    let spaces = [Space::User, Space::Kernel].into_iter();
    let contexts = spaces
        .flat_map(|space| [Reach::Here, Reach::Wide, Reach::Given].map(|reach| (space, reach)));
    contexts.flat_map(|(space, reach)| {
        What::all().into_iter().map(move |what| {
            let prove = move |model: &Model, plans: &Plans, proof: &mut Proof| {
                let facts = Reading::new(model);
                let flush = Flush {
                    facts: &facts,
                    plans,
                    what,
                    space,
                    reach,
                };
                flush.prove(model, proof);
            };
            ((space, reach), Box::new(prove) as Part)
        })
    })
}

impl Flush<'_> {
    fn name(&self) -> String {
        let space = match self.space {
            Space::User => "user",
            Space::Kernel => "kernel",
        };
        let reach = match self.reach {
            Reach::Here => "this CPU",
            Reach::Wide => "other CPUs too",
            Reach::Given => "other CPUs, by calls",
        };
        format!("{space}, {reach}: {}", self.what.kind())
    }

    fn prove(&self, model: &Model, proof: &mut Proof) {
        let start = Instant::now();
        let (mut paths, mut failed) = (0, 0);
        let mut failures = Vec::new();
        every_path(model, |machine| {
            let levels = self.facts.level_table(machine);
            let negative = self.facts.caches().negative(machine);
            let Some(ask) = Ask::new(self.what, self.space, &levels, negative) else {
                return;
            };
            if self.is_impossible(machine)
                || self.reach == Reach::Given && !self.is_called(machine, &ask)
            {
                return;
            }
            let found = self.path(machine, &ask);
            paths += 1;
            failed += u64::from(!found.is_empty());
            failures.extend(found);
        });
        let mut relies = events::completing(self.facts);
        if self.facts.relies(Later::Handler) {
            let handler = Self {
                reach: Reach::Here,
                ..*self
            };
            relies.push(handler.name());
        }
        let row = Row {
            request: self.name(),
            paths,
            failed,
            time: start.elapsed(),
            facts: self.facts.read(),
            relies,
        };
        proof.add(row, failures);
    }

    /// Returns whether calls take the place of the IPI.
    fn is_called(&self, machine: &Partial<'_>, ask: &Ask) -> bool {
        let levels = self.facts.level_table(machine);
        let mut run = Execution::new(self.facts, self.plans, machine, ask, levels);
        run.shape(Shape::IpiTargets(self.space));
        let mut steps = run.steps.iter();
        steps.any(|step| matches!(step, Step::SendIpi(to, true) if to.by_call))
    }

    /// Returns whether the machine has nothing that the request is about.
    fn is_impossible(&self, machine: &Partial<'_>) -> bool {
        let caches = self.facts.caches();
        match self.what {
            What::New(..) | What::News(..) => !caches.hold(CachedKind::Negative, machine),
            What::Teardown => self.space == Space::Kernel,
            _ => false,
        }
    }

    fn shape(&self, ask: &Ask, machine: &Partial<'_>, reach: Reach) -> Shape {
        let levels = self.facts.level_table(machine);
        match self.what {
            What::Teardown if self.plans.get(Shape::Teardown(self.space, reach)).is_some() => {
                Shape::Teardown(self.space, reach)
            }
            What::Everything(_) | What::Teardown => Shape::Everything(self.space, reach),
            _ => match ask.ranges.scope(&levels) {
                Scope::Page { .. } => Shape::Page(self.space, reach),
                _ => Shape::Ranges(self.space, reach),
            },
        }
    }

    /// Returns the failures of one path.
    fn path(&self, machine: &Partial<'_>, ask: &Ask) -> Vec<Failure> {
        let levels = self.facts.level_table(machine);
        let mut run = Execution::new(self.facts, self.plans, machine, ask, levels);
        let begin = Shape::Begin(self.space);
        if self.reach == Reach::Here && self.plans.get(begin).is_some() {
            let is_published = machine.is(Question::Published);
            run.shape(if is_published {
                Shape::Publish(self.space)
            } else {
                begin
            });
        }
        let planned = run.shape(self.shape(ask, machine, self.reach))
            & run.shape(Shape::Finish(self.space, self.reach));
        let steps = run.steps;
        let mut ipis = Execution::new(self.facts, self.plans, machine, ask, levels);
        if self.reach != Reach::Here {
            ipis.shape(Shape::IpiTargets(self.space));
        }
        let (handlers, _) = ipi_targets(&ipis.steps, true);
        let path = Path {
            facts: self.facts,
            machine,
            space: self.space,
            entering: matches!(self.what, What::Teardown)
                && self.facts.caches().hold(CachedKind::Root, machine),
            in_use: true,
            changes: false,
            levels,
            published: false,
            steps: &steps,
        };
        let wrong = path.wrongly_issued().into_iter();
        let mut failures: Vec<Failure> = wrong
            .map(|(rule, instruction)| self.failure(rule, machine, None, Some(instruction)))
            .collect();
        if !planned {
            failures.push(self.failure(Rule::Planned, machine, None, None));
        }
        if self.reach == Reach::Here {
            failures.extend(self.wrongly_handled(&path, ask));
        }
        if ask.walk && !self.excludes_walkers(machine, &ipis.steps) {
            failures.push(self.failure(Rule::Walkers, machine, None, None));
        }
        failures.extend(self.entries(&path, ask, machine, handlers));
        let resync = self.facts.space(self.space).resync.as_ref();
        let invalidates = |step: &Step| matches!(step, Step::Issue(_) | Step::OfWorkaround { .. });
        if self.reach != Reach::Given && !path.is_resynced(resync, invalidates) {
            failures.push(self.failure(Rule::Resync, machine, None, None));
        }
        failures
    }

    /// Returns the instructions that need what the handler of an IPI, which runs the same plan, has not: the sender holds the
    /// lock that lets one instruction at a time be in flight, and several handlers run at once.
    fn wrongly_handled(&self, path: &Path<'_>, ask: &Ask) -> Vec<Failure> {
        let locked = path.locked();
        if locked.is_empty() {
            return Vec::new();
        }
        let mut ipis = Execution::new(self.facts, self.plans, path.machine, ask, path.levels);
        ipis.shape(Shape::IpiTargets(self.space));
        if ipi_targets(&ipis.steps, true).0 == Agents::NONE {
            return Vec::new();
        }
        let wrong = locked.into_iter();
        let wrong = wrong.map(|it| self.failure(Rule::Unlocked, path.machine, None, Some(it)));
        wrong.collect()
    }

    /// Returns whether no lockless walker is in a table when it is freed. Either the runtime waits for them, or the flush sends
    /// an IPI to each CPU that may run one: they run with interrupts off, and walk the space that is loaded.
    fn excludes_walkers(&self, machine: &Partial<'_>, ipis: &[Step]) -> bool {
        if self.facts.table_free() == TableFree::GracePeriod || self.reach == Reach::Here {
            return true;
        }
        let walking = match self.space {
            Space::User => Agents::ACTIVE,
            Space::Kernel => Agents::ACTIVE.union(Agents::LAZY),
        };
        // A call flushes other CPUs without an interrupt, and without an entry to flush there is no IPI.
        let by_call = |step: &Step| matches!(step, Step::SendIpi(to, _) if to.by_call);
        ipi_targets(ipis, true).0.covers(walking)
            && !ipis.iter().any(by_call)
            && self.facts.caches().hold(CachedKind::Walk, machine)
    }

    /// Returns the entries that survive.
    fn entries(
        &self,
        path: &Path<'_>,
        ask: &Ask,
        machine: &Partial<'_>,
        handlers: Agents,
    ) -> Vec<Failure> {
        let deferred = path.steps.deferred();
        let mut failures = Vec::new();
        for stale in &ask.stale {
            let usable = match self.space {
                // Every CPU uses the kernel's entries, also one that is lazy in a user space.
                Space::Kernel => stale.usable.union(Agents::LAZY),
                // Only through a walk entry does a lazy CPU make an entry again below a table that was unlinked.
                Space::User if !self.facts.caches().hold(CachedKind::Walk, machine) => {
                    stale.usable.without(Agents::LAZY)
                }
                Space::User => stale.usable,
            };
            // Calls flush what would get the IPI.
            let (agents, handlers) = match self.reach {
                Reach::Given => (handlers, Agents::NONE),
                Reach::Here | Reach::Wide => (path.agents(self.reach), handlers),
            };
            for agent in agents.iter() {
                let of = Agents(1 << agent);
                let handled = if of == Agents::SIBLING {
                    Agents::ACTIVE
                } else {
                    of
                };
                if of != Agents::SELF && handlers.covers(handled) {
                    self.facts.rely(Later::Handler);
                    continue;
                }
                let later = !usable.covers(of) && is_deferred_on(deferred, of);
                if later {
                    self.facts.rely(Later::Load);
                    continue;
                }
                for cell in path.cells(stale.kind, stale.level, agent) {
                    if path.is_deferred(&cell) {
                        continue;
                    }
                    if let Some(rule) = path.broken(ask, stale, &cell) {
                        let expected = path.expected(&cell);
                        failures.push(self.failure(rule, machine, Some(cell), expected));
                    }
                }
            }
        }
        failures
    }

    fn failure(
        &self,
        rule: Rule,
        machine: &Partial<'_>,
        cell: Option<Cell>,
        instruction: Option<Instr>,
    ) -> Failure {
        Failure {
            rule,
            request: self.name(),
            machine: machine.config(),
            cell,
            instruction,
        }
    }
}

/// Returns whether what was requested is deferred on these CPUs until they load the space.
fn is_deferred_on(deferred: Deferred, agents: Agents) -> bool {
    match agents {
        Agents::LAZY => deferred.contains(Deferred::LAZY_UNTIL_LOAD),
        Agents::INACTIVE => deferred.contains(Deferred::INACTIVE_UNTIL_LOAD),
        _ => false,
    }
}
