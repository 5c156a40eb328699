//! The machine: the steps of its CPUs, and what owners of pages rely on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tlbc_runtime::sync::Word;

use crate::history::HistoryEvent;
use crate::memory::{ENTRIES, Entry, Memory, Stores, TableId, VisibleValues, at};
use crate::op::{DeviceFlush, Op, Where};
use crate::state::{Complaint, Frame, PageOwner, State, Walker};

/// A machine with CPUs, devices, tables and pages.
#[derive(Debug)]
pub struct Machine {
    pub(crate) memory: Memory,
    /// Words that are stored to with each step of a walker, so that a model checker knows which steps depend on each
    /// other. They are never read, so they order nothing. Where walkers see memory without loads by their CPU, all
    /// steps depend on each other, and there is one word for all.
    steps: Vec<Word>,
    pub(crate) cpus: usize,
    /// The number of devices. The other device walkers take no steps.
    pub(crate) devices: Cell<usize>,
    pub(crate) state: RefCell<State>,
}

/// The maximum number of devices.
pub(crate) const MOST_DEVICES: usize = 2;

/// A machine that the CPUs of one host thread share.
pub type SharedMachine = Rc<Machine>;

impl Machine {
    /// Creates a machine. Every CPU has table 0 loaded, which stays empty, and no page has an owner.
    #[must_use]
    pub fn new(stores: Stores, cpus: usize, tables: usize, frames: usize) -> SharedMachine {
        let frame = Frame {
            owner: PageOwner::Other,
            write: true,
            needs_write: false,
            attributes: None,
        };
        let walker = Walker {
            frames: vec![frame; frames],
            gone: vec![false; tables],
            ..Walker::default()
        };
        let mut walkers = vec![walker; cpus + MOST_DEVICES];
        walkers[..cpus]
            .iter_mut()
            .for_each(|cpu| cpu.root = Some(0));
        let steps = match stores {
            Stores::AsLoaded => walkers.len(),
            Stores::Published => 1,
        };
        let memory = Memory::new(stores, tables);
        let entries = vec![vec![0]; tables * ENTRIES];
        Rc::new(Self {
            memory,
            cpus,
            devices: Cell::new(0),
            steps: (0..steps).map(|_| Word::new(0)).collect(),
            state: RefCell::new(State {
                entries,
                walkers,
                complaint: None,
                history: Vec::new(),
            }),
        })
    }

    /// Returns the first complaint, if there is one.
    #[must_use]
    pub fn complaint(&self) -> Option<Complaint> {
        self.state.borrow().complaint
    }

    /// Runs a step of each of these walkers.
    pub(crate) fn step(&self, walkers: &[usize], mut step: impl FnMut(&mut State, usize)) {
        for (nth, walker) in walkers.iter().enumerate() {
            // Only these stores are visible to the model checker. The step itself is one.
            match self.steps.get(*walker) {
                Some(word) if self.steps.len() > 1 => word.put(0),
                _ if nth == 0 => self.steps[0].put(0),
                _ => {}
            }
            let mut state = self.state.borrow_mut();
            step(&mut state, *walker);
            if self.steps.len() == 1 {
                state.fill_all();
            }
            state.check();
        }
    }

    fn all(&self) -> Vec<usize> {
        (0..self.cpus + self.devices.get()).collect()
    }

    /// Stores into a table.
    pub fn store(&self, table: TableId, index: usize, bits: u64) {
        self.note(HistoryEvent::Stored(table, index, Entry::of(bits)));
        self.memory.store(table, index, bits);
        if self.memory.stores == Stores::AsLoaded {
            self.state.borrow_mut().entries[at(table, index)] = vec![bits];
            return; // other CPUs find it by their own loads
        }
        self.step(&[0], |state, _| {
            state.entries[at(table, index)].insert(0, bits);
        });
    }

    /// Returns what software loads from a table, if stores are seen [as loaded](Stores::AsLoaded).
    #[must_use]
    pub fn load(&self, table: TableId, index: usize) -> Entry {
        Entry::of(self.memory.load(table, index))
    }

