//! The life of a stale entry.
//!
//! In: a [`Story`]. Out: the entry in words, and what happened to it, in order. Holds: each instruction that invalidates is in it, with
//! what it does about the entry.

use tlbc_machine::hardware::EntryKind;

use super::line::{BlameLine, BlamedPlace, asm};
use super::story::{EntryFate, Story};
use crate::torment::picture::Mark;
use crate::torment::whole::cores::history::{EntryKey, Seen};
use crate::torment::whole::memory::{NUMBER, VALID, WRITABLE};

impl Story<'_, '_> {
    /// Returns the entry in words.
    pub fn words(&self) -> String {
        let model = self.cores.hardware.model;
        let EntryKey {
            entry,
            va,
            tag,
            global,
            bits,
            ..
        } = &self.key;
        let level = &model.levels[entry.level.index()].name;
        let cache = &model.caches.all[usize::from(entry.cache)].named.name;
        let number = bits >> NUMBER;
        let (kind, to) = match entry.kind {
            EntryKind::Leaf if bits & WRITABLE != 0 => {
                ("leaf", format!(", to page {number}, writable"))
            }
            EntryKind::Leaf => ("leaf", format!(", to page {number}")),
            EntryKind::Walk => ("walk", format!(", to table {number}")),
            EntryKind::Root => ("root", format!(", to table {number}")),
            EntryKind::Negative => ("negative", String::new()),
        };
        let under = if *global {
            "global".to_owned()
        } else {
            format!("under tag {tag:#x}")
        };
        format!(
            "a {kind} entry of {level} for {va:#x} in `{cache}` of {}, {under}{to}",
            self.cores.name(self.cpu)
        )
    }

    /// Returns the life of the entry.
    pub fn life(&self) -> Vec<BlameLine> {
        let mut lines = Vec::new();
        let mut add = |event: usize, text: String, place: Option<BlamedPlace>| {
            let mut line = BlameLine::new(event, &self.events[event], text, place);
            if matches!(self.judge(event), Some(EntryFate::Removes(_))) {
                line.mark = Mark::Removal;
            }
            lines.push(line);
        };
        let since = self.since_change();
        for (index, event) in self.events.iter().enumerate() {
            let is_ours = event.cpu == self.cpu;
            match &event.seen {
                Seen::Stored { table, .. } if Some(index) == self.stored => {
                    add(
                        index,
                        format!("stores the value of the entry in table {table}"),
                        None,
                    );
                }
                Seen::Stored {
                    table, old, new, ..
                } if Some(index) == self.changed => {
                    let text = match (old & VALID, new & VALID) {
                        (_, 0) => format!("makes the entry of table {table} invalid"),
                        (0, _) => format!("makes the entry of table {table} valid"),
                        _ => format!("stores another value in table {table}"),
                    };
                    add(index, text, None);
                }
                Seen::Hidden { .. } if Some(index) == self.hidden => {
                    let is_at_once = self.changed.map(|it| self.events[it].step);
                    if is_at_once != Some(event.step) {
                        add(
                            index,
                            "from here on no walker sees the old value".into(),
                            None,
                        );
                    }
                }
                Seen::Filled(key) if is_ours && *key == self.key => {
                    let is_stale = self.changed.is_some_and(|changed| changed < index);
                    let text = if is_stale {
                        "fills the stale entry"
                    } else {
                        "fills the entry"
                    };
                    add(index, text.to_owned(), None);
                }
                Seen::Removed(key) if is_ours && *key == self.key => {
                    add(index, "the entry is gone".to_owned(), None);
                }
                Seen::Issued {
                    instruction, from, ..
                } if since.contains(&index) => {
                    let text = match self.judge(index) {
                        None => continue,
                        Some(EntryFate::NotReached) => {
                            format!("does not act on {}", self.cores.name(self.cpu))
                        }
                        Some(EntryFate::KeptReason(kept, _, with)) => self.why_kept(kept, &with),
                        Some(EntryFate::Unordered(barrier)) => format!(
                            "may act before the change, because `{}` does not precede it",
                            self.cores.hardware.model.barriers[barrier].named.name
                        ),
                        Some(EntryFate::Removes(Some(at))) if at == index => {
                            "removes it".to_owned()
                        }
                        Some(EntryFate::Removes(Some(at))) => {
                            format!("removes it, completed {}", self.at(at))
                        }
                        Some(EntryFate::Removes(None)) => {
                            "removes it, and is never completed".to_owned()
                        }
                    };
                    let text = format!("issues `{}`: {text}", asm(self.cores, instruction));
                    add(index, text, from.map(BlamedPlace::Runtime));
                }
                Seen::Sends(to, from) if since.contains(&index) && to.contains(&self.cpu) => {
                    let text = format!("sends an IPI to CPU {}", self.cpu);
                    add(index, text, from.map(BlamedPlace::Runtime));
                }
                Seen::Takes if since.contains(&index) && is_ours => {
                    add(index, "takes the IPI".to_owned(), None);
                }
                Seen::Runs(Some(space)) if is_ours && index >= self.stored.unwrap_or(index) => {
                    add(index, format!("user code of space {space} runs"), None);
                }
                _ if Some(index) == self.harmed => {
                    let (text, from) = self.harm(index);
                    add(index, text, from.map(BlamedPlace::Runtime));
                }
                _ => {}
            }
        }
        lines
    }
}
