//! What CPUs and devices may use.
//!
//! In: the entries that they hold, and the owners of pages. Out: complaints. Holds: an entry of a CPU counts only while the
//! CPU runs code that may use it.

use tlbc_machine::hardware::EntryKind;
use tlbc_runtime::pte::Stricter;
use tlbc_runtime::request::Space;

use super::super::memory::{ATTRIBUTE, KERNEL, NUMBER, VALID, WRITABLE};
use super::device::{DeviceKind, agent_name};
use super::{ComplaintSubject, Cores, Held};
use crate::model::Under;

impl Cores<'_> {
    /// Returns the name of a CPU or a device.
    pub fn name(&self, number: usize) -> String {
        agent_name(self.cpus, number)
    }

    /// Returns the leaf entries that code of a CPU, or a device, may use now.
    pub fn usable(&self, number: usize) -> impl Iterator<Item = &Held> {
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
        let leaves = { core.held.iter() }.filter(|held| held.key.entry.kind == EntryKind::Leaf);
        leaves.filter(is_used)
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

    /// Records that a page is clean, because its reverse mapping is removed or it is written to disk: no CPU may write it
    /// through an old entry.
    pub fn clean(&mut self, page: usize) {
        self.memory.clean.insert(page);
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
            let owner = |held: &Held| self.memory.pages[(held.key.bits >> NUMBER) as usize];
            let user_of = |held: &Held| match held.key.space {
                Space::User => core.user,
                Space::Kernel => Some(KERNEL),
            };
            let is_wrong = |held: &&Held| owner(held) != user_of(held);
            let page = |held: &Held| (held.key.bits >> NUMBER) as usize;
            let writes = |held: &&Held| {
                held.key.bits & WRITABLE != 0 && self.memory.clean.contains(&page(held))
            };
            let name = || self.name(number);
            let runs = |held: &Held| space_name(user_of(held));
            let found = if let Some(held) = self.usable(number).find(is_wrong) {
                let text = format!(
                    "{} runs {} and may use an entry of {:#x} that was filled at step {}: its page {} belongs to {}",
                    name(),
                    runs(held),
                    held.key.va,
                    held.since,
                    page(held),
                    space_name(owner(held))
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
        }
    }

    /// Returns two entries that are used for one address although the definition does not permit that.
    fn conflict(&self, number: usize) -> Option<(&Held, &Held)> {
        let (page, attribute) = (
            self.changes.output_through_invalid,
            self.changes.attributes_through_invalid,
        );
        if !page && !attribute {
            return None;
        }
        let page = if page { u64::MAX << NUMBER } else { 0 };
        let bits = page | if attribute { ATTRIBUTE } else { 0 };
        let usable: Vec<&Held> = self.usable(number).collect();
        usable.iter().enumerate().find_map(|(nth, one)| {
            let differs = |other: &&&Held| {
                (other.key.va, other.key.space) == (one.key.va, one.key.space)
                    && (other.key.bits ^ one.key.bits) & bits != 0
            };
            usable[nth + 1..]
                .iter()
                .find(differs)
                .map(|other| (*one, *other))
        })
    }

    /// Checks, after a flush, that code uses an address only as the table permits. Where the machine faults on an entry that
    /// permits less than the table, the kernel's code must not have one, unless the kernel `fixes_faults`.
    pub fn check_settled(&mut self, space: usize, (va, bits): (u64, u64), fixes_faults: bool) {
        let is_kernel = space == KERNEL;
        let faults = is_kernel && !fixes_faults && self.changes.stricter != Stricter::Refetched;
        for number in 0..self.all.len() {
            if !is_kernel && self.all[number].user != Some(space) {
                continue;
            }
            let of_space = |held: &&Held| (held.key.space == Space::Kernel) == is_kernel;
            let is_wrong = |held: &&Held| {
                let other = bits & VALID == 0 || (held.key.bits ^ bits) >> NUMBER != 0;
                let stricter = faults && !held.key.bits & WRITABLE & bits != 0;
                let attribute = (held.key.bits ^ bits) & ATTRIBUTE != 0;
                held.key.va == va
                    && (other || attribute || stricter || held.key.bits & WRITABLE & !bits != 0)
            };
            let wrong = self.usable(number).filter(of_space).find(is_wrong);
            if let Some((since, key)) = wrong.map(|held| (held.since, held.key.clone())) {
                let text = format!(
                    "{} runs {} and may use an old entry of {va:#x} that was filled at step {since}: the change of the table \
                     was flushed",
                    self.name(number),
                    space_name(Some(space)),
                );
                return self.complain_of(ComplaintSubject::Entry(number, key), text);
            }
        }
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
