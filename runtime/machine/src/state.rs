//! The state of the machine: what each walker has cached, the owner of each page, and the first complaint.

use crate::history::HistoryEvent;
use crate::memory::{KERNEL_PAGE, TableId, VisibleValues, at};
use crate::op::{DeviceFlush, InvalidatedEntries, Kept, Op, Where};
use crate::tlb::{CachedLeaf, Tlb};

/// A violation of safety.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// User code, a device or the kernel could use an entry whose page does not belong to the space, or to the kernel.
    ForeignPage,
    /// User code, a device or the kernel could write through an entry although the right was removed.
    OldRight,
    /// User code, a device or the kernel could use a page with attributes that the page no longer has.
    OldAttributes,
    /// A device or the kernel could use an entry that allows less than the table does, although it relies on the new
    /// right: neither can repeat the access after a fault.
    StricterEntry,
    /// A walker could read memory that is no longer a table.
    FreedTable,
}

/// The owner of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageOwner {
    /// An owner other than the kernel and the spaces that agents have entries of.
    Other,
    /// The space of a root.
    Space(TableId),
    /// To the kernel.
    Kernel,
}

/// A page, and what its owner and its users rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub owner: PageOwner,
    /// Whether it may be written.
    pub write: bool,
    /// Whether devices and the kernel write to it and cannot repeat that after a fault.
    pub needs_write: bool,
    /// The attributes that every access must have.
    pub attributes: Option<u8>,
}

/// A CPU or a device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walker {
    /// How it is flushed, if it is a device.
    pub device: Option<DeviceFlush>,
    pub root: Option<TableId>,
    pub tag: u64,
    /// Whether user code runs, or the device is in use: entries of user addresses are used, and not only filled.
    pub uses: bool,
    /// Whether kernel code runs, and may use entries of the kernel's addresses.
    pub runs_kernel: bool,
    /// Whether it has stopped walking, and only keeps what it has cached.
    pub rests: bool,
    /// Whether an invalidation by another walker has reached it. Stores before that invalidation are then visible to it
    /// as well, and a walk that was in progress starts again.
    pub flushed: bool,
    pub tlb: Tlb,
    /// The owners of pages, and the freed tables, as this walker sees them. A change reaches one walker after the
    /// other, so that a step concerns one walker only.
    pub frames: Vec<Frame>,
    pub gone: Vec<bool>,
}

impl Walker {
    /// Returns the complaint about its use of an entry, if there is one.
    fn misuses(&self, leaf: &CachedLeaf) -> Option<Complaint> {
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
            PageOwner::Kernel
        } else {
            PageOwner::Space(root)
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

    /// Returns whether it may read memory that is no longer a table.
    fn walks_freed_table(&self) -> bool {
        let mut walks = self.tlb.walks.iter();
        let walks_table = walks.any(|walk| walk.tag == self.tag && self.gone[walk.table]);
        !self.rests && self.root.is_some_and(|root| self.gone[root] || walks_table)
    }
}

#[derive(Debug)]
pub(crate) struct State {
    /// The current content of memory, and the older values that walkers may still see.
    pub entries: VisibleValues,
    /// The CPUs, then the devices.
    pub walkers: Vec<Walker>,
    pub complaint: Option<Complaint>,
    /// The steps up to the first complaint.
    pub history: Vec<HistoryEvent>,
}

impl State {
    /// Applies an instruction at the CPU that issues it.
    pub fn act_here(&mut self, cpu: usize, op: &Op) {
        match *op {
            Op::Publish => self
                .entries
                .iter_mut()
                .for_each(|values| values.truncate(1)),
            Op::Invalidate(target, _) => self.walkers[cpu].tlb.invalidate_now(&target),
            Op::InvalidateLoaded { page, walks } => {
                let this = &mut self.walkers[cpu];
                let tag = Some(this.tag);
                this.tlb
                    .invalidate_now(&InvalidatedEntries { tag, page, walks });
            }
            Op::Complete | Op::InvalidateDevices => {}
            Op::Load { root, tag, kept } => {
                let this = &mut self.walkers[cpu];
                match kept {
                    Kept::All => {}
                    Kept::OtherTags => this.tlb.invalidate_now(&InvalidatedEntries {
                        tag: Some(tag),
                        ..InvalidatedEntries::ALL
                    }),
                    Kept::Nothing => this.tlb.invalidate_now(&InvalidatedEntries::ALL),
                }
                (this.root, this.tag) = (Some(root), tag);
            }
            Op::Write {
                table,
                index,
                bits,
                target,
                ..
            } => {
                self.entries[at(table, index)] = vec![bits];
                self.walkers[cpu].tlb.invalidate_now(&target);
            }
        }
    }

    /// Applies an instruction at another walker.
    pub fn act_there(&mut self, other: usize, cpu: usize, op: &Op) {
        let walker = &mut self.walkers[other];
        match *op {
            Op::Invalidate(target, at) | Op::Write { target, at, .. } => {
                walker.flushed = true;
                match at {
                    Where::Here => {}
                    Where::Everywhere => walker.tlb.doom(&target, cpu),
                    Where::EverywhereAtOnce => walker.tlb.invalidate_now(&target),
                }
            }
            Op::Complete => walker.tlb.complete(cpu),
            Op::InvalidateDevices => self.invalidate_device(other),
            Op::Publish | Op::InvalidateLoaded { .. } | Op::Load { .. } => {}
        }
    }

    pub fn invalidate_device(&mut self, device: usize) {
        self.walkers[device]
            .tlb
            .invalidate_now(&InvalidatedEntries::ALL);
        self.walkers[device].flushed = true;
        self.fill(device, None);
    }

    pub fn fill_all(&mut self) {
        (0..self.walkers.len()).for_each(|walker| self.fill(walker, None));
    }

    /// Fills what a walker may see: what was loaded for it, or else every value that may be in memory.
    pub fn fill(&mut self, walker: usize, loaded: Option<&VisibleValues>) {
        let loaded = loaded.filter(|_| !self.walkers[walker].flushed);
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
