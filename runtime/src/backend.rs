//! Where a generated backend and a sink of instructions meet.
//!
//! A flush is [`start`](Backend::start), then whatever the caller can do meanwhile (interrupting
//! the CPUs in [`Started::flush_ipis`], telling devices), then [`finish`](Backend::finish). Only after
//! that may a page or a table that the request covered get a new owner, and only if nothing of
//! [`Finished`] is left.

use core::marker::PhantomData;
use core::ops::{BitOr, BitOrAssign};

use crate::agents::Agents;
use crate::deferred::{Deferred, Pending};
use crate::level::{LEVELS, Level, Levels};
use crate::pte::{Change, ChangeFacts, Changed, Entry, Owner, Slot, Was};
use crate::request::{LevelTable, Reach, Request, Space, SpaceFlags, Tag};

/// Takes the instructions that a backend issues, in order.
///
/// # Examples
///
/// A sink that counts what it hands on: in a kernel to the backend's `Hardware`, which executes it.
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
    /// Issues one.
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

/// What a started flush requires of [`Backend::finish`], one bit a step. What a bit means is the backend's own: a
/// barrier, or entries that are dropped when others are gone. Where every flush requires the same there are no bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[must_use = "entries are not gone before the steps are done"]
pub struct FinishSteps(pub u8);

impl FinishSteps {
    /// None.
    pub const NONE: Self = Self(0);
    /// How many there can be.
    pub const MOST: usize = 8;

    /// Whether one of `steps` is required.
    #[must_use]
    #[inline]
    pub const fn requires(self, steps: Self) -> bool {
        self.0 & steps.0 != 0
    }
}

impl BitOr for FinishSteps {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for FinishSteps {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// What came of issuing the instructions of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "entries that are still cached stay stale"]
pub struct Outcome {
    /// What is owed already.
    pub deferred: Deferred,
    /// What is required of completion.
    pub steps: FinishSteps,
    /// Whether everything of the space was invalidated because the request exceeds the [ceiling](Backend::ceiling).
    pub exceeded_ceiling: bool,
}

impl Outcome {
    /// Nothing is left to be done, and the ceiling was not exceeded.
    pub const NOTHING: Self = Self {
        deferred: Deferred::NOTHING,
        steps: FinishSteps::NONE,
        exceeded_ceiling: false,
    };
}

impl BitOrAssign for Outcome {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.deferred |= other.deferred;
        self.steps |= other.steps;
        self.exceeded_ceiling |= other.exceeded_ceiling;
    }
}

/// CPUs to interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpiTargets {
    /// By what they are to the space.
    pub agents: Agents,
    /// Named sets that the kernel keeps, one bit each, in the order of the definition.
    pub sets: u8,
}

impl IpiTargets {
    /// Nobody.
    pub const NONE: Self = Self {
        agents: Agents::NONE,
        sets: 0,
    };

    /// Whether it is nobody.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.agents.is_empty() && self.sets == 0
    }
}

/// A flush that was started on this CPU and has to be finished on it; therefore not `Send`.
#[derive(Debug)]
#[must_use = "entries are not gone before the flush is finished"]
pub struct Started {
    /// Whose mappings.
    pub space: Space,
    /// Who may have cached them.
    pub reach: Reach,
    /// Whether the tag means the same space on every CPU.
    pub global: bool,
    /// What holds of the space.
    pub flags: SpaceFlags,
    /// CPUs to interrupt now: each runs [`Backend::deliver`] with the same request and answers.
    pub flush_ipis: IpiTargets,
    /// What came of the instructions.
    pub outcome: Outcome,
    here: PhantomData<*const ()>,
}

impl Started {
    /// Returns a started flush, whose instructions have been issued with this outcome.
    #[inline]
    pub const fn new(request: &Request<'_>, flush_ipis: IpiTargets, outcome: Outcome) -> Self {
        Self {
            space: request.space,
            reach: request.reach,
            global: request.tag.global,
            flags: request.flags,
            flush_ipis,
            outcome,
            here: PhantomData,
        }
    }

    /// Joins another flush to this one, of the same space kind, reach, kind of tag and flags: one completion serves both.
    pub fn join(&mut self, other: &Self) {
        self.outcome |= other.outcome;
    }
}

/// A flush that is complete on this CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "nothing changes owner while somebody is left to interrupt"]
pub struct Finished {
    /// CPUs still to interrupt, with nothing to do there: the interrupt itself is what they need.
    pub sync_ipis: IpiTargets,
    /// What is owed.
    pub deferred: Deferred,
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
    /// What holds of the space.
    pub flags: SpaceFlags,
}

impl Root {
    /// Returns a root whose tag is 0 on every CPU: the kernel's, on a machine whose spaces are never given the tag 0.
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

/// What a platform answers that was called to invalidate.
///
/// No answer stands for a failure. A call that cannot drop the entries that it is given drops more, in the end all of the space,
/// or it does not return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It could not be done yet, and is asked for again.
    Busy,
}

/// How other CPUs are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shootdown {
    /// An instruction of this CPU reaches them, in every configuration.
    Broadcast,
    /// Each flushes for itself, in every configuration.
    Ipi,
    /// It depends on the configuration and on the tag.
    Either,
}

