//! The runtime of a kernel's TLB management: page-table changes, the flushes that they require, shootdown IPIs, address-space
//! switches and tags. What differs between architectures is in a generated [`Backend`].
//!
//! Everything here is free of any architecture's name, of allocation and of dependencies. At opt-level 2 and s nothing that
//! a kernel calls can panic: an index that cannot occur, as a [level](request::Ranges::leaf) that no machine has, is answered
//! with the larger flush.
//!
//! # A first munmap
//!
//! A kernel implements two traits: [`Platform`] for itself, and [`Pte`] for its page-table entries. It keeps an [`Mmu`], and a
//! [`CpuTlb`] for each CPU, in statics. Then entries are changed within [`Mmu::gather`] and [`Gather::locked`]: pages that are
//! unmapped there are released when one flush at the end has covered them all, on every CPU that may use them. This is a
//! whole program (`examples/first_munmap.rs`):
//!
//! ```
#![doc = include_str!("../../examples/first_munmap.rs")]
//! ```
//!
//! An early return or a `?` inside the closures does not skip the flush. A page cannot be had before it, an entry cannot be
//! unmapped twice, and a refused entry is given back: these are errors of the compiler, or values that must be used. A kernel
//! without a heap names [`NoBatch`] in place of `Box`; a gather then flushes for every [`BUNDLE`](gather::BUNDLE) pages.
//! [`prelude`] has the names that most kernels need.
//!
//! # What a kernel calls
//!
//! | where | call |
//! |---|---|
//! | a CPU comes online, goes offline | [`Mmu::cpu_online`], [`Mmu::cpu_offline`] |
//! | the handler of the IPI | [`Mmu::handle_ipi`] |
//! | scheduler | [`Mmu::switch`] |
//! | return to user code, entry from it | [`Mmu::return_to_user`], [`Mmu::enter_from_user`] |
//! | a new address space, its end | [`Mmu::address_space`], [`Mmu::teardown`], [`Mmu::release`] |
//! | mmap, page faults | [`Section::map`] |
//! | munmap | [`Section::unmap`], [`Section::unmap_all`] |
//! | mprotect, fork, aging | [`Section::protect`] |
//! | copy on write, migration, a large page is split | [`Section::replace`] |
//! | page tables are freed or moved | [`Section::unlink`], [`Section::unlink_subtree`], [`Section::detach`], [`Section::collapse`] |
//! | reclaim | [`Mmu::reclaim`]: many pages of many spaces, one wait |
//! | a fault that the tables do not justify | [`Mmu::fix_spurious`] |
//! | the kernel mapped something for itself | [`Mmu::publish`], where it used no section |
//! | devices share a space | [`Mmu::attach_device`], [`Mmu::pin_tag`] |
//! | statistics, NMI handlers | [`Mmu::stats`], [`Mmu::loaded`] |
//!
//! A kernel with a single address space needs [`Mmu::cpu_online`], [`Mmu::kernel`] and `gather` alone, and
//! [`Mmu::handle_ipi`] where CPUs are sent IPIs (`examples/single_space.rs`). [`responsibilities`] lists what remains the
//! kernel's: what the runtime cannot see, and which call to use.
//!
//! ```text
//!  kernel: page tables, scheduler, entry code, hotplug             impl Platform, impl Pte
//!    | gather   | reclaim      | switch           | handle_ipi     ^ send_ipi, release_pages,
//!    | teardown | (UnmapBatch) | enter_from_user  | cpu_online     | free_tables_deferred,
//!    v          v              v return_to_user   v cpu_offline    | invalidate_secondary
//!  Mmu<P: Platform> -----------------------------------------------+
//!    v
//!  Backend: generated from the definition of an architecture
//!    | issue(instruction)
//!    v
//!  Issue: the CPU, a recorder, a model
//! ```
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
//! * [`shootdown`] and [`switch`]: which CPUs flush for a change, and how a CPU catches up that did not.
//! * [`deferred`], [`asid`]: which flushes are deferred, until when; and which tags may be used again.
//! * [`gather`], [`section`], [`tables`], [`reclaim`]: when pages and tables are released.
//! * [`sync`]: every barrier, and what it pairs with.
//!
//! # The vocabulary
//!
//! * [`level`], [`agents`]: levels of tables; who may cache their entries.
//! * [`pte`]: from a changed page-table entry to the flush that it requires.
//! * [`request`]: what a flush is asked for.
//! * [`request::passes`]: the passes over addresses that it takes.
//! * [`request::runs`]: those passes cut into what one instruction can name.
//! * [`backend`]: the traits that a generated backend and its instruction sink meet in.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod backend;
pub mod batch;

pub mod agents;
mod changes;
pub mod deferred;
mod devices;
pub mod level;
pub mod mask;
pub mod pte;
pub mod stats;

pub mod asid;
pub mod cpu;
#[cfg(not(loom))]
mod fault;
#[cfg(loom)]
pub mod fault;
pub mod flushed;
pub mod gather;
mod holders;
mod ipi;
pub mod mmu;
pub mod platform;
pub mod prelude;
mod publish;
pub mod reclaim;
pub mod request;
pub mod responsibilities;
pub mod section;
pub mod shootdown;
pub mod space;
pub mod switch;
pub mod sync;
pub mod tables;
mod tags;
pub mod views;

pub use asid::{NoTag, NotPinned};
pub use backend::{
    Answer, Backend, Ceiling, Facts, FinishSteps, Finished, IpiTargets, Issue, LazyMm, Outcome,
    PteUpdate, Record, Root, Shootdown, Started, TableFree, TagSource, TagValues, Tags,
};
pub use batch::NoBatch;
pub use cpu::{CpuTlb, Loaded};
pub use deferred::{Deferred, Pending};
pub use devices::{Attached, TooManyDevices};
pub use gather::Gather;
pub use level::Level;
pub use mask::{CpuId, CpuMask, CpuSet};
pub use mmu::{Misuse, Mmu, NewSpace, Unusable};
pub use platform::{
    Batch, Flushed, LockEvent, PageBatch, Platform, Pte, TableBatch, Unlinked, Value,
};
pub use pte::{Entry, Slot};
pub use reclaim::{UnmapBatch, Unmapped, Waited};
pub use request::{SpaceFlags, SpaceId, Tag};
pub use section::{Refused, Section};
pub use space::{AddressSpace, Tagging};
pub use stats::Stats;
pub use switch::{Current, StillLoaded};
pub use views::Views;
