//! The machine: CPUs, a device, who owns what, and what is wrong.

use std::cell::RefCell;
use std::rc::Rc;

use tlbc_runtime::sync::Word;

use crate::memory::{ENTRIES, Memory, Seen, Stores, TableId, at};
use crate::op::{Dropped, Kept, Op, Where};
use crate::tlb::Tlb;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// User code, or a device, could use an entry whose page is not its space's any more.
    ForeignPage,
    /// It could write through an entry although the right is gone.
    OldRight,
    /// A walker could read a table that is none any more.
    FreedTable,
}

/// A page.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// The root of the space that it belongs to.
    owner: Option<TableId>,
    /// Whether user code may rely on writing.
    write: bool,
}

/// Who translates: a CPU, or the device.
#[derive(Debug, Clone, Default)]
struct Walker {
    root: Option<TableId>,
    tag: u64,
    /// Whether it uses what it has cached, or only walks.
    uses: bool,
    /// Whether somebody else has made it drop entries: it was told of the stores before that as well, and a walk that came
    /// between begins anew.
    told: bool,
    tlb: Tlb,
}

#[derive(Debug)]
struct State {
    /// What stands in memory, and behind it what stood there and walkers may still see.
    entries: Vec<Vec<u64>>,
    gone: Vec<bool>,
    frames: Vec<Frame>,
    /// The CPUs, and behind them the device.
    walkers: Vec<Walker>,
    complaint: Option<Complaint>,
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    memory: Memory,
    /// Stored to with each step, so that a model checker knows that steps depend on each other. It is never read, so
    /// that no step is ordered by it for anybody.
    step: Word,
    state: RefCell<State>,
}

/// A machine that the CPUs of one host thread share.
pub type Shared = Rc<Machine>;

impl Machine {
    /// A machine of so many CPUs, tables and pages. Every CPU has table 0 loaded, which stays empty; nobody owns a page.
    #[must_use]
    pub fn new(stores: Stores, cpus: usize, tables: usize, frames: usize) -> Shared {
        let mut walkers = vec![Walker::default(); cpus + 1];
        walkers[..cpus]
            .iter_mut()
            .for_each(|cpu| cpu.root = Some(0));
        let frame = Frame {
            owner: None,
            write: true,
        };
        let memory = Memory::new(stores, tables);
        let entries = vec![vec![0]; tables * ENTRIES];
        Rc::new(Self {
            memory,
            step: Word::new(0),
            state: RefCell::new(State {
                entries,
                gone: vec![false; tables],
                frames: vec![frame; frames],
                walkers,
                complaint: None,
            }),
        })
    }

    /// What is wrong, if anything was at any time.
    #[must_use]
    pub fn complaint(&self) -> Option<Complaint> {
        self.state.borrow().complaint
    }

    fn step<R>(&self, step: impl FnOnce(&mut State) -> R) -> R {
        // Only these are the model checker's; the step itself is one.
        self.step.put(0);
        let mut state = self.state.borrow_mut();
        let result = step(&mut state);
        state.check();
        result
    }

    /// A plain store into a table.
    pub fn store(&self, table: TableId, index: usize, bits: u64) {
        self.memory.store(table, index, bits);
        if self.memory.stores == Stores::AsLoaded {
            self.state.borrow_mut().entries[at(table, index)] = vec![bits];
            return; // found by the loads of others, who take their own steps
        }
        self.step(|state| {
            state.entries[at(table, index)].insert(0, bits);
            state.fill_all();
        });
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
        let loaded = self.memory.loaded();
        self.step(|state| {
            state.fill(cpu, loaded.as_ref());
            state.act(cpu, op);
            state.fill(cpu, loaded.as_ref());
            if loaded.is_none() {
                state.fill_all();
            }
        });
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
            self.step(|state| state.walkers[cpu].uses = false);
        }
    }

    /// The device begins to walk a root.
    pub fn attach_device(&self, root: TableId) {
        let loaded = self.memory.loaded();
        self.step(|state| {
            let device = state.walkers.len() - 1;
            state.walkers[device].root = Some(root);
            state.walkers[device].uses = true;
            state.fill(device, loaded.as_ref());
        });
    }

    /// The device drops all that it has.
    pub fn drop_device(&self) {
        self.step(State::drop_device);
    }

    /// A page belongs to the space of a root.
    pub fn own(&self, frame: usize, root: TableId) {
        self.step(|state| state.frames[frame].owner = Some(root));
    }

    /// Pages get another owner.
    pub fn reuse(&self, frames: &[usize]) {
        self.step(|state| {
            for frame in frames {
                state.frames[*frame].owner = None;
            }
        });
    }

    /// Somebody relies on a page not being written any more.
    pub fn rely_on_read_only(&self, frame: usize) {
        self.step(|state| state.frames[frame].write = false);
    }

    /// A table becomes something else.
    pub fn free_table(&self, table: TableId) {
        self.step(|state| state.gone[table] = true);
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
        self.step(|state| {
            let walker = &state.walkers[cpu];
            let mut leaves = walker.tlb.leaves.iter();
            let found = leaves.find(|leaf| leaf.tag == walker.tag && leaf.page == page);
            found.map(|leaf| leaf.frame)
        })
    }
}