/// When entries are flushed one by one no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Instructions of one view.
    pub operations: u64,
    /// Base pages.
    pub pages: u64,
}

impl Ceiling {
    /// Whether a request takes too many instructions, or names too many pages.
    #[must_use]
    #[inline]
    pub const fn is_exceeded_by(&self, operations: u64, pages: u64) -> bool {
        operations > self.operations || pages > self.pages
    }
}

/// The tags of user spaces: those whose values each CPU gives out for itself, and those that mean the same
/// space on every CPU. There may be both, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tags {
    /// Of each CPU.
    pub per_cpu: Option<TagValues>,
    /// Of the machine, and where they come from.
    pub global: Option<(TagValues, TagSource)>,
}

/// Which values a kind of tag has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagValues {
    /// The least.
    pub first: u64,
    /// The greatest.
    pub last: u64,
    /// Bits that other views of a space add to its tag, zero in what is given out.
    pub views: u64,
}

/// Where the values of a tag come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagSource {
    /// They are given out until none is left; then everybody starts anew, behind a flush of everything.
    Generations,
    /// One for the life of a space, given to another behind the flush at its end.
    Life,
    /// It is the address of the top table.
    Root,
}

/// How page-table entries change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PteUpdate {
    /// By a plain store, for which a gather flushes later.
    Store,
    /// By instructions of [`Backend::change`], which invalidate what was made through a valid entry.
    Instruction {
        /// Whether pages are gathered all the same, and released after one flush; otherwise the change itself flushes.
        pages_batched: bool,
        /// Whether the change of an entry may be a plain store, with a flush of the whole space before another CPU attaches it,
        /// while no other CPU has it attached.
        deferrable: bool,
    },
}

impl PteUpdate {
    /// Returns whether entries change by plain stores.
    #[must_use]
    #[inline]
    pub const fn is_store(self) -> bool {
        matches!(self, Self::Store)
    }

    /// Returns whether the flush of a change may be deferred until another CPU attaches the space.
    #[must_use]
    #[inline]
    pub const fn is_deferrable(self) -> bool {
        matches!(
            self,
            Self::Instruction {
                deferrable: true,
                ..
            }
        )
    }

    /// Returns whether pages are gathered and released after one flush.
    #[must_use]
    #[inline]
    pub const fn batches_pages(self) -> bool {
        match self {
            Self::Store => true,
            Self::Instruction { pages_batched, .. } => pages_batched,
        }
    }
}

/// When the memory of a page table is free that was unlinked and flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFree {
    /// After a grace period, which waits for walkers in software without locks.
    GracePeriod,
    /// At once: the flush sent an IPI to every CPU that may run such a walker.
    AfterFlush,
}

/// What keeps a space alive that a CPU uses lazily.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LazyMm {
    /// A reference that the CPU holds.
    Refcounted,
    /// Nothing: at the end of the space an IPI makes lazy CPUs leave it.
    Shootdown,
}

/// What the definition says of the machine, for the shared runtime.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The name of the architecture.
    pub name: &'static str,
    /// Names of the levels, from the leaf up; empty where there is none.
    pub level_names: [&'static str; LEVELS],
    /// How other CPUs are reached.
    pub shootdown: Shootdown,
    /// Levels whose leaves are worth a stride of their own.
    pub strides: Levels,
    /// How page-table entries change.
    pub pte_update: PteUpdate,
    /// When the memory of a page table is free.
    pub table_free: TableFree,
    /// What keeps a space alive that a CPU uses lazily.
    pub lazy_mm: LazyMm,
    /// Whether [`Backend::start`], [`Backend::finish`] and [`Backend::deliver`] want interrupts off while they run. Between a
    /// start and its finish they may be on.
    pub interrupts_off: bool,
    /// Whether the tag is read only after the changes are published.
    pub tag_after_publish: bool,
    /// Whether the machine bears one flush at a time: the kernel holds a lock from
    /// [`Backend::start`] to [`Backend::finish`].
    pub one_at_a_time: bool,
    /// Whether a CPU waits for changes under way before it attaches a space.
    pub attach_waits_for_changes: bool,
    /// Whether an atomic read-modify-write, of whatever ordering, is a full barrier where this is compiled for.
    pub atomics_order_everything: bool,
}

/// Flushes for one architecture. Generated.
///
/// `start` and `finish` are inlined wherever they are called: with a constant configuration and a
/// single page they fold to the handful of instructions that one would write by hand. Where nothing
/// is constant, call them from one function that is not inlined.
pub trait Backend {
    /// An instruction with its operands.
    type Op: Copy;

    /// The facts behind it.
    const FACTS: Facts;

    /// The levels of the current configuration, by [`Level`]: an index into the definition's fixed list of names, not a
    /// depth. A level that the configuration lacks keeps its place, with a shift of 0, so a machine with four levels may
    /// have 0, 1, 2 and 4. [`level_of_shift`](Self::level_of_shift) and [`levels_up`](Self::levels_up) find levels.
    fn levels(&self) -> &'static LevelTable;

