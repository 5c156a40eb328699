//! What CPUs and devices may use.
//!
//! In: the entries that they hold, and the owners of pages. Out: complaints. Holds: an entry of a CPU counts only while the
//! CPU runs code that may use it.

use std::ops::Range;

use tlbc_machine::hardware::EntryKind;
use tlbc_machine::schedule;
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Marks, Stricter};
use tlbc_runtime::request::Space;

use super::super::memory::{
    ACCESSED, ATTRIBUTE, DIRTY, KERNEL, MARKS, NUMBER, Noted, Table, VALID, WRITABLE,
};
use super::device::{DeviceKind, agent_name};
use super::history::EntryKey;
use super::{ComplaintSubject, Core, Cores, Held};
use crate::model::Under;

impl Cores<'_> {
    /// Returns the name of a CPU or a device.
    pub fn name(&self, number: usize) -> String {
        agent_name(self.cpus, number)
    }

    /// Returns the leaf entries that code of a CPU, or a device, may use now.
    pub fn usable(&self, number: usize) -> impl Iterator<Item = &Held> {
        self.found(number, EntryKind::Leaf)
    }

    /// Returns the entries of a kind that an access of a CPU, or of a device, may find now.
    pub(super) fn found(&self, number: usize, kind: EntryKind) -> impl Iterator<Item = &Held> {
        let core = &self.all[number];
        let fixed = self.kernel_tag();
        let is_used = move |held: &&Held| match held.key.space {
            Space::User => core.user.is_some() && (held.key.tag == core.tag || held.key.global),
            Space::Kernel => {
                core.kernel
                    && (held.key.global
                        || fixed.map_or(held.key.tag == core.tag, |it| it == held.key.tag))
            }
        };
        let of_kind = core.held.iter();
        of_kind
            .filter(move |held| held.key.entry.kind == kind)
            .filter(is_used)
    }

    /// Returns the tag under which entries of the kernel are found whatever is loaded, if there is one.
    pub(super) fn fixed_tag(&self) -> Option<u64> {
        let (model, config) = (self.hardware.model, self.hardware.config);
        match model.kernel.leaf.get(config)?.value {
            Under::Fixed(_, tag) => Some(tag),
            Under::Tags(_) | Under::EveryTag | Under::Global => None,
        }
    }

    /// Returns the tag of the kernel's entries, if it is always the same.
    pub(super) fn kernel_tag(&self) -> Option<u64> {
        let (model, config) = (self.hardware.model, self.hardware.config);
        match &model.kernel.leaf.get(config)?.value {
            Under::Fixed(_, tag) => Some(*tag),
            Under::Tags(_) => Some(self.kernel_root_tag),
            Under::EveryTag | Under::Global => None,
        }
    }

    /// Returns the pages that a leaf entry maps.
    pub fn pages(&self, key: &EntryKey) -> Range<usize> {
        let first = (key.bits >> NUMBER) as usize;
        let is_large = self.shifts[key.entry.level.index()] != self.memory.page_shift;
        first..first + if is_large { self.large_pages } else { 1 }
    }

    /// Returns the bits of the entry of a single page that an entry is at an address, if it translates the address.
    pub(super) fn bits_at(&self, key: &EntryKey, va: u64) -> Option<u64> {
        let within = va.wrapping_sub(key.va);
        let nth = within >> self.memory.page_shift;
        let shift = self.shifts[key.entry.level.index()];
        (within >> shift == 0).then(|| key.bits + (nth << NUMBER))
    }

    /// Records that pages are clean, because their reverse mapping is removed or they are written to disk: no CPU may write it
    /// through an old entry.
    pub fn clean(&mut self, pages: Range<usize>) {
        self.memory.clean.extend(pages);
        self.step();
        self.settle();
    }

    /// Checks that code uses only pages of its space, and writes none that is taken to be clean.
    pub fn check(&mut self) {
        for number in 0..self.all.len() {
            let core = &self.all[number];
            if core.user.is_none() && !core.kernel || core.held.is_empty() {
                continue;
            }
            let user_of = |held: &Held| match held.key.space {
                Space::User => core.user,
                Space::Kernel => Some(KERNEL),
            };
            let owner = |page: usize| self.memory.owners[page];
            let wrong_page = |held: &Held| {
                let mut pages = self.pages(&held.key);
                pages.find(|page| owner(*page) != user_of(held))
            };
            let is_wrong = |held: &&Held| wrong_page(held).is_some();
            let page = |held: &Held| (held.key.bits >> NUMBER) as usize;
            let writes = |held: &&Held| {
                let is_clean = |page| self.memory.clean.contains(&page);
                self.may_write(&held.key) && self.pages(&held.key).any(is_clean)
            };
            let name = || self.name(number);
            let runs = |held: &Held| space_name(user_of(held));
            let found = if let Some(held) = self.usable(number).find(is_wrong) {
                let page = wrong_page(held).unwrap_or_default();
                let text = format!(
                    "{} runs {} and may use an entry of {:#x} that was filled at step {}: its page {} belongs to {}",
                    name(),
                    runs(held),
                    held.key.va,
                    held.since,
                    page,
                    space_name(owner(page))
                );
                Some((held.key.clone(), text))
            } else if let Some(held) = self.usable(number).find(writes) {
                let text = format!(
                    "{} runs {} and may write page {}, whose reverse mapping is removed",
                    name(),
                    runs(held),
                    page(held)
                );
                Some((held.key.clone(), text))
            } else if let Some(held) = self.of_kernel(number) {
                let text = format!(
                    "{} runs user code on a view without the kernel, and may use an entry of the kernel, of {:#x}, that was \
                     filled at step {}",
                    name(),
                    held.key.va,
                    held.since
                );
                Some((held.key.clone(), text))
            } else {
                self.conflict(number).map(|(one, other)| {
                    let text = format!(
                        "{} runs {} and may use two entries of {:#x}: one of page {} that was filled at step {}, and one of \
                         page {} that was filled at step {}",
                        name(),
                        runs(one),
                        one.key.va,
                        page(one),
                        one.since,
                        page(other),
                        other.since
                    );
                    (one.key.clone(), text)
                })
            };
            if let Some((key, text)) = found {
                return self.complain_of(ComplaintSubject::Entry(number, key), text);
            }
            self.check_settled(number);
        }
    }

    /// Returns whether a CPU can write through an entry without a walk.
    fn may_write(&self, key: &EntryKey) -> bool {
        let is_dirty = key.bits & DIRTY != 0 || !self.changes.clean_to_dirty_walks;
        key.bits & WRITABLE != 0 && is_dirty
    }

    /// Returns two entries that are used for one address although the definition does not permit that.
    fn conflict(&self, number: usize) -> Option<(&Held, &Held)> {
        let (page, attribute) = (
            self.changes.output_through_invalid,
            self.changes.attributes_through_invalid,
        );
        let size = self.changes.size_through_invalid;
        if !page && !attribute && !size {
            return None;
        }
        let page = if page { u64::MAX << NUMBER } else { 0 };
        let bits = page | if attribute { ATTRIBUTE } else { 0 };
        let usable: Vec<&Held> = self.usable(number).collect();
        usable.iter().enumerate().find_map(|(nth, one)| {
            let differs = |other: &&&Held| {
                let (one, other) = (&one.key, &other.key);
                let other_bits = (other.va == one.va && other.entry.level == one.entry.level)
                    && (other.bits ^ one.bits) & bits != 0;
                let overlap =
                    self.bits_at(one, other.va).is_some() || self.bits_at(other, one.va).is_some();
                let other_size = size && other.entry.level != one.entry.level && overlap;
                one.space == other.space && (other_bits || other_size)
            };
            usable[nth + 1..]
                .iter()
                .find(differs)
                .map(|other| (*one, *other))
        })
    }

    /// Records that a change of the address of a page is flushed: from here on until the next change, code uses the address only as
    /// the tables permit, which map it by an entry of the lowest level of these bits, or as one would.
    pub fn settled(&mut self, space: usize, (va, bits): (u64, u64)) {
        let settled = self.memory.settled.entry(space).or_default();
        settled.insert(va, bits);
        for number in 0..self.all.len() {
            self.check_settled(number);
        }
    }

    /// Checks that code of a CPU uses addresses whose changes are flushed only as the tables permit.
    fn check_settled(&mut self, number: usize) {
        let core = &self.all[number];
        let spaces = [core.user, core.kernel.then_some(KERNEL)];
        let settled = spaces.into_iter().flatten().filter_map(|space| {
            let settled = self.memory.settled.get(&space)?;
            Some(settled.iter().map(move |(va, bits)| (space, *va, *bits)))
        });
        let wrong = settled.flatten().find_map(|(space, va, bits)| {
            let held = self.wrong_at(number, space, (va, bits))?;
            Some((space, va, held.since, held.key.clone()))
        });
        if let Some((space, va, since, key)) = wrong {
            let text = format!(
                "{} runs {} and may use an old entry of {va:#x} that was filled at step {since}: the change of the table \
                 was flushed",
                self.name(number),
                space_name(Some(space)),
            );
            self.complain_of(ComplaintSubject::Entry(number, key), text);
        }
    }

    /// Returns an entry that code of a CPU may use for an address although the tables do not permit it. Where the machine faults on
    /// an entry that permits less than the table, the kernel's code must not have one, unless the kernel fixes such faults; and
    /// where devices keep such an entry, they must not have one.
    fn wrong_at(&self, number: usize, space: usize, (va, bits): (u64, u64)) -> Option<&Held> {
        let is_kernel = space == KERNEL;
        let faults = match self.all[number].device {
            // No fault handler fixes what a device has.
            Some(DeviceKind::Device) => self.strict_devices,
            _ => is_kernel && !self.fixes_faults && self.changes.stricter != Stricter::Refetched,
        };
        let of_space = |held: &&Held| (held.key.space == Space::Kernel) == is_kernel;
        let is_wrong = |held: &&Held| {
            let Some(held) = self.bits_at(&held.key, va) else {
                return false;
            };
            let other = bits & VALID == 0 || (held ^ bits) >> NUMBER != 0;
            let stricter = faults && !held & WRITABLE & bits != 0;
            let attribute = (held ^ bits) & ATTRIBUTE != 0;
            // The machine does not set a mark again that a cached entry has.
            let marked = held & MARKS & !bits & !self.cleared_may_stay() != 0;
            other || attribute || stricter || marked || held & WRITABLE & !bits != 0
        };
        let wrong = self.usable(number).filter(of_space).find(is_wrong);
        // No handler fixes the fault of the kernel's code.
        let negative = || self.negative(number, Space::Kernel, (va, bits));
        wrong.or_else(|| negative().filter(|_| is_kernel && !self.fixes_faults))
    }

    /// Returns the marks that a cached entry may keep when they are cleared.
    fn cleared_may_stay(&self) -> u64 {
        let stay = self.changes.cleared_may_stay;
        let marks = [(Marks::ACCESSED, ACCESSED), (Marks::DIRTY, DIRTY)];
        let stays = |(mark, _): &(Marks, u64)| mark.without(stay).is_none();
        marks
            .into_iter()
            .filter(stays)
            .fold(0, |all, (_, bit)| all | bit)
    }

    /// Complains if a mark of a page was removed from its entry and is not among the bits that the kernel gets.
    pub fn check_marks(&mut self, page: usize, bits: u64) {
        self.step();
        let lost = self.memory.returned(page, bits);
        if lost != 0 {
            self.complain(format!("marks {lost:#x} of page {page} are lost"));
        }
    }

    /// Complains if code of a space may use the entry of a page that a batched unmap has made invalid.
    pub fn check_reclaimed(&mut self, space: usize, va: u64, (level, page): (Level, usize)) {
        let is_old = |held: &&Held| {
            let (key, number) = (&held.key, (held.key.bits >> NUMBER) as usize);
            key.space == Space::User && (key.va, key.entry.level, number) == (va, level, page)
        };
        let runs = |number: &usize| self.all[*number].user == Some(space);
        let found = { 0..self.all.len() }.filter(runs).find_map(|number| {
            let held = self.usable(number).find(is_old)?;
            Some((number, held.key.clone()))
        });
        if let Some((number, key)) = found {
            let text = format!(
                "{} runs {} and may use the entry of {va:#x} that was reclaimed, in a section of its tables",
                self.name(number),
                space_name(Some(space))
            );
            self.complain_of(ComplaintSubject::Entry(number, key), text);
        }
    }

    /// Complains if this CPU has replaced a valid entry by a store while another CPU has the table attached.
    pub(super) fn check_stores(&mut self, noted: &Noted) {
        let by = schedule::current();
        for &table in &noted.replaced {
            let attached = |cpu: &usize| {
                let core = &self.all[*cpu];
                let kernel = self.kernel_top.filter(|_| core.walks_kernel);
                let mut tops = core.root.into_iter().chain(kernel);
                *cpu != by && tops.any(|top| self.memory.reaches(top, table))
            };
            if let Some(other) = (0..self.cpus).find(attached) {
                return self.complain(format!(
                    "CPU {by} replaces a valid entry of table {table} by a store, and {} has the table attached",
                    self.name(other)
                ));
            }
        }
    }

    /// Complains if this CPU does not have the top table loaded on which the code of a space runs that comes next.
    pub fn check_root(&mut self, number: usize, (code, top): (&str, &Table)) {
        if self.all[number].root != Some(top.number) {
            self.complain(format!(
                "{} runs {code}, and has not loaded table {}, which is its top table",
                self.name(number),
                top.number
            ));
        }
    }

    /// Complains if a CPU has a top table loaded whose space is released.
    pub fn check_released(&mut self, top: &Table) {
        let is_loaded = |core: &Core| core.root == Some(top.number);
        if let Some(number) = self.all.iter().position(is_loaded) {
            self.complain(format!(
                "{} has table {} loaded, whose space is released",
                self.name(number),
                top.number
            ));
        }
    }

    /// Returns an entry of the kernel that user code of a CPU may use, although it runs on a view without them.
    fn of_kernel(&self, number: usize) -> Option<&Held> {
        let core = &self.all[number];
        let runs = self.has_views && core.user.is_some() && core.device.is_none();
        let is_found = |held: &&Held| {
            let key = &held.key;
            let is_leaf = key.entry.kind == EntryKind::Leaf && key.space == Space::Kernel;
            is_leaf && (key.global || key.tag == core.tag)
        };
        core.held.iter().filter(|_| runs).find(is_found)
    }

    /// Checks that a device that is detached has no entries left, unless its driver takes care of them.
    pub fn check_detached(&mut self, cpu: usize) {
        let device = &self.all[self.cpus + cpu];
        let is_left = matches!(device.device, Some(DeviceKind::Device | DeviceKind::Pinned));
        if let Some(held) = device.held.first().filter(|_| is_left) {
            let text = format!(
                "device {cpu} is detached and still has an entry of {:#x} that was filled at step {}",
                held.key.va, held.since
            );
            let key = held.key.clone();
            self.complain_of(ComplaintSubject::Entry(self.cpus + cpu, key), text);
        }
    }
}

/// Returns the name of a space.
fn space_name(space: Option<usize>) -> String {
    match space {
        None => "no space".to_owned(),
        Some(KERNEL) => "the kernel".to_owned(),
        Some(number) => format!("space {number}"),
    }
}
