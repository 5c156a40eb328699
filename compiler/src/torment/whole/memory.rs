//! Page tables and pages in memory.
//!
//! In: stores of the kernel and of instructions. Out: the values that a walker may see. Holds: a value that was replaced
//! may be seen until the store is published, unless the definition says that stores are visible at once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use tlbc_runtime::level::{LEVELS, Level};
use tlbc_runtime::request::Space;

/// The bits of an entry: valid, a leaf, writable, an attribute. The number of the page or the table is above them.
pub const VALID: u64 = 1;
pub const LEAF: u64 = 2;
pub const WRITABLE: u64 = 4;
pub const ATTRIBUTE: u64 = 8;
/// The mark of a page that was written. An entry may keep it without the right to write.
pub const DIRTY: u64 = 16;
/// The mark of an entry that was used.
pub const ACCESSED: u64 = 32;
/// The marks that the machine sets.
pub const MARKS: u64 = DIRTY | ACCESSED;
/// log2 of the lowest bit of the number.
pub const NUMBER: u32 = 12;

/// log2 of the distance between tables in memory.
const TABLE: u32 = 16;

/// The kernel, as the owner of a page.
pub const KERNEL: usize = usize::MAX;
/// The owner of a page that no CPU may use.
pub const NO_OWNER: usize = usize::MAX - 1;

/// What stores have changed.
#[derive(Debug, Default)]
pub struct Noted {
    /// Whether some entry has another value.
    pub has_changed: bool,
    /// The tables in which a valid entry was replaced.
    pub replaced: Vec<usize>,
}

/// Returns rights, attributes and marks of a new entry, from a number that was drawn. If the machine sets no marks, the entry has
/// all that it needs.
pub fn rights(drawn: u64, has_marks: bool) -> u64 {
    let marks = match (has_marks, drawn & WRITABLE) {
        (true, _) => drawn & MARKS,
        (false, 0) => ACCESSED,
        (false, _) => MARKS,
    };
    drawn & (WRITABLE | ATTRIBUTE) | marks
}

/// Returns an entry with other rights and attributes, from a number that was drawn. It may have fewer marks.
pub fn with_rights(bits: u64, drawn: u64, has_marks: bool) -> u64 {
    let new = rights(drawn, has_marks);
    let marks = if has_marks {
        bits & drawn & MARKS
    } else {
        new & MARKS | bits & drawn & DIRTY
    };
    bits & !(WRITABLE | ATTRIBUTE | MARKS) | new & !MARKS | marks
}

/// A page table.
#[derive(Debug)]
pub struct Table {
    /// Its number.
    pub number: usize,
    pub level: Level,
    /// log2 of what an entry translates.
    pub shift: u32,
    /// The first address that it translates. A table that is moved gets another one.
    pub va: Cell<u64>,
    /// The kind of the space that it belongs to.
    pub space: Space,
    pub entries: Box<[AtomicU64]>,
    /// The values of each entry that a walker may see; the last is the present one.
    seen: RefCell<Vec<Vec<u64>>>,
    pub is_freed: Cell<bool>,
}

impl Table {
    /// Returns its physical address.
    pub fn address(&self) -> u64 {
        address(self.number)
    }

    pub fn load(&self, nth: usize) -> u64 {
        self.entries[nth].load(Ordering::Relaxed)
    }

    /// Returns the first address that an entry translates.
    pub fn va_of(&self, nth: usize) -> u64 {
        self.va.get().wrapping_add((nth as u64) << self.shift)
    }

    /// Returns the pages that its entries map, if it is of the lowest level.
    pub fn pages(&self) -> impl Iterator<Item = usize> {
        let bits = self
            .entries
            .iter()
            .map(|entry| entry.load(Ordering::Relaxed));
        let leaves = bits.filter(|bits| bits & VALID != 0 && bits & LEAF != 0);
        leaves.map(|bits| (bits >> NUMBER) as usize)
    }

    /// Publishes what is stored in a table that no walker has seen.
    pub fn publish(&self) {
        for (nth, seen) in self.seen.borrow_mut().iter_mut().enumerate() {
            *seen = vec![self.load(nth)];
        }
    }

    /// Returns the values of an entry that a walker may see.
    pub fn seen(&self, nth: usize) -> Vec<u64> {
        self.seen.borrow()[nth].clone()
    }
}

/// Returns the physical address of a table.
pub fn address(number: usize) -> u64 {
    (number as u64 + 1) << TABLE
}

