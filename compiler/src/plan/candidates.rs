//! What can be done: every primitive with its effect, cut into cells.
//!
//! In: a [`PlanContext`]. Out: the [`Candidate`], in the order of the definition, each with the machines that have it. Holds:
//! `when` is evaluated, and an erratum has taken away what it weakens, unless its own workaround follows, which is then
//! recorded with the means whether the machine has the erratum or not. A means that drops one set of a cache at a time is there as the loop over all sets.

use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{EntryKinds, MaxCount, RunUnit, TagSelector};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Reach, Space};

use super::context::PlanContext;
use super::drops::Part;
use super::flags::KnownFlags;
use super::symbolic::outcomes;
use crate::model::{AddressSelector, Drops, Instr, Kind, LevelSel, Machine, Model, Source, Value};

/// How a means is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// By an instruction.
    Issue(Primitive),
    /// By one instruction for the first set of a cache, and another for each of the rest.
    Sets {
        /// For set 0.
        first: Primitive,
        /// For the others.
        rest: Primitive,
        /// How many sets there are.
        count: u64,
    },
    /// By disowning every other tag of this CPU.
    InvalidateOtherTags,
    /// By putting off a view's flush until it is loaded.
    DeferView,
}

/// An instruction, or one of its forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Primitive {
    /// The instruction.
    pub invalidate: usize,
    /// Its form.
    pub form: usize,
}