    /// Issues an instruction on a CPU. Its walker fills entries before and after the instruction.
    ///
    /// Where stores are seen [as loaded](Stores::AsLoaded) this must be called on the thread that is the CPU, or that
    /// has stopped the CPU.
    pub fn issue(&self, cpu: usize, op: &Op) {
        if let Op::Write {
            table, index, bits, ..
        } = *op
        {
            self.memory.store(table, index, bits);
        }
        let load = match *op {
            Op::Load { root, .. } => Some(root),
            _ => None,
        };
        let loaded = self.loaded_for(cpu, load);
        self.note(HistoryEvent::Issued { cpu, op: *op });
        if !matches!(op, Op::InvalidateDevices | Op::Complete) {
            self.step(&[cpu], |state, _| {
                state.fill(cpu, loaded.as_ref());
                state.act_here(cpu, op);
                state.fill(cpu, loaded.as_ref());
            });
        }
        let others: Vec<_> = match op {
            Op::Invalidate(_, Where::Here)
            | Op::Write {
                at: Where::Here, ..
            }
            | Op::InvalidateLoaded { .. }
            | Op::Publish
            | Op::Load { .. } => return,
            Op::InvalidateDevices => self.devices_flushed(DeviceFlush::ByInstructions),
            Op::Invalidate(..) | Op::Write { .. } | Op::Complete => self.all(),
        };
        let others: Vec<_> = others.into_iter().filter(|other| *other != cpu).collect();
        self.step(&others, |state, other| state.act_there(other, cpu, op));
    }

    /// Returns what a walker sees of the tables that it may walk, now and after it has loaded another root.
    pub(crate) fn loaded_for(&self, walker: usize, load: Option<TableId>) -> Option<VisibleValues> {
        let tables = {
            let walker = &self.state.borrow().walkers[walker];
            let cached = walker.tlb.walks.iter().map(|walk| walk.table);
            walker.root.into_iter().chain(load).chain(cached).collect()
        };
        self.memory.loaded(tables)
    }

    /// Starts user code on a CPU.
    pub fn run_user(&self, cpu: usize) {
        self.note(HistoryEvent::RunsUser { cpu });
        // A complaint is found in either order with the steps of another CPU, so this needs no step of its own.
        let mut state = self.state.borrow_mut();
        state.walkers[cpu].uses = true;
        state.check();
    }

    /// Stops user code on a CPU.
    pub fn stop_user(&self, cpu: usize) {
        let runs = self.state.borrow().walkers[cpu].uses;
        if runs {
            self.note(HistoryEvent::StopsUser { cpu });
            self.step(&[cpu], |state, cpu| state.walkers[cpu].uses = false);
        }
    }

    /// Makes a page belong to the space of a root.
    pub fn own(&self, frame: usize, root: TableId) {
        self.own_by(frame, PageOwner::Space(root));
    }

    /// Makes a page belong to the kernel.
    pub fn own_by_kernel(&self, frame: usize) {
        self.own_by(frame, PageOwner::Kernel);
    }

    fn own_by(&self, frame: usize, owner: PageOwner) {
        let walkers: Vec<_> = (0..self.cpus + MOST_DEVICES).collect(); // devices may be added later
        self.step(&walkers, |state, walker| {
            state.walkers[walker].frames[frame].owner = owner;
        });
    }

    /// Gives pages another owner.
    pub fn reuse(&self, frames: &[usize]) {
        self.rely(frames, |frame| frame.owner = PageOwner::Other);
    }

    /// From here on the page's owner relies on no agent writing to it.
    pub fn rely_on_read_only(&self, frame: usize) {
        self.rely(&[frame], |frame| frame.write = false);
    }

    /// From here on devices and the kernel write to a page, and cannot repeat a write after a fault.
    pub fn rely_on_writable(&self, frame: usize) {
        self.rely(&[frame], |frame| frame.needs_write = true);
    }

    /// From here on the page's owner relies on every access having these attributes.
    pub fn rely_on_attributes(&self, frame: usize, attributes: u8) {
        self.rely(&[frame], |frame| frame.attributes = Some(attributes));
    }