/// All tables, by number.
#[derive(Debug)]
pub struct Memory {
    /// The bytes of an entry.
    pub entry_size: u64,
    /// log2 of the bytes of a page.
    pub page_shift: u32,
    pub tables: Vec<Rc<Table>>,
    /// The tables that are not freed.
    live: Vec<Rc<Table>>,
    /// The numbers of top tables that are free.
    free_tops: Vec<usize>,
    /// The space that owns each page.
    pub owners: Vec<Option<usize>>,
    /// The addresses of each space whose changes are flushed, with the bits of the entries that map them.
    pub settled: HashMap<usize, BTreeMap<u64, u64>>,
    /// The pages that are taken to be clean and unmapped, since their reverse mapping was removed.
    pub clean: HashSet<usize>,
    /// The marks that the machine has set in each entry, by the number of its table, and that are still there.
    marks: HashMap<(usize, usize), u64>,
    /// The marks of each page, by the first one of its entry, that the machine had set and that were removed from its entry: the
    /// kernel must get them.
    unreturned: HashMap<usize, u64>,
    /// What an entry of each level translates, as log2, and the most entries that a table of it has had.
    sizes: [(u32, usize); LEVELS],
}

impl Memory {
    /// Creates memory without tables and pages.
    pub fn new(entry_size: u64, page_shift: u32) -> Self {
        Self {
            entry_size,
            page_shift,
            tables: Vec::new(),
            live: Vec::new(),
            free_tops: Vec::new(),
            owners: Vec::new(),
            settled: HashMap::new(),
            clean: HashSet::new(),
            marks: HashMap::new(),
            unreturned: HashMap::new(),
            sizes: [(0, 0); LEVELS],
        }
    }

    /// Creates a table with this many entries, all invalid.
    pub fn table(
        &mut self,
        (level, shift): (Level, u32),
        (space, va): (Space, u64),
        entries: usize,
    ) -> Rc<Table> {
        let number = self.tables.len();
        let most = self.sizes[level.index()].1.max(entries);
        self.sizes[level.index()] = (shift, most);
        let table = new_table(number, (level, shift), (space, va), entries);
        self.tables.push(table.clone());
        self.live.push(table.clone());
        table
    }

    /// Creates a top table, where an earlier one was if there is one that is free.
    pub fn top_table(
        &mut self,
        (level, shift): (Level, u32),
        (space, va): (Space, u64),
        entries: usize,
    ) -> Rc<Table> {
        let Some(number) = self.free_tops.pop() else {
            return self.table((level, shift), (space, va), entries);
        };
        let table = new_table(number, (level, shift), (space, va), entries);
        self.tables[number] = table.clone();
        self.live.push(table.clone());
        table
    }

    /// Frees a table. Returns whether it was not free.
    pub fn free_table(&mut self, table: &Rc<Table>) -> bool {
        self.live.retain(|live| !Rc::ptr_eq(live, table));
        !table.is_freed.replace(true)
    }

    /// Frees a top table, whose place the next one gets.
    pub fn free_top_table(&mut self, table: &Rc<Table>) -> bool {
        self.free_tops.push(table.number);
        self.free_table(table)
    }

    /// Returns the addresses of single pages that an entry of a table translates, or would if tables were below it.
    pub fn pages_below(&self, table: &Table, nth: usize) -> Vec<u64> {
        let mut pages = vec![table.va_of(nth)];
        for &(shift, entries) in self.sizes[..table.level.index()].iter().rev() {
            let entries = 0..entries.max(1) as u64;
            let below = |va: u64| {
                entries
                    .clone()
                    .map(move |nth| va.wrapping_add(nth << shift))
            };
            pages = pages.into_iter().flat_map(below).collect();
        }
        pages
    }

    /// Returns the table at a physical address.
    pub fn at(&self, address: u64) -> Option<&Rc<Table>> {
        self.tables.get((address >> TABLE).checked_sub(1)? as usize)
    }

    /// Stores the bits of an entry at a physical address.
    pub fn store(&self, address: u64, bits: u64) {
        let nth = ((address & ((1 << TABLE) - 1)) / self.entry_size) as usize;
        if let Some(entry) = self.at(address).and_then(|table| table.entries.get(nth)) {
            entry.store(bits, Ordering::Relaxed);
        }
    }

    /// Forgets that the last change of the entry of an address is flushed, in the tables with a number.
    pub fn unsettle(&mut self, tables: usize, va: u64) {
        if let Some(settled) = self.settled.get_mut(&tables) {
            settled.remove(&va);
        }
    }

