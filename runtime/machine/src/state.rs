//! The state of the machine: who translates what, who owns what, and what is wrong.

use crate::memory::{Seen, TableId, at};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The root of the space that it belongs to.
    pub owner: Option<TableId>,
    /// Whether user code may rely on writing.
    pub write: bool,
}

/// Who translates: a CPU, or the device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walker {
    pub root: Option<TableId>,
    pub tag: u64,
    /// Whether it uses what it has cached, or only walks.
    pub uses: bool,
    /// Whether it walks no more, and only uses what it has.
    pub rests: bool,
    /// Whether somebody else has made it drop entries: it was told of the stores before that as well, and a walk that came
    /// between begins anew.
    pub told: bool,
    pub tlb: Tlb,
    /// Who owns what, and which tables are none any more. It changes for one walker after the other, as if it were late for
    /// the others, so that a step is about one walker alone.
    pub frames: Vec<Frame>,
    pub gone: Vec<bool>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// What stands in memory, and behind it what stood there and walkers may still see.
    pub entries: Seen,
    /// The CPUs, and behind them the device.
    pub walkers: Vec<Walker>,
    pub complaint: Option<Complaint>,
}

impl State {
    /// What an instruction does at its own CPU.
    pub fn act_here(&mut self, cpu: usize, op: &Op) {
        match *op {
            Op::Publish => self
                .entries
                .iter_mut()
                .for_each(|values| values.truncate(1)),
            Op::Drop(dropped, _) => self.walkers[cpu].tlb.drop_now(&dropped),
            Op::Complete | Op::DropDevice => {}
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
                ..
            } => {
                self.entries[at(table, index)] = vec![bits];
                self.walkers[cpu].tlb.drop_now(&dropped);
            }
        }
    }

    /// What it does at another walker.
    pub fn act_there(&mut self, other: usize, cpu: usize, op: &Op) {
        let walker = &mut self.walkers[other];
        match *op {
            Op::Drop(dropped, at) | Op::Write { dropped, at, .. } => {
                walker.told = true;
                match at {
                    Where::Here => {}
                    Where::Everywhere => walker.tlb.doom(&dropped, cpu),
                    Where::EverywhereAtOnce => walker.tlb.drop_now(&dropped),
                }
            }
            Op::Complete => walker.tlb.complete(cpu),
            Op::DropDevice => self.drop_device(other),
            Op::Publish | Op::Load { .. } => {}
        }
    }

    pub fn drop_device(&mut self, device: usize) {
        self.walkers[device].tlb.drop_now(&Dropped::ALL);
        self.walkers[device].told = true;
        self.fill(device, None);
    }

    pub fn fill_all(&mut self) {
        (0..self.walkers.len()).for_each(|walker| self.fill(walker, None));
    }

    /// What a walker may see: what was loaded for it, or else every value that may be in memory.
    pub fn fill(&mut self, walker: usize, loaded: Option<&Seen>) {
        let loaded = loaded.filter(|_| !self.walkers[walker].told);
        let seen = loaded.unwrap_or(&self.entries);
        let this = &mut self.walkers[walker];
        if let Some(root) = this.root
            && !this.rests
            && this.tlb.fill(root, this.tag, seen, &this.gone)
        {
            self.complaint.get_or_insert(Complaint::FreedTable);
        }
    }

    pub fn check(&mut self) {
        for walker in &self.walkers {
            let Some(root) = walker.root else { continue };
            let walks = walker
                .tlb
                .walks
                .iter()
                .filter(|walk| walk.tag == walker.tag);
            if walker.gone[root] || walks.into_iter().any(|walk| walker.gone[walk.table]) {
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
                let frame = &walker.frames[leaf.frame];
                if frame.owner != Some(root) {
                    self.complaint.get_or_insert(Complaint::ForeignPage);
                } else if leaf.write && !frame.write {
                    self.complaint.get_or_insert(Complaint::OldRight);
                }
            }
        }
    }
}
