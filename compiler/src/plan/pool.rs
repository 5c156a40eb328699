//! What can be done in one configuration: every primitive with its effect, cut into cells.
//!
//! In: a [`Setting`]. Out: the [`Means`], in the order of the definition. Holds: `when` is evaluated,
//! and an erratum has taken away what it weakens, unless its own remedy follows, which is then recorded
//! with the means. A means that drops one set of a cache at a time is there as the loop over all sets.

use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{Most, Stride, What, Whose};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Reach, Space};

use super::drops::Part;
pub use super::setting::Setting;
use crate::model::{Config, Drops, Instr, Kind, LevelSel, Model, Source, Value, Which};

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
    Retire,
    /// By putting off a view's flush until it is loaded.
    OweView,
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
            How::Retire | How::OweView => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// Which entries a means names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Names {
    /// Those that contain one address.
    One,
    /// Those that contain an address of a run.
    Run {
        /// The least count.
        least: u64,
        /// The largest.
        most: Most,
        /// What is counted.
        stride: Stride,
        /// The operand that counts.
        operand: usize,
    },
    /// All.
    Everything,
}

/// One way to drop entries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Means {
    /// How.
    pub how: How,
    /// Whose mappings it is for.
    pub space: Space,
    /// The view whose tag it is given.
    pub view: Option<usize>,
    /// That tag, where it is always the same.
    pub tag: Option<u64>,
    /// What it names.
    pub names: Names,
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
    pub puts_off: u8,
    /// What it costs.
    pub cost: u64,
    /// The barriers after which it is done.
    pub after: Vec<usize>,
    /// What errata want issued beside it: (erratum, remedy), by index.
    pub remedies: Vec<(usize, usize)>,
}

