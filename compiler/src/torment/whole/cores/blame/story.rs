//! A stale entry, and the events that decide about it.
//!
//! In: the history of a run, an entry and its CPU. Out: a [`Story`]: when the entry was filled, when the tables changed, when the
//! change was visible, when its page got another owner, and what each instruction does about it. Holds: what an instruction
//! does comes from the definition of the hardware, as in the run.

use tlbc_machine::hardware::EntryKind;

use crate::interpreted::Instruction;
use crate::model::{Drops, Which};
use crate::torment::decode::{Act, Decoded};
use crate::torment::effect::KeptReason;
use crate::torment::whole::cores::history::{Caller, EntryKey, Seen, SeenEvent};
use crate::torment::whole::cores::{Cores, cached, reaches};
use crate::torment::whole::memory::{LEAF, NUMBER, VALID, WRITABLE};

/// What an instruction does about an entry.
pub enum EntryFate<'m> {
    /// It does not act on the CPU.
    NotReached,
    /// It acts on the CPU, and keeps the entry.
    KeptReason(KeptReason, &'m Drops, Decoded),
    /// It may act before the change, because it does not follow this barrier.
    Unordered(usize),
    /// It removes the entry, once the event of this index has happened.
    Removes(Option<usize>),
}

/// The entry, and the events that decide about it, by their index.
pub struct Story<'a, 'm> {
    pub cores: &'a Cores<'m>,
    pub events: &'a [SeenEvent],
    pub cpu: usize,
    pub key: EntryKey,
    /// The store of the value that it holds.
    pub stored: Option<usize>,
    /// When it was filled last.
    pub filled: Option<usize>,
    /// The store after which the tables no longer lead to it.
    pub changed: Option<usize>,
    /// When no walker sees the old value any longer.
    pub hidden: Option<usize>,
    /// When its page or its table got another owner.
    pub harmed: Option<usize>,
    /// When user code began to run that can use it, if that was later.
    pub runs: Option<usize>,
}

impl<'a, 'm> Story<'a, 'm> {
    pub fn of(cores: &'a Cores<'m>, events: &'a [SeenEvent], cpu: usize, key: EntryKey) -> Self {
        let filled = events.iter().rposition(|event| {
            event.cpu == cpu && matches!(&event.seen, Seen::Filled(filled) if *filled == key)
        });
        let tables = &cores.memory.tables;
        let va = |table: usize, nth: usize| {
            let table = &tables[table];
            table.va.get() + ((nth as u64) << table.shift)
        };
        let is_stored = |event: &SeenEvent| {
            matches!(event.seen, Seen::Stored { table, nth, new, .. }
                if new == key.bits && va(table, nth) == key.va)
        };
        let until = filled.map_or(events.len(), |filled| filled + 1);
        let stored = events[..until].iter().rposition(is_stored);
        let slot = stored.and_then(|stored| match events[stored].seen {
            Seen::Stored { table, nth, .. } => Some((table, nth)),
            _ => None,
        });
        let after = |from: usize, is: &dyn Fn(&Seen) -> bool| {
            let mut rest = events.iter().enumerate().skip(from + 1);
            rest.find(|(_, event)| is(&event.seen))
                .map(|(index, _)| index)
        };
        let changed = stored.zip(slot).and_then(|(stored, slot)| {
            after(stored, &|seen| {
                matches!(seen, Seen::Stored { table, nth, old, .. }
                    if (*table, *nth) == slot && *old == key.bits)
            })
            .or_else(|| {
                after(stored, &|seen| {
                    matches!(seen, Seen::Stored { old, .. }
                        if is_pointer(*old) && (*old >> NUMBER) as usize == slot.0)
                })
            })
        });
        // A negative entry is filled from an entry that was never stored; another became valid in its place.
        let becomes_valid = |event: &SeenEvent| {
            matches!(event.seen, Seen::Stored { table, nth, old, new }
                if old & VALID == 0 && new & VALID != 0
                    && va(table, nth) == key.va
                    && tables[table].level == key.entry.level)
        };
        let is_negative = key.entry.kind == EntryKind::Negative;
        let made_valid = || events.iter().rposition(becomes_valid);
        let changed = if is_negative { made_valid() } else { changed };
        let stored = stored.filter(|_| !is_negative);
        let hidden = changed.and_then(|changed| {
            let Seen::Stored {
                table, nth, old, ..
            } = events[changed].seen
            else {
                return None;
            };
            let slot = (table, nth, old);
            after(changed, &|seen| {
                matches!(*seen, Seen::Hidden { table, nth, old } if (table, nth, old) == slot)
            })
        });
        let number = (key.bits >> NUMBER) as usize;
        let is_leaf = key.entry.kind == EntryKind::Leaf;
        let pages = if is_leaf { cores.pages(&key) } else { 0..0 };
        let is_clean = |page| cores.memory.clean.contains(&page);
        let complains_of_writes = pages.clone().any(is_clean) && key.bits & WRITABLE != 0;
        let harmed = after(changed.or(stored).unwrap_or(0), &|seen| match seen {
            Seen::Freed { table, .. } => key.entry.kind == EntryKind::Walk && *table == number,
            Seen::Cleaned { page, .. } => complains_of_writes && pages.contains(page),
            Seen::Owner {
                page, old: Some(_), ..
            } => pages.contains(page),
            _ => false,
        });
        let runs = events
            .iter()
            .rposition(|event| event.cpu == cpu && matches!(event.seen, Seen::Runs(Some(_))));
        // A CPU that was sent an IPI should have taken it before.
        let is_sent = { events.iter().skip(changed.unwrap_or(0)) }
            .any(|event| matches!(&event.seen, Seen::Sends(to, _) if to.contains(&cpu)));
        let runs = runs.filter(|runs| is_leaf && !is_sent && harmed.is_some_and(|it| it < *runs));
        Self {
            cores,
            events,
            cpu,
            key,
            stored,
            filled,
            changed,
            hidden,
            harmed,
            runs,
        }
    }

