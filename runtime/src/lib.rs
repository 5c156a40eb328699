//! The runtime of a kernel's TLB management: page-table changes, the flushes that they require, shootdown IPIs, address-space
//! switches and tags. What differs between architectures is in a generated [`Backend`].
//!
//! This crate names no architecture, does not allocate and has no dependencies. At opt-level 2 and s no function that a kernel calls
//! can panic: for an index that cannot occur, such as a [level](request::Ranges::leaf) that no machine has, it flushes everything.
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
//! An early return or a `?` inside the closures does not skip the flush. Code cannot get a page before the flush, cannot unmap an
//! entry twice, and cannot lose an entry that was refused: the compiler rejects such code, or warns about an unused value. A kernel
//! without a heap uses [`NoBatch`] in place of `Box`; a gather then flushes after every [`BUNDLE`](pages::BUNDLE) pages.
//! [`prelude`] has the names that most kernels need.
//!
//! # What a kernel calls
//!
//! | where | call |
//! |---|---|
//! | a CPU comes online, goes offline | [`Mmu::cpu_online`], [`Mmu::cpu_offline`] |
//! | the handler of the IPI | [`Mmu::handle_ipi`] |
//! | scheduler | [`Mmu::switch`] |
//! | return to user code, entry from it | [`Mmu::return_to_user`], [`Mmu::enter_from_user`]; for loads in assembly [`Mmu::return_to_user_through`], [`Mmu::enter_from_user_through`] |
//! | an address space is created, torn down, released | [`Mmu::address_space`], [`Mmu::teardown`], [`Mmu::release`] |
//! | mmap, page faults | [`Section::map`] |
//! | munmap | [`Section::unmap`], [`Section::unmap_all`] |
//! | mprotect, fork, aging | [`Section::protect`] |
//! | copy on write, migration | [`Section::replace`] |
//! | a large page is split, or takes the place of a table | [`Section::split`], [`Section::collapse`] |
//! | page tables are freed or moved | [`Section::unlink`], [`Section::unlink_subtree`], [`Section::detach`] |
//! | reclaim | [`Mmu::reclaim`]: many pages of many spaces, one wait |
//! | a fault that the tables do not justify | [`Mmu::fix_spurious`] |
//! | the kernel mapped something for itself | [`Mmu::publish`], where it used no section |
//! | devices share a space | [`Mmu::attach_device`], [`Mmu::pin_tag`] |
//! | statistics, NMI handlers | [`Mmu::stats`], [`Mmu::loaded`] |
//!
//! A kernel with a single address space needs only [`Mmu::cpu_online`], [`Mmu::kernel`] and `gather`, and [`Mmu::handle_ipi`] on a
//! machine on which flushes send IPIs (`examples/single_space.rs`). [`responsibilities`] lists what the runtime cannot see and the
//! kernel has to do, and which functions it calls for that.
//!
//! ```text
//!  kernel: page tables, scheduler, entry code, hotplug             impl Platform, impl Pte
//!    | gather   | reclaim      | switch           | handle_ipi     ^ send_ipi, release_pages,
//!    | teardown | (UnmapBatch) | enter_from_user  | cpu_online     | free_tables_deferred,
//!    v          v              v return_to_user   v cpu_offline    | invalidate_secondary
//!  Mmu<P: Platform> -----------------------------------------------+
//!    | one flush: plan -> start -> IPIs -> wait -> finish
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
//! It is not the depth of a walk. If the machine walks fewer tables than the definition has levels, the list has gaps:
//! [`Backend::levels`] has every level, with a [`shift`](request::LevelFacts::shift) of 0 for a level that is missing. The levels by depth
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
//! # Guarantees
//!
//! A page or a table gets a new owner only after a flush that covers everything that may be cached of its entry, on every CPU and
//! device that could use it. The vocabulary defines which flush covers which entries, and the compiler planned the generated backend
//! with it. This crate relies on these plans: `tlbc prove` checks each path of each flush and each event, independently of the
//! planner, and tests check the plans of changes. This crate decides which CPUs and devices flush, and when. [`Platform`] and
//! [`responsibilities`] state its assumptions.
//!
//! # The protocols
//!
//! * [`mmu::shootdown`] and [`switch`]: which CPUs flush for a change, and how a CPU that did not flush completes the flush later.
//! * [`deferred`], [`asid`]: which flushes are deferred, and until when; which tags may be used again.
//! * [`gather`], [`section`], [`tables`], [`reclaim`]: when pages and tables are released.
//! * [`sync`]: every barrier, and the barrier that it pairs with.
//!
//! # The vocabulary
//!
//! * [`level`], [`agents`]: levels of tables, and the CPUs and devices that may cache their entries.
//! * [`pte`]: from a changed page-table entry to the flush that it requires.
//! * [`request`]: what a flush has to invalidate.
//! * [`request::passes`]: the passes over addresses that it takes.
//! * [`request::runs`]: those passes divided into what one instruction can name.
//! * [`backend`]: the traits of a generated backend and its instruction sink.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(not(target_has_atomic = "32"))]
compile_error!("tlbc-runtime requires atomic accesses of 32 bits");

#[cfg(test)]
extern crate std;

pub mod gather;
pub mod reclaim;
pub mod section;
pub mod tables;

pub mod mmu;
pub mod switch;

mod cpumask;
mod flush;

pub mod asid;
pub mod cpu;
pub mod space;
pub mod stats;

pub mod backend;
pub mod deferred;

pub mod misuse;
pub mod pte;
pub mod request;
pub mod tag;

pub mod agents;
pub mod level;
pub mod mask;
pub mod sync;
pub mod version;

pub mod batch;
#[cfg(not(any(loom, feature = "torment")))]
mod fault;
#[cfg(any(loom, feature = "torment"))]
pub mod fault;
pub mod pages;
pub mod platform;
#[cfg(feature = "torment")]
pub mod points;
pub mod prelude;
pub mod responsibilities;

pub use asid::{NoTag, NotPinned};
pub use backend::{
    Answer, Backend, Ceiling, Configuration, Constant, Facts, FinishSteps, Finished, Flags,
    IpiTargets, Issue, LazyMm, OfSpace, Outcome, PteUpdate, Record, Root, Shootdown, Started,
    TableFree,
};
pub use batch::NoBatch;
pub use cpu::{CpuTlb, Loaded};
pub use deferred::{Deferred, Pending};
pub use gather::Gather;
pub use level::Level;
pub use mask::{CpuId, CpuMask, CpuSet};
pub use misuse::{Misuse, Refused};
pub use mmu::devices::{Attached, TooManyDevices};
pub use mmu::{Mmu, NewSpace, Unusable};
pub use platform::{
    Batch, ByValue, Flushed, LockEvent, PageBatch, Platform, Pte, TableBatch, Unlinked,
};
pub use pte::{Entries, Entry, Slot};
pub use reclaim::{UnmapBatch, Unmapped, Waited};
pub use request::{SpaceFlags, SpaceId, Tag};
pub use section::Section;
pub use space::{AddressSpace, Tagging};
pub use stats::Stats;
pub use switch::{Current, StillLoaded};
pub use tag::{PerCpuSource, TagSource, TagValues, Tags};
