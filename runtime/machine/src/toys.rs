//! Toy backends: as small as the runtime's protocols allow, one for each difference between machines that the protocols
//! depend on.
//!
//! Tables have two levels, a page is 4 KiB, and the physical address of a table is its number.

use std::marker::PhantomData;

use tlbc_runtime::{PerCpuSource, TagSource, TagValues, Tags};

mod backend;

pub use backend::{DEVICE, PAGE_SHIFT, Toy};

/// What distinguishes one toy from another.
pub trait ToyKind: 'static {
    /// Whether CPUs are interrupted to flush. Otherwise instructions reach them.
    const INTERRUPTS: bool;
    /// The CPUs that calls of other CPUs flush in place of an IPI, one bit each; 0 if there are no such calls.
    const CALLS_REACH: u64 = 0;
    /// Whether an instruction makes stores visible to walkers. Otherwise they see stores as loads do.
    const PUBLISHES: bool = !Self::INTERRUPTS;
    /// Whether an instruction changes entries, selected by the CPUs that may have them cached. Otherwise a store does.
    const WRITES: bool = false;
    /// Whether a change may be deferred while no other CPU has the space loaded.
    const DEFERS: bool = false;
    /// Whether user code runs on a separate view, whose flush is deferred until user code runs.
    const VIEWS: bool = false;
    /// Whether the kernel's entries are cached under whichever tag is loaded, and a kernel flush reaches no other tag.
    /// Otherwise it reaches every tag.
    const KERNEL_UNDER_LOADED: bool = false;
    /// Whether a flush is started and finished with interrupts off.
    const INTERRUPTS_OFF: bool = Self::INTERRUPTS;
    /// Whether lazy CPUs hold a reference.
    const LAZY_REFCOUNTED: bool;
    /// The tags.
    const TAGS: Tags;
}

const fn values(first: u64, last: u64) -> TagValues {
    TagValues {
        first,
        last,
        views: 0,
    }
}

const NO_TAGS: Tags = Tags {
    per_cpu: None,
    global: None,
};

/// Shootdown IPIs, and two ASID slots for each CPU. Teardown makes lazy CPUs leave the space.
#[derive(Debug)]
pub struct Slots;

impl ToyKind for Slots {
    const INTERRUPTS: bool = true;
    const LAZY_REFCOUNTED: bool = false;
    const TAGS: Tags = Tags {
        per_cpu: Some((values(1, 2), PerCpuSource::Slots)),
        ..NO_TAGS
    };
}

/// As [`Slots`], with the kernel's entries cached under whichever tag is loaded: other tags are invalidated when they
/// are next loaded.
#[derive(Debug)]
pub struct UnderLoaded;

impl ToyKind for UnderLoaded {
    const INTERRUPTS: bool = true;
    const KERNEL_UNDER_LOADED: bool = true;
    const LAZY_REFCOUNTED: bool = false;
    const TAGS: Tags = Slots::TAGS;
}

/// As [`Slots`], with a separate view for user code, under a separate tag.
#[derive(Debug)]
pub struct Viewed;

impl ToyKind for Viewed {
    const INTERRUPTS: bool = true;
    const VIEWS: bool = true;
    const LAZY_REFCOUNTED: bool = false;
    const TAGS: Tags = Slots::TAGS;
}

/// The bit by which the tag of a user view differs from that of the kernel's view.
pub const VIEW: u64 = 8;

/// Shootdown IPIs, and no tags: loading a root invalidates everything. Lazy CPUs hold a reference.
#[derive(Debug)]
pub struct Untagged;

impl ToyKind for Untagged {
    const INTERRUPTS: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = NO_TAGS;
}

/// Broadcasts, and the minimum of global tags for two CPUs.
#[derive(Debug)]
pub struct Broadcast;

impl ToyKind for Broadcast {
    const INTERRUPTS: bool = false;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Tags {
        global: Some((values(1, 5), TagSource::Generations)),
        ..NO_TAGS
    };
}

/// As [`Broadcast`], on a machine whose walkers see stores as loads do.
#[derive(Debug)]
pub struct Coherent;

impl ToyKind for Coherent {
    const INTERRUPTS: bool = false;
    const PUBLISHES: bool = false;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Broadcast::TAGS;
}

/// As [`Broadcast`], with flushes started and finished with interrupts off.
#[derive(Debug)]
pub struct Masked;

impl ToyKind for Masked {
    const INTERRUPTS: bool = false;
    const INTERRUPTS_OFF: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Broadcast::TAGS;
}

/// As `K`, with the minimum of tags for three CPUs.
#[derive(Debug)]
pub struct Crowd<K>(PhantomData<K>);

impl<K: ToyKind> ToyKind for Crowd<K> {
    const INTERRUPTS: bool = K::INTERRUPTS;
    const PUBLISHES: bool = K::PUBLISHES;
    const WRITES: bool = K::WRITES;
    const DEFERS: bool = K::DEFERS;
    const LAZY_REFCOUNTED: bool = K::LAZY_REFCOUNTED;
    const TAGS: Tags = Tags {
        global: Some((values(1, 7), TagSource::Generations)),
        ..NO_TAGS
    };
}

/// Shootdown IPIs, and global tags that are reused after a rollover.
#[derive(Debug)]
pub struct Called;

impl ToyKind for Called {
    const INTERRUPTS: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Tags {
        global: Some((values(1, 5), TagSource::Generations)),
        ..NO_TAGS
    };
}

/// As [`Called`], with calls that flush CPU 1 in place of the IPI, and do not reach CPU 2.
#[derive(Debug)]
pub struct Hypervisor;

impl ToyKind for Hypervisor {
    const INTERRUPTS: bool = true;
    const CALLS_REACH: u64 = 0b10;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Tags {
        global: Some((values(1, 7), TagSource::Generations)),
        ..NO_TAGS
    };
}

/// As [`Hypervisor`], without tags.
#[derive(Debug)]
pub struct HypervisorUntagged;

impl ToyKind for HypervisorUntagged {
    const INTERRUPTS: bool = true;
    const CALLS_REACH: u64 = Hypervisor::CALLS_REACH;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = NO_TAGS;
}

/// Shootdown IPIs, and a tag for the lifetime of each space.
#[derive(Debug)]
pub struct ForLife;

impl ToyKind for ForLife {
    const INTERRUPTS: bool = true;
    const LAZY_REFCOUNTED: bool = false;
    const TAGS: Tags = Tags {
        global: Some((values(1, 2), TagSource::Life)),
        ..NO_TAGS
    };
}

/// Instructions change entries, in a local and a global form. The root is the tag.
#[derive(Debug)]
pub struct Writer;

impl ToyKind for Writer {
    const INTERRUPTS: bool = false;
    const WRITES: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Deferrer::TAGS;
}

/// As [`Writer`], with changes deferred until the space is attached, while no other CPU has it loaded.
#[derive(Debug)]
pub struct Deferrer;

impl ToyKind for Deferrer {
    const INTERRUPTS: bool = false;
    const WRITES: bool = true;
    const DEFERS: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Tags {
        global: Some((values(0, u64::MAX), TagSource::Root)),
        ..NO_TAGS
    };
}
