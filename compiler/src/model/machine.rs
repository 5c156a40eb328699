//! Tables, caches, features, tags and spaces.

use super::{At, Cases, Cond, Known, Named, Stricter};
use crate::source::Span;

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
}

/// A level of tables.
#[derive(Debug, Clone)]
pub struct Level {
    /// log2 of the reach of an entry.
    pub shift: Cases<u32>,
    /// Whether an entry may map a page.
    pub leaf: bool,
    /// What stands for the level in operands.
    pub hint: Option<At<u64>>,
    /// Where it is said.
    pub span: Span,
}

/// What the machine may remember.
#[derive(Debug, Clone)]
pub struct Caches {
    /// Translations.
    pub leaf: Option<Span>,
    /// Pointers to tables.
    pub walk: Option<Span>,
    /// One address drops a walk entry wherever in its reach it lies.
    pub walk_spans_reach: bool,
    /// Absences.
    pub invalid_cached: bool,
    /// CPUs with a root loaded fill by speculation.
    pub fills_while_loaded: bool,
    /// What becomes of entries that allow less than the table.
    pub stricter: Stricter,
    /// A clean entry becomes dirty only by a walk.
    pub clean_to_dirty_walks: bool,
    /// Where it is said.
    pub span: Span,
}

/// A feature.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Its name.
    pub named: Named,
    /// When it is known.
    pub known: Known,
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
    pub may_be_retired: Option<Span>,
    /// It is read only after changes are published.
    pub read_after_publish: Option<Span>,
    /// The values it may have, both included.
    pub values: Option<At<(u64, u64)>>,
}

/// Which tag class entries have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// One of these tags, by index.
    Tags(Vec<usize>),
    /// Every tag.
    EveryTag,
    /// No tag.
    Global,
}

/// A space.
#[derive(Debug, Clone)]
pub struct Space {
    /// How many bits of which half of the addresses it has: (high, bits).
    pub addresses: Cases<(bool, u32)>,
    /// Its translations.
    pub leaf: Cases<At<Under>>,
    /// Its pointers to tables.
    pub walk: Cases<At<Under>>,
    /// Its loadable views.
    pub views: Vec<View>,
    /// The barrier that this CPU needs after a flush, to fetch anew.
    pub resync: Option<At<usize>>,
    /// Where it is said.
    pub span: Span,
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