    /// Returns the fill since which the entry was cached all the time.
    pub fn first_fill(&self) -> Option<usize> {
        let is_ours = |event: &SeenEvent| event.cpu == self.cpu;
        let mut filled = self.filled?;
        for index in (0..filled).rev() {
            match &self.events[index].seen {
                Seen::Removed(key) if is_ours(&self.events[index]) && *key == self.key => break,
                Seen::Filled(key) if is_ours(&self.events[index]) && *key == self.key => {
                    filled = index;
                }
                _ => {}
            }
        }
        Some(filled)
    }

    pub fn at(&self, event: usize) -> String {
        self.events.get(event).map_or_else(
            || "at the end".to_owned(),
            |it| format!("at step {}", it.step),
        )
    }

    /// Returns the instruction of an event, with the tags that CPUs have loaded.
    pub fn issued(&self, event: usize) -> Option<(&'a Instruction, &'a [u64])> {
        match &self.events[event].seen {
            Seen::Issued {
                instruction, tags, ..
            } => Some((instruction, tags)),
            _ => None,
        }
    }

    /// Returns the events since the change of the table. An instruction that makes the change is one of them.
    pub fn since_change(&self) -> std::ops::Range<usize> {
        let end = self.events.len();
        let Some(changed) = self.changed else {
            return end..end;
        };
        let step = self.events[changed].step;
        let mut start = changed;
        while start > 0 && self.events[start - 1].step == step {
            start -= 1;
        }
        start..end
    }