    /// Returns the bits of the entry of a single page that maps an address, or of one that would; 0 if nothing is mapped. The table
    /// is of the second lowest level.
    pub fn page_bits(&self, upper: &Table, va: u64) -> u64 {
        let within = va.wrapping_sub(upper.va.get());
        let link = upper.load((within >> upper.shift) as usize);
        let nth = |table: &Table| (va.wrapping_sub(table.va.get()) >> table.shift) as usize;
        match (link & VALID, link & LEAF) {
            (0, _) => 0,
            (_, 0) => {
                let table = &self.tables[(link >> NUMBER) as usize];
                table.load(nth(table))
            }
            _ => {
                let page = within & ((1 << upper.shift) - 1);
                link + ((page >> self.page_shift) << NUMBER)
            }
        }
    }

    /// Returns whether a table is another one, or below it.
    pub fn reaches(&self, top: usize, table: usize) -> bool {
        let links = self.tables[top]
            .entries
            .iter()
            .map(|entry| entry.load(Ordering::Relaxed));
        let mut links = links.filter(|bits| bits & VALID != 0 && bits & LEAF == 0);
        top == table || links.any(|bits| self.reaches((bits >> NUMBER) as usize, table))
    }

    /// Returns whether every walk finds a valid entry at an address, through tables whose highest one is given.
    pub fn is_seen(&self, upper: &Table, va: u64) -> bool {
        let nth = |table: &Table| (va.wrapping_sub(table.va.get()) >> table.shift) as usize;
        let is_valid = |table: &Table| table.seen(nth(table)).iter().all(|bits| bits & VALID != 0);
        let link = upper.load(nth(upper));
        is_valid(upper) && (link & LEAF != 0 || is_valid(&self.tables[(link >> NUMBER) as usize]))
    }

    /// Notes the stores since the last call. Each is visible at once, or when it is published.
    pub fn note(&mut self, visible_at_once: bool) -> Noted {
        let mut noted = Noted::default();
        for table in &self.live {
            let mut seen = table.seen.borrow_mut();
            for (nth, seen) in seen.iter_mut().enumerate() {
                let now = table.load(nth);
                let old = seen.last().copied().unwrap_or_default();
                if old == now {
                    continue;
                }
                noted.has_changed = true;
                if let Some(set) = self.marks.remove(&(table.number, nth)) {
                    let is_same = now & VALID != 0 && (old ^ now) >> NUMBER == 0;
                    let kept = if is_same { set & now } else { 0 };
                    if kept != 0 {
                        self.marks.insert((table.number, nth), kept);
                    }
                    *self.unreturned.entry((old >> NUMBER) as usize).or_default() |= set & !kept;
                }
                if old & VALID != 0 && (old ^ now) & !MARKS != 0 {
                    noted.replaced.push(table.number);
                }
                seen.retain(|value| !visible_at_once && *value != now);
                seen.push(now);
            }
        }
        noted
    }

    /// Publishes all stores. Returns whether there were any that walkers might not see.
    pub fn publish(&self) -> bool {
        let mut changed = false;
        for table in &self.live {
            for seen in table.seen.borrow_mut().iter_mut() {
                let old = seen.len().saturating_sub(1);
                changed |= old != 0;
                seen.drain(..old);
            }
        }
        changed
    }

    /// Sets marks in an entry, as the machine does.
    pub fn mark(&mut self, table: &Table, nth: usize, marks: u64) {
        let old = table.entries[nth].fetch_or(marks, Ordering::Relaxed);
        *self.marks.entry((table.number, nth)).or_default() |= marks & !old;
    }

    /// Notes which bits of the entry of a page the kernel gets. Returns the marks that these lack.
    pub fn returned(&mut self, page: usize, bits: u64) -> u64 {
        self.unreturned.remove(&page).unwrap_or_default() & !bits
    }

    /// Gives a free page to a space.
    pub fn page(&mut self, space: usize) -> u64 {
        self.pages(space, 1)
    }

    /// Gives free pages in a row to a space. Returns the first.
    pub fn pages(&mut self, space: usize, count: usize) -> u64 {
        let mut starts = 0..self.owners.len();
        let is_free = |start: &usize| {
            let owners = &self.owners[*start..self.owners.len().min(start + count)];
            owners.iter().all(Option::is_none)
        };
        let start = starts.find(is_free).unwrap_or(self.owners.len());
        let end = self.owners.len().max(start + count);
        self.owners.resize(end, None);
        for page in start..start + count {
            self.unreturned.remove(&page);
            self.owners[page] = Some(space);
            self.clean.remove(&page);
        }
        start as u64
    }
}

fn new_table(
    number: usize,
    (level, shift): (Level, u32),
    (space, va): (Space, u64),
    entries: usize,
) -> Rc<Table> {
    Rc::new(Table {
        number,
        level,
        shift,
        va: Cell::new(va),
        space,
        entries: (0..entries).map(|_| AtomicU64::new(0)).collect(),
        seen: RefCell::new(vec![vec![0]; entries]),
        is_freed: Cell::new(false),
    })
}
