//! Which entries an instruction of the hardware invalidates.
//!
//! In: an instruction with its decoded operands, and the entries of an agent. Out: those that it invalidates, one bit
//! each. Holds: what errata of the machine take from the instruction is left out, unless their workaround is issued.

use tlbc_facts::clause::{CacheSet, MaxCount, RunUnit};
use tlbc_machine::hardware::{CachedEntry, EntryKind};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::Space;

use super::agent::Agent;
use super::decode::{Decoded, Hardware, SourceBits};
use super::kinds::is_translation;
use crate::model::{AddressSelector, Drops, Form, LevelSel, Lost, Names, UNLIMITED, Weakens};

/// An entry that an agent has cached.
#[derive(Debug, Clone, Copy)]
pub struct Cached<'e> {
    pub entry: &'e CachedEntry,
    /// An address that it translates.
    pub va: u64,
    /// The set of the cache that holds it.
    pub set: u64,
    pub tag: u64,
    pub global: bool,
    /// The tag that is loaded on the CPU.
    pub loaded: u64,
    pub space: Space,
}

/// Why a clause leaves an entry; a later reason is one of a clause that comes closer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptReason {
    /// The clause does not apply on this machine, or with these operands.
    Condition,
    /// It is of another kind or level, or in another cache.
    Kind,
    /// It is under another tag.
    Tag,
    /// It translates other addresses.
    Address,
}

impl Hardware<'_> {
    /// Returns the entries of an agent, one bit each, that an instruction invalidates. The agent is of a class as seen by
    /// the CPU that issues it; `lost` is what errata take from the instruction.
    pub fn hits(
        &self,
        (form, with): (&Form, &Decoded),
        (reach, class): (Agents, Agents),
        agent: &Agent,
        lost: &[&Weakens],
    ) -> u64 {
        let loses = |what| {
            lost.iter()
                .any(|it| it.lost.value == what && it.caches.is_none())
        };
        let lost_there = class == Agents::DEVICE && loses(Lost::Devices);
        if !reach.covers(class) || lost_there || loses(Lost::Gone) {
            return 0;
        }
        let hits = |number: usize, entry: &CachedEntry| {
            let (tag, global) = agent.under[number];
            let cached = Cached {
                entry,
                va: agent.va,
                set: agent.set_of(entry),
                tag,
                global,
                loaded: agent.loaded,
                space: agent.space,
            };
            self.drops(&form.drops, with, &cached, lost)
        };
        let entries = agent.path.entries().enumerate();
        let hit = entries.filter(|(number, entry)| hits(*number, entry));
        hit.fold(0, |bits, (number, _)| bits | 1 << number)
    }

    /// Returns whether clauses invalidate an entry, except for what errata take.
    pub fn drops(
        &self,
        clauses: &[Drops],
        with: &Decoded,
        cached: &Cached<'_>,
        lost: &[&Weakens],
    ) -> bool {
        let mut clauses = clauses.iter();
        clauses.any(|drops| self.keeps(drops, with, cached, lost).is_none())
    }

    /// Returns why a clause does not invalidate an entry, except for what errata take, or none if it does.
    pub fn keeps(
        &self,
        drops: &Drops,
        with: &Decoded,
        cached: &Cached<'_>,
        lost: &[&Weakens],
    ) -> Option<KeptReason> {
        let not_global =
            { lost.iter() }.any(|it| it.lost.value == Lost::Global && it.caches.is_none());
        let when = &drops.when;
        if !when.holds_with(self.config, with.hint.is_some(), with.keep) {
            Some(KeptReason::Condition)
        } else if !has_kind(drops, with, cached.entry, lost) {
            Some(KeptReason::Kind)
        } else if !has_tag(drops, with, cached, not_global) {
            Some(KeptReason::Tag)
        } else if !self.has_address(drops, with, cached) {
            Some(KeptReason::Address)
        } else {
            None
        }
    }

    fn has_address(&self, drops: &Drops, with: &Decoded, cached: &Cached<'_>) -> bool {
        let entry = cached.entry;
        let start = with.va.unwrap_or_default();
        let shift = self.reach_of(entry);
        match &drops.which.value {
            AddressSelector::Everything => true,
            AddressSelector::OneSet => with.set == Some(cached.set),
            AddressSelector::OnePage | AddressSelector::Subtree => {
                named(cached.va, shift, start, 1)
            }
            AddressSelector::Run {
                least,
                most,
                stride,
            } => {
                let most = match *most {
                    MaxCount::Count(UNLIMITED) => u64::MAX,
                    MaxCount::Count(count) => u64::from(count),
                    MaxCount::Limit(limit) => self.limits[usize::from(limit)],
                };
                // A run of entries of a level that is not counted is the entry at its address.
                let Some((unit, pages)) = self.unit(*stride, with) else {
                    return named(cached.va, shift, start, 1);
                };
                let operand = with.counts.map(|operand| &self.model.operands[operand]);
                let Some(names) = operand.and_then(|operand| operand.names.as_ref()) else {
                    return false;
                };
                let Some(count) = count(names, with, unit, cached.va) else {
                    return false;
                };
                if count < u128::from(*least) || count > u128::from(most) {
                    return false;
                }
                if names.any && !pages && is_translation(entry.kind) {
                    let level = self.model.level_shift(entry.level.index(), self.config);
                    let bytes = count << unit;
                    return named_whole(cached.va, shift, level.unwrap_or(63), start, bytes);
                }
                if pages || unit <= shift {
                    return named(cached.va, shift, start, count << unit);
                }
                // Only the entries at the addresses named, which are further apart than the entry is wide.
                let first = start.or_of(cached.va);
                let offset = cached.va.wrapping_sub(first);
                u128::from(offset) >> unit < count && offset & ((1 << unit) - 1) < 1 << shift
            }
        }
    }

    /// Returns log2 of the addresses that an entry translates: those of all neighbours that are cached with it. A walk entry
    /// is found only by the address for which it was made, unless it spans its reach.
    fn reach_of(&self, entry: &CachedEntry) -> u32 {
        if entry.kind == EntryKind::Walk && !self.model.caches.walk_spans_reach {
            return self.model.geometries[self.config.geometry].page_shift;
        }
        let shift = self.model.level_shift(entry.level.index(), self.config);
        let joined = if is_translation(entry.kind) {
            self.model.caches.covered(entry.level.index())
        } else {
            0
        };
        (shift.unwrap_or(63) + joined).min(63)
    }

    /// Returns log2 of the unit of a run, and whether it consists of all pages in between. Returns none if
    /// it does not count entries of the level that it is given.
    fn unit(&self, stride: RunUnit, with: &Decoded) -> Option<(u32, bool)> {
        match stride {
            RunUnit::Pages => {
                let geometry = &self.model.geometries[self.config.geometry];
                Some((geometry.page_shift, true))
            }
            RunUnit::Entries(levels) => {
                let given = with.levels.unwrap_or(Levels::ALL);
                let mut both = levels.iter().filter(|&level| given.contains(level));
                let level: Level = both.next()?;
                let shift = self.model.level_shift(level.index(), self.config)?;
                Some((shift, false))
            }
        }
    }
}

