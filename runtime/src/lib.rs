//! The vocabulary of TLB invalidation, and what generated flush backends plug into.
//!
//! Everything here is free of any architecture's name, of allocation and of dependencies. At opt-level 2 and s nothing that
//! a kernel calls can panic: an index that cannot be, as a [level](request::Ranges::leaf) that no machine has, is answered
//! with the larger flush.
//!
//! # Who calls whom
//!
//! ```text
//!     the kernel: page tables, faults, scheduler, interrupt entry, CPU hotplug
//!     |              |              |                |                 ^
//!     | gather       | reclaim      | switch         | handle_ipi      | send_ipi, release_pages,
//!     | teardown     | fix_spurious | return_to_user | cpu_online, ..  | free_tables_deferred, ...
//!     v              v              v                v                 |
//!  +--------------------------------------------------------------+    |
//!  | Mmu                                                          |----+  Platform
//!  |   gather -> section    entries change; pages and tables wait |
//!  |   tables               unlinked, flushed, deferred, freed    |
//!  |   reclaim              many pages of many spaces, one wait   |
//!  |        \                                                     |
//!  |         shootdown      which CPUs and devices flush          |
//!  |         switch         what a CPU loads, lazily or not       |
//!  |        /       \                                             |
//!  |   debts         tags   what is deferred, and until when      |
//!  +--------------------------------------------------------------+
//!                 | audience, change, publish, start, finish, deliver, switch, return_to_user, enter_from_user, cpu_online
//!                 v
//!            Backend: generated from the definition of an architecture
//!                 | issue(instruction)
//!                 v
//!            Issue: the CPU, a recorder, a model
//! ```
//!
//! A kernel implements [`Platform`], and keeps an [`Mmu`] and for each CPU a [`Local`] in statics. Then
//!
//! * [`Mmu::cpu_online`] and [`Mmu::cpu_offline`] are called by a CPU that comes online or goes offline;
//! * [`Mmu::gather`] changes entries, within [`Gather::locked`]. [`Section`] has the changes: unmap ([`Section::clear`]), other
//!   rights or attributes ([`Section::change`], [`Section::update`], [`Section::break_before_make`]), another page
//!   ([`Section::replace`]), tables ([`Section::unlink`], [`Section::unlink_live`], [`Section::detach`],
//!   [`Section::collapse`]);
//! * [`Mmu::reclaim`] unmaps many pages of many spaces with one wait;
//! * [`Mmu::fix_spurious`] is called by the fault handler;
//! * [`Mmu::publish`] makes entries visible that the kernel stored for itself without a section;
//! * [`Mmu::address_space`] makes a user space, [`Mmu::switch`] and [`Mmu::return_to_user`] load it, [`Mmu::enter_from_user`] loads the
//!   kernel's view again, [`Mmu::teardown`] and [`Mmu::release`] end it;
//! * [`Mmu::attach_device`] and [`Mmu::pin_tag`] let devices share a space;
//! * [`Mmu::loaded`] and [`Mmu::stats`] tell what a CPU has loaded, and what happened.
//!
//! A kernel with a single address space needs [`Mmu::cpu_online`], [`Mmu::kernel`] and `gather` alone, and [`Mmu::handle_ipi`] where CPUs
//! are interrupted (`examples/single_space.rs`).
//!
//! [`responsibilities`] lists what remains the kernel's: what the runtime cannot see, and which call to use.
//!
//! # Levels
//!
//! A [`Level`] is an index of the definition's list of levels, from the leaf up: 0 has the entries that map the smallest pages.
//! It is not the depth of a walk. Where the machine walks fewer tables than the definition has levels, the list has gaps:
//! [`Backend::levels`] has every level, with a [`shift`](request::LevelFacts::shift) of 0 where there is none. The levels by depth
//! are those whose shift is not 0 ([`Backend::levels_up`]), and the level of an entry is found by how much it translates
//! ([`Backend::level_of_shift`]), here by hand:
//!
//! ```
//! use tlbc_runtime::Level;
//! use tlbc_runtime::request::{LevelFacts, LevelTable};
//!
//! /// Returns the levels of a walk, from the top table down.
//! fn walk(levels: &LevelTable) -> impl Iterator<Item = Level> {
//!     Level::all().rev().filter(|level| levels[level.index()].shift != 0)
//! }
//!
//! /// Returns the level whose entries translate `1 << shift` bytes each.
//! fn level_of(levels: &LevelTable, shift: u32) -> Option<Level> {
//!     walk(levels).find(|level| levels[level.index()].shift == shift)
//! }
//!
//! // A definition with levels for five tables, on a machine that walks four.
//! let (leaf, table) = (LevelFacts::leaf, LevelFacts::table);
//! let levels = [leaf(12), leaf(21), leaf(30), LevelFacts::NONE, table(39), LevelFacts::NONE];
//! assert!(walk(&levels).eq([4, 2, 1, 0].map(Level)));
//! assert_eq!(level_of(&levels, 21), Some(Level(1)));
//! ```
//!
//! # What holds
//!
//! A page or a table is given to a new owner only after a flush that covers what its entry may have left, on every CPU and
//! device that could use it. The vocabulary defines what covers what; the generated backend was planned with it. A proof of each
//! plan, independent of the planner, has its place between the two: it would say of every path that it covers every cell, so
//! that this crate need not trust the planner. There is none yet; random coverage tests stand in. This crate decides which CPUs
//! and devices flush, and when. Its assumptions are stated in [`Platform`] and [`responsibilities`].
//!
//! # The protocols
//!
//! * [`shootdown`] and [`switch`]: who is told of a change, and what a CPU looks for that was not.
//! * [`debts`], [`tags`]: what may stay stale, until when; and which values may be used again.
//! * [`gather`], [`section`], [`tables`], [`reclaim`]: when pages and tables come out.
//! * [`sync`]: every barrier, and what it pairs with.
//!
//! # The vocabulary
//!
//! * [`level`], [`agents`]: levels of tables; who may cache their entries.
//! * [`pte`]: from a changed page-table entry to the flush that it requires.
//! * [`request`]: what a flush is asked for.
//! * [`passes`]: the passes over addresses that it takes.
//! * [`runs`]: those passes cut into what one instruction can name.
//! * [`backend`]: the traits that a generated backend and its instruction sink meet in.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod backend;
pub mod batch;

