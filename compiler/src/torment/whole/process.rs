//! Processes: a space, its page tables and how many CPUs use it.
//!
//! In: tables and a space. Out: handles, which are counted. Holds: a table changes only while the lock of its space is held.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use tlbc_runtime::level::Level;
use tlbc_runtime::request::SpaceId;
use tlbc_runtime::{AddressSpace, CpuSet};

use super::memory::{KERNEL, Memory, Table};

/// The page tables of a space.
pub struct PageTables {
    /// The number of the space, which owns its pages.
    pub number: usize,
    pub space: SpaceId,
    pub locked: Cell<bool>,
    /// How often each entry of the lowest tables was changed.
    pub changes: RefCell<HashMap<u64, u64>>,
    /// The tables that are not unlinked before the end of the space, from the top. The last one is of the second lowest level.
    pub chain: Vec<Rc<Table>>,
    /// The top table of the view that user code runs on, if that is another one. It has the same entry.
    pub user_top: Option<Rc<Table>>,
    /// How many pages a large page has: as many as a table of the lowest level has entries.
    pub large_pages: usize,
    /// Whether a gather was abandoned, so that its pages are lost.
    pub lost_pages: Cell<bool>,
    /// How many unmapped pages of files still have their reverse mapping.
    pub delayed: Rc<Cell<usize>>,
    /// The levels and the pages of entries that a batched unmap has made invalid, and that have not changed since.
    pub reclaimed: RefCell<HashMap<u64, (Level, usize)>>,
}

impl PageTables {
    pub fn new(
        (number, space): (usize, SpaceId),
        (chain, user_top): (Vec<Rc<Table>>, Option<Rc<Table>>),
        large_pages: usize,
    ) -> Self {
        Self {
            number,
            space,
            locked: Cell::new(false),
            changes: RefCell::default(),
            chain,
            user_top,
            large_pages,
            lost_pages: Cell::new(false),
            delayed: Rc::default(),
            reclaimed: RefCell::default(),
        }
    }

    /// Returns the name of the space.
    pub fn name(&self) -> String {
        if self.number == KERNEL {
            "the kernel".to_owned()
        } else {
            format!("space {}", self.number)
        }
    }

    /// Returns the top table of the view that the kernel runs on.
    pub fn top(&self) -> &Rc<Table> {
        &self.chain[0]
    }

    /// Returns the top table of the view that user code runs on.
    pub fn user_top(&self) -> &Rc<Table> {
        self.user_top.as_ref().unwrap_or(self.top())
    }

    /// Returns the top tables.
    pub fn tops(&self) -> impl Iterator<Item = &Rc<Table>> {
        [self.top()].into_iter().chain(&self.user_top)
    }

    /// Stores the entry of the top table of the view that user code runs on, if it has one of its own.
    pub fn store_user_top(&self, memory: &Memory, bits: u64) {
        if let Some(user_top) = &self.user_top {
            memory.store(user_top.address(), bits);
        }
    }

    /// Returns the table of the second lowest level.
    pub fn upper(&self) -> &Rc<Table> {
        self.chain.last().expect("a machine has two levels")
    }

    /// Returns the addresses of the pages below an entry of the second lowest level, whose bytes are `1 << shift`.
    pub fn addresses(&self, nth: usize, shift: u32) -> impl Iterator<Item = u64> + use<> {
        let first = self.upper().va_of(nth);
        (0..self.large_pages as u64).map(move |page| first.wrapping_add(page << shift))
    }

    /// Returns how often the entry of an address was changed.
    pub fn changes_of(&self, va: u64) -> u64 {
        self.changes.borrow().get(&va).copied().unwrap_or_default()
    }

    /// Counts a change of the entry of an address, which is not flushed yet, and returns the count.
    pub fn count_change(&self, memory: &mut Memory, va: u64) -> u64 {
        memory.unsettle(self.number, va);
        self.reclaimed.borrow_mut().remove(&va);
        let count = self.changes_of(va) + 1;
        self.changes.borrow_mut().insert(va, count);
        count
    }
}

/// A process, counted.
#[derive(Clone)]
pub struct Process(pub Rc<Owned>);

/// What a process has.
pub struct Owned {
    pub tables: PageTables,
    pub space: AddressSpace<CpuSet<1>>,
    /// How many CPUs run in the space or change its entries.
    pub users: Cell<usize>,
    /// How many calls and devices use the space besides.
    pub keeps: Cell<usize>,
    /// Whether the space has per-CPU tags where there are also global ones.
    pub has_per_cpu_tag: bool,
    /// How many pins its tag has.
    pub pins: Cell<u64>,
    /// Whether the space is torn down when its last user has left.
    pub ends: Cell<bool>,
}

impl Deref for Process {
    type Target = Owned;

    fn deref(&self) -> &Owned {
        &self.0
    }
}

impl AsRef<AddressSpace<CpuSet<1>>> for Process {
    fn as_ref(&self) -> &AddressSpace<CpuSet<1>> {
        &self.space
    }
}
