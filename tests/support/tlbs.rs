//! Which TLBs of a machine may hold entries, under which tags and of which space: enough to detect two spaces under one
//! tag.
//!
//! A CPU fills whatever it can at every moment: after each flush it holds entries of the loaded root again. A flush
//! before a load therefore does not empty the tag that is loaded during it.

use std::collections::{BTreeSet, HashMap};

use tlbc_runtime::{Pending, Root, Tag};

/// The TLBs of a machine.
#[derive(Debug, Default)]
pub(crate) struct Tlbs(HashMap<u32, Tlb>);

/// The TLB of a CPU.
#[derive(Debug, Default)]
struct Tlb {
    loaded: Option<(Tag, u64)>,
    /// The tags, each with the top tables of the spaces that have entries under it.
    held: BTreeSet<(u64, u64)>,
}

impl Tlb {
    fn fill(&mut self) {
        if let Some((tag, table)) = self.loaded {
            self.held.insert((tag.value, table));
        }
    }

    fn drop_tag(&mut self, tag: u64) {
        self.held.retain(|(of, _)| *of != tag);
        self.fill();
    }

    fn drop_all(&mut self) {
        self.held.clear();
        self.fill();
    }
}

impl Tlbs {
    /// Returns the tag that a CPU has loaded.
    pub fn loaded(&self, cpu: u32) -> Option<Tag> {
        let (tag, _) = self.0.get(&cpu)?.loaded?;
        Some(tag)
    }

    /// Invalidates the entries under a tag on one CPU, or on all.
    pub fn drop_tag(&mut self, cpu: Option<u32>, tag: u64) {
        for (of, tlb) in &mut self.0 {
            if cpu.is_none_or(|cpu| cpu == *of) {
                tlb.drop_tag(tag);
            }
        }
    }

    /// Invalidates everything on a CPU.
    pub fn drop_all(&mut self, cpu: u32) {
        self.0.entry(cpu).or_default().drop_all();
    }

    /// Loads another tag for the space that a CPU has loaded, after the flush that comes before. Returns whether the CPU holds no entry
    /// under it, except what it has filled of the same space since that flush.
    pub fn load_tag(&mut self, cpu: u32, tag: Tag, pending: Pending) -> bool {
        let tlb = self.0.entry(cpu).or_default();
        let Some((old, table)) = tlb.loaded else {
            return false;
        };
        if pending == Pending::All {
            tlb.drop_all();
        }
        let is_flushed = old == tag && pending == Pending::All;
        let is_new = is_flushed || !tlb.held.iter().any(|(held, _)| *held == tag.value);
        tlb.loaded = Some((tag, table));
        tlb.fill();
        is_new
    }

    /// Loads a root, after the flushes that come before. Returns whether only that space uses the tag: this CPU holds
    /// no entry of another space under it, and if the tag is global no other CPU has it loaded for another space.
    pub fn load(&mut self, cpu: u32, to: &Root, pending: Pending, has_tags: bool) -> bool {
        let tlb = self.0.entry(cpu).or_default();
        match pending {
            Pending::None => {}
            Pending::Tag => tlb.drop_tag(to.tag.value),
            Pending::All => tlb.drop_all(),
        }
        let other = |tag: u64, table: u64| tag == to.tag.value && table != to.table;
        tlb.loaded = Some((to.tag, to.table));
        if !has_tags {
            tlb.drop_all();
        }
        let held = tlb.held.iter().any(|(tag, table)| other(*tag, *table));
        tlb.fill();
        let loaded = self.0.values().filter_map(|tlb| tlb.loaded);
        let global = loaded.filter(|(tag, _)| has_tags && tag.global);
        let mut elsewhere = global.filter(|_| to.tag.global);
        !held && !elsewhere.any(|(tag, table)| other(tag.value, table))
    }
}
