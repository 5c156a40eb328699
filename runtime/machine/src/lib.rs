//! An adversarial machine, in a first, small form: what the runtime's protocols are checked against.
//!
//! # What it models
//!
//! * Tables of two levels in memory ([`Memory`]): a top table is a root, its entries point at tables, whose entries map pages.
//! * For each CPU the loaded root with its tag, whether it runs user code, and a TLB: leaf entries and walk entries under
//!   their tags, each a *set* of possible values.
//! * One device that walks a root and keeps a TLB of its own.
//! * Instructions ([`Op`]): drops of a page, a tag or everything, with walk entries or without, here or everywhere; their
//!   completion; root loads that keep, drop a tag, or drop all; publishing; changes of an entry that drop it at once.
//!
//! It is hostile: nothing is evicted, and with every step of a CPU all is filled that could be. A CPU that has a root
//! loaded, used or not, fills from every value that its walker may see, and goes on from a cached walk entry into a
//! table that was unlinked. A broadcast acts at any time up to its completion. Stale entries only ever hurt, so there is no need
//! to choose when something is filled.
//!
//! What a walker sees of a store is one of two things ([`Stores`]): what a load of its CPU would see, which is the model
//! checker's question; or the old value beside the new until the store is published.
//!
//! **Safety is about owners.** A stale entry is harmless as long as its page keeps its owner. A [`Complaint`] is recorded
//! when user code could reach a page through an entry after the page or the right went to somebody else, and when a walker
//! could read a table that is none any more.
//!
//! # What it does not model
//!
//! Levels beyond two, large pages, joined entries, global entries, cached absences, dirty bits, siblings that share a
//! TLB, accesses that were translated before an invalidation and are performed after it, fills under
//! way during an invalidation of the same CPU, and errata. [`Op::Publish`] publishes everybody's stores.

#![forbid(unsafe_code)]

mod devices;
mod history;
mod machine;
mod memory;
mod op;
mod state;
mod tlb;
pub mod toys;

pub use machine::{Machine, Shared};
pub use memory::{ENTRIES, Entry, KERNEL, KERNEL_PAGE, Memory, Stores, TableId};
pub use op::{Dropped, Kept, Op, Told, Where};
pub use state::Complaint;
