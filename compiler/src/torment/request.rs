//! Machines and requests from a seed.
//!
//! In: a definition and a generator of random numbers. Out: a possible machine, and requests that it can have, with the
//! addresses at which stale entries are looked for. Holds: the same seed makes the same requests.

use fastrand::Rng;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::pte::{Below, Change, Entry};
use tlbc_runtime::request::{Extent, Ranges, Reach, Space};

use super::decode::Hardware;
use crate::ast::TagSource;
use crate::model::{CachedKind, Config, Model};

/// What is flushed.
#[derive(Debug, Clone)]
pub enum What {
    Ranges(Box<Ranges>),
    /// Everything of the space; walk entries as well or not.
    Everything(bool),
    Teardown,
}

/// An address with stale entries.
#[derive(Debug, Clone, Copy)]
pub struct Stale {
    pub va: u64,
    pub leaf: Levels,
    pub walk: Levels,
    pub negative: Levels,
    pub root: bool,
    /// Whether the entries below the stale walk entries are still valid.
    pub live: bool,
}

/// The tags of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestTags {
    /// The tag of the space on this CPU.
    pub here: u64,
    /// Its tag on other CPUs.
    pub there: u64,
    /// Another tag.
    pub other: u64,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    pub space: Space,
    pub reach: Reach,
    /// Whether the changes were published before the flush, which knows it.
    pub published: bool,
    /// Whether the tag means the same space on every CPU.
    pub global_tag: bool,
    pub tags: RequestTags,
    pub what: What,
    pub stale: Vec<Stale>,
    /// The request in words.
    pub words: String,
}

/// Returns a random machine: a possible configuration, and limits.
pub fn machine(model: &Model, rng: &mut Rng) -> (Config, Vec<u64>) {
    let limits = model.limits.iter().map(|limit| match rng.u8(..3) {
        0 => limit.least,
        1 => limit.most,
        _ => rng.u64(limit.least..=limit.most),
    });
    let limits = limits.collect();
    let mask = |count: usize| (1u32 << count) - 1;
    for _ in 0..64 {
        let mut config = Config {
            features: rng.u32(..) & mask(model.features.len()),
            errata: rng.u32(..) & rng.u32(..) & mask(model.errata.len()),
            geometry: rng.usize(..model.geometries.len()),
        };
        if rng.bool() {
            config = model.with_all_features(Config {
                features: config.features & rng.u32(..),
                ..config
            });
        }
        if model.possible(config) {
            return (config, limits);
        }
    }
    (Config::default(), limits)
}

