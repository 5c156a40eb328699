//! A definition with its names resolved: what `check`, `plan`, `emit` and `trace` work on.
//!
//! In: nothing but what `lower` puts here. Holds: every index is in range, `for` is expanded,
//! every condition speaks of features and geometries that exist, and each fact keeps its span.
//! Whether the facts make a possible machine is `check`'s business.

mod events;
mod instructions;
mod machine;
mod registers;

pub use events::*;
pub use instructions::*;
pub use machine::*;
pub use registers::*;

use tlbc_runtime::level::{Level as LevelIndex, Levels};
use tlbc_runtime::request::{LevelFacts, LevelTable};

pub use crate::ast::{
    EventKind, Keeps, Known, Lost, Need, Shootdown, Stricter, TagSource, Written,
};
use crate::source::Span;

/// A value and the words that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The words.
    pub span: Span,
}

/// A configuration: which features and errata a machine has, and its page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Config {
    /// One bit a feature.
    pub features: u32,
    /// One bit an erratum.
    pub errata: u32,
    /// The geometry, by its index.
    pub geometry: usize,
}

impl Config {
    /// Whether a feature is on.
    #[must_use]
    pub fn has(self, feature: usize) -> bool {
        self.features & (1 << feature) != 0
    }

    /// Whether an erratum is present.
    #[must_use]
    pub fn suffers(self, erratum: usize) -> bool {
        self.errata & (1 << erratum) != 0
    }
}

/// A machine that conditions are evaluated for: a configuration, or what planning has found out of one.
pub trait Machine: Copy {
    /// Whether a feature is on.
    fn has(self, feature: usize) -> bool;

    /// Whether an erratum is present.
    fn suffers(self, erratum: usize) -> bool;

    /// The geometry, by its index.
    fn geometry(self) -> usize;
}

impl Machine for Config {
    fn has(self, feature: usize) -> bool {
        self.has(feature)
    }

    fn suffers(self, erratum: usize) -> bool {
        self.suffers(erratum)
    }

    fn geometry(self) -> usize {
        self.geometry
    }
}

/// What a condition can speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Var {
    /// A feature.
    Feature(usize),
    /// A geometry.
    Geometry(usize),
    /// The instruction is given a level hint.
    Hinted,
    /// Loading keeps what is cached under the tag.
    Keep,
}

/// Terms that must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cond {
    /// What must hold, or (false) must not.
    pub terms: Vec<At<(Var, bool)>>,
}

impl Cond {
    /// Whether it holds for a machine, with hint and keep as given.
    #[must_use]
    pub fn holds_with(&self, machine: impl Machine, hinted: bool, keep: bool) -> bool {
        self.terms.iter().all(|term| {
            let (var, wanted) = term.value;
            let is = match var {
                Var::Feature(feature) => machine.has(feature),
                Var::Geometry(geometry) => machine.geometry() == geometry,
                Var::Hinted => hinted,
                Var::Keep => keep,
            };
            is == wanted
        })
    }

    /// Whether it holds for a machine, without a hint and keeping nothing.
    #[must_use]
    pub fn holds(&self, machine: impl Machine) -> bool {
        self.holds_with(machine, false, false)
    }

    /// This and another.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            terms: [self.terms.as_slice(), other.terms.as_slice()].concat(),
        }
    }

    /// The features that have to be on.
    pub fn features_wanted(&self) -> impl Iterator<Item = usize> + '_ {
        let wanted = self.terms.iter().filter(|term| term.value.1);
        wanted.filter_map(|term| match term.value.0 {
            Var::Feature(feature) => Some(feature),
            _ => None,
        })
    }

    /// The features that it speaks of.
    pub fn features(&self) -> impl Iterator<Item = usize> + '_ {
        self.terms.iter().filter_map(|term| match term.value.0 {
            Var::Feature(feature) => Some(feature),
            _ => None,
        })
    }
}

/// Alternatives; the last whose condition holds counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases<T> {
    /// The alternatives in order.
    pub cases: Vec<(T, Cond)>,
    /// All of it.
    pub span: Span,
}

impl<T> Cases<T> {
    /// The alternative that counts.
    #[must_use]
    pub fn get(&self, machine: impl Machine) -> Option<&T> {
        let holding = self.cases.iter().rev().find(|(_, c)| c.holds(machine));
        holding.map(|(value, _)| value)
    }

    /// Its conditions.
    pub fn conds(&self) -> impl Iterator<Item = &Cond> {
        self.cases.iter().map(|(_, cond)| cond)
    }
}

/// A named thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Where it is named.
    pub span: Span,
    /// What it is, in the words of the definition; may be empty.
    pub text: String,
}

