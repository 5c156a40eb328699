//! What a CPU does for a message from another one.
//!
//! In: a message, and what the CPU has loaded and has seen. Out: a [`Response`]. Holds: after it the CPU cannot use the
//! entries that the message is about, or it flushes them before it can.

use crate::cpu::message::Message;
use crate::cpu::tlb::CpuTlb;
use crate::deferred::AsidSlot;
use crate::fault::{Fault, is_back};
use crate::mask::CpuMask;
use crate::request::{Reach, Request, Scope, Space, SpaceFlags, SpaceId, Tag};
use crate::tag::{PerCpuSource, TagValues};

/// What a CPU does for a message, in the order of the fields.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Response<'m> {
    /// Whether it loads the kernel's root, to leave the space that it uses lazily.
    pub leaves: bool,
    /// What it flushes, on itself alone.
    pub flush: Option<Request<'m>>,
    /// The generation that it has then seen of the space in a slot.
    pub sees: Option<(AsidSlot, u64)>,
}

impl<'m> Response<'m> {
    /// Loads the kernel's root.
    const LEAVE: Self = Self {
        leaves: true,
        flush: None,
        sees: None,
    };

    /// Returns the response that flushes what a request names.
    const fn flush(request: Request<'m>) -> Self {
        Self {
            leaves: false,
            flush: Some(request),
            sees: None,
        }
    }
}

