//! Deferred flushes: flushes that need not happen now, and their latest moment.
//!
//! A stale entry may stay cached as long as no agent can use it. Deferred flushes are recorded in two places. Each space has a
//! [generation](TlbGen) and [pending flushes](PendingFlushes). A CPU that loads the space follows the generation; a flush of the
//! whole space completes the pending flushes. CPUs read them with the page-table lock held, or after the barriers of a switch. Each
//! CPU has [ASID slots](AsidSlots), which record the generation that it has followed of each space in a slot, and the flushes that
//! only this CPU has to do. A CPU that has followed every change except the last, and gets an IPI for it, flushes what that
//! change requires; otherwise it flushes the whole tag. A CPU flushes everything of a space that is in none of its slots.
//!
//! Source: Linux `mm/mmu_gather.c` and the comments beside `flush_tlb_func` on generations.

mod flags;
mod generation;
mod slots;

pub use flags::{Deferred, Pending};
pub use generation::{PendingFlush, PendingFlushes, TlbGen};
pub use slots::{AsidSlot, AsidSlots, LoadedTag, SLOTS};
