//! The interface between a generated backend and a sink of instructions.
//!
//! A flush has three steps: [`start`](Backend::start); then the work that the caller can do at the same time (sending IPIs to
//! the CPUs in [`Started::flush_ipis`], invalidating secondary MMUs); then [`finish`](Backend::finish). A page or a table that
//! the request covered may get a new owner only after the third step, and only after the caller has sent the IPIs and recorded
//! the deferred flushes in [`Finished`].

mod configuration;
mod facts;
mod steps;

use crate::deferred::{Deferred, Pending};
use crate::level::Level;
use crate::pte::{Change, ChangeFacts, Changed, Entry, Owner, Slot, Was};
use crate::request::{LevelTable, Reach, Request, Space, SpaceFlags, Tag};

pub use crate::tag::{PerCpuSource, TagSource, TagValues, Tags};
pub use configuration::{Configuration, Constant, Flags, OfSpace};
pub use facts::{Ceiling, Facts, LazyMm, PteUpdate, Shootdown, TableFree};
pub use steps::{FinishSteps, Finished, IpiTargets, Outcome, Started};

/// Takes the instructions that a backend issues, in order.
///
/// # Examples
///
/// A sink that counts instructions and passes them on. In a kernel it passes them to the backend's `Hardware`, which executes
/// them.
///
/// ```
/// use std::cell::Cell;
/// use tlbc_runtime::{Issue, Record};
///
/// struct Counted<'c, I> {
///     hardware: I,
///     issued: &'c Cell<u64>,
/// }
///
/// impl<Op, I: Issue<Op>> Issue<Op> for Counted<'_, I> {
///     fn issue(&mut self, op: Op) {
///         self.issued.set(self.issued.get() + 1);
///         self.hardware.issue(op);
///     }
/// }
///
/// let issued = Cell::new(0);
/// let hardware = Record(|instruction: &str| println!("{instruction}"));
/// let mut sink = Counted { hardware, issued: &issued };
/// sink.issue("a flush");
/// sink.issue("a barrier");
/// assert_eq!(issued.get(), 2);
/// ```
pub trait Issue<Op> {
    /// Issues one instruction.
    fn issue(&mut self, op: Op);
}

/// A sink that hands every instruction to a closure: a recorder, a counter, a model.
#[derive(Debug)]
pub struct Record<F>(pub F);

impl<Op, F: FnMut(Op)> Issue<Op> for Record<F> {
    #[inline]
    fn issue(&mut self, op: Op) {
        (self.0)(op);
    }
}

/// What a CPU loads to run in an address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// Physical address of the top table, in the view that is loaded.
    pub table: u64,
    /// The tag of the space, in the view that is loaded while the kernel runs.
    pub tag: Tag,
    /// Physical address of a top table with no valid entry, for machines that load root and tag one
    /// after the other.
    pub empty: u64,
    /// The flags of the space.
    pub flags: SpaceFlags,
}

impl Root {
    /// Returns what a CPU loads for a space that is loaded and gets another tag.
    #[must_use]
    pub const fn of_tag(tag: Tag, flags: SpaceFlags) -> Self {
        Self {
            table: 0,
            tag,
            empty: 0,
            flags,
        }
    }

    /// Returns a root whose tag is 0 on every CPU: the kernel's root, on a machine that never gives the tag 0 to a space.
    #[must_use]
    pub const fn untagged(table: u64, empty: u64) -> Self {
        Self {
            table,
            tag: Tag {
                value: 0,
                global: true,
            },
            empty,
            flags: SpaceFlags::NONE,
        }
    }
}

/// The answer of a platform's function that invalidates entries.
///
/// There is no answer for a failure. A function that cannot invalidate exactly the entries that it is given invalidates more, up
/// to all entries of the space, or does not return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The entries are invalidated.
    Done,
    /// They could not be invalidated yet: the caller calls again.
    Busy,
}

/// Flushes for one architecture. The compiler generates the implementations.
///
/// `start` and `finish` are inlined at each call: with a constant configuration and a single page they fold to the few
/// instructions that one would write by hand. Code in which nothing is constant should call them from one function that is not
/// inlined.
pub trait Backend {
    /// An instruction with its operands.
    type Op: Copy;

    /// What the definition says about the machine.
    const FACTS: Facts;

