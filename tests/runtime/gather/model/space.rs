//! A space and its tables, as the operations of a program change them.
//!
//! In: an operation, within a section. Each operation passes to the model which pages and tables are released for it, and
//! which entries may be stale until then.

use tlbc_runtime::pte::Entry;
use tlbc_runtime::{Backend, Level, NewSpace, Section};
use tlbc_tests::hosted::{Handle, Hosted};
use tlbc_tests::model::{Machine, Model, Out, subtree};
use tlbc_tests::tables::{DIRTY, Entries, FILE, WRITE, leaf_bits};
use tlbc_tests::watched::{Made, Stale, Watched};

use crate::gather::model::programs::{FEW, MOST, Op, TABLES};

/// A space and its tables.
pub struct Space<B: Backend + Send + Sync + 'static> {
    mmu: Machine<B>,
    pub handle: Handle<Watched<B>>,
    pub subject: u64,
    levels: [Level; 3],
    top: Entries,
    middle: Entries,
    tables: [Option<Entries>; TABLES],
    /// The number of entries in use in a table.
    most: usize,
    /// The number of the next page or table.
    next: u64,
}

impl<B: Backend + Send + Sync + 'static> Space<B> {
    pub fn new(mmu: &Machine<B>, model: &mut Model<B>, subject: u64, new: NewSpace) -> Self {
        let new = NewSpace {
            table: new.table + (subject << 32),
            user_table: new.user_table + (subject << 32),
            ..new
        };
        model.has_space(subject, &new);
        let handle = Hosted::space(mmu, new).expect("a tag");
        let backend = mmu.platform().backend();
        let facts = backend.levels();
        let mut there = Level::all().filter(|level| facts[level.index()].shift != 0);
        let levels = [(); 3].map(|()| there.next().expect("three levels"));
        let shift = |level: Level| facts[level.index()].shift;
        let start = 3 << shift(levels[2]);
        let top = Entries::new(backend, &handle, levels[2], start, FEW);
        let middle = Entries::new(backend, &handle, levels[1], start, FEW);
        top.link(0, subject + 1);
        Self {
            mmu: mmu.clone(),
            handle,
            subject,
            levels,
            top,
            middle,
            tables: [const { None }; TABLES],
            most: MOST.min(1 << (shift(levels[1]) - shift(levels[0]))),
            next: (subject + 1) << 32,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn level_has_leaves(&self, level: Level) -> bool {
        self.mmu.platform().backend().levels()[level.index()].leaf
    }

    /// Returns a table, which is created if it does not exist; if a large page is in its place there is no such table.
    fn table(&mut self, nth: usize) -> Option<&Entries> {
        if self.tables[nth].is_none() && self.middle.entry(nth) == Entry::Invalid {
            let number = self.fresh();
            self.middle.link(nth, number);
            let va = self.middle.slot(nth).va;
            let backend = self.mmu.platform().backend();
            let table = Entries::new(backend, &self.handle, self.levels[0], va, self.most);
            self.tables[nth] = Some(table);
        }
        self.tables[nth].as_ref()
    }

    /// Returns the table of the large pages, and its first entry that never points at a table.
    fn large(&self, upper: bool, at: usize) -> (&Entries, usize) {
        if upper {
            (&self.top, at.max(1))
        } else {
            (&self.middle, at)
        }
    }

    fn clear<'t>(
        &self,
        section: &mut Section<'_, '_, Hosted<Watched<B>>>,
        model: &mut Model<B>,
        entries: impl Iterator<Item = (&'t Entries, usize)>,
    ) {
        let valid = entries.filter(|(table, index)| table.leaf(*index).is_some());
        let leaves: Vec<_> = valid
            .map(|(table, index)| (table, index, table.bits(index)))
            .collect();
        let given = leaves
            .iter()
            .filter_map(|(table, index, _)| table.leaf(*index));
        section.unmap_all(given).expect("entries of this space");
        let places: Vec<_> = leaves
            .iter()
            .map(|(table, index, _)| (table.level, table.slot(*index).va))
            .collect();
        for (made, (table, _, bits)) in model.made(&places).iter().zip(&leaves) {
            let page = bits >> 12;
            if bits & (DIRTY | FILE) == DIRTY | FILE {
                model.keeps_rmap(page);
            }
            let stale = vec![Stale::Leaf(table.level, made.va)];
            model.requires(self.subject, made, stale, Some(Out::Page(page)));
        }
    }

    /// Clears everything in a table, and unlinks the table.
    fn unlink(
        &mut self,
        section: &mut Section<'_, '_, Hosted<Watched<B>>>,
        model: &mut Model<B>,
        nth: usize,
    ) {
        let Some(table) = self.tables[nth].take() else {
            return;
        };
        self.clear(section, model, (0..self.most).map(|index| (&table, index)));
        let number = self.middle.bits(nth) >> 12;
        let link = self.middle.pointer(nth).expect("it points at the table");
        let at = (self.middle.level, self.middle.slot(nth).va);
        section.unlink(link).expect("a table of this space");
        let made = model.made(&[at]);
        let stale = vec![Stale::Walk(at.0, at.1)];
        model.requires(self.subject, &made[0], stale, Some(Out::Table(number)));
    }

    /// Changes the rights of a leaf entry, and returns the change.
    fn change(
        &mut self,
        section: &mut Section<'_, '_, Hosted<Watched<B>>>,
        model: &Model<B>,
        (nth, index): (usize, usize),
        rights: u64,
    ) -> Option<Made> {
        let table = self.tables[nth].as_ref()?;
        let index = index % self.most;
        let was = table.bits(index);
        let leaf = table.leaf(index)?;
        let protected = section.protect(&leaf, |bits| bits & !WRITE | rights);
        assert_eq!(protected, Ok(was));
        assert_eq!(table.bits(index), was & !WRITE | rights);
        let va = table.slot(index).va;
        Some(model.made(&[(table.level, va)])[0])
    }

    /// Replaces the page of a leaf entry, in one step or in two; the old page is released.
    fn replace(
        &mut self,
        section: &mut Section<'_, '_, Hosted<Watched<B>>>,
        model: &mut Model<B>,
        (nth, index): (usize, usize),
    ) {
        let page = self.fresh();
        let Some(table) = &self.tables[nth] else {
            return;
        };
        let index = index % self.most;
        let was = table.bits(index);
        let Some(leaf) = table.leaf(index) else {
            return;
        };
        let bits = leaf_bits(page, WRITE);
        section.replace(leaf, bits).expect("of this space");
        assert_eq!(table.bits(index), bits);
        let facts = self.mmu.platform().backend();
        let facts = facts.change_facts(self.handle.flags());
        let through_invalid = facts.output_through_invalid && B::FACTS.pte_update.is_store();
        let place = (table.level, table.slot(index).va);
        let steps = if through_invalid { 2 } else { 1 };
        let made = model.made(&vec![place; steps]);
        let stale = vec![Stale::Leaf(place.0, place.1)];
        if was & (DIRTY | FILE) == DIRTY | FILE {
            model.keeps_rmap(was >> 12);
        }
        let out = Some(Out::Page(was >> 12));
        model.requires(self.subject, &made[0], stale.clone(), out);
        model.see();
        if steps == 2 {
            assert!(model.is_invalidated(self.subject, &made, stale));
        }
    }

    /// Runs an operation, and passes what it requires to the model.
    pub fn run(
        &mut self,
        section: &mut Section<'_, '_, Hosted<Watched<B>>>,
        model: &mut Model<B>,
        op: &Op,
    ) {
        let subject = self.subject;
        match *op {
            Op::Map(nth, at, count, dirty_file) => {
                let pages: Vec<_> = (0..count).map(|_| self.fresh()).collect();
                let most = self.most;
                let Some(table) = self.table(nth) else { return };
                let flags = if dirty_file {
                    WRITE | DIRTY | FILE
                } else {
                    WRITE
                };
                for (index, page) in (at..most).zip(pages) {
                    if table.entry(index) == Entry::Invalid {
                        table.map(index, page, flags);
                    }
                }
            }
            Op::Clear(nth, at, count) => {
                let table = self.tables[nth].take();
                if let Some(table) = &table {
                    let range = at..self.most.min(at + count);
                    self.clear(section, model, range.map(|index| (table, index)));
                }
                self.tables[nth] = table;
            }
            Op::MapLarge(upper, at) => {
                let page = self.fresh();
                let (table, at) = self.large(upper, at);
                let free = table.entry(at) == Entry::Invalid;
                if free && self.level_has_leaves(table.level) {
                    table.map(at, page, WRITE);
                }
            }
            Op::ClearLarge(upper, at) => {
                let (table, at) = self.large(upper, at);
                self.clear(section, model, [(table, at)].into_iter());
            }
            Op::ClearAcross(nth) => {
                let table = self.tables[nth].take();
                if let Some(table) = &table {
                    let pages = (0..self.most).map(|index| (table, index));
                    let large = (nth + 1..FEW).map(|index| (&self.middle, index));
                    self.clear(section, model, pages.chain(large));
                }
                self.tables[nth] = table;
            }
            Op::Protect(nth, at) => {
                let Some(made) = self.change(section, model, (nth, at), 0) else {
                    return;
                };
                if let Entry::Leaf { rights: 3, .. } = made.change.old {
                    let stale = vec![Stale::Leaf(made.change.level, made.va)];
                    model.requires(subject, &made, stale, None);
                }
            }
            Op::MoreRights(nth, at) => {
                let through_invalid = self.mmu.platform().backend();
                let facts = through_invalid.change_facts(self.handle.flags());
                if !facts.rights_through_invalid {
                    let _ = self.change(section, model, (nth, at), WRITE);
                }
            }
            Op::Replace(nth, at) => self.replace(section, model, (nth, at)),
            Op::Unlink(nth) => self.unlink(section, model, nth),
            Op::Detach(nth) => {
                let Some(link) = self.middle.pointer(nth) else {
                    return;
                };
                let stale = subtree(&self.mmu, &self.middle, nth);
                let at = (self.middle.level, self.middle.slot(nth).va);
                let number = self.middle.bits(nth) >> 12;
                let table = section.detach(link).expect("a table of this space");
                assert_eq!(table.returned(), number);
                let made = model.made(&[at]);
                model.requires(subject, &made[0], stale.clone(), None);
                model.see();
                assert!(model.is_invalidated(subject, &made, stale));
                self.tables[nth] = None; // its entries are kept
            }
            Op::Collapse(nth) => {
                if !self.level_has_leaves(self.levels[1]) || self.tables[nth].is_none() {
                    return;
                }
                let page = self.fresh();
                let number = self.middle.bits(nth) >> 12;
                let stale = subtree(&self.mmu, &self.middle, nth);
                let link = self.middle.pointer(nth).expect("it points at the table");
                let at = (self.middle.level, self.middle.slot(nth).va);
                let bits = leaf_bits(page, WRITE);
                section.collapse(link, bits).expect("a table of this space");
                assert_eq!(self.middle.bits(nth), bits);
                let facts = self.mmu.platform().backend();
                let facts = facts.change_facts(self.handle.flags());
                let breaks = facts.size_through_invalid && B::FACTS.pte_update.is_store();
                let made = model.made(&vec![at; if breaks { 2 } else { 1 }]);
                model.requires(subject, &made[0], stale.clone(), Some(Out::Table(number)));
                model.see();
                assert!(!breaks || model.is_invalidated(subject, &made, stale));
                self.tables[nth] = None;
            }
            Op::UnlinkAll => {
                (0..TABLES).for_each(|nth| self.unlink(section, model, nth));
                let large = (0..FEW).map(|index| (&self.middle, index));
                self.clear(section, model, large);
                let number = self.top.bits(0) >> 12;
                let link = self.top.pointer(0).expect("it points at the table");
                let at = (self.top.level, self.top.slot(0).va);
                section.unlink(link).expect("a table of this space");
                let made = model.made(&[at]);
                let stale = vec![Stale::Walk(at.0, at.1)];
                model.requires(subject, &made[0], stale, Some(Out::Table(number)));
                self.renew();
            }
            Op::DetachAll => {
                let stale = subtree(&self.mmu, &self.top, 0);
                let at = (self.top.level, self.top.slot(0).va);
                let link = self.top.pointer(0).expect("it points at the table");
                let table = section.detach(link).expect("a table of this space");
                table.returned();
                let made = model.made(&[at]);
                model.requires(subject, &made[0], stale.clone(), None);
                model.see();
                assert!(model.is_invalidated(subject, &made, stale));
                self.tables = [const { None }; TABLES];
                self.renew();
            }
        }
    }

    /// Creates another table of the middle level, in the place of the one that was unlinked.
    fn renew(&mut self) {
        let backend = self.mmu.platform().backend();
        let va = self.middle.va;
        self.middle = Entries::new(backend, &self.handle, self.levels[1], va, FEW);
        let number = self.fresh();
        self.top.link(0, number);
    }
}
