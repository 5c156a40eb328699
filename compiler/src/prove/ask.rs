//! Requests, each for one representative set of changed entries.
//!
//! In: a kind of request and the levels of a machine. Out: an [`Ask`]. Holds: each level that maps pages or points at
//! tables is asked for alone and with each other one, with one entry and with several, aligned and not, up to the last page
//! of the kernel's addresses.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::pte::{self, Negative, RequiredFlush};
use tlbc_runtime::request::passes::Pass;
use tlbc_runtime::request::{Extent, LevelTable, Ranges, Scope, Space};

use crate::model::CachedKind;

/// The numbers of entries that are asked for.
const COUNTS: [u64; 3] = [1, 2, 5];

/// How many tables are unlinked, besides one: an instruction that names an address in one of them leaves the others.
const MANY: u64 = 3;

/// A kind of request for a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Leaf entries of one level.
    Leaves(Level, u64),
    /// Entries that pointed at tables, with leaf entries below some of them if a level is given.
    Unlinked(Level, Option<Level>, u64),
    /// The same, where the entries below are still valid.
    Live(Level, Level, u64),
    /// A table of a level that is unlinked and shared, with pages of a lower level and one of the next level that maps pages.
    LiveMixed(Level, Level),
    /// An entry that pointed at a table, and one leaf entry below it.
    Last(Level, Level),
    /// Entries of two levels, one above the other, that pointed at tables at different addresses.
    Tables(Level, Level),
    /// Leaf entries of two levels.
    Mixed(Level, Level),
    /// A leaf entry, and those of a lower level at some of its addresses: it was split before the flush.
    Split(Level, Level),
    /// New entries of one level.
    New(Level, u64),
    /// New entries of two levels.
    News(Level, Level),
    /// Everything, with unlinked tables or without.
    Everything(bool),
    /// Everything, and the root entry.
    Teardown,
}

impl What {
    /// Returns every request.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for level in Level::all() {
            for count in COUNTS {
                all.push(Self::Leaves(level, count));
                all.push(Self::New(level, count));
            }
            if level > Level(0) {
                all.push(Self::Unlinked(level, None, MANY));
            }
            for below in Level::all().filter(|below| *below < level) {
                all.extend([1, 2, MANY].map(|tables| Self::Unlinked(level, Some(below), tables)));
                all.extend([1, 2].map(|tables| Self::Live(level, below, tables)));
                all.push(Self::LiveMixed(level, below));
                all.push(Self::Last(level, below));
                all.push(Self::Tables(level, below));
                all.push(Self::Mixed(level, below));
                all.push(Self::Split(level, below));
                all.push(Self::News(level, below));
            }
        }
        all.extend([
            Self::Everything(false),
            Self::Everything(true),
            Self::Teardown,
        ]);
        all
    }

    /// Returns the name of its kind, under which results are counted.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Leaves(_, 1) => "one page",
            Self::Leaves(..) => "pages of one level",
            Self::Mixed(..) | Self::Split(..) => "pages of two levels",
            Self::Last(..) => "one page and its table",
            Self::Unlinked(..) | Self::Tables(..) => "unlinked tables",
            Self::Live(..) | Self::LiveMixed(..) => "unlinked tables, valid below",
            Self::New(..) | Self::News(..) => "new mappings",
            Self::Everything(false) => "everything",
            Self::Everything(true) => "everything, with tables",
            Self::Teardown => "teardown",
        }
    }
}

/// Entries that must be invalidated: their kind, and their level and addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// Their kind.
    pub kind: CachedKind,
    /// Their level; 0 for root entries.
    pub level: Level,
    /// Their addresses; all without.
    pub at: Option<Extent>,
    /// The agents that can use them. Others can not before they load the space again.
    pub usable: Agents,
}

/// A change of table entries.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// What kind of change it is.
    pub kind: pte::Kind,
    /// Whose entries change.
    pub space: Space,
    /// Whether only this CPU may have cached them.
    pub only_here: bool,
    /// Whether the flush may be deferred.
    pub may_defer: bool,
    /// The entries.
    pub entries: Pass,
}

