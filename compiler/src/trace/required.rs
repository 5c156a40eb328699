//! The flushes that changes of page-table entries require.
//!
//! In: changes, in the order in which they are made. Out: one flush at the end of the gather, flushes that are deferred until a
//! fault, and notes of why a change requires none. Holds: what a change requires is decided by the runtime
//! ([`Change::required_flush`]).

use tlbc_runtime::pte::{Change, ChangeFacts, Deadline, Kind, Negative, RequiredFlush, Stricter};
use tlbc_runtime::request::{Extent, Ranges, Space};

use super::query::AddressRange;
use super::request::named_range;
use super::response::{Deferred, DeferredBy, EntryKind, Stale, StaleOf, Until};
use super::run::{FlushedEntries, TraceRun};
use crate::plan::ir::Shape;

impl TraceRun<'_> {
    /// Records the flush that a change requires: for the end of the gather, or as deferred until a fault.
    pub(super) fn record(&mut self, change: &Change, required: &RequiredFlush, extent: Extent) {
        let facts = self.model.change_facts(self.query.config);
        if required.is_required_now(self.may_fault()) {
            self.changed.require(required, extent);
        } else if !required.is_nothing()
            && !is_done_by_fault(change, &facts)
            && !expires(change, &facts)
        {
            let appears = change.kind(&facts) == Kind::Map;
            let kind = if appears {
                EntryKind::Negative
            } else {
                EntryKind::Leaf
            };
            let range = AddressRange {
                extent,
                levels: vec![change.level.index()],
            };
            let deferred = Deferred {
                cpus: DeferredBy::FaultingCpu,
                entries: Stale {
                    kinds: vec![kind],
                    of: StaleOf::Range(named_range(self.model, &range)),
                    stricter: !appears,
                },
                until: Until::Fault,
            };
            if !self.trace.deferred.contains(&deferred) {
                self.trace.deferred.push(deferred);
            }
        }
    }

    /// Adds a note with the reason if a change requires no flush, now or later.
    pub(super) fn explain(&mut self, change: &Change) {
        let facts = self.model.change_facts(self.query.config);
        let required = change.required_flush(&facts);
        let why = match change.kind(&facts) {
            _ if is_done_by_fault(change, &facts) && self.may_fault() => {
                "a fault on an entry that allows less drops it"
            }
            _ if expires(change, &facts) && self.may_fault() => {
                "the machine keeps a negative entry for a bounded time, and code faults until then"
            }
            _ if !required.is_nothing() => return,
            Kind::Map => "negative entries are not cached",
            Kind::Same if change.clears.is_none() => {
                "the machine reads none of the bits that change"
            }
            Kind::Same => "a cached entry may keep the mark that is cleared",
            _ => "the machine walks the table again before it faults on an entry that allows less",
        };
        let by_instruction = self.is_written(change, &facts);
        let but = if by_instruction {
            format!(
                ", but only an instruction may change entries of level {}",
                self.model.levels[change.level.index()].name
            )
        } else {
            String::new()
        };
        self.note(&format!("no flush is required: {why}{but}"));
    }

    /// Returns whether instructions make the change, and plain stores do not.
    fn is_written(&self, change: &Change, facts: &ChangeFacts) -> bool {
        let rules = &self.model.change;
        let by_store = match change.kind(facts) {
            Kind::Map => true,
            Kind::Same => rules
                .software_bits
                .is_some_and(|at| at.value.contains(change.level)),
            _ => false,
        };
        !rules.plain_store.value && !by_store
    }

    /// Ends the locked section and the gather.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.new) {
            self.event(Shape::Publish(Space::Kernel), |_| {});
        }
        self.flush_changed();
    }

    /// Flushes the changed entries.
    pub(super) fn flush_changed(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        let unlinked = std::mem::take(&mut self.unlinked);
        if std::mem::take(&mut self.whole) {
            self.flush(FlushedEntries::Everything);
        } else if changed != Ranges::new() {
            self.flush(FlushedEntries::Ranges(&changed));
        } else if unlinked {
            self.event(Shape::Publish(self.query.space), |_| {});
        }
    }
}

/// Returns whether negative entries that a change leaves in caches expire by themselves.
fn expires(change: &Change, facts: &ChangeFacts) -> bool {
    change.kind(facts) == Kind::Map && facts.negative == Negative::Expires
}

/// Returns whether a fault on an old entry that a change leaves in caches invalidates it.
fn is_done_by_fault(change: &Change, facts: &ChangeFacts) -> bool {
    let at_fault = change.required_flush(facts).deadline == Deadline::Fault;
    at_fault && change.kind(facts) == Kind::MoreRights && facts.stricter == Stricter::DroppedByFault
}
