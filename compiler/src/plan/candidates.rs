//! Candidates: every instruction that a flush can use, with what it invalidates as cells.
//!
//! In: a `PlanContext`. Out: the [`Candidate`]s in the order of the definition, each with the machines that have
//! it. Holds: conditions are evaluated, and what errata weaken is left out, unless the erratum has a workaround,
//! which the candidate then records whether the machine has the erratum or not. An instruction for one set of a
//! cache is a candidate as a loop over all sets; what it invalidates besides, it invalidates as a candidate of its own,
//! because a loop is not complete after its first instruction.

use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::passes::Leaves;
use tlbc_runtime::request::{Reach, Space};

use super::addressing::Addressing;
use super::context::PlanContext;
use super::drops::Primitive;
use super::ir::Issue;
use super::symbolic::outcomes;
use crate::model::flags::KnownFlags;
use crate::model::{AddressSelector, Amount, Drops, Instr, Source, Value};

/// How a candidate is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// An instruction.
    Issue(Primitive),
    /// An instruction for each set of a cache, which has more than one.
    Sets {
        /// The instruction.
        each: Primitive,
        /// The number of sets.
        count: Amount,
    },
    /// All other tags of this CPU are invalidated lazily.
    InvalidateOtherTags,
    /// The flush of a view is deferred until the view is loaded.
    DeferView,
    /// The space, which is loaded, gets a new tag.
    RenewTag,
}

impl How {
    /// Returns the instruction; none for a deferred flush and for a new tag.
    pub fn primitive(self) -> Option<Primitive> {
        match self {
            How::Issue(primitive)
            | How::Sets {
                each: primitive, ..
            } => Some(primitive),
            How::InvalidateOtherTags | How::DeferView | How::RenewTag => None,
        }
    }
}

/// One origin to invalidate entries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// How it is carried out.
    pub how: How,
    /// The space whose mappings it is for.
    pub space: Space,
    /// The view whose tag is an operand.
    pub view: Option<usize>,
    /// That tag, if it is a constant.
    pub tag: Option<u64>,
    /// The addresses.
    pub addressing: Addressing,
    /// Which leaf entries of levels above that of the pass it invalidates without a hint.
    pub leaves: Leaves,
    /// When it is issued: 0 at the start, `n` after everything of the stages before is complete.
    pub stage: u8,
    /// The cells that it invalidates at that stage, for each view of the space, without a hint.
    pub cells: Rc<[Cells]>,
    /// The same with a hint, for each level that has one; empty if it takes no hint.
    pub hinted: Rc<[(Level, Rc<[Cells]>)]>,
    /// The part of `cells` that is invalidated at all addresses.
    pub everywhere: Rc<[Cells]>,
    /// The tag classes whose leaf entries are all deferred: this, other, global.
    pub deferred_classes: u8,
    /// The cost that the definition states.
    pub cost: u64,
    /// The barrier that is issued before it.
    pub before: Option<usize>,
    /// The barriers after which it is complete.
    pub after: Vec<usize>,
    /// The workarounds that errata need beside it: (erratum, workaround), by index.
    pub workarounds: Vec<(usize, usize)>,
}

impl Candidate {
    /// Returns one instruction of a self.
    pub fn issue(&self, primitive: Primitive, hint: bool) -> Issue {
        Issue {
            invalidate: primitive.invalidate,
            form: primitive.form,
            space: self.space,
            view: self.view,
            tag: self.view.and(self.tag),
            address: self.addressing != Addressing::Everything,
            hint: hint && !self.hinted.is_empty(),
        }
    }
}

/// A candidate, and the machines that have it.
#[derive(Debug)]
pub struct Variant {
    /// The flags under which it exists.
    pub when: KnownFlags,
    /// The candidate.
    pub candidate: Candidate,
}

/// What a candidate is made from.
#[derive(Clone, Copy)]
enum CandidateOrigin {
    /// An instruction.
    Issue(Primitive),
    /// An instruction for each set of a cache.
    Sets(Primitive),
    /// What this CPU does in place of instructions: flushes that can be deferred, and a new tag.
    Instead,
}