impl Hardware<'_> {
    /// Returns a random request, or none if the machine cannot have the one that was drawn.
    pub fn request(&self, rng: &mut Rng) -> Option<Request> {
        let space = if rng.u8(..3) == 0 {
            Space::Kernel
        } else {
            Space::User
        };
        let reach = if rng.u8(..3) == 0 {
            Reach::Here
        } else {
            Reach::Wide
        };
        let has = |global: bool| {
            let mut tags = self.model.tags(self.config);
            tags.any(|tag| tag.per_cpu.value != global)
        };
        let global_tag = match (has(true), has(false)) {
            (true, true) => rng.bool(),
            (global, per_cpu) => global || !per_cpu,
        };
        let tags = self.tag_values(global_tag, rng)?;
        let mut request = Request {
            space,
            reach,
            published: false,
            global_tag,
            tags,
            what: What::Teardown,
            stale: Vec::new(),
            words: String::new(),
        };
        match rng.u8(..8) {
            0 => self.everything(&mut request, rng.bool(), rng),
            1 if space == Space::User => {
                self.everything(&mut request, true, rng);
                request.what = What::Teardown;
                request.words = "a teardown".into();
                request.stale.iter_mut().for_each(|stale| stale.root = true);
            }
            2 => self.page(&mut request, rng),
            3 if self.has_negative() => self.new_entries(&mut request, rng),
            _ => self.ranges(&mut request, rng),
        }
        request.published = reach == Reach::Here && rng.bool();
        Some(request)
    }

    fn tag_values(&self, global: bool, rng: &mut Rng) -> Option<RequestTags> {
        let views = self.model.view_bits(self.config);
        let tags = self.model.tags(self.config);
        let Some(tag) = { tags }.find(|tag| tag.per_cpu.value != global) else {
            return Some(RequestTags {
                here: 0,
                there: 0,
                other: 0,
            });
        };
        let (first, last) = tag.on(self.limits).range();
        let is_root = tag.is_root.is_some()
            || tag
                .source
                .is_some_and(|at| at.value == TagSource::Slots && last == 0);
        let (first, last) = if is_root {
            (1 << 12, 1 << 40)
        } else {
            (first.max(1), last)
        };
        let mut value = || {
            (0..64)
                .map(|_| rng.u64(first..=last))
                .find(|value| value & views == 0)
        };
        let here = value()?;
        let there = if global {
            here
        } else {
            (0..64).find_map(|_| value().filter(|it| *it != here))?
        };
        let other = (0..64).find_map(|_| value().filter(|it| *it != here && *it != there))?;
        let whole = |value: u64| if is_root { value & !0xfff } else { value };
        Some(RequestTags {
            here: whole(here),
            there: whole(there),
            other: whole(other),
        })
    }

    /// Returns the first address of a space, and log2 of a number of addresses from there that it has.
    fn addresses(&self, space: Space) -> (u64, u32) {
        let addresses = self.model.space(space).addresses.get(self.config);
        addresses.map_or((0, 48), |it| (it.base, (it.last - it.base).max(1).ilog2()))
    }

    /// Returns the levels of this machine: those whose entries map pages, and those whose entries point at tables.
    fn levels(&self) -> (Levels, Levels) {
        let table = self.model.level_table(self.config);
        let of = |is: &dyn Fn(usize) -> bool| {
            let levels = Level::all().filter(|level| is(level.index()));
            levels.fold(Levels::NONE, |all, level| all.union(Levels::only(level)))
        };
        let there = of(&|level| table[level].shift != 0);
        let lowest = there.iter().next().map_or(Levels::NONE, Levels::only);
        (of(&|level| table[level].leaf), Levels(there.0 & !lowest.0))
    }

    fn everything(&self, request: &mut Request, walks: bool, rng: &mut Rng) {
        let (leaf, walk) = self.levels();
        let (base, bits) = self.addresses(request.space);
        let last = base + ((1u64 << bits) - 1);
        let cached = self.model.caches.negative_levels(self.config);
        let negative = cached.and(leaf.union(walk));
        request.stale = [base, last, base + rng.u64(..1 << bits)]
            .map(|va| Stale {
                va,
                leaf,
                walk: if walks { walk } else { Levels::NONE },
                negative,
                root: false,
                live: false,
            })
            .to_vec();
        request.what = What::Everything(walks);
        let tables = if walks {
            ", and its tables are freed"
        } else {
            ""
        };
        request.words = format!("all entries of the space are invalid{tables}");
    }

    /// Returns whether negative entries are cached.
    fn has_negative(&self) -> bool {
        self.model.caches.hold(CachedKind::Negative, self.config)
    }

    /// Returns some entries of a level, near the start, the end or the middle of the addresses of a space.
    fn extent(&self, space: Space, level: Level, count: u64, rng: &mut Rng) -> Option<Extent> {
        let shift = self.model.level_table(self.config)[level.index()].shift;
        let (base, bits) = self.addresses(space);
        let all = 1u64 << bits.checked_sub(shift)?;
        let count = count.min(all);
        let first = match rng.u8(..4) {
            0 => all - count,
            1 => 0,
            _ => rng.u64(..=all - count),
        };
        Some(Extent::new(base + (first << shift), count << shift))
    }

    /// Draws one entry that maps a page, and sometimes the table that contained it.
    fn page(&self, request: &mut Request, rng: &mut Rng) {
        let (leaf, walk) = self.levels();
        let table = self.model.level_table(self.config);
        let leaves: Vec<Level> = leaf.iter().collect();
        let level = leaves[rng.usize(..leaves.len()).min(rng.usize(..leaves.len()))];
        let over = { walk.iter() }
            .find(|over| *over > level)
            .filter(|_| rng.bool());
        // The first table may be all that the space has.
        let around = over.unwrap_or(level);
        let Some(around) = self.extent(request.space, around, 1, rng) else {
            return self.ranges(request, rng);
        };
        let shift = table[level.index()].shift;
        let nth = rng.u64(..(around.bytes >> shift).max(1));
        let extent = Extent::new(around.start + (nth << shift), 1 << shift);
        let mut ranges = Ranges::new();
        ranges.leaf(level, extent);
        let stale = |va, leaf, walk| Stale {
            va,
            leaf,
            walk,
            negative: Levels::NONE,
            root: false,
            live: false,
        };
        let va = extent.start + rng.u64(..1 << shift);
        request
            .stale
            .push(stale(va, Levels::only(level), Levels::NONE));
        request.words = format!(
            "1 of {} from {:#x}: leaf entries are invalid",
            self.model.levels[level.index()].name,
            extent.start
        );
        if let Some(over) = over {
            ranges.walk(over, around);
            let va = around.start + rng.u64(..around.bytes);
            request
                .stale
                .push(stale(va, Levels::NONE, Levels::only(over)));
            request.words += ", and their table is unlinked";
        }
        request.what = What::Ranges(Box::new(ranges));
    }

    /// Draws entries that become valid where there were none.
    fn new_entries(&self, request: &mut Request, rng: &mut Rng) {
        let (leaf, _) = self.levels();
        let leaves: Vec<Level> = leaf.iter().collect();
        let mut ranges = Ranges::new();
        let mut words = Vec::new();
        for _ in 0..rng.usize(1..3) {
            let level = leaves[rng.usize(..leaves.len()).min(rng.usize(..leaves.len()))];
            let most = [1, 4, 40, 600][rng.usize(..4)];
            let count = rng.u64(1..=most);
            let Some(extent) = self.extent(request.space, level, count, rng) else {
                continue;
            };
            let negative = self.model.caches.negative(self.config).levels(level);
            for level in negative.iter() {
                ranges.negative(level, extent);
            }
            for va in [
                extent.start,
                extent.last(),
                extent.start + rng.u64(..extent.bytes),
            ] {
                request.stale.push(Stale {
                    va,
                    leaf: Levels::NONE,
                    walk: Levels::NONE,
                    negative,
                    root: false,
                    live: false,
                });
            }
            let name = &self.model.levels[level.index()].name;
            words.push(format!(
                "{count} of {name} from {:#x}: they are new",
                extent.start
            ));
        }
        request.what = What::Ranges(Box::new(ranges));
        request.words = words.join("; ");
    }

    fn ranges(&self, request: &mut Request, rng: &mut Rng) {
        let (leaf, walk) = self.levels();
        let table = self.model.level_table(self.config);
        let facts = self.model.change_facts(self.config);
        let (base, bits) = self.addresses(request.space);
        let live = rng.u8(..4) == 0;
        let anchor = rng.u64(..1 << bits);
        let mut ranges = Ranges::new();
        let mut words = Vec::new();
        for _ in 0..rng.usize(1..4) {
            // Below a table that is unlinked live no entry changes.
            let unlinked = live || rng.u8(..3) == 0;
            let of = if unlinked { walk } else { leaf };
            let levels: Vec<Level> = of.iter().collect();
            // Lower levels more often: the entries of high ones reach far.
            let level = levels[rng.usize(..levels.len()).min(rng.usize(..levels.len()))];
            let shift = table[level.index()].shift;
            if shift >= bits {
                continue;
            }
            let all = 1u64 << (bits - shift);
            let most = if unlinked {
                4
            } else {
                [2, 20, 40, 600][rng.usize(..4)]
            };
            let count = rng.u64(1..=most).min(all);
            let near = (anchor >> shift).saturating_add(rng.u64(..8));
            let first = match rng.u8(..8) {
                0 => all - count,
                1 => 0,
                _ => near.min(all - count),
            };
            let extent = Extent::new(base + (first << shift), count << shift);
            let below = if live { Below::Live } else { Below::Cleared };
            if unlinked {
                let old = Entry::Table {
                    table: 0,
                    attributes: 0,
                };
                let change = Change {
                    below,
                    ..Change::to_invalid(level, old)
                };
                ranges.require(&change.required_flush(&facts), extent);
            } else {
                ranges.leaf(level, extent);
            }
            let lower = |levels: Levels| Levels(levels.0 & Levels::below(level).0);
            let only = Levels::only(level);
            let (leaf, walk) = match (unlinked, live) {
                (false, _) => (only, Levels::NONE),
                (true, false) => (Levels::NONE, only),
                (true, true) => (lower(leaf), lower(walk).union(only)),
            };
            let nth =
                |nth: u64, rng: &mut Rng| extent.start + (nth << shift) + rng.u64(..1 << shift);
            for entry in [0, count - 1, rng.u64(..count)] {
                let va = nth(entry, rng);
                request.stale.push(Stale {
                    va,
                    leaf,
                    walk,
                    negative: Levels::NONE,
                    root: false,
                    live,
                });
            }
            let name = &self.model.levels[level.index()].name;
            let what = match (unlinked, live) {
                (false, _) => "leaf entries are invalid",
                (true, false) => "tables are unlinked",
                (true, true) => "tables are unlinked with valid entries below",
            };
            words.push(format!(
                "{count} of {name} from {:#x}: {what}",
                extent.start
            ));
        }
        request.what = What::Ranges(Box::new(ranges));
        request.words = words.join("; ");
    }
}
