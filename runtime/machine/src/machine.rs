//! The machine: CPUs and a device, step by step.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tlbc_runtime::sync::Word;

use crate::memory::{ENTRIES, Entry, Memory, Seen, Stores, TableId, at};
use crate::op::{Op, Where};
use crate::state::{Complaint, Frame, State, Walker};

/// A machine.
#[derive(Debug)]
pub struct Machine {
    memory: Memory,
    /// One is stored to with each step of a walker, so that a model checker knows that steps depend on each other. They
    /// are never read, so that no step is ordered by them for anybody. Where walkers see what is in memory without any load
    /// all steps depend on each other, and there is one for all.
    steps: Vec<Word>,
    /// Whether there is a device: otherwise nothing is a step of it.
    has_device: Cell<bool>,
    state: RefCell<State>,
}

/// A machine that the CPUs of one host thread share.
pub type Shared = Rc<Machine>;

impl Machine {
    /// A machine of so many CPUs, tables and pages. Every CPU has table 0 loaded, which stays empty; nobody owns a page.
    #[must_use]
    pub fn new(stores: Stores, cpus: usize, tables: usize, frames: usize) -> Shared {
        let frame = Frame {
            owner: None,
            write: true,
        };
        let walker = Walker {
            frames: vec![frame; frames],
            gone: vec![false; tables],
            ..Walker::default()
        };
        let mut walkers = vec![walker; cpus + 1];
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
            has_device: Cell::new(false),
            steps: (0..steps).map(|_| Word::new(0)).collect(),
            state: RefCell::new(State {
                entries,
                walkers,
                complaint: None,
            }),
        })
    }

    /// There is a device. To be said before pages and tables go.
    pub fn add_device(&self) {
        self.has_device.set(true);
    }

    /// What is wrong, if anything was at any time.
    #[must_use]
    pub fn complaint(&self) -> Option<Complaint> {
        self.state.borrow().complaint
    }

    /// A step of each of these walkers.
    fn step(&self, walkers: &[usize], mut step: impl FnMut(&mut State, usize)) {
        for (nth, walker) in walkers.iter().enumerate() {
            // Only these are the model checker's; the step itself is one.
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
        (0..self.device() + usize::from(self.has_device.get())).collect()
    }

    fn device(&self) -> usize {
        self.state.borrow().walkers.len() - 1
    }

    /// A plain store into a table.
    pub fn store(&self, table: TableId, index: usize, bits: u64) {
        self.memory.store(table, index, bits);
        if self.memory.stores == Stores::AsLoaded {
            self.state.borrow_mut().entries[at(table, index)] = vec![bits];
            return; // found by the loads of others, who take their own steps
        }
        self.step(&[0], |state, _| {
            state.entries[at(table, index)].insert(0, bits);
        });
    }

    /// What software loads from a table, where stores are seen [as loaded](Stores::AsLoaded).
    #[must_use]
    pub fn load(&self, table: TableId, index: usize) -> Entry {
        Entry::of(self.memory.load(table, index))
    }

    /// A CPU issues an instruction; in what its walker sees, with whatever it filled before and after.
    ///
    /// Where stores are seen [as loaded](Stores::AsLoaded) this is called on the thread that is the CPU, or that
    /// has stopped it.
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
        if !matches!(op, Op::DropDevice | Op::Complete) {
            self.step(&[cpu], |state, _| {
                state.fill(cpu, loaded.as_ref());
                state.act_here(cpu, op);
                state.fill(cpu, loaded.as_ref());
            });
        }
        let others: Vec<_> = match op {
            Op::Drop(_, Where::Here)
            | Op::Write {
                at: Where::Here, ..
            }
            | Op::Publish
            | Op::Load { .. } => return,
            Op::DropDevice => self.all().split_off(self.device()),
            Op::Drop(..) | Op::Write { .. } | Op::Complete => self.all(),
        };
        let others: Vec<_> = others.into_iter().filter(|other| *other != cpu).collect();
        self.step(&others, |state, other| state.act_there(other, cpu, op));
    }

    /// What a walker sees of what it may walk, now and when it has loaded another root.
    fn loaded_for(&self, walker: usize, load: Option<TableId>) -> Option<Seen> {
        let tables = {
            let walker = &self.state.borrow().walkers[walker];
            let cached = walker.tlb.walks.iter().map(|walk| walk.table);
            walker.root.into_iter().chain(load).chain(cached).collect()
        };
        self.memory.loaded(tables)
    }

    /// A CPU begins to run user code.
    pub fn run_user(&self, cpu: usize) {
        // Found wrong or not in either order with whatever another CPU does: no step of its own.
        let mut state = self.state.borrow_mut();
        state.walkers[cpu].uses = true;
        state.check();
    }

    /// A CPU stops running user code.
    pub fn stop_user(&self, cpu: usize) {
        let runs = self.state.borrow().walkers[cpu].uses;
        if runs {
            self.step(&[cpu], |state, cpu| state.walkers[cpu].uses = false);
        }
    }

    /// The device begins to walk a root.
    ///
    /// # Panics
    /// When there is [none](Self::add_device).
    pub fn attach_device(&self, root: TableId) {
        assert!(self.has_device.get(), "no device");
        let device = self.device();
        let loaded = self.loaded_for(device, Some(root));
        self.step(&[device], |state, device| {
            state.walkers[device].root = Some(root);
            state.walkers[device].uses = true;
            state.fill(device, loaded.as_ref());
        });
    }

    /// The device drops all that it has.
    pub fn drop_device(&self) {
        self.step(&[self.device()], State::drop_device);
    }

    /// The device walks no more, and keeps what it has.
    pub fn detach_device(&self) {
        self.step(&[self.device()], |state, device| {
            state.walkers[device].rests = true;
        });
    }

    /// The pages that the device may be using.
    #[must_use]
    pub fn device_uses(&self) -> Vec<usize> {
        let device = &self.state.borrow().walkers[self.device()];
        device.tlb.leaves.iter().map(|leaf| leaf.frame).collect()
    }

    /// A page belongs to the space of a root.
    pub fn own(&self, frame: usize, root: TableId) {
        let everybody: Vec<_> = (0..=self.device()).collect(); // there may be a device later
        self.step(&everybody, |state, walker| {
            state.walkers[walker].frames[frame].owner = Some(root);
        });
    }

    /// Pages get another owner.
    pub fn reuse(&self, frames: &[usize]) {
        self.step(&self.all(), |state, walker| {
            for frame in frames {
                state.walkers[walker].frames[*frame].owner = None;
            }
        });
    }

    /// Somebody relies on a page not being written any more.
    pub fn rely_on_read_only(&self, frame: usize) {
        self.step(&self.all(), |state, walker| {
            state.walkers[walker].frames[frame].write = false;
        });
    }

    /// A table becomes something else.
    pub fn free_table(&self, table: TableId) {
        self.step(&self.all(), |state, walker| {
            state.walkers[walker].gone[table] = true;
        });
    }

    /// The tables, beside table 0, that a CPU may be walking: its root, and those below it that it remembers.
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

    /// Whether a CPU runs user code.
    #[must_use]
    pub fn runs_user(&self, cpu: usize) -> bool {
        self.state.borrow().walkers[cpu].uses
    }

    /// The root and the tag that a CPU has loaded.
    #[must_use]
    pub fn loaded(&self, cpu: usize) -> (Option<TableId>, u64) {
        let walker = &self.state.borrow().walkers[cpu];
        (walker.root, walker.tag)
    }

    /// The page that a CPU reaches with what it has cached under the loaded tag.
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