impl How {
    /// The instructions.
    pub fn primitives(self) -> impl Iterator<Item = Primitive> {
        let (first, second) = match self {
            How::Issue(one) => (Some(one), None),
            How::Sets { first, rest, .. } => (Some(first), Some(rest)),
            How::InvalidateOtherTags | How::DeferView => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// Which entries a means names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addressing {
    /// Those that contain one address.
    One,
    /// Those that contain an address of a run.
    Run {
        /// The least count.
        least: u64,
        /// The largest.
        most: MaxCount,
        /// What is counted.
        stride: RunUnit,
        /// The operand that counts.
        operand: usize,
    },
    /// All.
    Everything,
}

/// One way to drop entries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// How.
    pub how: How,
    /// Whose mappings it is for.
    pub space: Space,
    /// The view whose tag it is given.
    pub view: Option<usize>,
    /// That tag, where it is always the same.
    pub tag: Option<u64>,
    /// What it names.
    pub addressing: Addressing,
    /// Whether it drops leaf entries of the level that it is given alone.
    pub exact: bool,
    /// When it is issued: 0 at the start, `n` when what is issued at the stages before is complete.
    pub stage: u8,
    /// What counts of what it drops then, for each view of the space, without a hint.
    pub cells: Rc<[Cells]>,
    /// The same with a hint for each level that has one; empty where it takes none.
    pub hinted: Rc<[(Level, Rc<[Cells]>)]>,
    /// What of `cells` goes for every address.
    pub everywhere: Rc<[Cells]>,
    /// Tag classes whose leaves are all put off: this, other, global.
    pub deferred_classes: u8,
    /// What it costs.
    pub cost: u64,
    /// The barriers after which it is done.
    pub after: Vec<usize>,
    /// What errata want issued beside it where the machine has them: (erratum, workaround), by index.
    pub workarounds: Vec<(usize, usize)>,
}

/// A means, and which machines have it.
#[derive(Debug)]
pub struct Variant {
    /// The answers under which it is as it is.
    pub when: KnownFlags,
    /// The means.
    pub candidate: Candidate,
}

/// What a means is made of.
#[derive(Clone, Copy)]
enum Origin {
    /// An instruction.
    Issue(Primitive),
    /// An instruction for the first set, and one for the rest.
    Sets(Primitive, Primitive),
    /// What can be put off.
    Debts,
}

impl PlanContext<'_> {
    /// Every means that some machine has. On this CPU: local forms and debts, and wider forms if `widened`.
    /// On others: wide forms, where the policy has not ruled them out. Asks nothing of this setting's machine.
    pub fn pool(&self, widened: bool) -> Vec<Variant> {
        let of_reach = |local: bool| self.origins().into_iter().map(move |way| (way, local));
        let mut origins: Vec<(Origin, bool)> = Vec::new();
        match self.reach {
            Reach::Here => {
                origins.extend(of_reach(true));
                if widened {
                    origins.extend(of_reach(false));
                }
                origins.push((Origin::Debts, true));
            }
            Reach::Wide => origins.extend(of_reach(false)),
        }
        let mut pool = Vec::new();
        for (way, local) in origins {
            let outcomes = outcomes(self.machine.needs(), |machine| {
                let context = PlanContext { machine, ..*self };
                context.means_of(way, local)
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

    /// The means of a pool on a machine of which all is decided.
    pub fn candidates(&self, widened: bool) -> Vec<Candidate> {
        let known = self.machine.known();
        let mut pool = self.pool(widened);
        pool.retain(|variant| known.and(variant.when).is_some());
        pool.into_iter().map(|variant| variant.candidate).collect()
    }

    /// What instructions there are that a flush can use, and loops over sets, in the order of the file.
    fn origins(&self) -> Vec<Origin> {
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
        let (of_sets, whole): (Vec<Primitive>, Vec<Primitive>) = primitives.partition(by_set);
        let only_sets = |primitive: Primitive| {
            let mut drops = self.clauses(primitive).iter();
            drops.all(|d| d.which.value == AddressSelector::OneSet)
        };
        let loops = of_sets.iter().flat_map(|&first| {
            let rest = of_sets.iter().copied();
            let rest = rest.filter(move |&rest| first == rest || only_sets(rest));
            rest.map(move |rest| Origin::Sets(first, rest))
        });
        whole.into_iter().map(Origin::Issue).chain(loops).collect()
    }

    fn clauses(&self, primitive: Primitive) -> &[Drops] {
        &self.model.invalidates[primitive.invalidate].forms[primitive.form].drops
    }

    /// The means of a way on this setting's machine, at each stage.
    fn means_of(&self, way: Origin, local: bool) -> Vec<Candidate> {
        let candidates = match way {
            Origin::Issue(primitive) => {
                let views = self.views_given(primitive, local).into_iter();
                views
                    .filter_map(|view| self.issue(primitive, view))
                    .collect()
            }
            Origin::Sets(first, rest) => {
                let rest_views = self.views_given(rest, local);
                let views = self.views_given(first, local).into_iter();
                let both = views.filter(|view| rest_views.contains(view));
                both.filter_map(|view| self.loop_over_sets(first, rest, view))
                    .collect()
            }
            Origin::Debts => self.deferrals(),
        };
        candidates
            .into_iter()
            .flat_map(|m| self.at_stages(m))
            .collect()
    }

    /// The views for which an instruction is a means of that reach: none where it is not one, and `None` where it
    /// compares no tag.
    fn views_given(&self, primitive: Primitive, local: bool) -> Vec<Option<usize>> {
        let it = &self.model.invalidates[primitive.invalidate];
        if !it.requires.holds(self.machine)
            || !it.forms[primitive.form].requires.holds(self.machine)
        {
            return Vec::new();
        }
        let agents = it.reach(self.machine);
        if Agents::CORE.covers(agents) != local
            || agents.and(self.agents()).is_empty()
            || self.reach == Reach::Wide && !self.may_broadcast()
            || self.never_done(Instr::Invalidate(primitive.invalidate))
        {
            return Vec::new();
        }
        if !wants_tag(self.clauses(primitive)) {
            vec![None]
        } else if self.gives_tag() {
            self.views().into_iter().map(Some).collect()
        } else {
            Vec::new()
        }
    }

    fn issue(&self, primitive: Primitive, view: Option<usize>) -> Option<Candidate> {
        let it = &self.model.invalidates[primitive.invalidate];
        let drops = self.clauses(primitive);
        let cells = |hint, part| self.drops(primitive, drops, view, hint, part);
        let takes_hint = it.template.operands.iter().any(|&operand| {
            let fields = &self.model.operands[operand].fields;
            fields
                .iter()
                .any(|f| f.value == Value::Source(Source::Hint))
        });
        let addressing = self.addressing(it.template.operands.as_slice(), drops)?;
        Some(Candidate {
            how: How::Issue(primitive),
            space: self.space,
            view,
            tag: self.fixed_tag(),
            addressing,
            exact: drops.iter().any(|d| d.leaf == Some(LevelSel::Given)),
            stage: 0,
            cells: cells(None, Part::Whole).into(),
            hinted: if takes_hint {
                let hints = self.hints().into_iter();
                hints
                    .map(|l| (l, cells(Some(l), Part::Whole).into()))
                    .collect()
            } else {
                Rc::default()
            },
            everywhere: cells(None, Part::Everywhere).into(),
            deferred_classes: 0,
            cost: it.cost,
            after: self.done_after(primitive.invalidate),
            workarounds: self.workarounds(Instr::Invalidate(primitive.invalidate)),
        })
    }

    /// A loop over the sets of a cache: an instruction for the first set that may drop more than the set, and one for the
    /// rest that drops nothing else, or the same.
    fn loop_over_sets(
        &self,
        first: Primitive,
        rest: Primitive,
        view: Option<usize>,
    ) -> Option<Candidate> {
        let count = self.sets(self.clauses(first));
        let (head, tail) = (self.issue(first, view)?, self.issue(rest, view)?);
        if count == 1 && first != rest || head.after != tail.after {
            return None;
        }
        // What goes set by set has to go for the first and for the rest.
        let by_set =
            |primitive| self.drops(primitive, self.clauses(primitive), view, None, Part::OfSet);
        let (a, b) = (by_set(first), by_set(rest));
        let both = a.iter().zip(&b).map(|(a, b)| a.and(b));
        let cells: Rc<[Cells]> = (head.cells.iter().zip(&a).zip(both))
            .map(|((all, of_set), both)| all.without(of_set).union(&both))
            .collect();
        Some(Candidate {
            how: How::Sets { first, rest, count },
            addressing: Addressing::Everything,
            everywhere: Rc::clone(&cells),
            cells,
            cost: head
                .cost
                .saturating_add(tail.cost.saturating_mul(count.saturating_sub(1))),
            ..head
        })
    }

    /// Of how many sets the caches consist that the clauses drop one set of.
    fn sets(&self, drops: &[Drops]) -> u64 {
        let of_set = drops
            .iter()
            .filter(|d| d.which.value == AddressSelector::OneSet);
        let counts = of_set.flat_map(|d| {
            let stores = d
                .stores
                .unwrap_or_else(|| self.model.caches.holding(Kind::Leaf));
            let named = self.model.caches.stores.iter().enumerate();
            named
                .filter(move |(index, _)| stores.0 & (1 << index) != 0)
                .filter_map(|(_, store)| store.sets.as_ref()?.get(self.machine).copied())
        });
        counts.max().unwrap_or(1).max(1)
    }

    /// The levels that have a hint in some geometry.
    fn hints(&self) -> Vec<Level> {
        let hinted = |level: &Level| {
            self.model.geometries.iter().any(|geometry| {
                let level = geometry.levels.get(level.index()).and_then(Option::as_ref);
                level.is_some_and(|level| level.hint.is_some())
            })
        };
        Level::all().filter(hinted).collect()
    }

    fn addressing(&self, operands: &[usize], drops: &[Drops]) -> Option<Addressing> {
        let counting = operands
            .iter()
            .copied()
            .find(|&operand| self.model.operands[operand].names.is_some());
        let mut addressing = Addressing::Everything;
        for d in drops.iter().filter(|d| d.when.holds(self.machine)) {
            match d.which.value {
                AddressSelector::OnePage => addressing = Addressing::One,
                AddressSelector::Run {
                    least,
                    most,
                    stride,
                } => {
                    addressing = Addressing::Run {
                        least,
                        most,
                        stride,
                        operand: counting?,
                    };
                }
                AddressSelector::Everything
                | AddressSelector::OneSet
                | AddressSelector::Subtree => {}
            }
        }
        Some(addressing)
    }

    /// What can be put off instead of being dropped now.
    pub fn deferrals(&self) -> Vec<Candidate> {
        let mut deferrals = Vec::new();
        let views = self.views();
        let defer = |how, view: Option<usize>, whose: TagSelector| Candidate {
            how,
            space: self.space,
            view,
            tag: None,
            addressing: Addressing::Everything,
            exact: false,
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
            after: Vec::new(),
            workarounds: Vec::new(),
        };
        // Among the other tags are those of every kind.
        let mut tags = self.tags().peekable();
        if tags.peek().is_some() && tags.all(|tag| tag.invalidated_lazily.is_some()) {
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

    /// Whether the return to user code loads this view and can drop everything under its tag.
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

/// Whether an instruction compares a tag given to it.
fn wants_tag(drops: &[Drops]) -> bool {
    drops
        .iter()
        .any(|d| d.whose.value.this && !d.whose.value.other)
}

/// Whether loading a register drops everything under the tag being loaded.
pub fn load_drops(model: &Model, load: usize, machine: impl Machine, keep: bool) -> bool {
    let keep = keep && can_keep(model, load, machine);
    model.loads[load].drops.iter().any(|d| {
        d.leaf == Some(LevelSel::Any)
            && d.walk == Some(LevelSel::Any)
            && (d.negative == Some(LevelSel::Any) || !model.caches.invalid_cached)
            && d.which.value == AddressSelector::Everything
            && d.whose.value.this
            && d.when.holds_with(machine, false, keep)
    })
}

/// Whether a load can be told to keep what is cached under the tag.
pub fn can_keep(model: &Model, load: usize, machine: impl Machine) -> bool {
    model.loads[load].template.operands.iter().any(|&operand| {
        let mut fields = model.operands[operand].fields.iter();
        fields.any(|f| f.value == Value::Source(Source::Keep) && f.when.holds(machine))
    })
}