impl<S: CpuMask> CpuTlb<S> {
    /// Returns what this CPU, which has these per-CPU tags, does for a message; `None` if it has nothing to do. Called on
    /// that CPU.
    pub(crate) fn response<'m>(
        &self,
        message: &Message<'m>,
        tags: Option<(TagValues, PerCpuSource)>,
    ) -> Option<Response<'m>> {
        let loaded = SpaceId(self.loaded.mine());
        let lazy = self.lazy.mine() != 0;
        match *message {
            Message::Sync => Some(Response::default()),
            Message::Leave(space) => (loaded == space && lazy).then_some(Response::LEAVE),
            Message::FlushLoaded if lazy => Some(Response::LEAVE),
            Message::FlushLoaded => {
                (loaded > SpaceId::KERNEL).then(|| Response::flush(self.everything_loaded(tags)))
            }
            Message::Flush { request, .. } if request.space == Space::Kernel => {
                Some(Response::flush(request))
            }
            Message::Flush {
                space,
                generation,
                request,
            } => self.response_to_flush((space, generation), request, tags),
        }
    }

    /// Returns the response to the flush of a user space that another CPU has sent.
    fn response_to_flush<'m>(
        &self,
        (space, generation): (SpaceId, u64),
        request: Request<'m>,
        tags: Option<(TagValues, PerCpuSource)>,
    ) -> Option<Response<'m>> {
        let is_loaded = SpaceId(self.loaded.mine()) == space;
        let ends = matches!(request.scope, Scope::Teardown);
        // A lazy CPU leaves the space. It flushes its stale entries before it loads the space again.
        let leaves = is_loaded && (self.lazy.mine() != 0 || ends);
        // Another space gets a per-CPU tag only after its flush, a global one after the teardown.
        if leaves && !(ends && request.tag.global) {
            return Some(Response::LEAVE);
        }
        if !is_loaded && !ends {
            return None;
        }
        let Some(slot) = self.slots.find(space) else {
            let flush = Some(request);
            return Some(Response {
                leaves,
                flush,
                sees: None,
            });
        };
        let seen = self.slots.seen_gen(slot);
        if seen.wrapping_sub(generation) < u64::MAX / 2 && !ends {
            return None; // flushed with a later generation
        }
        let mut flush = self.under_tag_of(slot, request, tags);
        let missed = seen.wrapping_add(1) != generation && !is_back(Fault::SkipsGenerations);
        if missed && !ends {
            self.stats.full_deferred.count(1);
            flush.scope = Scope::Everything { tables: true };
        }
        Some(Response {
            leaves,
            flush: Some(flush),
            sees: Some((slot, generation)),
        })
    }

    /// Returns the request to flush everything under the loaded tag of a user space on this CPU.
    fn everything_loaded(&self, tags: Option<(TagValues, PerCpuSource)>) -> Request<'static> {
        let slot = self.slots.find(SpaceId(self.loaded.mine()));
        let of_slot = slot.filter(|_| self.tag.get() == 0);
        let request = Request {
            space: Space::User,
            tag: Tag {
                value: self.tag.get(),
                global: of_slot.is_none(),
            },
            reach: Reach::Here,
            published: false,
            flags: SpaceFlags::NONE,
            scope: Scope::Everything { tables: true },
        };
        of_slot.map_or(request, |slot| self.under_tag_of(slot, request, tags))
    }

    /// Returns the request of another CPU with the tag that the space in a slot has on this one.
    fn under_tag_of<'a>(
        &self,
        slot: AsidSlot,
        request: Request<'a>,
        tags: Option<(TagValues, PerCpuSource)>,
    ) -> Request<'a> {
        if request.tag.global {
            return request;
        }
        let tag = self.slots.tag(Some(slot), tags);
        Request { tag, ..request }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::mask::CpuSet;
    use crate::sync::Barrier;

    const SPACE: SpaceId = SpaceId(7);
    const VALUES: TagValues = TagValues {
        first: 1,
        last: 6,
        views: 0,
    };
    const TAGS: Option<(TagValues, PerCpuSource)> = Some((VALUES, PerCpuSource::Slots));
    const PAGE: Scope<'static> = Scope::Page {
        va: 0x3000,
        level: Level(0),
        table: false,
    };

    /// A CPU that has the space loaded, in its second slot, and has seen a generation of it.
    fn cpu(seen: u64, lazy: bool) -> CpuTlb<CpuSet<1>> {
        let cpu = CpuTlb::new();
        cpu.slots.find_or_assign(SpaceId(6), 6, 0, SpaceId::NONE);
        let (slot, _) = cpu.slots.find_or_assign(SPACE, 6, 0, SpaceId::NONE);
        cpu.slots.set_seen_gen(slot, seen);
        cpu.loaded.put(SPACE.0);
        cpu.lazy.release(lazy.into(), Barrier::Unload);
        cpu
    }

    fn flush(generation: u64, scope: Scope<'static>, global: bool) -> Message<'static> {
        Message::Flush {
            space: SPACE,
            generation,
            request: Request {
                space: Space::User,
                tag: Tag { value: 40, global },
                reach: Reach::Wide,
                published: false,
                flags: SpaceFlags::NONE,
                scope,
            },
        }
    }

    /// The value of the tag that is flushed, and whether everything under it is.
    fn flushed(response: Option<Response<'_>>) -> Option<(u64, bool)> {
        let request = response?.flush?;
        let everything = matches!(request.scope, Scope::Everything { .. } | Scope::Teardown);
        Some((request.tag.value, everything))
    }

    #[test]
    fn the_next_generation_is_flushed_as_requested_under_this_cpus_own_tag() {
        let cpu = cpu(4, false);
        let slot = cpu.slots.find(SPACE).expect("a slot");
        let own = VALUES.nth(slot.index() as u64);
        let response = cpu.response(&flush(5, PAGE, false), TAGS);
        assert_eq!(flushed(response), own.map(|tag| (tag, false)));
        assert_eq!(response.expect("a flush").sees, Some((slot, 5)));
        let global = cpu.response(&flush(5, PAGE, true), TAGS);
        assert_eq!(flushed(global), Some((40, false)));
    }

    #[test]
    fn a_cpu_that_missed_a_generation_flushes_everything_of_the_space() {
        let cpu = cpu(4, false);
        let response = cpu.response(&flush(6, PAGE, true), TAGS);
        assert_eq!(flushed(response), Some((40, true)));
        assert_eq!(cpu.stats.full_deferred.get(), 1);
    }

    #[test]
    fn what_was_flushed_or_is_not_loaded_is_spurious() {
        let cpu = cpu(4, false);
        assert!(cpu.response(&flush(4, PAGE, true), TAGS).is_none());
        assert!(cpu.response(&flush(3, PAGE, true), TAGS).is_none());
        // The CPU is not lazy, so it runs the space.
        assert!(cpu.response(&Message::Leave(SPACE), TAGS).is_none());
        cpu.loaded.put(6);
        assert!(cpu.response(&flush(5, PAGE, true), TAGS).is_none());
        assert!(cpu.response(&Message::Leave(SPACE), TAGS).is_none());
        cpu.loaded.put(SpaceId::KERNEL.0);
        assert!(cpu.response(&Message::FlushLoaded, TAGS).is_none());
        cpu.loaded.put(6);
        cpu.lazy.release(1, Barrier::Unload);
        assert!(cpu.response(&Message::Leave(SPACE), TAGS).is_none());
    }

    #[test]
    fn a_lazy_cpu_leaves_the_space() {
        let cpu = cpu(4, true);
        for message in [
            flush(5, PAGE, true),
            Message::Leave(SPACE),
            Message::FlushLoaded,
        ] {
            let response = cpu.response(&message, TAGS).expect("it leaves");
            assert!(response.leaves && response.flush.is_none() && response.sees.is_none());
        }
    }

    #[test]
    fn a_teardown_flushes_a_global_tag_on_cpus_that_left_too() {
        let teardown = |global| flush(9, Scope::Teardown, global);
        let cpu = cpu(4, false);
        let response = cpu.response(&teardown(true), TAGS);
        assert_eq!(flushed(response), Some((40, true)));
        assert!(response.expect("a flush").leaves);
        let of_cpu = cpu.response(&teardown(false), TAGS).expect("it leaves");
        assert!(of_cpu.leaves && of_cpu.flush.is_none());
        cpu.loaded.put(6);
        let inactive = cpu.response(&teardown(true), TAGS);
        assert_eq!(flushed(inactive), Some((40, true)));
        assert!(!inactive.expect("a flush").leaves);
    }

    #[test]
    fn everything_loaded_is_flushed_under_the_tag_that_is_loaded() {
        let cpu = cpu(4, false);
        let slot = cpu.slots.find(SPACE).expect("a slot");
        let own = VALUES.nth(slot.index() as u64);
        let response = cpu.response(&Message::FlushLoaded, TAGS);
        assert_eq!(flushed(response), own.map(|tag| (tag, true)));
        cpu.tag.put(40);
        let response = cpu.response(&Message::FlushLoaded, TAGS);
        assert_eq!(flushed(response), Some((40, true)));
    }
}