    /// The level whose entries reach `1 << shift` bytes, if there is one.
    #[inline]
    fn level_of_shift(&self, shift: u32) -> Option<Level> {
        let mut levels = Level::all().zip(self.levels());
        let (level, _) = levels.find(|(_, facts)| facts.shift == shift && shift != 0)?;
        Some(level)
    }

    /// The level that stands `n` levels above the lowest, of those that there are: 0 is the lowest.
    #[inline]
    fn levels_up(&self, n: usize) -> Option<Level> {
        let levels = Level::all().zip(self.levels());
        let mut there = levels.filter(|(_, facts)| facts.shift != 0);
        there.nth(n).map(|(level, _)| level)
    }

    /// What only the sender of an interrupt looks at: whether devices share the space's tables. It tells
    /// them itself, so that the CPUs that it interrupts need not.
    const SENDER_ONLY: SpaceFlags = SpaceFlags::NONE;

    /// When the current configuration gives up flushing one by one.
    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling;

    /// What a change of an entry of a space with these flags leaves behind in the caches.
    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts;

    /// Changes table entries, and says what must be flushed for it.
    ///
    /// Here: by plain stores, for machines that allow them. Where an instruction must write an entry
    /// that CPUs may have cached the backend overrides this.
    ///
    /// Contexts: the lock of the table is held. Several entries at once all become the same.
    #[inline]
    fn change(
        &self,
        cpu: &mut impl Issue<Self::Op>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        let _ = (cpu, owner.space);
        let was = if matches!(change.old, Entry::Invalid) {
            slot.store(change.new_bits); // nothing is noted in an entry that is not valid
            Was::default()
        } else {
            slot.exchange(change.new_bits)
        };
        Changed {
            was,
            required: change.required_flush(&self.change_facts(owner.flags)),
            deferred: Deferred::NOTHING,
        }
    }

    /// Makes the same change by a plain store, if what was `seen` still stands in the entries; otherwise returns `None`. Of
    /// several entries some may be changed then.
    #[inline]
    fn change_from(
        &self,
        cpu: &mut impl Issue<Self::Op>,
        slot: &Slot<'_>,
        seen: Was,
        change: &Change,
        owner: &Owner,
    ) -> Option<Changed> {
        let _ = cpu;
        slot.compare_exchange(seen, change.new_bits)
            .then(|| Changed {
                was: seen,
                required: change.required_flush(&self.change_facts(owner.flags)),
                deferred: Deferred::NOTHING,
            })
    }

    /// Makes new entries visible to the walkers of every CPU, and of devices that share the tables; and has this CPU
    /// translate anew, where the definition says so for the space.
    ///
    /// Required between the store of a valid entry where none was and the first use of it by code that must not fault:
    /// for mappings of the kernel. A user space may do without, since a fault that the table does not justify finds the
    /// entry when the access is repeated. Not required for an entry that becomes invalid or replaces a valid one: the
    /// flush of the change publishes it. Flushes nothing, so that a negative entry stays until it is flushed.
    fn publish(&self, cpu: &mut impl Issue<Self::Op>, space: Space);

    /// The tags that user spaces have in the current configuration.
    fn tags(&self) -> Tags;

    /// The CPUs that [`start`](Self::start) will say are to be interrupted for a request, known before: nobody
    /// where instructions reach them all. The scope counts only for whether tables were unlinked, and for a
    /// space that ends.
    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets;

    /// Makes the changes visible and issues what drops the entries.
    fn start(&self, cpu: &mut impl Issue<Self::Op>, request: &Request<'_>) -> Started;

    /// Waits until the entries are gone and what they had translated is done.
    fn finish(&self, cpu: &mut impl Issue<Self::Op>, started: Started) -> Finished;

    /// What a CPU does that was interrupted for a request of another; it has the space loaded, unless the
    /// space ends.
    fn deliver(&self, cpu: &mut impl Issue<Self::Op>, request: &Request<'_>) -> Deferred {
        let here = Request {
            reach: Reach::Here,
            flags: request.flags.without(Self::SENDER_ONLY),
            ..*request
        };
        let started = self.start(cpu, &here);
        self.finish(cpu, started).deferred
    }

    /// Loads an address space, paying what is owed for it.
    fn switch(&self, cpu: &mut impl Issue<Self::Op>, to: &Root, debt: Pending) -> Deferred;

    /// Loads what user code runs on, if that is not what the kernel runs on.
    /// `to.table` is the user view's top table; `owed` whether that view's flush was put off.
    fn return_to_user(&self, cpu: &mut impl Issue<Self::Op>, to: &Root, deferred: bool);

    /// Loads what the kernel runs on, where [`return_to_user`](Self::return_to_user) loaded something else: the first thing after entry
    /// from user code. `to.table` is the kernel view's top table. Flushes nothing, and keeps what is cached under the
    /// kernel view's tag where the machine can; ends with the context synchronisation that the loads need.
    fn enter_from_user(&self, cpu: &mut impl Issue<Self::Op>, to: &Root);

    /// Forgets everything, before this CPU's first translation.
    fn cpu_online(&self, cpu: &mut impl Issue<Self::Op>) -> Deferred;
}
