//! Tables, caches, features, tags and spaces.

use tlbc_facts::clause::CacheSet;
use tlbc_runtime::agents::Agents;

use super::{
    At, Cases, Cond, Config, Known, LimitFrom, Machine, Named, ReadFrom, Resync, Stricter,
    TagSource,
};
use crate::source::Span;

/// Another name for holders.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its name.
    pub named: Named,
    /// Whom it joins.
    pub holders: Agents,
    /// Whether something names it.
    pub used: bool,
}

/// A page size with its tables.
#[derive(Debug, Clone)]
pub struct Geometry {
    /// Its name.
    pub named: Named,
    /// log2 of the page size.
    pub page_shift: u32,
    /// What stands for the page size in operands.
    pub granule: Option<At<u64>>,
    /// By the index of the level's name; `None` where there is no such level.
    pub levels: Vec<Option<Level>>,
    /// The levels at which a space may have its top table; the highest alone where none is named.
    pub tops: Vec<usize>,
}

/// A level of tables.
#[derive(Debug, Clone)]
pub struct Level {
    /// log2 of the reach of an entry.
    pub shift: Cases<u32>,
    /// When an entry may map a page, if it ever may.
    pub leaf: Option<Cond>,
    /// What stands for the level in operands.
    pub hint: Option<At<u64>>,
    /// Where it is said.
    pub span: Span,
}

impl Level {
    /// Whether an entry may map a page in a configuration.
    #[must_use]
    pub fn maps_pages(&self, config: Config) -> bool {
        self.leaf.as_ref().is_some_and(|when| when.holds(config))
    }
}

/// A kind of cached entry.
pub use crate::ast::Kind;

/// A named cache.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its name.
    pub named: Named,
    /// What it holds.
    pub holds: Vec<Kind>,
    /// The cache from whose entries it makes its own.
    pub from: Option<At<usize>>,
    /// Of how many sets it consists, where an instruction drops one at a time.
    pub sets: Option<Cases<u64>>,
}

/// What the machine may remember.
#[derive(Debug, Clone)]
pub struct Caches {
    /// The caches, by name.
    pub stores: Vec<Store>,
    /// Translations.
    pub leaf: Option<Span>,
    /// Pointers to tables.
    pub walk: Option<Span>,
    /// Bindings of tags to top tables.
    pub root: Option<Span>,
    /// The CPUs of a core share them.
    pub shared_by_core: Option<Span>,
    /// log2 of how many neighbouring entries one translation covers, by the index of their level.
    pub joined: Vec<Option<At<u32>>>,
    /// One address drops a walk entry wherever in its reach it lies.
    pub walk_spans_reach: bool,
    /// Absences.
    pub invalid_cached: bool,
    /// CPUs with a root loaded fill by speculation.
    pub fills_while_loaded: bool,
    /// What becomes of entries that allow less than the table.
    pub stricter: Stricter,
    /// On CPUs alone: devices keep them.
    pub stricter_on_cpus_only: bool,
    /// A clean entry becomes dirty only by a walk.
    pub clean_to_dirty_walks: bool,
    /// The accessed mark may be cleared without a flush.
    pub accessed_may_stay: bool,
    /// Where it is said.
    pub span: Span,
}

impl Caches {
    /// log2 of how many neighbouring entries of a level one translation covers.
    #[must_use]
    pub fn covered(&self, level: usize) -> u32 {
        self.joined[level].map_or(0, |at| at.value)
    }
}

impl Caches {
    /// The caches that hold entries of a kind.
    #[must_use]
    pub fn holding(&self, kind: Kind) -> CacheSet {
        let kind = if kind == Kind::Negative {
            Kind::Leaf
        } else {
            kind
        };
        let stores = self.stores.iter().enumerate();
        let holding = stores.filter(|(_, store)| store.holds.contains(&kind));
        CacheSet(holding.fold(0, |set, (index, _)| set | 1 << index))
    }

    /// How many caches are in a row before this one, each made from the one before: 0 for one that is made from the
    /// tables.
    #[must_use]
    pub fn depth(&self, store: usize) -> u8 {
        let from = |store: usize| self.stores.get(store)?.from.map(|at| at.value);
        let sources = std::iter::successors(from(store), |&store| from(store));
        // Caches made from each other in a circle are reported elsewhere.
        sources.take(CacheSet::MAX).count() as u8
    }
}

