//! Deferred flushes: what need not be flushed now, and the latest moment of it.
//!
//! A stale entry that cannot be used yet may stay until it could be. What is deferred is recorded in one of two places. The
//! space has a [generation](TlbGen) and its [pending flushes](PendingFlushes), which every CPU completes that comes to it; they
//! are read under the page-table lock, or after the barriers of a switch. Each CPU has [slots](AsidSlots), which say how
//! far it has followed each space that it remembers, and what it alone has to flush. A CPU that is exactly one change behind,
//! and gets an IPI for that change, flushes just that; otherwise the whole tag. What a CPU does not remember it has to flush.
//!
//! Source: Linux `mm/mmu_gather.c` and the comments beside `flush_tlb_func` on generations.

mod flags;
mod generation;
mod slots;

pub use flags::{Deferred, Pending};
pub use generation::{PendingFlush, PendingFlushes, TlbGen};
pub use slots::{AsidSlot, AsidSlots, LoadedTag, SLOTS};
