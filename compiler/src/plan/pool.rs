//! What can be done in one configuration: every primitive with its effect, cut into cells.
//!
//! In: the model and a [`Setting`]. Out: the [`Means`], in the order of the definition. Holds:
//! `when` is evaluated, and an erratum has taken away what it weakens, unless its own remedy
//! follows, which is then recorded with the means.

use tlbc_runtime::cells::Cells;
use tlbc_runtime::clause::{By, Holders, Level, Levels, Most, Stride, What, Whose};
use tlbc_runtime::request::{Reach, Space};

use crate::model::{
    Config, Delivery, Drops, Instr, LevelSel, Lost, Model, Source, Under, Value, Which,
};

/// One configuration and one kind of request, for which means are chosen.
#[derive(Clone, Copy)]
pub struct Setting<'m> {
    /// The definition.
    pub model: &'m Model,
    /// The configuration.
    pub config: Config,
    /// Whose mappings.
    pub space: Space,
    /// Who may have cached them.
    pub reach: Reach,
    /// Whether the tag means the same space on every CPU.
    pub of_machine: bool,
}

/// How a means is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// By an instruction.
    Issue {
        /// The primitive.
        invalidate: usize,
        /// Its form.
        form: usize,
    },
    /// By disowning every other tag of this CPU.
    Retire,
    /// By putting off a view's flush until it is loaded.
    OweView,
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
    /// The view whose tag it is given.
    pub view: Option<usize>,
    /// What it names.
    pub names: Names,
    /// What it drops for each view of the space, without a hint.
    pub cells: Vec<Cells>,
    /// The same with a hint for each level that has one; empty where it takes none.
    pub hinted: Vec<(Level, Vec<Cells>)>,
    /// What of `cells` goes for every address.
    pub everywhere: Vec<Cells>,
    /// Tag classes that lose all their leaves: this, other, global.
    pub loses: u8,
    /// What it costs.
    pub cost: u64,
    /// The barrier after which it is done.
    pub after: Option<usize>,
    /// What errata want issued beside it: (erratum, remedy), by index.
    pub remedies: Vec<(usize, usize)>,
}