/// A definition.
#[derive(Debug, Clone)]
pub struct Model {
    /// The architecture.
    pub arch: Named,
    /// The comment before it.
    pub doc: Vec<String>,
    /// Rust's `target_arch`.
    pub target_arch: At<String>,
    /// Page sizes with their tables.
    pub geometries: Vec<Geometry>,
    /// Names of levels, from the leaf up, over all geometries.
    pub levels: Vec<Named>,
    /// What the machine may remember.
    pub caches: Caches,
    /// Features.
    pub features: Vec<Feature>,
    /// Errata.
    pub errata: Vec<Erratum>,
    /// Numbers read at boot.
    pub limits: Vec<Limit>,
    /// How many bits the physical address of a table has; without it, 64.
    pub table_bits: Option<Cases<At<u64>>>,
    /// What the machine must be set to.
    pub setup: Vec<Setup>,
    /// Other names for holders.
    pub domains: Vec<Domain>,
    /// Kinds of tags.
    pub tags: Vec<Tag>,
    /// The user space.
    pub user: Space,
    /// The kernel's.
    pub kernel: Space,
    /// What publishes changes without an instruction.
    pub assumed: Option<At<String>>,
    /// Whether an atomic read-modify-write is a full barrier.
    pub atomics_order: Option<At<()>>,
    /// Barriers.
    pub barriers: Vec<Barrier>,
    /// Operands.
    pub operands: Vec<Operand>,
    /// The numbers of levels in their fields.
    pub level_numbers: Vec<LevelNumbers>,
    /// Instructions that invalidate.
    pub invalidates: Vec<Invalidate>,
    /// Instructions that load a root or a tag.
    pub loads: Vec<Load>,
    /// How an entry may be changed.
    pub change: Change,
    /// `switch`, `return_to_user` and `cpu_online`.
    pub switch: Event,
    /// Return to user code.
    pub return_to_user: Event,
    /// CPU bring-up.
    pub cpu_online: Event,
    /// Sets of CPUs that the kernel keeps.
    pub cpu_sets: Vec<Named>,
    /// What the definition states of what follows from it.
    pub policy: Policy,
    /// The facts that no manual confirms.
    pub unconfirmed: Vec<Unconfirmed>,
}

/// A fact that no manual confirms.
#[derive(Debug, Clone)]
pub struct Unconfirmed {
    /// What it is a fact of.
    pub about: Vec<Subject>,
    /// Which fact, and what it rests on.
    pub text: String,
    /// Where it is said.
    pub span: Span,
}

/// What a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An invalidation or a barrier.
    Instr(Instr),
    /// A load, by index.
    Load(usize),
    /// An erratum, by index.
    Erratum(usize),
    /// A part of the definition that has no name, by its keyword.
    Part(&'static str),
}

impl Model {
    /// The space of that kind.
    #[must_use]
    pub fn space(&self, space: tlbc_runtime::request::Space) -> &Space {
        match space {
            tlbc_runtime::request::Space::User => &self.user,
            tlbc_runtime::request::Space::Kernel => &self.kernel,
        }
    }

    /// Whether a configuration can be: every feature and erratum has what it needs.
    #[must_use]
    pub fn possible(&self, config: Config) -> bool {
        let mut features = self.features.iter().enumerate();
        let mut errata = self.errata.iter().enumerate();
        features.all(|(i, feature)| !config.has(i) || feature.needs.holds(config))
            && errata.all(|(i, erratum)| !config.suffers(i) || erratum.needs.holds(config))
    }

    /// The levels whose entries map pages in some configuration.
    #[must_use]
    pub fn leaf_levels(&self) -> Levels {
        let levels = self
            .geometries
            .iter()
            .flat_map(|g| g.levels.iter().enumerate());
        levels.fold(Levels::NONE, |all, (index, level)| match level {
            Some(level) if level.leaf.is_some() => all.union(Levels::only(LevelIndex(index as u8))),
            _ => all,
        })
    }

    /// The strides that gathers keep apart: as the policy states them, or every level that maps pages.
    #[must_use]
    pub fn strides(&self) -> Levels {
        let stated = self.policy.strides;
        stated.map_or_else(|| self.leaf_levels(), |at| at.value)
    }

    /// The levels of a configuration.
    #[must_use]
    pub fn level_table(&self, config: Config) -> LevelTable {
        let mut table = LevelTable::default();
        let levels = &self.geometries[config.geometry].levels;
        for (index, level) in levels.iter().enumerate() {
            if let (Some(level), Some(shift)) = (level, self.level_shift(index, config)) {
                table[index] = if level.maps_pages(config) {
                    LevelFacts::joined(shift, self.caches.covered(index))
                } else {
                    LevelFacts::table(shift)
                };
            }
        }
        table
    }

    /// The index of a level of that name.
    #[must_use]
    pub fn level(&self, name: &str) -> Option<usize> {
        self.levels.iter().position(|level| level.name == name)
    }

    /// A level as it is in a configuration.
    #[must_use]
    pub fn level_shift(&self, level: usize, config: Config) -> Option<u32> {
        self.geometries[config.geometry].levels[level]
            .as_ref()
            .and_then(|l| l.shift.get(config).copied())
    }
}