    /// Returns what an instruction does about the entry; none for a barrier or what the hardware does not have.
    pub fn judge(&self, event: usize) -> Option<EntryFate<'m>> {
        let (instruction, tags) = self.issued(event)?;
        let hardware = self.cores.hardware;
        let by = self.events[event].cpu;
        let op = instruction.op(hardware.model);
        let entry = cached(&hardware, &self.key, tags[self.cpu]);
        let kept = |clauses: &'m [Drops], with: Decoded| {
            let kept = clauses
                .iter()
                .map(|it| (hardware.keeps(it, &with, &entry, &[]), it));
            let kept: Option<Vec<_>> = kept.map(|(kept, it)| Some((kept?, it))).collect();
            kept?.into_iter().max_by_key(|(kept, _)| *kept)
        };
        if let Which::Load(load) = instruction.which {
            let with = hardware.load(load, &op).filter(|_| by == self.cpu)?;
            let drops = &hardware.model.loads[load].drops;
            if drops.is_empty() {
                return None;
            }
            return Some(match kept(drops, with) {
                Some((kept, drops)) => EntryFate::KeptReason(kept, drops, with),
                None => EntryFate::Removes(Some(event)),
            });
        }
        let Ok((Act::Invalidate { index, form, with }, lost)) = self.cores.act(instruction) else {
            return None;
        };
        let it = &hardware.model.invalidates[index];
        let of = (self.cpu, self.cores.all[self.cpu].device);
        if !reaches(it.reach(hardware.config).without(lost), by, of) {
            return Some(EntryFate::NotReached);
        }
        if let Some((kept, drops)) = kept(&form.drops, with) {
            return Some(EntryFate::KeptReason(kept, drops, with));
        }
        if let Some(at) = it.follows.filter(|at| !self.follows(event, at.value)) {
            return Some(EntryFate::Unordered(at.value));
        }
        let Some(after) = it.done_after(hardware.config) else {
            return Some(EntryFate::Removes(Some(event)));
        };
        let completes = |later: &usize| {
            let same = self
                .issued(*later)
                .filter(|_| self.events[*later].cpu == by);
            same.is_some_and(|(instruction, _)| {
                matches!(self.cores.act(instruction), Ok((Act::Barrier(barrier), _)) if barrier == after)
                    && { hardware.model.barriers[after].completes }
                        .is_some_and(|it| reaches(it.value, by, of))
            })
        };
        let mut later = event + 1..self.events.len();
        Some(EntryFate::Removes(later.find(completes)))
    }

    /// Returns whether an instruction follows a barrier of its CPU, with no IPI and no completion in between.
    fn follows(&self, event: usize, barrier: usize) -> bool {
        let by = self.events[event].cpu;
        let before = self.events[..event].iter().rev().filter(|it| it.cpu == by);
        for event in before {
            let instruction = match &event.seen {
                Seen::Takes => return false,
                Seen::Issued { instruction, .. } => instruction,
                _ => continue,
            };
            if let Ok((Act::Barrier(index), _)) = self.cores.act(instruction) {
                if index == barrier {
                    return true;
                }
                if self.cores.hardware.model.barriers[index]
                    .completes
                    .is_some()
                {
                    return false;
                }
            }
        }
        false
    }

    /// Returns why an entry is kept, in words.
    pub fn why_kept(&self, kept: KeptReason, with: &Decoded) -> String {
        match kept {
            KeptReason::Condition => {
                "does not act on this machine, or with these operands".to_owned()
            }
            KeptReason::Kind => {
                let kind = match self.key.entry.kind {
                    EntryKind::Leaf => "leaf",
                    EntryKind::Walk => "walk",
                    EntryKind::Root => "root",
                    EntryKind::Negative => "negative",
                };
                format!("removes no {kind} entry of this level")
            }
            KeptReason::Tag => match with.tag {
                Some(tag) => format!("names tag {:#x}", tag.value),
                None => "acts on other tags".to_owned(),
            },
            KeptReason::Address => match with.va {
                Some(va) => format!("names {:#x}", va.value),
                None => "names other addresses".to_owned(),
            },
        }
    }

    /// Returns what happened to the page or the table, in words, and where the runtime did it.
    pub fn harm(&self, event: usize) -> (String, Caller) {
        match &self.events[event].seen {
            Seen::Owner {
                page,
                new: None,
                from,
                ..
            } => (format!("releases page {page}"), *from),
            Seen::Owner {
                page,
                new: Some(space),
                from,
                ..
            } => (format!("gives page {page} to space {space}"), *from),
            Seen::Freed { table, from } => (format!("frees table {table}"), *from),
            Seen::Cleaned { page, from } => {
                (format!("removes the reverse mapping of page {page}"), *from)
            }
            _ => (String::new(), None),
        }
    }

    /// Returns where the runtime called the platform when an instruction was issued.
    pub fn caller(&self, event: usize) -> Caller {
        match &self.events[event].seen {
            Seen::Issued { from, .. } | Seen::Sends(_, from) => *from,
            _ => None,
        }
    }

    /// Returns the space that owned the page when the value was stored, if that was not the space that uses it.
    pub fn other_owner(&self) -> Option<String> {
        let (stored, used) = (self.stored?, self.cores.all[self.cpu].user?);
        let number = (self.key.bits >> NUMBER) as usize;
        let owner = { self.events[..=stored].iter() }
            .rev()
            .find_map(|event| match event.seen {
                Seen::Owner { page, new, .. } if page == number => Some(new),
                _ => None,
            });
        match owner.filter(|_| self.key.entry.kind == EntryKind::Leaf)? {
            Some(owner) if owner == used => None,
            Some(_) => Some("another owner".to_owned()),
            None => Some("no space".to_owned()),
        }
    }

    /// Returns the last call of the platform by a CPU before an event.
    pub fn last_call(&self, before: usize, by: usize) -> Caller {
        let mut earlier = (0..before).rev().filter(|it| self.events[*it].cpu == by);
        earlier.find_map(|it| self.caller(it))
    }
}

/// Returns whether a value points at a table.
fn is_pointer(bits: u64) -> bool {
    bits & VALID != 0 && bits & LEAF == 0
}
