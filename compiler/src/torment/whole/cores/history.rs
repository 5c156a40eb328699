//! What happened in a run, in order.
//!
//! In: events, as they happen. Out: all of them, with their step and their CPU. Holds: nothing is recorded unless a run asks for it.

use std::panic::Location;

use tlbc_machine::hardware::CachedEntry;
use tlbc_runtime::request::Space;

use crate::interpreted::Instruction;

/// A place in the runtime.
pub type Caller = Option<&'static Location<'static>>;

/// What tells an entry in a TLB from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryKey {
    pub entry: CachedEntry,
    /// The first address that it translates.
    pub va: u64,
    pub tag: u64,
    pub global: bool,
    /// The kind of the space that it belongs to.
    pub space: Space,
    /// The bits of the page-table entry.
    pub bits: u64,
}

/// An event.
#[derive(Debug, Clone)]
pub struct SeenEvent {
    pub step: u64,
    pub cpu: usize,
    pub seen: Seen,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Seen {
    /// The CPU begins or ends something.
    Note(String),
    /// The CPU issues an instruction.
    Issued {
        instruction: Box<Instruction>,
        /// The tag that each CPU has loaded.
        tags: Vec<u64>,
        from: Caller,
    },
    /// The CPU sends IPIs.
    Sends(Vec<usize>, Caller),
    /// The CPU takes an IPI.
    Takes,
    /// The CPU stores an entry of a table.
    Stored {
        table: usize,
        nth: usize,
        old: u64,
        new: u64,
    },
    /// No walker sees an old value of an entry any longer.
    Hidden { table: usize, nth: usize, old: u64 },
    /// An entry is cached by the CPU.
    Filled(EntryKey),
    /// An entry of the CPU is gone.
    Removed(EntryKey),
    /// A page has another owner.
    Owner {
        page: usize,
        old: Option<usize>,
        new: Option<usize>,
        from: Caller,
    },
    /// A table is no longer one.
    Freed { table: usize, from: Caller },
    /// A page is taken to be clean and unmapped.
    Cleaned { page: usize, from: Caller },
    /// User code of a space runs, or none.
    Runs(Option<usize>),
}

/// The state of CPUs and memory, as far as its changes are events.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The values of each entry of each table that walkers may see, and whether the table is freed.
    pub tables: Vec<(Vec<Vec<u64>>, bool)>,
    pub held: Vec<Vec<EntryKey>>,
    pub users: Vec<Option<usize>>,
    pub pages: Vec<Option<usize>>,
    pub clean: Vec<usize>,
}

/// The events of a run.
#[derive(Debug, Default)]
pub struct History {
    pub events: Vec<SeenEvent>,
    /// The state that was recorded last.
    pub last: Snapshot,
}

impl History {
    /// Adds an event.
    pub fn add(&mut self, step: u64, cpu: usize, seen: Seen) {
        self.events.push(SeenEvent { step, cpu, seen });
    }
}