/// Returns whether a clause has entries of this kind and level in the cache that holds the entry.
fn has_kind(drops: &Drops, with: &Decoded, entry: &CachedEntry, lost: &[&Weakens]) -> bool {
    let (selected, loss) = match entry.kind {
        EntryKind::Leaf => (drops.leaf, Lost::Leaf),
        EntryKind::Negative => (drops.negative, Lost::Leaf),
        EntryKind::Walk => (drops.walk, Lost::Walk),
        EntryKind::Root => (drops.root.then_some(LevelSel::Any), Lost::Root),
    };
    let level = entry.level;
    let of_level = match selected {
        None => false,
        Some(LevelSel::Any) => true,
        Some(LevelSel::Hint) => with.hint.is_none_or(|hint| hint == level),
        Some(LevelSel::AboveHint) => with.hint.is_none_or(|hint| hint < level),
        Some(LevelSel::Given) => with.levels.is_some_and(|levels| levels.contains(level)),
        Some(LevelSel::Only(levels)) => levels.contains(level),
    };
    let here = |caches: Option<CacheSet>| caches.is_none_or(|it| it.0 & (1 << entry.cache) != 0);
    let is_lost = |weakens: &&Weakens| weakens.lost.value == loss && here(weakens.caches);
    of_level && here(drops.caches) && !lost.iter().any(is_lost)
}

/// Returns the number of units of a run.
fn count(names: &Names, with: &Decoded, unit: u32, near: u64) -> Option<u128> {
    if names.any {
        let start = with.va.unwrap_or_default().or_of(near);
        let to = |end: SourceBits| end.or_of(near).wrapping_sub(start);
        let bytes = with.bytes.or_else(|| with.end.map(to))?;
        return Some(u128::from(bytes).div_ceil(1 << unit));
    }
    let scale = names.base + names.step * with.scale as u32;
    Some((u128::from(with.num) + 1) << scale)
}

/// Returns whether the entry that contains `va` translates one of some addresses.
fn named(va: u64, shift: u32, start: SourceBits, bytes: u128) -> bool {
    let low = (1u64 << shift) - 1;
    let (first, last) = (va & !low, va | low);
    // Bits that no operand contains are those of the entry.
    let start = start.or_of(va);
    u128::from(last) >= u128::from(start) && u128::from(first) < u128::from(start) + bytes
}

/// Returns whether the entry that contains `va` was made from a table entry of `1 << level` bytes that translates nothing
/// but such addresses.
fn named_whole(va: u64, shift: u32, level: u32, start: SourceBits, bytes: u128) -> bool {
    let low = (1u64 << shift) - 1;
    let (first, last) = (u128::from(va & !low), u128::from(va | low));
    let start = u128::from(start.or_of(va & !low));
    let (start, end) = (
        start.next_multiple_of(1 << level),
        (start + bytes) >> level << level,
    );
    start < end && last >= start && first < end
}

fn has_tag(drops: &Drops, with: &Decoded, cached: &Cached<'_>, not_global: bool) -> bool {
    let (tag, global) = (cached.tag, cached.global);
    let whose = drops.whose.value;
    if global {
        return (whose.global || whose.table) && !not_global;
    }
    let this = |otherwise| with.tag.map_or(otherwise, |bits| bits.agree(tag));
    whose.table
        || whose.this && this(true)
        || whose.other && !this(false)
        || whose.loaded && tag == cached.loaded
        || whose.user && cached.space == Space::User
}