/// A request, with everything that plans test and everything that it makes stale.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What changed.
    pub ranges: Ranges,
    /// Whether tables were unlinked.
    pub walk: bool,
    /// Whether the space is torn down.
    pub teardown: bool,
    /// Whether all entries of the space are flushed.
    pub everything: bool,
    /// Whether leaf entries can be made again by walk entries that are stale as well.
    pub live: bool,
    /// The flush that is pending when a tag is loaded.
    pub pending: Pending,
    /// Whether the flush of a view is deferred.
    pub view_deferred: bool,
    /// The change, if table entries are changed.
    pub change: Option<Change>,
    /// The entries.
    pub stale: Vec<Stale>,
}

impl Ask {
    /// A request that flushes nothing.
    pub const NOTHING: Self = Self {
        ranges: Ranges::new(),
        walk: false,
        teardown: false,
        everything: false,
        live: false,
        pending: Pending::None,
        view_deferred: false,
        change: None,
        stale: Vec::new(),
    };

    /// Returns the request on a machine with these levels and negative entries; none if the machine has no such levels.
    pub fn new(what: What, space: Space, levels: &LevelTable, negative: Negative) -> Option<Self> {
        let maps = |level: Level| levels[level.index()].leaf && exists(levels, level);
        let lowest = Level::all().find(|level| exists(levels, *level))?;
        let points = |level: Level| exists(levels, level) && level > lowest;
        let is_next = |level: Level, below: Level| {
            let mut between = Level::all().filter(|it| *it < level && *it > below);
            !between.any(|it| exists(levels, it))
        };
        // Other levels make negative entries of the same level, in other numbers.
        let is_negative =
            |level: Level| exists(levels, level) && negative.levels(level).contains(level);
        let mut ask = Self::NOTHING;
        let of = |level, count| extent(space, levels, level, count);
        match what {
            What::Leaves(level, count) => {
                maps(level).then_some(())?;
                ask.leaf(level, of(level, count));
            }
            What::Mixed(level, below) => {
                (maps(level) && maps(below)).then_some(())?;
                ask.leaf(level, of(level, 2));
                ask.leaf(below, of(below, 3));
            }
            What::Split(level, below) => {
                (maps(level) && maps(below)).then_some(())?;
                let whole = of(level, 1);
                ask.leaf(level, whole);
                ask.leaf(below, within(whole, levels, below, 3));
            }
            What::Unlinked(level, below, tables) => {
                points(level).then_some(())?;
                let tables = of(level, tables);
                ask.unlinked(level, tables);
                if let Some(below) = below {
                    maps(below).then_some(())?;
                    ask.leaf(below, in_last_tables(tables, levels, level, below));
                }
            }
            What::Live(level, below, tables) => {
                (points(level) && maps(below)).then_some(())?;
                let tables = of(level, tables);
                ask.live = true;
                ask.ranges.subtree();
                for walked in Level::all().filter(|it| points(*it) && *it < level && *it > below) {
                    ask.unlinked(walked, within(tables, levels, walked, 1));
                }
                ask.unlinked(level, tables);
                ask.leaf(below, within(tables, levels, below, 3));
            }
            What::LiveMixed(level, below) => {
                let next = Level::all().find(|it| maps(*it) && *it > below && *it < level)?;
                let one = of(level, 1);
                ask = Self::new(What::Live(level, below, 1), space, levels, negative)?;
                ask.leaf(next, within(one, levels, next, 1));
            }
            What::Last(level, below) => {
                (points(level) && maps(below) && is_next(level, below)).then_some(())?;
                let tables = of(level, 1);
                ask.unlinked(level, tables);
                ask.leaf(below, within(tables, levels, below, 1));
            }
            What::Tables(level, below) => {
                (points(level) && points(below) && is_next(level, below)).then_some(())?;
                ask.unlinked(level, of(level, 2));
                ask.unlinked(below, of(below, 3));
            }
            What::New(level, count) => {
                is_negative(level).then_some(())?;
                ask.new_entries(level, of(level, count));
            }
            What::News(level, below) => {
                is_negative(below).then_some(())?;
                // Without negative entries of the upper level, a leaf entry of it may permit less than the table.
                if is_negative(level) {
                    ask.new_entries(level, of(level, 2));
                } else {
                    maps(level).then_some(())?;
                    ask.leaf(level, of(level, 2));
                }
                ask.new_entries(below, of(below, 3));
            }
            What::Everything(walk) => {
                ask.everything = true;
                (ask.walk, ask.live) = (walk, walk);
                ask.all(levels, lowest, negative);
            }
            What::Teardown => {
                ask.everything = true;
                (ask.walk, ask.live, ask.teardown) = (true, true, true);
                ask.all(levels, lowest, negative);
                ask.stale(CachedKind::Root, Level(0), None);
            }
        }
        ask.walk |= ask.ranges.tables();
        Some(ask)
    }

