//! Messages from CPU to CPU.
//!
//! In: a request. Out: the same request, read on another CPU. Holds: what is read is what was written, if no CPU writes while
//! another one reads; [`Mailbox`](crate::cpu::Mailbox) has the protocol for that.

use crate::level::{LEVELS, Level};
use crate::request::{Extent, Ranges, Recorded, Request, Scope, Space, SpaceFlags, SpaceId, Tag};
use crate::sync::{Handed, const_fn};

/// A request to a CPU.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Message<'a> {
    /// Take the interrupt: nothing else is needed.
    Sync,
    /// Load the kernel's root, if the CPU uses this space lazily.
    Leave(SpaceId),
    /// Flush everything under the tag that is loaded.
    FlushLoaded,
    /// Flush what the request names.
    Flush {
        space: SpaceId,
        /// The generation that a CPU has seen after this flush, if it has seen the one before.
        generation: u64,
        request: Request<'a>,
    },
}

const WORDS: usize = 9 + 4 * LEVELS;

/// The request of a CPU to others. Only that CPU writes it, while no other CPU may read it.
#[derive(Debug)]
pub(crate) struct Outbox(Handed<WORDS>);

const SYNC: u64 = 0;
const LEAVE: u64 = 1;
const FLUSH_LOADED: u64 = 2;
const PAGE: u64 = 3;
const RUN: u64 = 4;
const RANGES: u64 = 5;
const EVERYTHING: u64 = 6;
const TEARDOWN: u64 = 7;

const SUBTREE: u64 = 1;
const NEGATIVE: u64 = 2;

impl Outbox {
    const_fn! {
        /// Returns an outbox that was never written.
        pub const fn new() -> Self {
            Self(Handed::new())
        }
    }

    /// Writes a message.
    pub fn post(&self, message: &Message<'_>) {
        let mut words = self.0.to_write();
        let mut put = |value| {
            if let Some(word) = words.next() {
                word.put(value);
            }
        };
        let (space, generation, request) = match message {
            Message::Sync => return put(SYNC),
            Message::FlushLoaded => return put(FLUSH_LOADED),
            Message::Leave(space) => {
                put(LEAVE);
                return put(space.0);
            }
            Message::Flush {
                space,
                generation,
                request,
            } => (space, generation, request),
        };
        put(match request.scope {
            Scope::Page { .. } => PAGE,
            Scope::Ranges(ranges) => match ranges.recorded() {
                Recorded::Nothing | Recorded::Run(..) => RUN,
                Recorded::Sorted(_) => RANGES,
            },
            Scope::Everything { .. } => EVERYTHING,
            Scope::Teardown => TEARDOWN,
        });
        put(space.0);
        put(*generation);
        put(u64::from(request.space == Space::Kernel));
        put(request.tag.value);
        put(u64::from(request.tag.global) | u64::from(request.flags.0) << 1);
        match request.scope {
            Scope::Page { va, level, table } => {
                put(va);
                put(u64::from(level.0));
                put(u64::from(table));
            }
            Scope::Ranges(ranges) => match ranges.recorded() {
                Recorded::Nothing => (0..3).for_each(|_| put(0)),
                Recorded::Run(level, extent) => {
                    put(u64::from(level.0));
                    put(extent.start);
                    put(extent.bytes);
                }
                Recorded::Sorted(sorted) => {
                    let subtree = if sorted.subtree { SUBTREE } else { 0 };
                    let negative = if sorted.negative { NEGATIVE } else { 0 };
                    put(subtree | negative);
                    for extent in sorted.leaf.iter().chain(&sorted.walk) {
                        put(extent.start);
                        put(extent.bytes);
                    }
                }
            },
            Scope::Everything { tables } => put(u64::from(tables)),
            Scope::Teardown => {}
        }
    }

    /// Reads the message. Stores its ranges, if it has any, in `ranges`.
    pub fn read<'a>(&self, ranges: &'a mut Ranges) -> Message<'a> {
        let mut words = self.0.to_read();
        // `get` is called directly, not passed as a function: with a constant ordering the compiler removes its panic.
        let mut get = || match words.next() {
            Some(word) => word.get(),
            None => 0,
        };
        let kind = get();
        match kind {
            SYNC => return Message::Sync,
            FLUSH_LOADED => return Message::FlushLoaded,
            LEAVE => return Message::Leave(SpaceId(get())),
            _ => {}
        }
        let space = SpaceId(get());
        let generation = get();
        let kernel = get() != 0;
        let value = get();
        let flags = get();
        let scope = match kind {
            PAGE => Scope::Page {
                va: get(),
                level: Level(get() as u8),
                table: get() != 0,
            },
            RUN => {
                let level = Level(get() as u8);
                *ranges = Ranges::new();
                ranges.leaf(level, Extent::new(get(), get()));
                Scope::Ranges(ranges)
            }
            RANGES => {
                let flags = get();
                *ranges = Ranges::new();
                let sorted = ranges.sort();
                sorted.subtree = flags & SUBTREE != 0;
                sorted.negative = flags & NEGATIVE != 0;
                for extent in sorted.leaf.iter_mut().chain(&mut sorted.walk) {
                    *extent = Extent::new(get(), get());
                }
                Scope::Ranges(ranges)
            }
            EVERYTHING => Scope::Everything { tables: get() != 0 },
            _ => Scope::Teardown,
        };
        Message::Flush {
            space,
            generation,
            request: Request {
                space: if kernel { Space::Kernel } else { Space::User },
                tag: Tag {
                    value,
                    global: flags & 1 != 0,
                },
                reach: crate::request::Reach::Wide,
                published: false,
                flags: SpaceFlags((flags >> 1) as u32),
                scope,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Reach;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0x1000, 0x3000));
        ranges.walk(Level(5), Extent::new(1 << 48, 1 << 48));
        ranges.subtree();
        let mut negative = Ranges::new();
        negative.negative(Level(1), Extent::new(0x20_0000, 0x20_0000));
        let mut run = Ranges::new();
        run.leaf(Level(1), Extent::new(0x40_0000, 0x60_0000));
        let page = Scope::Page {
            va: 0xffff_ffff_ffff_f000,
            level: Level(2),
            table: true,
        };
        for scope in [
            page,
            Scope::Ranges(&run),
            Scope::Ranges(&ranges),
            Scope::Ranges(&negative),
            Scope::Everything { tables: true },
            Scope::Teardown,
        ] {
            let message = Message::Flush {
                space: SpaceId(7),
                generation: 9,
                request: Request {
                    space: Space::User,
                    tag: Tag {
                        value: 0xffff,
                        global: true,
                    },
                    reach: Reach::Wide,
                    published: false,
                    flags: SpaceFlags(0x8000_0001),
                    scope,
                },
            };
            let outbox = Outbox::new();
            outbox.post(&message);
            let mut place = Ranges::new();
            let read = outbox.read(&mut place);
            assert_eq!(std::format!("{message:?}"), std::format!("{read:?}"));
        }
    }
}