impl State {
    fn act(&mut self, cpu: usize, op: &Op) {
        match *op {
            Op::Publish => self
                .entries
                .iter_mut()
                .for_each(|values| values.truncate(1)),
            Op::Drop(dropped, at) => self.drop_entries(cpu, &dropped, at),
            Op::Complete => self
                .walkers
                .iter_mut()
                .for_each(|walker| walker.tlb.complete(cpu)),
            Op::DropDevice => self.drop_device(),
            Op::Load { root, tag, kept } => {
                let this = &mut self.walkers[cpu];
                match kept {
                    Kept::All => {}
                    Kept::OtherTags => this.tlb.drop_now(&Dropped {
                        tag: Some(tag),
                        ..Dropped::ALL
                    }),
                    Kept::Nothing => this.tlb.drop_now(&Dropped::ALL),
                }
                (this.root, this.tag) = (Some(root), tag);
            }
            Op::Write {
                table,
                index,
                bits,
                dropped,
                at: wherever,
            } => {
                self.entries[at(table, index)] = vec![bits];
                self.drop_entries(cpu, &dropped, wherever);
            }
        }
    }

    fn drop_device(&mut self) {
        let device = self.walkers.len() - 1;
        self.walkers[device].tlb.drop_now(&Dropped::ALL);
        self.walkers[device].told = true;
        self.fill(device, None);
    }

    fn drop_entries(&mut self, cpu: usize, dropped: &Dropped, at: Where) {
        self.walkers[cpu].tlb.drop_now(dropped);
        for (number, other) in self.walkers.iter_mut().enumerate() {
            other.told |= at != Where::Here && number != cpu;
            match at {
                Where::Here => {}
                Where::Everywhere => other.tlb.doom(dropped, cpu),
                Where::EverywhereAtOnce => other.tlb.drop_now(dropped),
            }
        }
    }

    fn fill_all(&mut self) {
        (0..self.walkers.len()).for_each(|walker| self.fill(walker, None));
    }

    /// What a walker may see: what was loaded for it, or else every value that may be in memory.
    fn fill(&mut self, walker: usize, loaded: Option<&Vec<u64>>) {
        let loaded = loaded.filter(|_| !self.walkers[walker].told);
        let of_loads: Option<Seen> =
            loaded.map(|loaded| loaded.iter().map(|bits| vec![*bits]).collect());
        let seen = of_loads.as_ref().unwrap_or(&self.entries);
        let this = &mut self.walkers[walker];
        if let Some(root) = this.root
            && this.tlb.fill(root, this.tag, seen, &self.gone)
        {
            self.complaint.get_or_insert(Complaint::FreedTable);
        }
    }

    fn check(&mut self) {
        for walker in &self.walkers {
            let Some(root) = walker.root else { continue };
            let walks = walker
                .tlb
                .walks
                .iter()
                .filter(|walk| walk.tag == walker.tag);
            if self.gone[root] || walks.into_iter().any(|walk| self.gone[walk.table]) {
                self.complaint.get_or_insert(Complaint::FreedTable);
            }
            if !walker.uses {
                continue;
            }
            for leaf in walker
                .tlb
                .leaves
                .iter()
                .filter(|leaf| leaf.tag == walker.tag)
            {
                let frame = &self.frames[leaf.frame];
                if frame.owner != Some(root) {
                    self.complaint.get_or_insert(Complaint::ForeignPage);
                } else if leaf.write && !frame.write {
                    self.complaint.get_or_insert(Complaint::OldRight);
                }
            }
        }
    }
}
