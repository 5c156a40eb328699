//! Tables, caches, features and limits.

use tlbc_facts::clause::CacheSet;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{self, Levels};

use super::registers::{LimitFrom, ReadFrom};
use super::terms::{At, Cases, Cond, DefinitionName, Machine};
use crate::ast::{Fills, Known, Negative, Stricter, StricterOn};
use crate::source::Span;

/// Another name for a set of agents.
#[derive(Debug, Clone)]
pub struct Domain {
    pub named: DefinitionName,
    pub agents: Agents,
    /// Whether a statement names it.
    pub used: bool,
}

/// A page size with its tables.
#[derive(Debug, Clone)]
pub struct Geometry {
    pub named: DefinitionName,
    /// log2 of the page size.
    pub page_shift: u32,
    /// The number of the page size in operands.
    pub granule: Option<At<u64>>,
    /// The number of bits of the top table's address, where it is stated.
    pub root_bits: Option<At<u64>>,
    /// log2 of the alignment of the top table, where it is stated.
    pub root_shift: Option<At<u32>>,
    /// The levels, by the index of their name; `None` where the geometry has none of that name.
    pub levels: Vec<Option<Level>>,
    /// The levels at which a space may have its top table; the highest alone where none is named.
    pub tops: Vec<usize>,
}

/// A level of tables.
#[derive(Debug, Clone)]
pub struct Level {
    /// log2 of the reach of an entry.
    pub shift: Cases<u32>,
    /// The condition under which an entry may map a page.
    pub leaf: Option<Cond>,
    /// The number of the level in operands.
    pub hint: Option<At<u64>>,
    pub span: Span,
}

impl Level {
    /// Returns whether an entry may map a page in a configuration.
    #[must_use]
    pub fn maps_pages(&self, config: impl Machine) -> bool {
        self.leaf.as_ref().is_some_and(|when| when.holds(config))
    }
}

/// A kind of cached entry.
pub use crate::ast::CachedKind;

/// A named cache.
#[derive(Debug, Clone)]
pub struct Cache {
    pub named: DefinitionName,
    pub holds: Vec<CachedKind>,
    /// The cache from whose entries it makes its own.
    pub from: Option<At<usize>>,
    /// The number of its sets, where an instruction drops one set at a time.
    pub sets: Option<Cases<Amount>>,
    /// The machines that have it.
    pub when: Cond,
    /// The place of `holds`.
    pub span: Span,
}

/// What the machine may cache.
#[derive(Debug, Clone)]
pub struct Caches {
    /// The caches, by name.
    pub all: Vec<Cache>,
    /// Whether the CPUs of a core share them.
    pub shared_by_core: Option<Span>,
    /// log2 of the number of neighbouring entries that one translation covers, by the index of their level.
    pub joined: Vec<Option<At<u32>>>,
    /// Whether an invalidation of any address in its reach drops a walk entry.
    pub walk_spans_reach: bool,
    /// Whether there are negative entries.
    pub negative: Cases<Negative>,
    pub fills: Cases<Fills>,
    /// What happens when an entry allows less than the table.
    pub stricter: Cases<StricterOn>,
    /// The machines on which a clean entry becomes dirty only by a walk.
    pub clean_to_dirty_walks: Option<Cond>,
    /// The machines on which the accessed mark may be cleared without a flush.
    pub accessed_may_stay: Option<Cond>,
    pub span: Span,
}

impl Caches {
    /// Returns log2 of the number of neighbouring entries of a level that one translation covers.
    #[must_use]
    pub fn covered(&self, level: usize) -> u32 {
        self.joined[level].map_or(0, |at| at.value)
    }

    /// Returns the caches that hold entries of a kind, on some machine. Negative entries are in those that hold leaf
    /// entries.
    #[must_use]
    pub fn ever_holding(&self, kind: CachedKind) -> CacheSet {
        let mut negative = self.negative.cases.iter();
        match kind {
            CachedKind::Negative if negative.all(|(kept, _)| *kept == Negative::Never) => {
                CacheSet::NONE
            }
            CachedKind::Negative => self.those(|cache| cache.holds.contains(&CachedKind::Leaf)),
            kind => self.those(|cache| cache.holds.contains(&kind)),
        }
    }

    /// Returns whether some machine caches entries of a kind.
    #[must_use]
    pub fn ever_hold(&self, kind: CachedKind) -> bool {
        self.ever_holding(kind) != CacheSet::NONE
    }

