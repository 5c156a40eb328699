//! What CPUs fill into their TLBs.
//!
//! In: the roots and tags that are loaded, tables in memory, and entries that are cached already. Out: more cached entries.
//! Holds: after [`Cores::settle`] everything that could be filled is filled, in every way in which it can be cached.

use tlbc_machine::hardware::{CachedEntry, EntryKind};
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::Negative;
use tlbc_runtime::request::Space;

use super::super::memory::{LEAF, NUMBER, VALID};
use super::history::EntryKey;
use super::weak::Weakness;
use super::{ComplaintSubject, Core, Cores, Held, Way, cached};
use crate::model::Under;
use crate::torment::decode::Hardware;
use crate::torment::kinds::stated;

impl Cores<'_> {
    /// Fills every entry that can be filled, and checks what may be used.
    pub fn settle(&mut self) {
        let speculates = self
            .hardware
            .model
            .caches
            .fill_while_loaded(self.hardware.config)
            && !self.is_weak(Weakness::NoSpeculation);
        for cpu in 0..self.all.len() {
            let core = &self.all[cpu];
            let Some(root) = core.root else {
                continue;
            };
            let user = (speculates || core.user.is_some()).then_some(root);
            let of_kernel = core.walks_kernel && !self.is_on_user_view(core);
            let kernel = self
                .kernel_top
                .filter(|_| of_kernel && (speculates || core.kernel));
            while self.fill(cpu, user, kernel) {}
        }
        self.observe();
        self.check();
    }

    /// Returns whether the view of user code is loaded, on which the tables of the kernel are not walked. Where both views have one
    /// top table, what tells them apart is loaded between the last code of the kernel and user code, and is not modelled.
    pub(super) fn is_on_user_view(&self, core: &Core) -> bool {
        if self.has_user_root {
            core.root.is_some_and(|root| self.user_tops.contains(&root))
        } else {
            self.has_views && core.is_user_next
        }
    }

    /// Fills from the tables of the user space and of the kernel. Returns whether an entry was filled.
    fn fill(&mut self, cpu: usize, user: Option<usize>, kernel: Option<usize>) -> bool {
        let mut changed = false;
        for (space, top) in [(Space::User, user), (Space::Kernel, kernel)] {
            if let Some(top) = top {
                changed |= self.walk(cpu, space, top, 0);
            }
        }
        let core = &self.all[cpu];
        let fixed = self.kernel_tag();
        let is_used = |held: &&Held| match held.key.space {
            Space::User => user.is_some() && held.key.tag == core.tag,
            Space::Kernel => {
                let is_tag = fixed.map_or(held.key.tag == core.tag, |tag| tag == held.key.tag);
                kernel.is_some() && (held.key.global || is_tag)
            }
        };
        let walks = { core.held.iter() }.filter(|held| held.key.entry.kind == EntryKind::Walk);
        let walks: Vec<_> = { walks.filter(is_used) }
            .map(|held| (held.key.space, held.key.bits, held.ways.clone()))
            .collect();
        for (space, bits, ways) in walks {
            for way in ways {
                changed |= self.walk(cpu, space, (bits >> NUMBER) as usize, way);
            }
        }
        let caches = &self.hardware.model.caches.all;
        let from: Vec<_> = { caches.iter().enumerate() }
            .filter_map(|(cache, it)| Some((cache as u8, it.from?.value as u8)))
            .collect();
        for (cache, from) in from {
            let sources = self.all[cpu].held.iter();
            let sources = sources.filter(|held| held.key.entry.cache == from);
            for source in sources.cloned().collect::<Vec<_>>() {
                let entry = CachedEntry {
                    cache,
                    from: Some(from),
                    ..source.key.entry
                };
                let kind = stated(entry.kind);
                let holding = self
                    .hardware
                    .model
                    .caches
                    .holding(kind, self.hardware.config);
                if holding.0 & (1 << cache) != 0 {
                    for way in source.ways.clone() {
                        changed |= self.add(
                            cpu,
                            &Held {
                                key: EntryKey {
                                    entry,
                                    ..source.key.clone()
                                },
                                ..source.clone()
                            },
                            way,
                        );
                    }
                }
            }
        }
        changed
    }

    /// Walks from a table for addresses of a space. The table was found in a way. Returns whether an entry was filled.
    fn walk(&mut self, cpu: usize, space: Space, table: usize, way: Way) -> bool {
        let Some(table) = self.memory.tables.get(table).cloned() else {
            return false;
        };
        if table.is_freed.get() {
            let (name, number) = (self.name(cpu), table.number);
            let text = format!("{name} may walk table {number}, which is freed");
            self.complain_of(ComplaintSubject::Table(cpu, number), text);
            return false;
        }
        // What a device faults on its driver repeats.
        let negative = self.keeps_negative() && self.all[cpu].device.is_none();
        let offset = if space == table.space {
            0
        } else {
            self.to_kernel()
        };
        let at = |va: u64| (space, va.wrapping_add(offset));
        let mut changed = false;
        for nth in 0..table.entries.len() {
            for bits in table.seen(nth) {
                let (valid, leaf) = (bits & VALID != 0, bits & LEAF != 0);
                let (kind, bits) = match (valid, leaf) {
                    (false, _) if !negative => continue,
                    (false, _) if self.changes.negative == Negative::AsPages => {
                        for page in self.memory.pages_below(&table, nth) {
                            let of_page = (EntryKind::Negative, Level(0));
                            changed |= self.cache(cpu, of_page, at(page), 0, way);
                        }
                        continue;
                    }
                    (false, _) => (EntryKind::Negative, 0),
                    (true, true) => (EntryKind::Leaf, bits),
                    (true, false) => (EntryKind::Walk, bits),
                };
                let va = at(table.va_of(nth));
                changed |= self.cache(cpu, (kind, table.level), va, bits, way);
                if kind == EntryKind::Walk {
                    changed |= self.walk(cpu, space, (bits >> NUMBER) as usize, way);
                }
            }
        }
        changed
    }

    fn cache(
        &mut self,
        cpu: usize,
        (kind, level): (EntryKind, Level),
        (space, va): (Space, u64),
        bits: u64,
        way: Way,
    ) -> bool {
        let Hardware { model, config, .. } = self.hardware;
        let (tag, global) = self.tag_of(cpu, space, kind);
        let holding = model.caches.holding(stated(kind), config);
        let mut changed = false;
        if kind == EntryKind::Walk && self.is_weak(Weakness::NoWalkEntries) {
            return changed;
        }
        for (cache, it) in model.caches.all.iter().enumerate() {
            if holding.0 & (1 << cache) == 0
                || it
                    .from
                    .is_some_and(|from| holding.0 & (1 << from.value) != 0)
            {
                continue;
            }
            let entry = CachedEntry {
                kind,
                level,
                cache: cache as u8,
                from: None,
            };
            let since = self.steps;
            let held = Held {
                key: EntryKey {
                    entry,
                    va,
                    tag,
                    global,
                    space,
                    bits,
                },
                ways: Vec::new(),
                since,
            };
            changed |= self.add(cpu, &held, way);
        }
        changed
    }

    /// Returns the tag under which an entry is cached, and whether it is global.
    pub(super) fn tag_of(&self, cpu: usize, space: Space, kind: EntryKind) -> (u64, bool) {
        let loaded = self.all[cpu].tag;
        if space == Space::User {
            return (loaded, false);
        }
        let kernel = &self.hardware.model.kernel;
        let cases = match kind {
            EntryKind::Leaf | EntryKind::Negative => &kernel.leaf,
            EntryKind::Walk | EntryKind::Root => &kernel.walk,
        };
        match cases.get(self.hardware.config).map(|at| &at.value) {
            Some(Under::Global) => (0, true),
            Some(Under::Fixed(_, tag)) => (*tag, false),
            Some(Under::Tags(_)) => (self.kernel_root_tag, false),
            Some(Under::EveryTag) | None => (loaded, false),
        }
    }

    /// Adds a way in which an entry can be cached, given the way of what it was filled from: an invalidation in progress
    /// that acts on both acts on both at once. Returns whether it is new.
    pub(super) fn add(&mut self, cpu: usize, new: &Held, way: Way) -> bool {
        let hardware = self.hardware;
        let loaded = self.all[cpu].tag;
        let acts = |nth: u32| {
            let pending = self.pending[nth as usize].as_ref();
            pending.is_some_and(|it| {
                hardware.drops(
                    &it.form.drops,
                    &it.with,
                    &cached(&hardware, &new.key, loaded),
                    &[],
                )
            })
        };
        // Mostly there are none, and this is where a run spends its time.
        let mut left = way;
        let mut way: Way = 0;
        while left != 0 {
            let nth = left.trailing_zeros();
            left &= left - 1;
            if acts(nth) {
                way |= 1 << nth;
            }
        }
        let held = &mut self.all[cpu].held;
        let same = held.iter_mut().find(|it| {
            (
                it.key.entry,
                it.key.va,
                it.key.tag,
                it.key.bits,
                it.key.space,
            ) == (
                new.key.entry,
                new.key.va,
                new.key.tag,
                new.key.bits,
                new.key.space,
            )
        });
        match same {
            Some(same) if same.ways.iter().any(|known| known & !way == 0) => false,
            Some(same) => {
                same.ways.retain(|known| way & !known != 0);
                same.ways.push(way);
                true
            }
            None => {
                held.push(Held {
                    ways: vec![way],
                    ..new.clone()
                });
                true
            }
        }
    }
}
