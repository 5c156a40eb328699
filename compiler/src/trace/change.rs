//! Changes of page-table entries, in the order of the runtime.
//!
//! In: entries and their change. Out: the stores or the instructions that write them; `required` adds the flushes. Holds: the
//! order is that of locked sections and gathers: where the machine requires it, an entry becomes invalid and is flushed before it
//! gets its new value; new entries of the kernel are published; the rest is flushed once, at the end. A table that was
//! unlinked without a flush is published instead.

use tlbc_runtime::deferred;
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Change, Deadline, Entry, Negative, RequiredFlush, Stricter};
use tlbc_runtime::request::{Extent, Ranges, Reach, Space};

use super::input::env;
use super::interpret::{Changing, interpret};
use super::query::{self, AddressRange, EntriesInMemory, Event, Tables, To, UnmappedEntries};
use super::response::{Becomes, DeferredBy, Store};
use super::run::TraceRun;
use crate::model::{Which, Written};
use crate::plan::ir::Shape;

/// The most entries that are changed by instructions in one trace: each may take one.
const MOST_ENTRIES: u64 = 1 << 16;

/// The distance in bytes between the sample addresses of tables.
const TABLE: u64 = 1 << 16;

impl TraceRun<'_> {
    /// Changes entries of one level.
    pub(super) fn change(&mut self, asked: &query::Change) -> Result<(), String> {
        let level = asked.level.index();
        self.entries.check_within(asked.extent)?;
        self.entries.check_whole(asked.extent, level)?;
        self.check_becomes(asked)?;
        self.check_deferral(asked)?;
        let maps_pages = self.entries.maps_pages(level);
        let change = asked.to.change(asked.level, maps_pages, asked.memory.new);
        self.break_before_make(&change, asked)?;
        self.end();
        if !asked.may_defer {
            self.explain(&change);
        }
        Ok(())
    }

    /// Unmaps entries, on a machine whose instructions write entries, and then unlinks their tables.
    pub(super) fn unmapped(&mut self, unmapped: &UnmappedEntries) -> Result<(), String> {
        let live = unmapped.tables == Tables::UnlinkedLive;
        // No other CPU has the space loaded.
        let alone = !self.query.others && self.query.space == Space::User;
        let may_defer = alone && self.model.change.deferred.is_some();
        let becomes_invalid = |change: &Change, extent| query::Change {
            to: To::Unmap,
            level: change.level,
            extent,
            memory: EntriesInMemory::default(),
            may_defer,
        };
        for range in &unmapped.ranges {
            let leaves = self.entries.leaves(range)?;
            if unmapped.tables == Tables::Kept {
                self.entries.check_leaves(range)?;
            }
            let leaves = leaves.into_iter().filter(|_| !live);
            let leaves = leaves.map(|(level, extent)| (To::Unmap.change(level, true, 0), extent));
            let unlinked = if unmapped.tables == Tables::Kept {
                Vec::new()
            } else {
                self.entries.unlinked_tables(range, live)?
            };
            let unlinked = unlinked
                .into_iter()
                .map(|tables| (tables.change, tables.extent));
            for (change, extent) in leaves.chain(unlinked) {
                let extent = extent.rounded(self.entries.shift(change.level.index())?);
                self.changed(&change, &becomes_invalid(&change, extent))?;
            }
        }
        self.end();
        Ok(())
    }

    /// Maps entries where there were none.
    pub(super) fn mapped(&mut self, ranges: &[AddressRange]) -> Result<(), String> {
        let facts = self.model.change_facts(self.query.config);
        for range in ranges {
            self.entries.check_leaves(range)?;
            for (level, extent) in self.entries.leaves(range)? {
                let change = To::Map.change(level, true, 0);
                self.record(&change, &change.required_flush(&facts), extent);
            }
        }
        self.end();
        self.explain(&To::Map.change(Level(0), true, 0));
        if self.query.space == Space::Kernel {
            self.note("the kernel publishes new entries before it uses them (`--event publish`)");
        }
        Ok(())
    }

    /// Handles a fault that the table does not justify, as `Mmu::fix_spurious` does.
    pub(super) fn fault(&mut self, range: &AddressRange) -> Result<(), String> {
        self.entries.check_leaves(range)?;
        let facts = self.model.change_facts(self.query.config);
        let mut ranges = Ranges::new();
        for (level, extent) in self.entries.leaves(range)? {
            ranges.fault(&facts, &self.levels, extent.start, level);
        }
        if ranges == Ranges::new() {
            self.note(match facts.stricter {
                _ if facts.negative == Negative::Expires => {
                    "no flush is required: the machine keeps a negative entry for a bounded time"
                }
                Stricter::DroppedByFault => "no flush is required: the fault has dropped the entry",
                _ => "no flush is required: the machine walks the table again before it faults",
            });
        } else {
            self.flush_here(&ranges);
        }
        Ok(())
    }

    fn check_becomes(&self, asked: &query::Change) -> Result<(), String> {
        let level = asked.level.index();
        let name = &self.model.levels[level].name;
        if !self.entries.maps_pages(level) && !asked.to.suits_tables() {
            return Err(format!(
                "entries of level {name} map no pages: `--change` can be `unmap`, `replace`, `map`, `attributes` or `software-bits`"
            ));
        }
        if matches!(asked.to, To::Split | To::Collapse) && self.entries.is_lowest(level) {
            return Err(format!("entries of level {name} point at no tables"));
        }
        Ok(())
    }

    fn check_deferral(&self, asked: &query::Change) -> Result<(), String> {
        if !asked.may_defer {
            return Ok(());
        }
        if self.model.change.deferred.is_none() {
            return Err("the flush of a change cannot be deferred on this machine".to_owned());
        }
        if self.query.space == Space::Kernel {
            return Err(
                "the flush of a change of the kernel's tables is never deferred: every CPU has them loaded"
                    .to_owned(),
            );
        }
        if self.query.others {
            return Err(
                "the flush of a change is deferred only while no other CPU has the space loaded: leave out `--defer`, \
                 or let `--cpus` be `self`"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Makes a change in one step, or through an invalid entry where the machine requires that.
    fn break_before_make(&mut self, change: &Change, asked: &query::Change) -> Result<(), String> {
        let required = change.required_flush(&self.model.change_facts(self.query.config));
        let through_invalid = required.deadline == Deadline::Store && !required.is_nothing();
        if !through_invalid || !self.model.change.plain_store.value {
            return self.changed(change, asked);
        }
        let broken = Change {
            new: Entry::Invalid,
            new_bits: 0,
            ..*change
        };
        self.changed(&broken, asked)?;
        self.flush_changed();
        let made = Change {
            old: Entry::Invalid,
            ..*change
        };
        self.changed(&made, asked)
    }

    /// Makes a change in one step and records the flush that it requires.
    fn changed(&mut self, change: &Change, asked: &query::Change) -> Result<(), String> {
        let facts = self.model.change_facts(self.query.config);
        let extent = asked.extent;
        let required = if self.model.change.plain_store.value {
            self.store(change, extent, asked)?;
            change.required_flush(&facts)
        } else {
            let dropped = self.write(change, asked)?;
            // The instruction has invalidated on CPUs. Devices need a flush.
            if self
                .model
                .space(self.query.space)
                .has_devices(self.query.config)
            {
                change.required_flush(&facts)
            } else {
                let left = change.left_over(&facts, self.query.space);
                // No CPU can fault on an entry that the instructions have dropped.
                if dropped && !left.is_required_now(self.may_fault()) {
                    RequiredFlush::NOTHING
                } else {
                    left
                }
            }
        };
        self.record(change, &required, extent);
        let space = self.query.space;
        self.new |= space == Space::Kernel && change.must_be_published(&required, self.may_fault());
        self.unlinked |= change.unlinks_for_walkers_alone(&facts);
        Ok(())
    }

    /// Returns whether code that uses the entries may fault on stale ones.
    pub(super) fn may_fault(&self) -> bool {
        self.model.may_fault(self.query.space)
    }

    /// Makes a change by plain stores.
    fn store(
        &mut self,
        change: &Change,
        extent: Extent,
        asked: &query::Change,
    ) -> Result<bool, String> {
        let store = self.stored(change, extent)?;
        self.make(change, asked, (extent, 0), &store)
    }

    /// Makes a change by instructions, table by table; an unmap, entry by entry. Returns whether the instructions invalidate
    /// everything that was cached of the entries.
    fn write(&mut self, change: &Change, asked: &query::Change) -> Result<bool, String> {
        if asked.may_defer {
            return self.store(change, asked.extent, asked);
        }
        let level = change.level.index();
        let shift = self.entries.shift(level)?;
        let one_by_one = matches!(self.query.event, Event::Unmapped(_));
        let entries = asked.extent.entries(shift);
        if entries > MOST_ENTRIES {
            return Err(format!(
                "{entries} entries are too many to be shown: name {MOST_ENTRIES} at most"
            ));
        }
        let mut dropped = false;
        for (nth, (extent, index)) in (0u64..).zip(self.entries.tables(asked.extent, level)?) {
            let table = asked.memory.table.wrapping_add(nth * TABLE);
            let asked = query::Change {
                memory: EntriesInMemory {
                    table,
                    ..asked.memory
                },
                ..*asked
            };
            let parts = if one_by_one { extent.entries(shift) } else { 1 };
            let bytes = extent.bytes / parts;
            for part in 0..parts {
                let extent = Extent::new(extent.start + part * bytes, bytes);
                let store = self.stored(change, extent)?;
                dropped = self.make(change, &asked, (extent, index + part), &store)?;
            }
        }
        Ok(dropped)
    }

    /// Returns the description of a store.
    fn stored(&self, change: &Change, extent: Extent) -> Result<Store, String> {
        let level = change.level.index();
        Ok(Store {
            level: self.model.levels[level].name.clone(),
            start: extent.start.into(),
            entries: extent.entries(self.entries.shift(level)?),
            becomes: match change.new {
                Entry::Invalid => Becomes::Invalid,
                _ => Becomes::New,
            },
        })
    }

    /// Executes the plan of a change. Returns whether its instructions invalidate everything that was cached of the entries;
    /// an instruction that gives more rights may leave stricter entries.
    fn make(
        &mut self,
        change: &Change,
        asked: &query::Change,
        (extent, index): (Extent, u64),
        store: &Store,
    ) -> Result<bool, String> {
        let facts = self.model.change_facts(self.query.config);
        let space = self.query.space;
        let memory = asked.memory;
        let mut env = env(self.query);
        env.change = Changing {
            kind: change.kind(&facts),
            level: change.level,
            va: extent.start,
            entries: extent.entries(self.entries.shift(change.level.index())?),
            table: memory.table,
            index,
            old: memory.old,
            new: match change.new {
                Entry::Invalid => 0,
                _ => memory.new,
            },
            space,
            // Every CPU has the tables of the kernel loaded.
            reach: match space {
                Space::User => self.reach(),
                Space::Kernel => Reach::Wide,
            },
            may_defer: asked.may_defer,
        };
        let effects = interpret(self.model, self.plans, Shape::Change, &env);
        self.issue(&effects, &env, Some(store));
        // A gather completes at its end the flushes that its changes deferred.
        if matches!(self.query.event, Event::Unmapped(_)) {
            self.whole |= effects
                .deferred
                .contains(deferred::Deferred::SPACE_UNTIL_ATTACH);
        } else {
            self.defer(DeferredBy::ThisCpu, &effects, &[]);
        }
        let mut written = effects.ops.iter().filter_map(|op| match op.which {
            Which::Invalidate(index) => self.model.invalidates[index].writes_entry,
            _ => None,
        });
        Ok(written.any(|entry| entry.to != Written::MoreRights))
    }
}