impl Setting<'_> {
    /// The views of the space in this configuration, by index.
    pub fn views(&self) -> Vec<usize> {
        let views = self.model.space(self.space).views.iter().enumerate();
        views
            .filter(|(_, view)| view.when.holds(self.config))
            .map(|(index, _)| index)
            .collect()
    }

    fn tags(&self) -> impl Iterator<Item = &crate::model::Tag> {
        (self.model.tags.iter()).filter(|tag| tag.when.holds(self.config))
    }

    /// Whether instructions of this CPU may reach others: not for a space whose tags mean something
    /// else there, since what hits it would have to hit every tag.
    fn may_broadcast(&self) -> bool {
        let named = self.space == Space::Kernel || self.of_machine || self.tags().next().is_none();
        named && self.delivery() != Some(Delivery::Interrupts)
    }

    /// Whether the user space may have a tag of that reach.
    pub fn has_tag(&self, of_machine: bool) -> bool {
        self.tags().any(|tag| tag.of_cpu.value != of_machine)
    }

    /// Whether this CPU may hold global entries, whoever made them: somebody before this kernel may have
    /// run with fewer features, but not without what global entries take.
    pub fn may_hold_globals(&self) -> bool {
        let spaces = [&self.model.user, &self.model.kernel];
        let mut cases = spaces.into_iter().flat_map(|space| &space.leaf.cases);
        cases.any(|(under, cond)| {
            let mut taken = cond.features_wanted();
            under.value == Under::Global && taken.all(|feature| self.config.has(feature))
        })
    }

    /// The tag classes that entries of the space have.
    pub fn classes(&self, leaf: bool) -> Whose {
        let space = self.model.space(self.space);
        let cases = if leaf { &space.leaf } else { &space.walk };
        let tagged = self.tags().next().is_some();
        match cases.get(self.config).map(|at| &at.value) {
            Some(Under::Global) => Whose {
                this: false,
                other: false,
                global: true,
                by: By::Operand,
            },
            Some(Under::EveryTag) => Whose {
                other: tagged,
                global: false,
                ..Whose::ANY
            },
            _ => Whose::THIS,
        }
    }

    /// The holders that an instruction of this CPU would have to reach.
    pub fn holders(&self) -> Holders {
        match self.reach {
            Reach::Here => Holders::SELF,
            Reach::Wide => Holders::CPUS,
        }
    }

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
        pool
    }

    /// How the policy has others told in this configuration.
    pub fn delivery(&self) -> Option<Delivery> {
        let stated = self.model.policy.delivery.as_ref()?;
        stated.get(self.config).map(|at| at.value)
    }

    fn primitives(&self, local: bool, pool: &mut Vec<Means>) {
        for (index, invalidate) in self.model.invalidates.iter().enumerate() {
            let holders = invalidate.holders.value;
            let is_local = Holders::CORE.covers(holders);
            if is_local != local
                || !holders.covers(self.holders())
                || !invalidate.requires.holds(self.config)
                || invalidate.writes_entry.is_some()
            {
                continue;
            }
            for (number, form) in invalidate.forms.iter().enumerate() {
                if !form.requires.holds(self.config) {
                    continue;
                }
                let drops: Vec<&Drops> = form.drops.iter().collect();
                let how = How::Issue {
                    invalidate: index,
                    form: number,
                };
                if wants_tag(&drops) {
                    if self.gives_tag() {
                        for view in self.views() {
                            pool.extend(self.means(how, Some(view), &drops));
                        }
                    }
                } else {
                    pool.extend(self.means(how, None, &drops));
                }
            }
        }
    }

    fn gives_tag(&self) -> bool {
        self.space == Space::User
            && match self.reach {
                Reach::Here => self.tags().next().is_some(),
                Reach::Wide => self.of_machine && self.has_tag(true),
            }
    }

    fn means(&self, how: How, view: Option<usize>, drops: &[&Drops]) -> Option<Means> {
        let How::Issue { invalidate, .. } = how else {
            return None;
        };
        let primitive = &self.model.invalidates[invalidate];
        let lost = self.lost(Instr::Invalidate(invalidate));
        let takes_hint = primitive.template.operands.iter().any(|&operand| {
            let fields = &self.model.operands[operand].fields;
            fields
                .iter()
                .any(|f| f.value == Value::Source(Source::Hint))
        });
        let cells = |hint| self.cells(drops, view, hint, &lost, false);
        let hints = self.hints();
        let names = self.names(primitive.template.operands.as_slice(), drops)?;
        Some(Means {
            how,
            view,
            names,
            cells: cells(None),
            hinted: if takes_hint {
                hints.into_iter().map(|l| (l, cells(Some(l)))).collect()
            } else {
                Vec::new()
            },
            everywhere: self.cells(drops, view, None, &lost, true),
            loses: self.loses(drops),
            cost: primitive.cost,
            after: primitive.after.map(|at| at.value),
            remedies: self.remedies(Instr::Invalidate(invalidate)),
        })
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
                Which::Everything => {}
            }
        }
        Some(names)
    }

    /// For each view of the space, the cells that go: all of them, or those that go everywhere.
    fn cells(
        &self,
        drops: &[&Drops],
        given: Option<usize>,
        hint: Option<Level>,
        lost: &[Lost],
        everywhere: bool,
    ) -> Vec<Cells> {
        let views = &self.model.space(self.space).views;
        let one = |view: usize| {
            let mut cells = Cells::NONE;
            for d in drops {
                if !d.when.holds_with(self.config, hint.is_some(), false)
                    || everywhere && d.which.value != Which::Everything
                {
                    continue;
                }
                let whose = d.whose.value;
                let this = whose.this && (given.is_none() || given == Some(view))
                    || whose.loaded && views[view].loaded;
                let what = What {
                    leaf: levels(d.leaf, hint, lost.contains(&Lost::Leaf)),
                    walk: levels(d.walk, hint, lost.contains(&Lost::Walk)),
                    ..What::NOTHING
                };
                let whose = Whose {
                    this,
                    other: whose.other,
                    global: whose.global && !lost.contains(&Lost::Global),
                    by: By::Operand,
                };
                cells = cells.union(&Cells::of(what, whose, self.holders()));
            }
            cells
        };
        self.views().into_iter().map(one).collect()
    }

    /// The tag classes that lose every leaf.
    fn loses(&self, drops: &[&Drops]) -> u8 {
        let all = |d: &&&Drops| {
            d.leaf.is_some() && d.which.value == Which::Everything && d.when.holds(self.config)
        };
        drops.iter().filter(all).fold(0, |bits, d| {
            let whose = d.whose.value;
            bits | Whose {
                this: whose.this || whose.loaded,
                other: whose.other,
                global: whose.global,
                by: By::Operand,
            }
            .bits()
        })
    }

    /// What can be put off instead of being dropped now.
    fn debts(&self, pool: &mut Vec<Means>) {
        let views = self.views();
        let owe = |how, view: Option<usize>, whose: Whose| Means {
            how,
            view,
            names: Names::Everything,
            cells: (views.iter())
                .map(|&v| {
                    let whose = Whose {
                        this: whose.this && view == Some(v),
                        ..whose
                    };
                    Cells::of(What::LEAF_AND_WALK, whose, Holders::SELF)
                })
                .collect(),
            hinted: Vec::new(),
            everywhere: vec![Cells::NONE; views.len()],
            loses: whose.bits(),
            cost: 0,
            after: None,
            remedies: Vec::new(),
        };
        // Among the other tags are those of every kind.
        let mut tags = self.tags().peekable();
        if tags.peek().is_some() && tags.all(|tag| tag.may_be_retired.is_some()) {
            let others = Whose {
                this: false,
                other: true,
                global: false,
                by: By::Operand,
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

fn levels(selected: Option<LevelSel>, hint: Option<Level>, lost: bool) -> Levels {
    match (selected, hint) {
        _ if lost => Levels::NONE,
        (None, _) => Levels::NONE,
        (Some(LevelSel::Only(levels)), _) => levels,
        (Some(LevelSel::Any), _) | (Some(_), None) => Levels::ALL,
        (Some(LevelSel::Hint), Some(level)) => Levels::only(level),
        (Some(LevelSel::AboveHint), Some(level)) => Levels::above(level),
    }
}