impl Setting<'_> {
    /// Every means there is. On this CPU: local forms and debts, and wider forms if `widened`.
    /// On others: wide forms, where the policy has not ruled them out.
    pub fn pool(&self, widened: bool) -> Vec<Means> {
        let mut pool = Vec::new();
        match self.reach {
            Reach::Here => {
                self.primitives(true, &mut pool);
                if widened {
                    self.primitives(false, &mut pool);
                }
                self.debts(&mut pool);
            }
            Reach::Wide if self.may_broadcast() => self.primitives(false, &mut pool),
            Reach::Wide => {}
        }
        pool.into_iter().flat_map(|m| self.at_stages(m)).collect()
    }

    fn primitives(&self, local: bool, pool: &mut Vec<Means>) {
        let mut of_sets: Vec<(Primitive, Option<usize>, Vec<&Drops>)> = Vec::new();
        for (index, invalidate) in self.model.invalidates.iter().enumerate() {
            let holders = invalidate.reach(self.config);
            if Agents::CORE.covers(holders) != local
                || holders.and(self.holders()).is_empty()
                || !invalidate.requires.holds(self.config)
                || invalidate.writes_entry.is_some()
                || self.never_done(Instr::Invalidate(index))
            {
                continue;
            }
            for (number, form) in invalidate.forms.iter().enumerate() {
                if !form.requires.holds(self.config) {
                    continue;
                }
                let drops: Vec<&Drops> = form.drops.iter().collect();
                let primitive = Primitive {
                    invalidate: index,
                    form: number,
                };
                let views = match (wants_tag(&drops), self.gives_tag()) {
                    (true, true) => self.views().into_iter().map(Some).collect(),
                    (true, false) => Vec::new(),
                    (false, _) => vec![None],
                };
                for view in views {
                    if drops.iter().any(|d| d.which.value == Which::OneSet) {
                        of_sets.push((primitive, view, drops.clone()));
                    } else {
                        pool.extend(self.means(primitive, view, &drops));
                    }
                }
            }
        }
        self.loops_over_sets(&of_sets, pool);
    }

    fn means(&self, primitive: Primitive, view: Option<usize>, drops: &[&Drops]) -> Option<Means> {
        let it = &self.model.invalidates[primitive.invalidate];
        let cells = |hint, part| self.drops(primitive, drops, view, hint, part);
        let takes_hint = it.template.operands.iter().any(|&operand| {
            let fields = &self.model.operands[operand].fields;
            fields
                .iter()
                .any(|f| f.value == Value::Source(Source::Hint))
        });
        let names = self.names(it.template.operands.as_slice(), drops)?;
        Some(Means {
            how: How::Issue(primitive),
            space: self.space,
            view,
            tag: self.fixed_tag(),
            names,
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
            puts_off: 0,
            cost: it.cost,
            after: self.done_after(primitive.invalidate),
            remedies: self.remedies(Instr::Invalidate(primitive.invalidate)),
        })
    }

    /// Loops over the sets of a cache: an instruction for the first set that may drop more than the set,
    /// and one for the rest that drops nothing else, or the same.
    fn loops_over_sets(
        &self,
        of_sets: &[(Primitive, Option<usize>, Vec<&Drops>)],
        pool: &mut Vec<Means>,
    ) {
        for (first, view, drops) in of_sets {
            for (rest, other, of_rest) in of_sets {
                let only_sets = of_rest.iter().all(|d| d.which.value == Which::OneSet);
                if view != other || first != rest && !only_sets {
                    continue;
                }
                let count = self.sets(drops);
                let (Some(head), Some(tail)) = (
                    self.means(*first, *view, drops),
                    self.means(*rest, *view, of_rest),
                ) else {
                    continue;
                };
                if count == 1 && first != rest || head.after != tail.after {
                    continue;
                }
                // What goes set by set has to go for the first and for the rest.
                let by_set =
                    |primitive, drops| self.drops(primitive, drops, *view, None, Part::OfSet);
                let (a, b) = (by_set(*first, drops), by_set(*rest, of_rest));
                let both = a.iter().zip(&b).map(|(a, b)| a.and(b));
                let cells: Rc<[Cells]> = (head.cells.iter().zip(&a).zip(both))
                    .map(|((all, of_set), both)| all.without(of_set).union(&both))
                    .collect();
                pool.push(Means {
                    how: How::Sets {
                        first: *first,
                        rest: *rest,
                        count,
                    },
                    names: Names::Everything,
                    everywhere: Rc::clone(&cells),
                    cells,
                    cost: head
                        .cost
                        .saturating_add(tail.cost.saturating_mul(count.saturating_sub(1))),
                    ..head
                });
            }
        }
    }

    /// Of how many sets the caches consist that the clauses drop one set of.
    fn sets(&self, drops: &[&Drops]) -> u64 {
        let of_set = drops.iter().filter(|d| d.which.value == Which::OneSet);
        let counts = of_set.flat_map(|d| {
            let stores = d
                .stores
                .unwrap_or_else(|| self.model.caches.holding(Kind::Leaf));
            let named = self.model.caches.stores.iter().enumerate();
            named
                .filter(move |(index, _)| stores.0 & (1 << index) != 0)
                .filter_map(|(_, store)| store.sets.as_ref()?.get(self.config).copied())
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

    fn names(&self, operands: &[usize], drops: &[&Drops]) -> Option<Names> {
        let counting = operands
            .iter()
            .copied()
            .find(|&operand| self.model.operands[operand].names.is_some());
        let mut names = Names::Everything;
        for d in drops.iter().filter(|d| d.when.holds(self.config)) {
            match d.which.value {
                Which::OnePage => names = Names::One,
                Which::Run {
                    least,
                    most,
                    stride,
                } => {
                    names = Names::Run {
                        least,
                        most,
                        stride,
                        operand: counting?,
                    };
                }
                Which::Everything | Which::OneSet | Which::Subtree => {}
            }
        }
        Some(names)
    }

    /// What can be put off instead of being dropped now.
    fn debts(&self, pool: &mut Vec<Means>) {
        let views = self.views();
        let owe = |how, view: Option<usize>, whose: Whose| Means {
            how,
            space: self.space,
            view,
            tag: None,
            names: Names::Everything,
            exact: false,
            stage: 0,
            cells: (views.iter())
                .map(|&v| {
                    let whose = Whose {
                        this: whose.this && view == Some(v),
                        ..whose
                    };
                    Cells::of(What::LEAF_AND_WALK, whose, Agents::SELF)
                })
                .collect(),
            hinted: Rc::default(),
            everywhere: vec![Cells::NONE; views.len()].into(),
            puts_off: whose.bits(),
            cost: 0,
            after: Vec::new(),
            remedies: Vec::new(),
        };
        // Among the other tags are those of every kind.
        let mut tags = self.tags().peekable();
        if tags.peek().is_some() && tags.all(|tag| tag.may_be_retired.is_some()) {
            let others = Whose {
                this: false,
                other: true,
                global: false,
            };
            pool.push(owe(How::Retire, None, others));
        }
        if self.space == Space::User {
            for &view in &views {
                if !self.model.user.views[view].loaded && self.resume_drops(view) {
                    pool.push(owe(How::OweView, Some(view), Whose::THIS));
                }
            }
        }
    }

    /// Whether the return to user code loads this view and can drop everything under its tag.
    fn resume_drops(&self, view: usize) -> bool {
        let mut loads = self.model.resume.loads.iter();
        loads.any(|l| {
            l.view == view
                && l.when.holds(self.config)
                && l.loads
                    .iter()
                    .any(|&load| load_drops(self.model, load, self.config, false))
        })
    }
}

/// Whether an instruction compares a tag given to it.
fn wants_tag(drops: &[&Drops]) -> bool {
    drops
        .iter()
        .any(|d| d.whose.value.this && !d.whose.value.other)
}

/// Whether loading a register drops everything under the tag being loaded.
pub fn load_drops(model: &Model, load: usize, config: Config, keep: bool) -> bool {
    let keep = keep && can_keep(model, load, config);
    model.loads[load].drops.iter().any(|d| {
        d.leaf == Some(LevelSel::Any)
            && d.walk == Some(LevelSel::Any)
            && (d.absent == Some(LevelSel::Any) || !model.caches.invalid_cached)
            && d.which.value == Which::Everything
            && d.whose.value.this
            && d.when.holds_with(config, false, keep)
    })
}

/// Whether a load can be told to keep what is cached under the tag.
pub fn can_keep(model: &Model, load: usize, config: Config) -> bool {
    model.loads[load].template.operands.iter().any(|&operand| {
        let mut fields = model.operands[operand].fields.iter();
        fields.any(|f| f.value == Value::Source(Source::Keep) && f.when.holds(config))
    })
}
