//! An adversarial machine: a small model against which the runtime's protocols are checked.
//!
//! # What it models
//!
//! * Tables of two levels in memory ([`Memory`]). A top table is a root. Its entries point at tables, whose entries map
//!   pages with a write permission and with attributes that are only compared. The last entry of a root translates the
//!   kernel's addresses ([`KERNEL`]).
//! * For each CPU the loaded root and its tag, whether user code and kernel code run, and a TLB. The TLB holds leaf
//!   entries and walk entries under their tags, each as a *set* of possible values. The kernel's entries are cached
//!   under whichever tag is loaded.
//! * CPUs that stop, and that start again on boot tables with the entries that they had cached ([`Machine::boot`]).
//! * Devices that walk a root and have a TLB of their own. They are flushed by their driver, by instructions, or by the
//!   broadcasts that name the tag of the space ([`DeviceFlush`]).
//! * Instructions ([`Op`]): invalidation of a page, a tag, the loaded tag or everything, with or without walk entries,
//!   locally or everywhere; completion of invalidations; root loads that keep all entries, invalidate a tag, or
//!   invalidate all; publishing; and changes of an entry that invalidate it at once.
//!
//! The machine is adversarial: it evicts nothing, and each step of a CPU fills everything that the CPU could fill. A
//! CPU that has a root loaded, active or lazy, fills from every value that its walker may see, and continues from a
//! cached walk entry into a table that was unlinked. Entries that are flushed before a root is replaced are therefore
//! filled again from the old root. A broadcast takes effect at any time up to its completion. Stale entries can only
//! cause complaints, so the model does not choose when an entry is filled.
//!
//! There are two models of what a walker sees of a store ([`Stores`]): what a load by its CPU would see, which the
//! model checker explores; or both the old and the new value until the store is published.
//!
//! **Safety is about owners.** A stale entry does no harm while its page keeps its owner. The machine records a
//! [`Complaint`] in three cases: user code, a device or the kernel could use an entry although its page has another
//! owner, or its rights or attributes have changed; a device or the kernel, which cannot repeat an access after a
//! fault, could use an entry that allows less than the table does; a walker could read memory that is no longer a
//! table. [`Machine::report`] returns the complaint with the steps before it.
//!
//! # What it does not model
//!
//! More than two levels, large pages, contiguous entries, global entries, negative entries, accessed and dirty bits,
//! attributes of tables, sibling threads that share a TLB, accesses that were translated before an invalidation and are
//! performed after it, fills in progress during an invalidation by the same CPU, two translations of one address at
//! once, and errata. A CPU that is offline keeps walking until it is [stopped](Machine::stop). [`Op::Publish`]
//! publishes the stores of all CPUs.

//! # Hardware from a description
//!
//! [`hardware`] is a second model, for plans instead of protocols: the entries of one address on one agent, with any levels
//! and caches, and invalidations that are in progress.
//!
//! # Schedules
//!
//! [`schedule`] runs CPUs as coroutines, in an order that a seed determines.

#![forbid(unsafe_code)]

mod devices;
pub mod hardware;
mod history;
mod machine;
mod memory;
mod op;
pub mod schedule;
mod state;
mod tlb;
pub mod toys;

pub use machine::{Machine, SharedMachine};
pub use memory::{ENTRIES, Entry, KERNEL, KERNEL_PAGE, Memory, Stores, TableId};
pub use op::{DeviceFlush, InvalidatedEntries, Kept, Op, Where};
pub use state::Complaint;
