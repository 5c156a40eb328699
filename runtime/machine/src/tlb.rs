//! What a CPU, or a device, has cached.

use crate::memory::{ENTRIES, Entry, Seen, TableId, at};
use crate::op::Dropped;

/// A leaf entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub tag: u64,
    pub page: u64,
    pub frame: usize,
    pub write: bool,
    pub attributes: u8,
    /// The broadcasts under way that drop it, one bit each.
    doomed: u32,
}

/// An entry that remembers a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    pub tag: u64,
    pub index: usize,
    pub table: TableId,
    doomed: u32,
}

/// Everything that may be cached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tlb {
    pub leaves: Vec<Leaf>,
    pub walks: Vec<Walk>,
    /// Broadcasts that are not complete, with the CPU that waits for each.
    under_way: Vec<Option<(usize, Dropped)>>,
}

impl Dropped {
    fn leaf(&self, leaf: &Leaf) -> bool {
        self.tag.is_none_or(|tag| tag == leaf.tag) && self.page.is_none_or(|page| page == leaf.page)
    }

    fn walk(&self, walk: &Walk) -> bool {
        let over = |page: u64| page / ENTRIES as u64 == walk.index as u64;
        self.walks && self.tag.is_none_or(|tag| tag == walk.tag) && self.page.is_none_or(over)
    }
}

impl Tlb {
    /// Drops at once.
    pub fn drop_now(&mut self, dropped: &Dropped) {
        self.leaves.retain(|leaf| !dropped.leaf(leaf));
        self.walks.retain(|walk| !dropped.walk(walk));
    }

    /// A broadcast is on its way.
    pub fn doom(&mut self, dropped: &Dropped, by: usize) {
        let free = self.under_way.iter().position(Option::is_none);
        let nth = free.unwrap_or_else(|| {
            self.under_way.push(None);
            self.under_way.len() - 1
        });
        self.under_way[nth] = Some((by, *dropped));
        let leaves = self.leaves.iter_mut().filter(|leaf| dropped.leaf(leaf));
        leaves.for_each(|leaf| leaf.doomed |= 1 << nth);
        let walks = self.walks.iter_mut().filter(|walk| dropped.walk(walk));
        walks.for_each(|walk| walk.doomed |= 1 << nth);
    }

    /// The broadcasts of a CPU have acted. What could be filled again meanwhile is doomed no longer.
    pub fn complete(&mut self, by: usize) {
        let per_cpu =
            |broadcast: &Option<(usize, Dropped)>| broadcast.is_some_and(|(cpu, _)| cpu == by);
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

    /// The broadcasts under way of a kind, one bit each.
    fn broadcasts(&self, are: impl Fn(&Option<(usize, Dropped)>) -> bool) -> u32 {
        let all = self.under_way.iter().enumerate();
        all.filter(|(_, broadcast)| are(broadcast))
            .fold(0, |bits, (nth, _)| bits | 1 << nth)
    }

    /// The broadcasts that drop a leaf entry which is filled by way of a walk entry: those that drop both. They drop each
    /// once and at one moment, after which the walk entry is not there to fill from.
    fn doomed_with(&self, walk: &Walk, leaf: &Leaf) -> u32 {
        walk.doomed
            & self.broadcasts(|broadcast| broadcast.is_some_and(|(_, dropped)| dropped.leaf(leaf)))
    }

    /// Caches all that a walker may see from a root. Says whether it went into a table that is none.
    pub fn fill(&mut self, root: TableId, tag: u64, seen: &Seen, gone: &[bool]) -> bool {
        let mut lost = gone[root];
        for index in 0..ENTRIES {
            for bits in &seen[at(root, index)] {
                if let Entry::Table(table) = Entry::of(*bits) {
                    let same =
                        |walk: &Walk| (walk.tag, walk.index, walk.table) == (tag, index, table);
                    self.walks.retain(|walk| !same(walk));
                    let doomed = 0;
                    self.walks.push(Walk {
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
                        let leaf = Leaf {
                            tag,
                            page,
                            frame,
                            write,
                            attributes,
                            doomed: 0,
                        };
                        let doomed = self.doomed_with(&walk, &leaf);
                        self.cache(Leaf { doomed, ..leaf });
                    }
                }
            }
        }
        lost
    }

    fn cache(&mut self, leaf: Leaf) {
        let doomed = leaf.doomed;
        self.leaves
            .retain(|other| Leaf { doomed, ..*other } != leaf);
        self.leaves.push(leaf);
    }
}
