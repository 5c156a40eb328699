//! What a CPU or a device has cached.

use crate::memory::{ENTRIES, Entry, TableId, VisibleValues, at};
use crate::op::InvalidatedEntries;

/// A leaf entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CachedLeaf {
    pub tag: u64,
    pub page: u64,
    pub frame: usize,
    pub write: bool,
    pub attributes: u8,
    /// The broadcasts in progress that invalidate it, one bit each.
    doomed: u32,
}

/// A walk entry: a cached pointer to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CachedWalk {
    pub tag: u64,
    pub index: usize,
    pub table: TableId,
    doomed: u32,
}

/// Everything that a CPU or a device may have cached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tlb {
    pub leaves: Vec<CachedLeaf>,
    pub walks: Vec<CachedWalk>,
    /// The broadcasts that are not complete, each with the CPU that issued it.
    under_way: Vec<Option<(usize, InvalidatedEntries)>>,
}

impl InvalidatedEntries {
    fn leaf(&self, leaf: &CachedLeaf) -> bool {
        self.tag.is_none_or(|tag| tag == leaf.tag) && self.page.is_none_or(|page| page == leaf.page)
    }

    fn walk(&self, walk: &CachedWalk) -> bool {
        let over = |page: u64| page / ENTRIES as u64 == walk.index as u64;
        self.walks && self.tag.is_none_or(|tag| tag == walk.tag) && self.page.is_none_or(over)
    }
}

impl Tlb {
    /// Invalidates entries at once.
    pub fn invalidate_now(&mut self, target: &InvalidatedEntries) {
        self.leaves.retain(|leaf| !target.leaf(leaf));
        self.walks.retain(|walk| !target.walk(walk));
    }

    /// Starts a broadcast.
    pub fn doom(&mut self, target: &InvalidatedEntries, by: usize) {
        let free = self.under_way.iter().position(Option::is_none);
        let nth = free.unwrap_or_else(|| {
            self.under_way.push(None);
            self.under_way.len() - 1
        });
        self.under_way[nth] = Some((by, *target));
        let leaves = self.leaves.iter_mut().filter(|leaf| target.leaf(leaf));
        leaves.for_each(|leaf| leaf.doomed |= 1 << nth);
        let walks = self.walks.iter_mut().filter(|walk| target.walk(walk));
        walks.for_each(|walk| walk.doomed |= 1 << nth);
    }

    /// Completes the broadcasts of a CPU. What could be filled again in between stays cached.
    pub fn complete(&mut self, by: usize) {
        let per_cpu = |broadcast: &Option<(usize, InvalidatedEntries)>| {
            broadcast.is_some_and(|(cpu, _)| cpu == by)
        };
        let complete = self.broadcasts(per_cpu);
        self.leaves.retain(|leaf| leaf.doomed & complete == 0);
        self.walks.retain(|walk| walk.doomed & complete == 0);
        for broadcast in self
            .under_way
            .iter_mut()
            .filter(|broadcast| per_cpu(broadcast))
        {
            *broadcast = None;
        }
    }

    /// Returns the broadcasts in progress that match, one bit each.
    fn broadcasts(&self, are: impl Fn(&Option<(usize, InvalidatedEntries)>) -> bool) -> u32 {
        let all = self.under_way.iter().enumerate();
        all.filter(|(_, broadcast)| are(broadcast))
            .fold(0, |bits, (nth, _)| bits | 1 << nth)
    }

    /// Returns the broadcasts that invalidate a leaf entry which is filled through a walk entry: those that invalidate
    /// both. Each acts once and on both at the same moment, and afterwards the walk entry is gone.
    fn doomed_with(&self, walk: &CachedWalk, leaf: &CachedLeaf) -> u32 {
        walk.doomed
            & self.broadcasts(|broadcast| broadcast.is_some_and(|(_, target)| target.leaf(leaf)))
    }

    /// Fills everything that a walker may see from a root. Returns whether it read memory that is no longer a table.
    pub fn fill(&mut self, root: TableId, tag: u64, seen: &VisibleValues, gone: &[bool]) -> bool {
        let mut lost = gone[root];
        for index in 0..ENTRIES {
            for bits in &seen[at(root, index)] {
                if let Entry::Table(table) = Entry::of(*bits) {
                    let same = |walk: &CachedWalk| {
                        (walk.tag, walk.index, walk.table) == (tag, index, table)
                    };
                    self.walks.retain(|walk| !same(walk));
                    let doomed = 0;
                    self.walks.push(CachedWalk {
                        tag,
                        index,
                        table,
                        doomed,
                    });
                }
            }
        }
        for walk in self.walks.clone() {
            if walk.tag != tag {
                continue;
            }
            if gone[walk.table] {
                lost = true;
                continue;
            }
            for index in 0..ENTRIES {
                let page = (walk.index * ENTRIES + index) as u64;
                for bits in &seen[at(walk.table, index)] {
                    if let Entry::Page {
                        frame,
                        write,
                        attributes,
                    } = Entry::of(*bits)
                    {
                        let leaf = CachedLeaf {
                            tag,
                            page,
                            frame,
                            write,
                            attributes,
                            doomed: 0,
                        };
                        let doomed = self.doomed_with(&walk, &leaf);
                        self.cache(CachedLeaf { doomed, ..leaf });
                    }
                }
            }
        }
        lost
    }

    fn cache(&mut self, leaf: CachedLeaf) {
        let doomed = leaf.doomed;
        self.leaves
            .retain(|other| CachedLeaf { doomed, ..*other } != leaf);
        self.leaves.push(leaf);
    }
}
