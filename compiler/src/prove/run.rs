//! One execution of a plan on a partial machine.
//!
//! In: a plan, a machine and an [`Ask`]. Out: the [`Step`]s in order. Holds: loops name the addresses that the runtime's
//! passes and runs name; every other decision is one that the plan makes.

use tlbc_facts::clause::MaxCount;
use tlbc_runtime::backend::FinishSteps;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::passes::{Folding, Pass, Passes, SortedPasses};
use tlbc_runtime::request::runs::{Runs, Units};
use tlbc_runtime::request::{LevelTable, Space};

use super::ask::Ask;
use super::machine::{Partial, Question};
use super::reading::Reading;
use super::steps::{Issued, Named, Sets, Step, Steps};
use crate::model::{Instr, Need};
use crate::plan::Plans;
use crate::plan::ir::{Issue, Node, Over, Shape, Test};

/// An execution.
pub struct Execution<'a> {
    facts: &'a Reading<'a>,
    plans: &'a Plans,
    machine: &'a Partial<'a>,
    ask: &'a Ask,
    levels: LevelTable,
    folding: Folding,
    passes: Option<SortedPasses<'a>>,
    pass: Option<Pass>,
    within: Vec<Need>,
    /// What completion has to do.
    required: FinishSteps,
    /// The steps so far.
    pub steps: Steps,
}

/// What one iteration of a loop names.
#[derive(Clone, Copy)]
enum Piece {
    Address(u64),
    Run { va: u64, count: u64, step: u32 },
    Sets(Sets),
}

impl<'a> Execution<'a> {
    pub fn new(
        facts: &'a Reading<'a>,
        plans: &'a Plans,
        machine: &'a Partial<'a>,
        ask: &'a Ask,
        levels: LevelTable,
    ) -> Self {
        Self {
            facts,
            plans,
            machine,
            ask,
            levels,
            folding: Folding::default(),
            passes: None,
            pass: None,
            within: Vec::new(),
            required: FinishSteps::NONE,
            steps: Steps::default(),
        }
    }

    /// Executes the plan of a shape. Returns whether there is one.
    pub fn shape(&mut self, shape: Shape) -> bool {
        let plans = self.plans;
        let Some(plan) = plans.get(shape) else {
            return false;
        };
        let before = self.pass;
        match shape {
            Shape::Page(..) => self.pass = self.ask.page(&self.levels),
            Shape::Change => self.pass = self.ask.change.map(|change| change.entries),
            Shape::Passes(space, reach) => {
                self.shape(Shape::Folding(space, reach));
                let (ranges, folding) = (&self.ask.ranges, self.folding);
                self.passes = Some(SortedPasses::new(ranges, &self.levels, folding));
            }
            _ => {}
        }
        self.node(&plan.body, None);
        self.pass = before;
        true
    }