pub mod agents;
mod changes;
pub mod counters;
pub mod cpus;
pub mod debts;
mod devices;
pub mod level;
pub mod pte;

#[cfg(not(loom))]
mod fault;
#[cfg(loom)]
pub mod fault;
pub mod flushed;
pub mod gather;
mod holders;
pub mod local;
mod mail;
mod message;
pub mod mmu;
pub mod passes;
pub mod platform;
mod publish;
mod ranges;
pub mod reclaim;
pub mod request;
pub mod responsibilities;
pub mod runs;
pub mod section;
pub mod shootdown;
pub mod space;
pub mod switch;
pub mod sync;
pub mod tables;
pub mod tags;
pub mod views;
#[cfg(loom)]
pub mod watched;

pub use backend::{
    Answer, Audience, Backend, Ceiling, Debt, Delivery, Facts, FinishSteps, Finished, Issue,
    Outcome, Owed, Record, Root, Started, TagSource, TagValues, Tags,
};
pub use batch::{Batch, NoBatch, PageBatch, TableBatch};
pub use counters::Counts;
pub use cpus::{CpuId, CpuSet, Cpus};
pub use devices::{Attached, TooManyDevices};
pub use flushed::Flushed;
pub use gather::Gather;
pub use level::Level;
pub use local::{Loaded, Local};
pub use mmu::{Misuse, Mmu, NewSpace, Unusable};
pub use platform::{LockEvent, Platform, Pte, Value};
pub use reclaim::{UnmapBatch, Unmapped, Waited};
pub use request::{Conditions, Tag};
pub use section::{Refused, Section};
pub use space::{AddressSpace, SpaceId};
pub use switch::{Current, StillLoaded};
pub use tables::Unlinked;
pub use tags::{NoTag, NotPinned, Tagging};
pub use views::Views;
