//! What a backend states about its machine.
//!
//! The runtime selects its policies by these facts. Each is an enum or a number, so that two facts cannot contradict each
//! other.

use crate::request::Space;

/// How other CPUs are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shootdown {
    /// An instruction of this CPU reaches them, in every configuration.
    Broadcast,
    /// Each CPU flushes its own TLB when it gets an IPI, in every configuration.
    Ipi,
    /// It depends on the configuration and on the tag.
    Either,
}

/// The most operations by address before a flush invalidates all entries of a tag instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// The most instructions for one view.
    pub operations: u64,
    /// The most base pages.
    pub pages: u64,
}

impl Ceiling {
    /// No ceiling: addresses are invalidated one by one, however many there are.
    pub const NONE: Self = Self {
        operations: u64::MAX,
        pages: u64::MAX,
    };

    /// Returns the ceiling of so many instructions for one view.
    #[must_use]
    #[inline]
    pub const fn of_operations(operations: u64) -> Self {
        Self {
            operations,
            ..Self::NONE
        }
    }

    /// Returns whether a request takes too many instructions or names too many pages.
    #[must_use]
    #[inline]
    pub const fn is_exceeded_by(&self, operations: u64, pages: u64) -> bool {
        operations > self.operations || pages > self.pages
    }
}

/// How page-table entries change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PteUpdate {
    /// By a plain store. A gather flushes later.
    Store,
    /// By instructions of [`Backend::change`](crate::Backend::change), which invalidate the cached entries that were made from a valid entry.
    Instruction {
        /// Whether pages are gathered and released after one flush. If not, the change itself flushes.
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

/// When the memory of a page table is free after the table was unlinked and flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFree {
    /// After a grace period, which waits for software walkers that take no lock.
    GracePeriod,
    /// Immediately: the flush sent an IPI to every CPU that may run such a walker.
    AfterFlush,
}

/// What keeps a space alive while a CPU has it loaded lazily.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LazyMm {
    /// A reference that the CPU holds.
    Refcounted,
    /// Nothing: at teardown an IPI makes lazy CPUs leave the space.
    Shootdown,
}

/// What the architecture definition tells the shared runtime about the machine.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The name of the architecture.
    pub name: &'static str,
    /// How other CPUs are reached.
    pub shootdown: Shootdown,
    /// How page-table entries change.
    pub pte_update: PteUpdate,
    /// When the memory of an unlinked page table is free.
    pub table_free: TableFree,
    /// What keeps a space alive while a CPU has it loaded lazily.
    pub lazy_mm: LazyMm,
    /// Whether the kernel's fault handler flushes stale entries of the kernel as it does those of user spaces. If not, the kernel's
    /// own code must not fault.
    pub kernel_faults_fixed: bool,
    /// Whether interrupts must be off during [`Backend::start`](crate::Backend::start), [`Backend::finish`](crate::Backend::finish) and
    /// [`Backend::handle`](crate::Backend::handle). They may be on between a start and its finish.
    pub interrupts_off: bool,
    /// Whether the tag is read only after the changes are published.
    pub tag_after_publish: bool,
    /// Whether the machine permits only one flush at a time: the runtime holds a lock from
    /// [`Backend::start`](crate::Backend::start) to [`Backend::finish`](crate::Backend::finish).
    pub one_at_a_time: bool,
    /// Whether a CPU waits for changes in progress before it attaches a space.
    pub attach_waits_for_changes: bool,
    /// Whether an atomic read-modify-write of any ordering is a full barrier on the compilation target.
    pub atomics_order_everything: bool,
}

impl Facts {
    /// Returns whether code that uses the entries of a space of this kind may fault on stale ones, which the fault handler flushes.
    #[must_use]
    #[inline]
    pub const fn may_fault(&self, space: Space) -> bool {
        matches!(space, Space::User) || self.kernel_faults_fixed
    }
}