    fn node(&mut self, node: &Node, piece: Option<Piece>) {
        match node {
            Node::Seq(nodes) => nodes.iter().for_each(|node| self.node(node, piece)),
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                let holds = self.test(*on);
                self.node(if holds { then } else { otherwise }, piece);
            }
            Node::Guard { scope, body } => {
                self.within.push(*scope);
                self.node(body, piece);
                self.within.pop();
            }
            Node::Publish { barrier } => {
                if let Some(barrier) = barrier {
                    self.steps.push(Step::Barrier(*barrier));
                }
            }
            Node::Complete { barrier } | Node::Resync { barrier } => {
                self.steps.push(Step::Barrier(*barrier));
            }
            Node::Requires(steps) => self.required |= *steps,
            Node::Issue(issue) => self.issue(*issue, piece),
            Node::Fold(folding) => self.folding = *folding,
            Node::Ceiling { beyond, within, .. } => {
                if self.machine.is(Question::AboveCeiling) {
                    self.shape(*beyond);
                } else {
                    self.node(within, piece);
                }
            }
            Node::Loop { over, each, rest } => self.repeat(*over, each, rest.as_deref()),
            Node::Workaround {
                erratum, number, ..
            } => {
                if self.machine.is(Question::Erratum(*erratum)) {
                    self.workaround(*erratum, *number);
                }
            }
            Node::SendIpi { to, flush } => self.steps.push(Step::SendIpi(*to, *flush)),
            Node::Defer(deferred) => {
                if deferred.contains(Deferred::TAG_UNTIL_RENEWAL) {
                    let within = self.within.clone();
                    self.steps.push(Step::RenewTag { within });
                }
                self.steps.push(Step::Defer(*deferred));
            }
            Node::InvalidateOtherTags => {
                self.steps.push(Step::Defer(Deferred::OTHERS_UNTIL_LOAD));
            }
            Node::Load {
                load,
                view,
                empty,
                keep,
            } => self.steps.push(Step::Load {
                load: *load,
                view: *view,
                empty: *empty,
                keep: *keep,
            }),
            Node::Call(shape) => {
                self.shape(*shape);
            }
            Node::InvalidateSecondary => self.steps.push(Step::Secondary),
            Node::Store => self.steps.push(Step::Store),
            Node::CompletePending(_) | Node::Count(_) | Node::Nothing(_) => {}
        }
    }

    fn test(&self, test: Test) -> bool {
        let ask = self.ask;
        match test {
            Test::Feature(feature) => self.machine.is(Question::Feature(feature)),
            Test::Erratum(erratum) => self.machine.is(Question::Erratum(erratum)),
            Test::GlobalTag => self.machine.has_global_tag(),
            Test::WalkEntries => self.pass.map_or(ask.walk, |pass| pass.walk),
            Test::LeafEntries => self.pass.is_some_and(|pass| pass.leaf),
            Test::NegativeEntries => {
                let negative = ask.ranges.has_negative();
                self.pass.map_or(negative, |pass| pass.negative)
            }
            Test::LeafAt(levels) => ask.ranges.has_leaf_at(levels),
            Test::WalkAt(levels) => ask.ranges.has_walk_at(levels),
            Test::Teardown => ask.teardown,
            Test::Live => self
                .passes
                .as_ref()
                .is_some_and(Passes::walks_complete_first),
            Test::Stride(levels) => self.pass.is_some_and(|pass| levels.contains(pass.stride)),
            Test::FitsRun(operand) => self.pass.is_some_and(|pass| {
                let entry = pass.shift.wrapping_sub(self.page_shift());
                self.units(operand).is_some_and(|units| units.hold(entry))
            }),
            Test::Pending(pending) => ask.pending == pending,
            Test::ViewDeferred => ask.view_deferred,
            Test::Required(steps) => self.required.requires(steps),
            Test::Kind(kind) => ask.change.is_some_and(|it| it.kind == kind),
            Test::MayDefer => ask.change.is_some_and(|it| it.may_defer),
            Test::OnlyHere => ask.change.is_some_and(|it| it.only_here),
            Test::OfKernel => ask.change.is_some_and(|it| it.space == Space::Kernel),
            Test::OneEntry => self.pass.is_some_and(|pass| pass.entries == 1),
        }
    }

    fn page_shift(&self) -> u32 {
        self.facts
            .geometry(self.machine.ask(Question::Geometry))
            .page_shift
    }

    fn units(&self, operand: usize) -> Option<Units> {
        let names = self.facts.operand(operand).names.as_ref()?;
        Some(Units {
            base: names.base,
            step: names.step,
            scales: names.scales,
            most: names.most_num.checked_add(1)?,
        })
    }

    fn issue(&mut self, issue: Issue, piece: Option<Piece>) {
        let pass = self.pass.filter(|_| issue.address);
        let named = pass.map(|pass| {
            let (va, count, step) = match piece {
                Some(Piece::Address(va)) => (va, 1, pass.shift),
                Some(Piece::Run { va, count, step }) => (va, count, step),
                _ => (pass.start, 1, pass.shift),
            };
            Named {
                va,
                count,
                step,
                stride: pass.stride,
                hint: pass.hint,
            }
        });
        let sets = match piece {
            Some(Piece::Sets(sets)) => sets,
            _ => Sets::First,
        };
        self.steps.push(Step::Issue(Issued {
            issue,
            named,
            sets,
            within: self.within.clone(),
        }));
    }

    fn workaround(&mut self, erratum: usize, number: usize) {
        self.steps.push(Step::Workaround { erratum, number });
        for issued in &self.facts.erratum(erratum).workarounds[number].issue {
            self.steps.push(match issued.instr {
                Instr::Barrier(barrier) => Step::Barrier(barrier),
                Instr::Invalidate(invalidate) => Step::OfWorkaround {
                    invalidate,
                    within: self.within.clone(),
                },
            });
        }
    }

    fn repeat(&mut self, over: Over, each: &Node, rest: Option<&Node>) {
        match over {
            Over::Walks | Over::Leaves => {
                let Some(passes) = &self.passes else {
                    return;
                };
                let part: Vec<Pass> = match over {
                    Over::Walks => passes.walks().collect(),
                    _ => passes.leaves().collect(),
                };
                for pass in part {
                    self.pass = Some(pass);
                    self.node(each, None);
                }
                self.pass = None;
            }
            Over::Entries => {
                let addresses = self.pass.map(|pass| pass.addresses());
                for va in addresses.into_iter().flatten() {
                    self.node(each, Some(Piece::Address(va)));
                }
            }
            Over::Sets(count) => {
                self.node(each, Some(Piece::Sets(Sets::Each(count))));
            }
            Over::Runs { operand, most } => self.runs(operand, most, each, rest),
        }
    }

    fn runs(&mut self, operand: usize, most: MaxCount, each: &Node, rest: Option<&Node>) {
        let names = self.facts.operand(operand).names.as_ref();
        let (Some(pass), Some(names), Some(units)) = (self.pass, names, self.units(operand)) else {
            return;
        };
        let (mut runs, step) = if names.pages {
            let page = self.page_shift();
            (Runs::of_pages(&pass, page, units), page)
        } else {
            (Runs::of_entries(&pass, self.most(most), units), pass.shift)
        };
        for run in runs.by_ref() {
            let count = (run.num + 1) << (units.step * run.scale + units.base);
            let va = run.va;
            self.node(each, Some(Piece::Run { va, count, step }));
        }
        if let (Some(va), Some(rest)) = (runs.rest(), rest) {
            self.node(rest, Some(Piece::Address(va)));
        }
    }

    fn most(&self, most: MaxCount) -> u32 {
        let most = match most {
            MaxCount::Count(count) => u64::from(count),
            MaxCount::Limit(limit) => {
                let limit = usize::from(limit);
                let stated = &self.facts.limits()[limit];
                if self.machine.is(Question::GreatestLimit(limit)) {
                    stated.most
                } else {
                    stated.least
                }
            }
        };
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}
