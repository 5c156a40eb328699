//! The vocabulary of TLB invalidation, and what generated flush backends plug into.
//!
//! Everything here is free of any architecture's name, of allocation and of dependencies. At opt-level 2 and s nothing that
//! a kernel calls can panic: an index that cannot be, as a [level](request::Ranges::leaf) that no machine has, is answered
//! with the larger flush.
//!
//! # Who calls whom
//!
//! ```text
//!            the kernel: page tables, scheduler, interrupt entry, CPU hotplug
//!     |              |              |                |                 ^
//!     | gather       | reclaim      | switch         | interrupted     | release, defer,
//!     | teardown     |              | resume         | arrive, offline | interrupt, secondary
//!     v              v              v                v                 |
//!  +--------------------------------------------------------------+    |
//!  | Mmu                                                          |----+  Platform
//!  |   gather -> section    entries change, pages wait            |
//!  |   tables               unlink, drop, wait for walkers, free  |
//!  |   reclaim              start many, wait once                 |
//!  |        \                                                     |
//!  |         shootdown      who is told: holders, loaded, devices |
//!  |         switch         who loads, lazily or not              |
//!  |        /       \                                             |
//!  |   debts         tags   what was put off, and until when      |
//!  +--------------------------------------------------------------+
//!                 | audience, change, start, finish, deliver, switch, resume, arrive
//!                 v
//!            Backend: generated from the definition of an architecture
//!                 | issue(instruction)
//!                 v
//!            Issue: the CPU, a recorder, a model
//! ```
//!
//! A kernel implements [`Platform`] and keeps an [`Mmu`]; then
//!
//! * [`Mmu::gather`] unmaps ([`Section::clear`], [`Section::unlink`]), protects ([`Section::change`]), moves tables
//!   ([`Section::detach`]) and collapses them; [`Mmu::teardown`] ends a space;
//! * [`Mmu::switch`] and [`Mmu::resume`] load spaces;
//! * [`Mmu::reclaim`] unmaps many pages of many spaces behind one wait;
//! * [`Mmu::attach_device`] counts devices in; [`Mmu::counts`] says what happened.
//!
//! # What holds
//!
//! A page or a table changes its owner only behind a flush that covers what its entry may have left, on every CPU and
//! device that could use it. The vocabulary says what covers what; the generated backend was planned with it. A proof of each
//! plan, independent of the planner, has its place between the two: it would say of every path that it covers every cell, so
//! that this crate need not trust the planner. There is none yet; random coverage tests stand in. This crate adds who is told
//! and when. What it takes on trust stands in [`Platform`].
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
//! * [`clause`]: what an instruction drops and what a change obliges to drop, in the same words.
//! * [`cells`]: those words cut into the smallest pieces, so that "covers" is a superset test.
//! * [`change`]: from a changed table entry to the clauses it obliges to.
//! * [`effect`]: clauses with where and when, which is what an instruction does.
//! * [`request`]: what a flush is asked for.
//! * [`passes`]: the passes over addresses that it takes.
//! * [`runs`]: those passes cut into what one instruction can name.
//! * [`backend`]: the traits that a generated backend and its instruction sink meet in.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backend;
pub mod batch;
pub mod cells;
pub mod change;
mod changes;
pub mod clause;
pub mod counters;
pub mod cpus;
pub mod debts;
mod devices;
pub mod effect;
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
mod ranges;
pub mod reclaim;
pub mod request;
pub mod runs;
pub mod section;
pub mod shootdown;
pub mod space;
pub mod switch;
pub mod sync;
pub mod tables;
pub mod tags;
#[cfg(loom)]
pub mod watched;

pub use backend::{
    Answer, Audience, Backend, Ceiling, Debt, Delivery, Facts, Finished, Issue, Owed, Record, Root,
    Started, TagSource, TagValues, Tags,
};
pub use batch::Batch;
pub use clause::Level;
pub use counters::Counts;
pub use cpus::{CpuId, CpuSet, Cpus};
pub use flushed::Flushed;
pub use gather::Gather;
pub use local::Local;
pub use mmu::{Misuse, Mmu, NewSpace, Unusable};
pub use platform::{Frame, Platform};
pub use reclaim::{Reclaim, Unmapped, Waited};
pub use request::{Conditions, Tag};
pub use section::{Linked, Mapped, OwnedEntry, Refused, Section};
pub use space::{AddressSpace, SpaceId};
pub use switch::{Current, StillLoaded};
pub use tables::Unlinked;
pub use tags::{NoTag, Tagging};