    /// Adds everything that a space may have cached.
    pub fn all(&mut self, levels: &LevelTable, lowest: Level, negative: Negative) {
        for level in Level::all().filter(|level| exists(levels, *level)) {
            if levels[level.index()].leaf {
                self.stale(CachedKind::Leaf, level, None);
            }
            if negative.levels(level).contains(level) {
                self.stale(CachedKind::Negative, level, None);
            }
            if level > lowest && self.walk {
                self.stale(CachedKind::Walk, level, None);
            }
        }
    }

    fn leaf(&mut self, level: Level, extent: Extent) {
        self.ranges.leaf(level, extent);
        self.stale(CachedKind::Leaf, level, Some(extent));
    }

    fn unlinked(&mut self, level: Level, extent: Extent) {
        self.ranges.walk(level, extent);
        self.stale(CachedKind::Walk, level, Some(extent));
    }

    /// Adds entries that are new, of which negative entries of this level may be cached.
    fn new_entries(&mut self, level: Level, extent: Extent) {
        self.ranges.negative(level, extent);
        self.stale(CachedKind::Negative, level, Some(extent));
    }

    /// Adds entries. The runtime's rules say which agents can use them.
    pub fn stale(&mut self, kind: CachedKind, level: Level, at: Option<Extent>) {
        let levels = Levels::only(level);
        let required = match kind {
            CachedKind::Leaf => RequiredFlush {
                leaf: levels,
                ..RequiredFlush::NOTHING
            },
            CachedKind::Walk | CachedKind::Root => RequiredFlush {
                walk: levels,
                ..RequiredFlush::NOTHING
            },
            CachedKind::Negative => RequiredFlush {
                negative: levels,
                ..RequiredFlush::NOTHING
            },
        };
        let required = RequiredFlush {
            subtree: self.live,
            ..required
        };
        let usable = tlbc_facts::required::clauses(&required);
        let usable = usable.fold(Agents::NONE, |all, (_, agents)| all.union(agents));
        self.stale.push(Stale {
            kind,
            level,
            at,
            usable,
        });
    }

    /// Returns the pass of one page, for the plan of one page.
    pub fn page(&self, levels: &LevelTable) -> Option<Pass> {
        match self.ranges.scope(levels) {
            Scope::Page { va, level, .. } => Some(Pass {
                start: va,
                entries: 1,
                stride: level,
                shift: levels[level.index()].shift,
                hint: Some(level),
                leaf: true,
                walk: self.walk,
                negative: false,
            }),
            _ => None,
        }
    }
}

/// Returns the addresses of some entries: not aligned to more than one, and in the kernel's space the last ones.
pub fn extent(space: Space, levels: &LevelTable, level: Level, count: u64) -> Extent {
    let shift = levels[level.index()].shift;
    let bytes = count << shift;
    match space {
        Space::User => Extent::new(3 << shift, bytes),
        Space::Kernel => Extent::new(bytes.wrapping_neg(), bytes),
    }
}

/// Returns the addresses of the last entries of a level in an extent.
pub fn within(whole: Extent, levels: &LevelTable, level: Level, count: u64) -> Extent {
    let bytes = (count << levels[level.index()].shift).min(whole.bytes);
    Extent::new(
        whole.start.wrapping_add(whole.bytes).wrapping_sub(bytes),
        bytes,
    )
}

/// Returns the addresses of two entries of a level below tables: the last two, or the last one below the last table but one and
/// the first one below the last table.
fn in_last_tables(tables: Extent, levels: &LevelTable, level: Level, below: Level) -> Extent {
    let last = within(tables, levels, level, 1);
    if last == tables {
        return within(tables, levels, below, 2);
    }
    let entry = 1 << levels[below.index()].shift;
    Extent::new(last.start.wrapping_sub(entry), 2 * entry)
}

/// Returns whether the machine has a level.
pub fn exists(levels: &LevelTable, level: Level) -> bool {
    levels.get(level.index()).is_some_and(|it| it.shift != 0)
}