/// A feature.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Its name.
    pub named: Named,
    /// When it is known.
    pub known: Known,
    /// Where it is read, if a register says it.
    pub from: Option<ReadFrom>,
    /// What it needs.
    pub needs: Cond,
}

/// A number read at boot.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Its name.
    pub named: Named,
    /// The least it may be.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// Where it is read, if a register tells it.
    pub from: Option<LimitFrom>,
}

/// A kind of tag.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Its name.
    pub named: Named,
    /// When there is such a tag.
    pub when: Cond,
    /// Its width.
    pub bits: At<u64>,
    /// Whether a value means another space on another CPU.
    pub of_cpu: At<bool>,
    /// Whether all other values can be disowned on this CPU, to be flushed when next loaded.
    pub invalidated_lazily: Option<Span>,
    /// It is read only after changes are published.
    pub read_after_publish: Option<Span>,
    /// The values it may have, both included.
    pub values: Option<At<(u64, u64)>>,
    /// The address of the top table is the tag.
    pub is_root: Option<Span>,
    /// Where its values come from, if that is said.
    pub source: Option<At<TagSource>>,
}

impl Tag {
    /// The least and the largest value that a space gets.
    #[must_use]
    pub fn range(&self) -> (u64, u64) {
        let most = 1u64
            .checked_shl(self.bits.value as u32)
            .map_or(u64::MAX, |n| n - 1);
        self.values.map_or((0, most), |at| at.value)
    }
}

impl Tag {
    /// Whether more than one value can be given out where the bits that views set are kept free.
    #[must_use]
    pub fn gives_out_several(&self, views: u64) -> bool {
        let (first, last) = self.range();
        // The least value from `from` on without those bits: a bit that is in the way is carried over.
        let next = |from: u64| {
            let mut value = from;
            while value & views != 0 {
                let above = 64 - (value & views).leading_zeros();
                let carried = value.checked_shr(above)?.checked_add(1)?;
                value = carried
                    .checked_shl(above)
                    .filter(|it| it >> above == carried)?;
            }
            (value <= last).then_some(value)
        };
        let second = next(first).and_then(|least| next(least.checked_add(1)?));
        second.is_some()
    }
}

/// Which tag class entries have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// One of these tags, by index.
    Tags(Vec<usize>),
    /// This value of this tag, by index.
    Fixed(usize, u64),
    /// Every tag.
    EveryTag,
    /// No tag.
    Global,
}

/// A space.
#[derive(Debug, Clone)]
pub struct Space {
    /// Which addresses it has.
    pub addresses: Cases<Addresses>,
    /// Its translations.
    pub leaf: Cases<At<Under>>,
    /// Its pointers to tables.
    pub walk: Cases<At<Under>>,
    /// Its loadable views.
    pub views: Vec<View>,
    /// The barrier that this CPU needs after a flush, to fetch anew.
    pub resync: Option<Resync>,
    /// When devices walk its tables as well, if they ever do.
    pub devices: Option<At<Cond>>,
    /// Where it is said.
    pub span: Span,
}

impl Space {
    /// Whether devices walk its tables in a configuration.
    #[must_use]
    pub fn has_devices(&self, machine: impl Machine) -> bool {
        (self.devices.as_ref()).is_some_and(|when| when.value.holds(machine))
    }

    /// The value of its tag, where that is always the same.
    #[must_use]
    pub fn fixed_tag(&self, machine: impl Machine) -> Option<u64> {
        match self.leaf.get(machine)?.value {
            Under::Fixed(_, value) => Some(value),
            _ => None,
        }
    }
}

/// A stretch of addresses: `1 << bits` from `base`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The first.
    pub base: u64,
    /// log2 of how many there are.
    pub bits: u32,
}

impl Addresses {
    /// Whether an address is one of them.
    #[must_use]
    pub fn contain(self, va: u64) -> bool {
        self.bits >= 64 || va >> self.bits == self.base >> self.bits
    }
}

/// A loadable view of a space.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub named: Named,
    /// What is or-ed to the tag.
    pub or: u64,
    /// Whether it is the one loaded while the kernel runs.
    pub loaded: bool,
    /// When there is such a view.
    pub when: Cond,
}
