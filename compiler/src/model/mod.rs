//! A definition with its names resolved: what `check`, `plan`, `emit` and `trace` work on.
//!
//! In: what `lower` puts here. Holds: every index is in range, `for` is expanded,
//! every condition names features and geometries that exist, and each fact keeps its span.
//! `check` determines whether the facts describe a possible machine.

mod events;
mod facts;
pub(crate) mod flags;
mod instructions;
mod machine;
mod registers;
mod spaces;
mod terms;
mod unknown;

pub use events::*;
pub use instructions::*;
pub use machine::*;
pub use registers::*;
pub use spaces::*;
pub use terms::*;
pub use unknown::Unknown;

use tlbc_runtime::level::{Level as LevelIndex, Levels};
use tlbc_runtime::request::{LevelFacts, LevelTable};

pub use crate::ast::{
    EventKind, Fills, Keeps, Known, Lost, Need, Negative, Shootdown, Stricter, StricterOn,
    TagSelector, TagSource, Written,
};
use crate::source::Span;

/// A definition.
#[derive(Debug, Clone)]
pub struct Model {
    pub arch: DefinitionName,
    /// The `///` comment before it.
    pub doc: Vec<String>,
    /// Rust's `target_arch`.
    pub target_arch: At<String>,
    /// The width of a general register of that architecture.
    pub register_bits: u32,
    /// Page sizes with their tables.
    pub geometries: Vec<Geometry>,
    /// Names of levels, from the leaf up, over all geometries.
    pub levels: Vec<DefinitionName>,
    /// What the machine may cache.
    pub caches: Caches,
    pub features: Vec<Feature>,
    pub errata: Vec<Erratum>,
    /// Numbers read at boot.
    pub limits: Vec<Limit>,
    /// The number of bits of a table's physical address; 64 if it is not stated.
    pub table_bits: Option<Cases<At<u64>>>,
    /// The number of bytes of a table entry, 4 or 8, where it is stated.
    pub entry_bytes: Option<At<u64>>,
    /// A requirement on the configuration of the machine.
    pub setup: Vec<Setup>,
    /// Other names for sets of agents.
    pub domains: Vec<Domain>,
    pub tags: Vec<Tag>,
    pub user: Space,
    pub kernel: Space,
    /// What publishes changes where no barrier does.
    pub assumed: Option<At<String>>,
    /// Whether an atomic read-modify-write is a full barrier.
    pub atomics_order: Option<At<()>>,
    pub barriers: Vec<Barrier>,
    pub operands: Vec<Operand>,
    /// The numbers of levels in their fields.
    pub level_numbers: Vec<LevelNumbers>,
    pub invalidates: Vec<Invalidate>,
    /// Instructions that load a root or a tag.
    pub loads: Vec<Load>,
    /// How an entry may be changed.
    pub change: Change,
    /// `switch`, `return_to_user` and `cpu_online`.
    pub switch: Event,
    /// The return to user code.
    pub return_to_user: Event,
    pub cpu_online: Event,
    /// Sets of CPUs that the kernel maintains.
    pub cpu_sets: Vec<DefinitionName>,
    /// What the kernel does with the facts.
    pub policy: Policy,
    /// The facts that no manual confirms.
    pub unconfirmed: Vec<Unconfirmed>,
    /// The parts with errors.
    pub unknown: Unknown,
}

/// A fact that no manual confirms.
#[derive(Debug, Clone)]
pub struct Unconfirmed {
    /// What the fact is about.
    pub about: Vec<Subject>,
    /// Which fact it is, and what it relies on.
    pub text: String,
    pub span: Span,
}

/// A subject of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Returns the space of that kind.
    #[must_use]
    pub fn space(&self, space: tlbc_runtime::request::Space) -> &Space {
        match space {
            tlbc_runtime::request::Space::User => &self.user,
            tlbc_runtime::request::Space::Kernel => &self.kernel,
        }
    }

    /// Returns the number of bytes of a table entry.
    #[must_use]
    pub fn entry_size(&self) -> u64 {
        self.entry_bytes.map_or(8, |at| at.value)
    }

    /// Returns whether a configuration is possible: every feature and erratum has what it needs.
    #[must_use]
    pub fn possible(&self, config: Config) -> bool {
        let mut features = self.features.iter().enumerate();
        let mut errata = self.errata.iter().enumerate();
        features.all(|(i, feature)| !config.has(i) || feature.needs.holds(config))
            && errata.all(|(i, erratum)| !config.suffers(i) || erratum.needs.holds(config))
    }

    /// Returns the levels whose entries map pages in some configuration.
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

    /// Returns the levels whose leaf entries are flushed at their own stride: those of the policy, or every level that maps
    /// pages.
    #[must_use]
    pub fn strides(&self) -> Levels {
        let stated = self.policy.strides;
        stated.map_or_else(|| self.leaf_levels(), |at| at.value)
    }

    /// Returns the levels whose leaf entries are flushed at the stride of a lower level.
    #[must_use]
    pub fn merged_levels(&self) -> Levels {
        let strides = self.strides();
        let merged = self
            .leaf_levels()
            .iter()
            .filter(|&level| !strides.contains(level));
        merged.fold(Levels::NONE, |all, level| all.union(Levels::only(level)))
    }

    /// Returns the levels of a configuration.
    #[must_use]
    pub fn level_table(&self, config: impl Machine) -> LevelTable {
        let mut table = LevelTable::default();
        let merged = self.merged_levels();
        let levels = &self.geometries[config.geometry()].levels;
        for (index, level) in levels.iter().enumerate() {
            if let (Some(level), Some(shift)) = (level, self.level_shift(index, config)) {
                table[index] = if level.maps_pages(config) {
                    LevelFacts {
                        merged: merged.contains(LevelIndex(index as u8)),
                        ..LevelFacts::joined(shift, self.caches.covered(index))
                    }
                } else {
                    LevelFacts::table(shift)
                };
            }
        }
        table
    }

    /// Returns the index of the level of that name.
    #[must_use]
    pub fn level(&self, name: &str) -> Option<usize> {
        self.levels.iter().position(|level| level.name == name)
    }

    /// Returns a level of a configuration.
    #[must_use]
    pub fn level_shift(&self, level: usize, config: impl Machine) -> Option<u32> {
        self.geometries[config.geometry()].levels[level]
            .as_ref()
            .and_then(|l| l.shift.get(config).copied())
    }
}
