//! Toy backends: as small as the runtime's protocols allow, one for each way in which machines differ that the protocols
//! know about.
//!
//! Tables have two levels, a page is 4 KiB, and the physical address of a table is its number.

use std::marker::PhantomData;

use tlbc_runtime::{TagSource, TagValues, Tags};

mod backend;

pub use backend::{DEVICE, PAGE_SHIFT, Toy};

/// What sets one toy apart from another.
pub trait Kind: 'static {
    /// Whether CPUs are interrupted to flush; otherwise instructions reach them.
    const INTERRUPTS: bool;
    /// Whether an instruction changes entries, chosen by who may have them cached; otherwise a store does.
    const WRITES: bool = false;
    /// Whether a change may be put off while nobody else has the space loaded.
    const DEFERS: bool = false;
    /// Whether user code runs on a view of its own, whose flush is put off until it runs.
    const VIEWS: bool = false;
    /// Whether the kernel's entries stand under whatever tag is loaded, and its flush reaches no other tag; otherwise it
    /// reaches every tag.
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

/// Interrupts, and two tags of each CPU's own; who uses a space lazily is made to leave.
#[derive(Debug)]
pub struct Slots;

impl Kind for Slots {
    const INTERRUPTS: bool = true;
    const LAZY_REFCOUNTED: bool = false;
    const TAGS: Tags = Tags {
        per_cpu: Some(values(1, 2)),
        ..NO_TAGS
    };
}

/// The same, and the kernel's entries stand under whatever tag is loaded: its flush leaves the other tags to the loads to
/// come.
#[derive(Debug)]
pub struct UnderLoaded;

impl Kind for UnderLoaded {
    const INTERRUPTS: bool = true;
    const KERNEL_UNDER_LOADED: bool = true;
    const LAZY_REFCOUNTED: bool = false;
    const TAGS: Tags = Slots::TAGS;
}

/// As [`Slots`], and user code runs on a view of its own, under a tag of its own.
#[derive(Debug)]
pub struct Viewed;

impl Kind for Viewed {
    const INTERRUPTS: bool = true;
    const VIEWS: bool = true;
    const LAZY_REFCOUNTED: bool = false;
    const TAGS: Tags = Slots::TAGS;
}

/// What the tag of a user's view has beside that of the kernel's.
pub const VIEW: u64 = 8;

/// Interrupts, and no tags: loading a root drops everything. Lazy CPUs are counted.
#[derive(Debug)]
pub struct Untagged;

impl Kind for Untagged {
    const INTERRUPTS: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = NO_TAGS;
}

/// Broadcasts, and as few tags from generations as two CPUs can do with.
#[derive(Debug)]
pub struct Broadcast;

impl Kind for Broadcast {
    const INTERRUPTS: bool = false;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Tags {
        global: Some((values(1, 5), TagSource::Generations)),
        ..NO_TAGS
    };
}

/// The same, where a flush is started and finished with interrupts off.
#[derive(Debug)]
pub struct Masked;

impl Kind for Masked {
    const INTERRUPTS: bool = false;
    const INTERRUPTS_OFF: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Broadcast::TAGS;
}

/// The same as another one, with as few tags as three CPUs can do with.
#[derive(Debug)]
pub struct Crowd<K>(PhantomData<K>);

impl<K: Kind> Kind for Crowd<K> {
    const INTERRUPTS: bool = K::INTERRUPTS;
    const WRITES: bool = K::WRITES;
    const DEFERS: bool = K::DEFERS;
    const LAZY_REFCOUNTED: bool = K::LAZY_REFCOUNTED;
    const TAGS: Tags = Tags {
        global: Some((values(1, 7), TagSource::Generations)),
        ..NO_TAGS
    };
}

/// Interrupts, and tags that mean the same everywhere, from generations.
#[derive(Debug)]
pub struct Called;

impl Kind for Called {
    const INTERRUPTS: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Tags {
        global: Some((values(1, 5), TagSource::Generations)),
        ..NO_TAGS
    };
}

/// Interrupts, and a tag for the life of each space.
#[derive(Debug)]
pub struct ForLife;

impl Kind for ForLife {
    const INTERRUPTS: bool = true;
    const LAZY_REFCOUNTED: bool = false;
    const TAGS: Tags = Tags {
        global: Some((values(1, 2), TagSource::Life)),
        ..NO_TAGS
    };
}

/// Instructions change entries, in a local and a wide form; the root is the tag.
#[derive(Debug)]
pub struct Writer;

impl Kind for Writer {
    const INTERRUPTS: bool = false;
    const WRITES: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Deferrer::TAGS;
}

/// The same, and a change is put off until the space is attached, where nobody else has it loaded.
#[derive(Debug)]
pub struct Deferrer;

impl Kind for Deferrer {
    const INTERRUPTS: bool = false;
    const WRITES: bool = true;
    const DEFERS: bool = true;
    const LAZY_REFCOUNTED: bool = true;
    const TAGS: Tags = Tags {
        global: Some((values(0, u64::MAX), TagSource::Root)),
        ..NO_TAGS
    };
}