impl PlanContext<'_> {
    /// Returns every candidate of some machine. For this CPU: local instructions, deferred flushes, a new tag, and if
    /// `widened` also instructions that reach other CPUs. For other CPUs: instructions that reach them, unless the
    /// policy excludes those. For CPUs that are given: calls that take these. Does not ask the machine of this context.
    pub fn pool(&self, widened: bool) -> Vec<Variant> {
        let of_reach = |local: bool| {
            self.origins()
                .into_iter()
                .map(move |origin| (origin, local))
        };
        let mut origins: Vec<(CandidateOrigin, bool)> = Vec::new();
        match self.reach {
            Reach::Here => {
                origins.extend(of_reach(true));
                if widened {
                    origins.extend(of_reach(false));
                }
                origins.push((CandidateOrigin::Instead, true));
            }
            Reach::Wide | Reach::Given => origins.extend(of_reach(false)),
        }
        let mut pool = Vec::new();
        for (origin, local) in origins {
            let outcomes = outcomes(self.machine.needs(), |machine| {
                let context = PlanContext { machine, ..*self };
                context.candidates_of(origin, local)
            });
            for (when, candidates) in outcomes {
                pool.extend(
                    candidates
                        .into_iter()
                        .map(|candidate| Variant { when, candidate }),
                );
            }
        }
        pool
    }

    /// Returns the candidates of a pool that a fully decided machine has.
    pub fn candidates(&self, widened: bool) -> Vec<Candidate> {
        let known = self.machine.known();
        let mut pool = self.pool(widened);
        pool.retain(|variant| known.and(variant.when).is_some());
        pool.into_iter().map(|variant| variant.candidate).collect()
    }

    /// Returns what candidates are made from, in the order of the definition.
    fn origins(&self) -> Vec<CandidateOrigin> {
        let flushing = self.model.invalidates.iter().enumerate();
        let flushing = flushing.filter(|(_, it)| it.writes_entry.is_none());
        let primitives = flushing.flat_map(|(invalidate, it)| {
            let forms = 0..it.forms.len();
            forms.map(move |form| Primitive { invalidate, form })
        });
        let by_set = |primitive: &Primitive| {
            let mut drops = self.clauses(*primitive).iter();
            drops.any(|d| d.which.value == AddressSelector::OneSet)
        };
        let all: Vec<Primitive> = primitives.collect();
        let loops = all
            .iter()
            .copied()
            .filter(by_set)
            .map(CandidateOrigin::Sets);
        all.iter()
            .copied()
            .map(CandidateOrigin::Issue)
            .chain(loops)
            .collect()
    }

    pub fn clauses(&self, primitive: Primitive) -> &[Drops] {
        &self.model.invalidates[primitive.invalidate].forms[primitive.form].drops
    }

    /// Returns the candidates from one origin on the machine of this context, at each stage.
    fn candidates_of(&self, origin: CandidateOrigin, local: bool) -> Vec<Candidate> {
        let candidates: Vec<Candidate> = match origin {
            CandidateOrigin::Issue(primitive) => {
                let views = self.views_given(primitive, local).into_iter();
                let views = views.flat_map(|view| {
                    let addressings = self.addressings(primitive).into_iter();
                    addressings.map(move |addressing| self.issue(primitive, view, addressing))
                });
                views.collect()
            }
            CandidateOrigin::Sets(primitive) => {
                let views = self.views_given(primitive, local).into_iter();
                views
                    .filter_map(|view| self.loop_over_sets(primitive, view))
                    .collect()
            }
            CandidateOrigin::Instead => {
                self.deferrals().into_iter().chain(self.renewal()).collect()
            }
        };
        candidates
            .into_iter()
            .flat_map(|m| self.at_stages(m))
            .collect()
    }

    /// Returns the views for which an instruction of this reach is a candidate: none if it is not one, and `None`
    /// if it compares no tag.
    fn views_given(&self, primitive: Primitive, local: bool) -> Vec<Option<usize>> {
        let it = &self.model.invalidates[primitive.invalidate];
        if !it.requires.holds(self.machine)
            || !it.forms[primitive.form].requires.holds(self.machine)
        {
            return Vec::new();
        }
        let agents = it.reach(self.machine);
        let wants = wants_tag(self.clauses(primitive));
        if Agents::CORE.covers(agents) != local
            || agents.and(self.agents()).is_empty()
            || (agents == Agents::OTHERS) != (self.reach == Reach::Given)
            || self.reach == Reach::Wide && !self.may_broadcast()
            || self.reach == Reach::Given && wants && !self.has_one_meaning()
            || self.unlocked && it.needs_lock()
            || self.never_done(Instr::Invalidate(primitive.invalidate))
        {
            return Vec::new();
        }
        if !wants {
            vec![None]
        } else if self.gives_tag() || self.any_tag {
            self.views().into_iter().map(Some).collect()
        } else {
            Vec::new()
        }
    }

    /// Returns an instruction that is issued once, for addresses of a clause. It does not count for a cache of which it
    /// invalidates one set of several, nor for other addresses than it names.
    fn issue(
        &self,
        primitive: Primitive,
        view: Option<usize>,
        addressing: Addressing,
    ) -> Candidate {
        let it = &self.model.invalidates[primitive.invalidate];
        let drops = self.clauses(primitive);
        let one_set = self.sets(drops) == Amount::Stated(1);
        let counts = |which: &AddressSelector| {
            addressing.names(which) && (one_set || *which != AddressSelector::OneSet)
        };
        let cells = |hint| self.drops(primitive, drops, view, hint, counts);
        let everywhere = |which: &AddressSelector| {
            let all = [AddressSelector::Everything, AddressSelector::OneSet];
            counts(which) && all.contains(which)
        };
        let takes_hint = it.template.operands.iter().any(|&operand| {
            let fields = &self.model.operands[operand].fields;
            fields
                .iter()
                .any(|f| f.value == Value::Source(Source::Hint))
        });
        Candidate {
            how: How::Issue(primitive),
            space: self.space,
            view,
            tag: self.given_tag(),
            addressing,
            leaves: self.leaves_of(addressing, drops),
            stage: 0,
            cells: cells(None).into(),
            hinted: if takes_hint {
                let hints = self.hints().into_iter();
                hints.map(|l| (l, cells(Some(l)).into())).collect()
            } else {
                Rc::default()
            },
            everywhere: self.drops(primitive, drops, view, None, everywhere).into(),
            deferred_classes: 0,
            cost: it.cost,
            before: it.follows.map(|at| at.value),
            after: self.done_after(primitive.invalidate),
            workarounds: self.workarounds(Instr::Invalidate(primitive.invalidate)),
        }
    }

    /// Returns a loop over the sets of a cache; none if the cache has one set. It counts for what its instructions
    /// invalidate by sets.
    fn loop_over_sets(&self, primitive: Primitive, view: Option<usize>) -> Option<Candidate> {
        let drops = self.clauses(primitive);
        let count = self.sets(drops);
        let (_, most) = count.range(&self.model.limits);
        if count == Amount::Stated(1) || self.addressings(primitive) != [Addressing::Everything] {
            return None;
        }
        let one = self.issue(primitive, view, Addressing::Everything);
        let of_set = |which: &AddressSelector| *which == AddressSelector::OneSet;
        let cells: Rc<[Cells]> = self.drops(primitive, drops, view, None, of_set).into();
        Some(Candidate {
            how: How::Sets {
                each: primitive,
                count,
            },
            everywhere: Rc::clone(&cells),
            cells,
            cost: one.cost.saturating_mul(most),
            ..one
        })
    }

    /// Returns the number of sets of the caches from which the clauses invalidate one set: that of the cache with the
    /// most.
    fn sets(&self, drops: &[Drops]) -> Amount {
        let of_set = drops
            .iter()
            .filter(|d| d.which.value == AddressSelector::OneSet);
        let caches = of_set.flat_map(|drops| self.model.caches_of(drops));
        let caches = caches.filter(|cache| cache.when.holds(self.machine));
        let counts = caches.filter_map(|cache| cache.sets.as_ref()?.get(self.machine).copied());
        let most = counts.max_by_key(|count| count.range(&self.model.limits).1);
        most.unwrap_or(Amount::Stated(1))
    }

    /// Returns the levels that have a hint in some geometry.
    fn hints(&self) -> Vec<Level> {
        let hinted = |level: &Level| {
            self.model.geometries.iter().any(|geometry| {
                let level = geometry.levels.get(level.index()).and_then(Option::as_ref);
                level.is_some_and(|level| level.hint.is_some())
            })
        };
        Level::all().filter(hinted).collect()
    }
}

/// Returns whether an instruction compares a tag operand.
fn wants_tag(drops: &[Drops]) -> bool {
    drops
        .iter()
        .any(|d| d.whose.value.this && !d.whose.value.other)
}
