//! An adversarial machine, in a first, small form: what the runtime's protocols are checked against.
//!
//! # What it models
//!
//! * Tables of two levels in memory ([`Memory`]): a top table is a root, its entries point at tables, whose entries map pages
//!   with a right to write and with attributes that are compared and nothing else. The last entry of a root translates the
//!   kernel's addresses ([`KERNEL`]).
//! * For each CPU the loaded root with its tag, whether user code and the kernel's code run, and a TLB: leaf entries and walk
//!   entries under their tags, each a *set* of possible values. Entries of the kernel stand under whatever tag is loaded.
//! * CPUs that stop, and start again on boot tables with the entries that they had ([`Machine::boot`]).
//! * Devices that walk a root and keep a TLB of their own. They are told of a flush by their driver, by instructions, or by
//!   the broadcasts that name the tag of the space ([`Told`]).
//! * Instructions ([`Op`]): drops of a page, a tag, the loaded tag or everything, with walk entries or without, here or
//!   everywhere; their completion; root loads that keep, drop a tag, or drop all; publishing; changes of an entry that drop it
//!   at once.
//!
//! It is hostile: nothing is evicted, and with every step of a CPU all is filled that could be. A CPU that has a root
//! loaded, used or not, fills from every value that its walker may see, and goes on from a cached walk entry into a
//! table that was unlinked. So what is flushed before a root is replaced is filled again from the old one. A broadcast acts at
//! any time up to its completion. Stale entries only ever hurt, so there is no need to choose when something is filled.
//!
//! What a walker sees of a store is one of two things ([`Stores`]): what a load of its CPU would see, which is the model
//! checker's question; or the old value beside the new until the store is published.
//!
//! **Safety is about owners.** A stale entry is harmless as long as its page keeps its owner. A [`Complaint`] is recorded
//! when user code, a device or the kernel could use an entry although its page has another owner, its right or its attributes
//! have changed; when a device or the kernel, which cannot repeat an access after a fault, could meet an entry that allows
//! less than the table; and when a walker could read memory that is no longer a table. [`Machine::report`] says what was done
//! before.
//!
//! # What it does not model
//!
//! Levels beyond two, large pages, contiguous entries, global entries, negative entries, accessed and dirty marks, attributes
//! of tables, siblings that share a TLB, accesses that were translated before an invalidation and are performed after it, fills
//! under way during an invalidation of the same CPU, two translations of one address at once, and errata. A CPU that is offline
//! goes on walking until it is [stopped](Machine::stop). [`Op::Publish`] publishes the stores of all CPUs.

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
