//! The state of the machine: who translates what, who owns what, and what is wrong.

use crate::history::Event;
use crate::memory::{KERNEL_PAGE, Seen, TableId, at};
use crate::op::{Dropped, Kept, Op, Told, Where};
use crate::tlb::{Leaf, Tlb};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// User code, a device or the kernel could use an entry whose page does not belong to the space, or to the kernel.
    ForeignPage,
    /// It could write through an entry although the right is gone.
    OldRight,
    /// It could use a page with attributes that the page no longer has.
    OldAttributes,
    /// A device, or the kernel's own code, could meet an entry that allows less than the table although it relies on more:
    /// neither can repeat the access after a fault.
    StricterEntry,
    /// A walker could read memory that is no longer a table.
    FreedTable,
}

/// To whom a page belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Not to a space of which anybody has entries.
    Other,
    /// To the space of a root.
    Space(TableId),
    /// To the kernel.
    Kernel,
}

/// A page, and what is relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub owner: Owner,
    /// Whether it may be written.
    pub write: bool,
    /// Whether devices and the kernel's code write it and cannot repeat that after a fault.
    pub needs_write: bool,
    /// The attributes that every access has.
    pub attributes: Option<u8>,
}

/// Who translates: a CPU, or a device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walker {
    /// How it is made to drop entries, if it is a device.
    pub device: Option<Told>,
    pub root: Option<TableId>,
    pub tag: u64,
    /// Whether user code runs, or the device works: entries of user addresses are used, and not only walked.
    pub uses: bool,
    /// Whether the kernel's code runs, and may use entries of the kernel's addresses.
    pub runs_kernel: bool,
    /// Whether it does not walk any more, and only keeps what it has.
    pub rests: bool,
    /// Whether another walker has made it drop entries: it was told of the stores before that as well, and a walk that came
    /// between begins anew.
    pub told: bool,
    pub tlb: Tlb,
    /// Who owns what, and which tables are freed. It changes for one walker after the other, as if it were late for
    /// the others, so that a step is about one walker alone.
    pub frames: Vec<Frame>,
    pub gone: Vec<bool>,
}

impl Walker {
    /// What is wrong with its use of an entry, if anything is.
    fn misuses(&self, leaf: &Leaf) -> Option<Complaint> {
        let root = self.root?;
        let of_kernel = leaf.page >= KERNEL_PAGE && self.device.is_none();
        let uses = if of_kernel {
            self.runs_kernel
        } else {
            self.uses
        };
        if leaf.tag != self.tag || !uses {
            return None;
        }
        let frame = &self.frames[leaf.frame];
        let owner = if of_kernel {
            Owner::Kernel
        } else {
            Owner::Space(root)
        };
        let faults = of_kernel || self.device.is_some();
        if frame.owner != owner {
            Some(Complaint::ForeignPage)
        } else if leaf.write && !frame.write {
            Some(Complaint::OldRight)
        } else if frame.attributes.is_some_and(|now| now != leaf.attributes) {
            Some(Complaint::OldAttributes)
        } else if frame.needs_write && !leaf.write && faults {
            Some(Complaint::StricterEntry)
        } else {
            None
        }
    }

    /// Whether it may read memory that is no longer a table.
    fn walks_freed_table(&self) -> bool {
        let mut walks = self.tlb.walks.iter();
        let walks_table = walks.any(|walk| walk.tag == self.tag && self.gone[walk.table]);
        !self.rests && self.root.is_some_and(|root| self.gone[root] || walks_table)
    }
}

#[derive(Debug)]
pub(crate) struct State {
    /// What stands in memory, and behind it what stood there and walkers may still see.
    pub entries: Seen,
    /// The CPUs, then the devices.
    pub walkers: Vec<Walker>,
    pub complaint: Option<Complaint>,
    /// What was done until something went wrong.
    pub history: Vec<Event>,
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
            Op::DropLoaded { page, walks } => {
                let this = &mut self.walkers[cpu];
                let tag = Some(this.tag);
                this.tlb.drop_now(&Dropped { tag, page, walks });
            }
            Op::Complete | Op::DropDevices => {}
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
            Op::DropDevices => self.drop_device(other),
            Op::Publish | Op::DropLoaded { .. } | Op::Load { .. } => {}
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
            if walker.walks_freed_table() {
                self.complaint.get_or_insert(Complaint::FreedTable);
            }
            let mut leaves = walker.tlb.leaves.iter();
            if let Some(complaint) = leaves.find_map(|leaf| walker.misuses(leaf)) {
                self.complaint.get_or_insert(complaint);
            }
        }
    }
}