    /// Returns the [facts](Self::FACTS), for code that has no backend at hand. Only a backend that interprets plans
    /// overrides it: its facts are known when a definition has been read, and it has no constant.
    #[must_use]
    #[inline]
    fn facts() -> &'static Facts {
        &Self::FACTS
    }

    /// Returns the levels of the current configuration, by [`Level`]: an index into the definition's fixed list of names, not a
    /// depth. A level that the configuration lacks keeps its place, with a shift of 0, so a machine with four levels may
    /// have 0, 1, 2 and 4. [`level_of_shift`](Self::level_of_shift) and [`levels_up`](Self::levels_up) find levels.
    fn levels(&self) -> &'static LevelTable;

    /// Returns the level whose entries translate `1 << shift` bytes, if there is one.
    #[inline]
    fn level_of_shift(&self, shift: u32) -> Option<Level> {
        let mut levels = Level::all().zip(self.levels());
        let (level, _) = levels.find(|(_, facts)| facts.shift == shift && shift != 0)?;
        Some(level)
    }

    /// Returns the `n`th of the levels that the configuration has, from the leaf up: 0 is the lowest.
    #[inline]
    fn levels_up(&self, n: usize) -> Option<Level> {
        let levels = Level::all().zip(self.levels());
        let mut there = levels.filter(|(_, facts)| facts.shift != 0);
        there.nth(n).map(|(level, _)| level)
    }

    /// The flags that only the sender of an IPI reads: whether devices share the space's tables. The sender's instructions
    /// invalidate the entries of devices, so the CPUs that get the IPI need not.
    const SENDER_ONLY: SpaceFlags = SpaceFlags::NONE;

    /// Returns the [flags that only the sender of an IPI reads](Self::SENDER_ONLY). Only a backend that interprets plans
    /// overrides it.
    #[must_use]
    #[inline]
    fn sender_only() -> SpaceFlags {
        Self::SENDER_ONLY
    }

    /// Returns the ceiling of the current configuration.
    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling;

    /// Returns what agents may have cached of an entry of a space with these flags.
    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts;

    /// Changes table entries by plain stores, and returns what was in them and the flush that the change requires. If the slot has
    /// several entries, all of them get the same bits. The runtime calls this if the machine permits such stores
    /// ([`PteUpdate::Store`]).
    ///
    /// # Context
    ///
    /// The lock of the table is held.
    // A call would pass and return entries through memory, which costs more than the store.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn store(&self, slot: &Slot<'_>, change: &Change, flags: SpaceFlags) -> Changed {
        let was = if matches!(change.old, Entry::Invalid) {
            slot.store(change.new_bits); // the machine sets no marks in an invalid entry
            Was::default()
        } else {
            slot.exchange(change.new_bits)
        };
        Changed {
            was,
            required: change.required_flush(&self.change_facts(flags)),
            deferred: Deferred::NOTHING,
        }
    }

    /// Makes the same change by a compare-and-exchange, if the entries still hold what was `seen`. Otherwise returns `None`; if
    /// the slot has several entries, some of them may have changed.
    ///
    /// # Context
    ///
    /// As [`store`](Self::store).
    #[inline]
    fn store_if(
        &self,
        slot: &Slot<'_>,
        seen: Was,
        change: &Change,
        flags: SpaceFlags,
    ) -> Option<Changed> {
        let stored = slot.compare_exchange(seen, change.new_bits);
        stored.then(|| Changed {
            was: seen,
            required: change.required_flush(&self.change_facts(flags)),
            deferred: Deferred::NOTHING,
        })
    }

    /// Makes the same change by instructions that invalidate what CPUs may have cached of the entries, on a machine that requires
    /// them ([`PteUpdate::Instruction`]). The default is for other machines, and stores.
    ///
    /// # Context
    ///
    /// As [`store`](Self::store), and as [`Request`] says.
    #[inline]
    fn change(
        &self,
        cpu: &mut impl Issue<Self::Op>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        let _ = cpu;
        self.store(slot, change, owner.flags)
    }

    /// Makes new entries visible to the walkers of every CPU and of devices that share the tables. For entries of the kernel it
    /// also resynchronizes this CPU, if the definition says so, so that its next accesses are translated anew.
    ///
    /// It is required after a valid entry was stored where none was, before code that must not fault uses the entry: that is, for
    /// mappings of the kernel. A user space does not require it: an access that faults although the table has the entry is
    /// repeated and then finds it. An entry that becomes invalid or replaces a valid one does not require it: the flush of the
    /// change publishes it. It flushes nothing, so a negative entry stays until it is flushed.
    fn publish(&self, cpu: &mut impl Issue<Self::Op>, space: Space);

    /// Returns the tags that user spaces have in the current configuration.
    fn tags(&self) -> Tags;

    /// Returns, before the flush, the CPUs that [`start`](Self::start) will return as [`Started::flush_ipis`] for a request:
    /// none if instructions reach every CPU. The result depends on the scope only by whether tables were unlinked and whether
    /// it is a teardown.
    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets;

    /// Returns whether some flush of a user space with a global tag sends IPIs in the current configuration, with any flags of
    /// the space. If not, its CPUs need not record which changes they have followed. The default is what the
    /// [facts](Facts::shootdown) say for every configuration.
    #[inline]
    fn sends_ipis(&self) -> bool {
        Self::facts().shootdown != Shootdown::Broadcast
    }

    /// Publishes the changes and issues the instructions that invalidate the entries.
    ///
    /// # Context
    ///
    /// As [`Request`] says.
    fn start(&self, cpu: &mut impl Issue<Self::Op>, request: &Request<'_>) -> Started;

    /// Waits until the entries are gone and the accesses that they translated are drained.
    ///
    /// # Context
    ///
    /// As [`Request`] says: on the CPU that started the flush.
    fn finish(&self, cpu: &mut impl Issue<Self::Op>, started: Started) -> Finished;

    /// Flushes on a CPU that got an IPI what another CPU's request names, and returns what is deferred.
    ///
    /// # Context
    ///
    /// As [`Request`] says. The CPU has the space loaded, unless the request is a teardown.
    fn handle(&self, cpu: &mut impl Issue<Self::Op>, request: &Request<'_>) -> Deferred {
        let here = Request {
            reach: Reach::Here,
            // By the CPU that sent the request, if at all.
            published: false,
            flags: request.flags.without(Self::sender_only()),
            ..*request
        };
        let started = self.start(cpu, &here);
        self.finish(cpu, started).deferred
    }

    /// Loads an address space, and completes the flush that is pending for it on this CPU. Returns what is deferred.
    fn switch(&self, cpu: &mut impl Issue<Self::Op>, to: &Root, pending: Pending) -> Deferred;

    /// Loads another tag for the address space that is loaded, after the flush that is pending for every tag on this CPU. Returns what
    /// is deferred. The root stays as it is: only `to.tag` counts. The runtime calls this for a flush that was left
    /// [until the space has a new tag](Deferred::TAG_UNTIL_RENEWAL). The default is for machines on which no flush is.
    ///
    /// # Context
    ///
    /// As [`Request`] says, with interrupts off.
    #[inline]
    fn load_tag(&self, cpu: &mut impl Issue<Self::Op>, to: &Root, pending: Pending) -> Deferred {
        let _ = (cpu, to, pending);
        Deferred::NOTHING
    }

    /// Loads the root of the user view, if user code does not run on the kernel view. `to.table` is the user view's top table.
    /// `deferred` is whether the flush of that view was deferred; it is then completed. The default is for machines on which user
    /// code runs on the kernel view.
    #[inline]
    fn return_to_user(&self, cpu: &mut impl Issue<Self::Op>, to: &Root, deferred: bool) {
        let _ = (cpu, to, deferred);
    }

    /// Loads the root of the kernel view, if [`return_to_user`](Self::return_to_user) loaded another one. It is called first
    /// after entry from user code. `to.table` is the kernel view's top table. It flushes nothing, and keeps the entries under
    /// the kernel view's tag if the machine can; it ends with the context synchronization that the loads require. The default is
    /// for machines on which user code runs on the kernel view.
    #[inline]
    fn enter_from_user(&self, cpu: &mut impl Issue<Self::Op>, to: &Root) {
        let _ = (cpu, to);
    }

    /// Invalidates everything on this CPU before its first translation, and returns what is deferred.
    fn cpu_online(&self, cpu: &mut impl Issue<Self::Op>) -> Deferred;
}