    /// Returns the caches that hold entries of a kind.
    #[must_use]
    pub fn holding(&self, kind: CachedKind, machine: impl Machine) -> CacheSet {
        if kind == CachedKind::Negative && self.negative(machine) == Negative::Never {
            return CacheSet::NONE;
        }
        let ever = self.ever_holding(kind);
        let here = self.those(|cache| cache.when.holds(machine));
        CacheSet(ever.0 & here.0)
    }

    fn those(&self, are: impl Fn(&Cache) -> bool) -> CacheSet {
        let caches = self.all.iter().enumerate();
        let those = caches.filter(|(_, cache)| are(cache));
        CacheSet(those.fold(0, |set, (index, _)| set | 1 << index))
    }

    /// Returns whether entries of a kind are cached.
    #[must_use]
    pub fn hold(&self, kind: CachedKind, machine: impl Machine) -> bool {
        self.holding(kind, machine) != CacheSet::NONE
    }

    /// Returns whether negative entries are cached, and how long.
    #[must_use]
    pub fn negative(&self, machine: impl Machine) -> Negative {
        let stated = self.negative.get(machine);
        stated.copied().unwrap_or(Negative::UntilDropped)
    }

    /// Returns the levels of the negative entries that are cached.
    #[must_use]
    pub fn negative_levels(&self, machine: impl Machine) -> Levels {
        let negative = self.negative(machine);
        let levels = level::Level::all().map(|invalid| negative.levels(invalid));
        levels.fold(Levels::NONE, Levels::union)
    }

    /// Returns whether a CPU with a root loaded walks by speculation.
    #[must_use]
    pub fn fill_while_loaded(&self, machine: impl Machine) -> bool {
        self.fills.get(machine) != Some(&Fills::BySoftware)
    }

    /// Returns what happens when an entry allows less than the table.
    #[must_use]
    pub fn stricter(&self, machine: impl Machine) -> StricterOn {
        let stated = self.stricter.get(machine);
        stated.copied().unwrap_or(StricterOn {
            how: Stricter::FaultsUntilDropped,
            cpus_only: false,
        })
    }

    /// Returns the conditions of all facts.
    pub fn conds(&self) -> impl Iterator<Item = &Cond> {
        let facts = self.negative.conds().chain(self.fills.conds());
        let facts = facts.chain(self.stricter.conds());
        let facts = facts.chain(&self.clean_to_dirty_walks);
        let facts = facts.chain(&self.accessed_may_stay);
        let caches = self.all.iter();
        facts.chain(caches.flat_map(|cache| {
            let sets = cache.sets.iter().flat_map(Cases::conds);
            sets.chain([&cache.when])
        }))
    }

    /// Returns the number of caches through which this one is made from the tables: 0 for one that is made from
    /// the tables directly.
    #[must_use]
    pub fn depth(&self, cache: usize) -> u8 {
        let from = |cache: usize| self.all.get(cache)?.from.map(|at| at.value);
        let sources = std::iter::successors(from(cache), |&cache| from(cache));
        // Caches made from each other in a circle are reported elsewhere.
        sources.take(CacheSet::MAX).count() as u8
    }
}

/// A feature.
#[derive(Debug, Clone)]
pub struct Feature {
    pub named: DefinitionName,
    /// When it is known.
    pub known: Known,
    /// The register that reports it, if there is one.
    pub from: Option<ReadFrom>,
    pub needs: Cond,
}

/// A number read at boot.
#[derive(Debug, Clone)]
pub struct Limit {
    pub named: DefinitionName,
    /// The least value.
    pub least: u64,
    pub most: u64,
    /// The register that reports it, if there is one.
    pub from: Option<LimitFrom>,
}

/// A number that is stated, or that the kernel reads at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Amount {
    Stated(u64),
    /// A limit, by index.
    Limit(usize),
}

impl Amount {
    /// Returns the number on a machine with these limits.
    #[must_use]
    pub fn on(self, limits: &[u64]) -> u64 {
        match self {
            Self::Stated(number) => number,
            Self::Limit(limit) => limits[limit],
        }
    }

    /// Returns the limit, if it is read at boot.
    #[must_use]
    pub fn limit(self) -> Option<usize> {
        match self {
            Self::Stated(_) => None,
            Self::Limit(limit) => Some(limit),
        }
    }

    /// Returns the least and the greatest number that it can be.
    #[must_use]
    pub fn range(self, limits: &[Limit]) -> (u64, u64) {
        match self {
            Self::Stated(number) => (number, number),
            Self::Limit(limit) => (limits[limit].least, limits[limit].most),
        }
    }
}