    fn rely(&self, frames: &[usize], on: impl Fn(&mut Frame)) {
        self.note(HistoryEvent::Relied(frames.to_vec()));
        self.step(&self.all(), |state, walker| {
            for frame in frames {
                on(&mut state.walkers[walker].frames[*frame]);
            }
        });
    }

    /// Starts kernel code on a CPU. It may use the kernel's pages, whichever root is loaded.
    pub fn run_kernel(&self, cpu: usize) {
        // As for user code, this needs no step of its own.
        let mut state = self.state.borrow_mut();
        state.walkers[cpu].runs_kernel = true;
        state.check();
    }

    /// Stops kernel code on a CPU that uses pages which others may unmap.
    pub fn stop_kernel(&self, cpu: usize) {
        self.step(&[cpu], |state, cpu| state.walkers[cpu].runs_kernel = false);
    }

    /// Stops a CPU: it walks no table, and keeps what it has cached.
    pub fn stop(&self, cpu: usize) {
        self.step(&[cpu], |state, cpu| state.walkers[cpu].rests = true);
    }

    /// Starts a CPU on boot tables: a root that is loaded under a tag. The CPU still has what it had cached when it
    /// stopped.
    pub fn boot(&self, cpu: usize, root: TableId, tag: u64) {
        let loaded = self.loaded_for(cpu, Some(root));
        self.note(HistoryEvent::Boots { cpu, root, tag });
        self.step(&[cpu], |state, cpu| {
            let walker = &mut state.walkers[cpu];
            (walker.root, walker.tag, walker.rests) = (Some(root), tag, false);
            state.fill(cpu, loaded.as_ref());
        });
    }

    /// Frees a table: its memory is used for something else.
    pub fn free_table(&self, table: TableId) {
        self.note(HistoryEvent::Freed(table));
        self.step(&self.all(), |state, walker| {
            state.walkers[walker].gone[table] = true;
        });
    }

    /// Returns whether an entry in memory maps a page.
    #[must_use]
    pub fn maps(&self, frame: usize) -> bool {
        self.has_entry(|entry| matches!(entry, Entry::Page { frame: maps, .. } if maps == frame))
    }

    /// Returns whether an entry in memory points at a table.
    #[must_use]
    pub fn points_at(&self, table: TableId) -> bool {
        self.has_entry(|entry| entry == Entry::Table(table))
    }

    fn has_entry(&self, is: impl Fn(Entry) -> bool) -> bool {
        let state = self.state.borrow();
        let mut entries = state.entries.iter().filter_map(|values| values.first());
        entries.any(|bits| is(Entry::of(*bits)))
    }

    /// Returns the tables other than table 0 that a CPU may be walking: its root, and those that its walk entries point
    /// at.
    #[must_use]
    pub fn walks(&self, cpu: usize) -> Vec<TableId> {
        let walker = &self.state.borrow().walkers[cpu];
        let walks = walker.tlb.walks.iter();
        let tables = walks
            .filter(|walk| walk.tag == walker.tag)
            .map(|walk| walk.table);
        walker
            .root
            .into_iter()
            .chain(tables)
            .filter(|table| *table != 0)
            .collect()
    }

    /// Returns whether a CPU runs user code.
    #[must_use]
    pub fn runs_user(&self, cpu: usize) -> bool {
        self.state.borrow().walkers[cpu].uses
    }

    /// Returns the root and the tag that a CPU has loaded.
    #[must_use]
    pub fn loaded(&self, cpu: usize) -> (Option<TableId>, u64) {
        let walker = &self.state.borrow().walkers[cpu];
        (walker.root, walker.tag)
    }

    /// Returns the page that a CPU reaches by the entries cached under the loaded tag.
    #[must_use]
    pub fn reaches(&self, cpu: usize, page: u64) -> Option<usize> {
        let mut frame = None;
        self.step(&[cpu], |state, cpu| {
            let walker = &state.walkers[cpu];
            let mut leaves = walker.tlb.leaves.iter();
            let found = leaves.find(|leaf| leaf.tag == walker.tag && leaf.page == page);
            frame = found.map(|leaf| leaf.frame);
        });
        frame
    }
}
