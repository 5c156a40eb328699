//! Why a stale entry could be used.
//!
//! In: the history of a run that failed, and the entry that the complaint is about. Out: a [`Blame`]: the life of the entry, what
//! each instruction since the change of the table did about it, and the place in the definition or in the runtime that is
//! responsible. Holds: what an instruction does comes from the definition of the hardware, as in the run.

use std::panic::Location;

use tlbc_machine::hardware::EntryKind;

use super::history::{Caller, EntryKey, Event, History, Seen};
use super::{Cores, Held, Subject, cached, class};
use crate::interpreted::Instruction;
use crate::model::{Drops, Which};
use crate::source::Span;
use crate::torment::decode::{Act, Decoded};
use crate::torment::effect::Kept;
use crate::torment::picture::Mark;
use crate::torment::whole::memory::{LEAF, NUMBER, VALID, WRITABLE};
use crate::trace::step;

/// A place that is responsible.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// Words of the definition.
    Definition(Span),
    /// A call of the platform by the runtime.
    Runtime(&'static Location<'static>),
}

/// What happened to an entry at a step, or a CPU did.
#[derive(Debug, Clone)]
pub struct Line {
    pub step: u64,
    pub cpu: usize,
    pub text: String,
    pub place: Option<Place>,
    /// The index of its event.
    pub event: usize,
    pub mark: Mark,
    /// The CPUs that are sent an IPI.
    pub sends: Vec<usize>,
    /// Whether the CPU takes an IPI.
    pub takes: bool,
}

impl Line {
    fn new(index: usize, event: &Event, text: String, place: Option<Place>) -> Self {
        Self {
            step: event.step,
            cpu: event.cpu,
            text,
            place,
            event: index,
            mark: mark(&event.seen),
            sends: match &event.seen {
                Seen::Sends(to, _) => to.clone(),
                _ => Vec::new(),
            },
            takes: matches!(event.seen, Seen::Takes),
        }
    }
}

/// Why a run failed.
#[derive(Debug, Clone, Default)]
pub struct Blame {
    /// The entry, in words.
    pub entry: Option<String>,
    /// The life of the entry, in order.
    pub life: Vec<Line>,
    /// What went wrong, in one sentence without its full stop.
    pub cause: Option<String>,
    /// The places that are responsible, the first most.
    pub places: Vec<(Place, String)>,
    /// The event of the fill that made the stale entry, and the one of the change of the table.
    pub filled: Option<usize>,
    pub changed: Option<usize>,
    /// The CPU that may use the entry.
    pub user: Option<usize>,
    /// The step of the complaint.
    pub complained: u64,
    /// What the CPUs did, in order.
    pub steps: Vec<Line>,
}

/// What an instruction does about an entry.
enum Judged<'m> {
    /// It does not act on the CPU.
    NotReached,
    /// It acts on the CPU, and keeps the entry.
    Kept(Kept, &'m Drops, Decoded),
    /// It removes the entry, once the event of this index has happened.
    Removes(Option<usize>),
}

/// The entry, and the events that decide about it, by their index.
struct Story<'a, 'm> {
    cores: &'a Cores<'m>,
    events: &'a [Event],
    cpu: usize,
    key: EntryKey,
    /// The store of the value that it holds.
    stored: Option<usize>,
    /// When it was filled last.
    filled: Option<usize>,
    /// The store after which the tables no longer lead to it.
    changed: Option<usize>,
    /// When no walker sees the old value any longer.
    hidden: Option<usize>,
    /// When its page or its table got another owner.
    harmed: Option<usize>,
    /// When user code began to run that can use it, if that was later.
    runs: Option<usize>,
}

/// Finds out why a run failed.
pub fn blame(cores: &Cores<'_>, history: &History) -> Blame {
    let mut blame = Blame {
        complained: cores.complained,
        ..Blame::default()
    };
    let key = match &cores.subject {
        Some(Subject::Entry(cpu, key)) => Some((*cpu, key.clone())),
        Some(Subject::Table(cpu, table)) => {
            let leads = |held: &&Held| {
                held.entry.kind == EntryKind::Walk && (held.bits >> NUMBER) as usize == *table
            };
            let held = cores.all[*cpu].held.iter().find(leads);
            held.map(|held| (*cpu, held.key()))
        }
        None => None,
    };
    if let Some((cpu, key)) = key {
        let story = Story::of(cores, &history.events, cpu, key);
        blame.entry = Some(story.words());
        blame.life = story.life();
        let (cause, places) = story.cause();
        blame.cause = Some(cause);
        blame.filled = story.first_fill();
        blame.changed = story.changed;
        blame.user = Some(cpu);
        blame.places = places;
    }
    let steps = history.events.iter().enumerate();
    blame.steps = steps
        .filter_map(|(index, event)| line(cores, index, event))
        .collect();
    blame
}

/// Returns what a CPU did, in words, if it did something.
fn line(cores: &Cores<'_>, index: usize, event: &Event) -> Option<Line> {
    let (text, place) = match &event.seen {
        Seen::Note(text) => (text.clone(), None),
        Seen::Issued {
            instruction, from, ..
        } => (format!("issues `{}`", asm(cores, instruction)), *from),
        Seen::Sends(to, from) => (format!("sends an IPI to {}", list(to)), *from),
        Seen::Takes => ("takes the IPI".to_owned(), None),
        Seen::Owner {
            page,
            new: None,
            from,
            ..
        } => (format!("releases page {page}"), *from),
        Seen::Freed { table, from } => (format!("frees table {table}"), *from),
        _ => return None,
    };
    Some(Line::new(index, event, text, place.map(Place::Runtime)))
}

/// Returns the mark of an event that says nothing about a stale entry.
fn mark(seen: &Seen) -> Mark {
    match seen {
        Seen::Note(_) | Seen::Runs(_) => Mark::Note,
        Seen::Issued { .. } => Mark::Instruction,
        Seen::Sends(..) | Seen::Takes => Mark::Ipi,
        Seen::Stored { .. } | Seen::Hidden { .. } => Mark::Store,
        Seen::Filled(_) => Mark::Fill,
        Seen::Removed(_) => Mark::Removal,
        Seen::Owner { .. } | Seen::Freed { .. } | Seen::Cleaned { .. } => Mark::Release,
    }
}

fn list(cpus: &[usize]) -> String {
    let names: Vec<String> = cpus.iter().map(|cpu| format!("CPU {cpu}")).collect();
    names.join(", ")
}

/// Returns the text of an instruction with its operands.
pub fn asm(cores: &Cores<'_>, instruction: &Instruction) -> String {
    let hardware = cores.hardware;
    let op = instruction.op(hardware.model);
    let step = step(hardware.model, hardware.config, &op, None);
    let text = step.and_then(|it| Some(it.instruction()?.asm.join("; ")));
    text.unwrap_or_default()
}

impl<'a, 'm> Story<'a, 'm> {
    fn of(cores: &'a Cores<'m>, events: &'a [Event], cpu: usize, key: EntryKey) -> Self {
        let filled = events.iter().rposition(|event| {
            event.cpu == cpu && matches!(&event.seen, Seen::Filled(filled) if *filled == key)
        });
        let tables = &cores.memory.tables;
        let va = |table: usize, nth: usize| {
            let table = &tables[table];
            table.va + ((nth as u64) << table.shift)
        };
        let is_stored = |event: &Event| {
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
        let complains_of_writes = cores.memory.clean.contains(&number) && key.bits & WRITABLE != 0;
        let harmed = after(changed.or(stored).unwrap_or(0), &|seen| match seen {
            Seen::Freed { table, .. } => key.entry.kind == EntryKind::Walk && *table == number,
            Seen::Cleaned { page, .. } => {
                key.entry.kind == EntryKind::Leaf && complains_of_writes && *page == number
            }
            Seen::Owner {
                page, old: Some(_), ..
            } => key.entry.kind == EntryKind::Leaf && *page == number,
            _ => false,
        });
        let runs = events
            .iter()
            .rposition(|event| event.cpu == cpu && matches!(event.seen, Seen::Runs(Some(_))));
        let is_leaf = key.entry.kind == EntryKind::Leaf;
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

    /// Returns the entry in words.
    fn words(&self) -> String {
        let model = self.cores.hardware.model;
        let EntryKey {
            entry,
            va,
            tag,
            global,
            bits,
        } = &self.key;
        let level = &model.levels[entry.level.index()].name;
        let cache = &model.caches.all[usize::from(entry.cache)].named.name;
        let number = bits >> NUMBER;
        let (kind, to) = match entry.kind {
            EntryKind::Leaf if bits & WRITABLE != 0 => ("leaf", format!("page {number}, writable")),
            EntryKind::Leaf => ("leaf", format!("page {number}")),
            EntryKind::Walk => ("walk", format!("table {number}")),
            EntryKind::Root => ("root", format!("table {number}")),
        };
        let under = if *global {
            "global".to_owned()
        } else {
            format!("under tag {tag:#x}")
        };
        format!(
            "a {kind} entry of {level} for {va:#x} in `{cache}` of CPU {}, {under}, to {to}",
            self.cpu
        )
    }

    /// Returns the fill since which the entry was cached all the time.
    fn first_fill(&self) -> Option<usize> {
        let is_ours = |event: &Event| event.cpu == self.cpu;
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

    fn at(&self, event: usize) -> String {
        self.events.get(event).map_or_else(
            || "at the end".to_owned(),
            |it| format!("at step {}", it.step),
        )
    }

    /// Returns the instruction of an event, with the tags that CPUs have loaded.
    fn issued(&self, event: usize) -> Option<(&'a Instruction, &'a [u64])> {
        match &self.events[event].seen {
            Seen::Issued {
                instruction, tags, ..
            } => Some((instruction, tags)),
            _ => None,
        }
    }

    /// Returns the events since the change of the table. An instruction that makes the change is one of them.
    fn since_change(&self) -> std::ops::Range<usize> {
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
    fn judge(&self, event: usize) -> Option<Judged<'m>> {
        let (instruction, tags) = self.issued(event)?;
        let hardware = self.cores.hardware;
        let by = self.events[event].cpu;
        let op = instruction.op(hardware.model);
        let held = Held {
            entry: self.key.entry,
            va: self.key.va,
            tag: self.key.tag,
            global: self.key.global,
            bits: self.key.bits,
            ways: Vec::new(),
            since: 0,
        };
        let entry = cached(&hardware, &held, tags[self.cpu]);
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
                Some((kept, drops)) => Judged::Kept(kept, drops, with),
                None => Judged::Removes(Some(event)),
            });
        }
        let Ok(Act::Invalidate { index, form, with }) = hardware.decode(hardware.model, &op) else {
            return None;
        };
        let it = &hardware.model.invalidates[index];
        let of = class(by, self.cpu);
        if !it.reach(hardware.config).covers(of) {
            return Some(Judged::NotReached);
        }
        if let Some((kept, drops)) = kept(&form.drops, with) {
            return Some(Judged::Kept(kept, drops, with));
        }
        let Some(after) = it.done_after(hardware.config) else {
            return Some(Judged::Removes(Some(event)));
        };
        let completes = |later: &usize| {
            let same = self
                .issued(*later)
                .filter(|_| self.events[*later].cpu == by);
            same.is_some_and(|(instruction, _)| {
                let op = instruction.op(hardware.model);
                let act = hardware.decode(hardware.model, &op);
                matches!(act, Ok(Act::Barrier(barrier)) if barrier == after) && {
                    hardware.model.barriers[after].completes
                }
                .is_some_and(|it| it.value.covers(of))
            })
        };
        let mut later = event + 1..self.events.len();
        Some(Judged::Removes(later.find(completes)))
    }

    /// Returns why an entry is kept, in words.
    fn why_kept(&self, kept: Kept, with: &Decoded) -> String {
        match kept {
            Kept::Condition => "does not act on this machine, or with these operands".to_owned(),
            Kept::Kind => {
                let kind = match self.key.entry.kind {
                    EntryKind::Leaf => "leaf",
                    EntryKind::Walk => "walk",
                    EntryKind::Root => "root",
                };
                format!("removes no {kind} entry of this level")
            }
            Kept::Tag => match with.tag {
                Some(tag) => format!("names tag {:#x}", tag.value),
                None => "acts on other tags".to_owned(),
            },
            Kept::Address => match with.va {
                Some(va) => format!("names {:#x}", va.value),
                None => "names other addresses".to_owned(),
            },
        }
    }

    /// Returns the life of the entry.
    fn life(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut add = |event: usize, text: String, place: Option<Place>| {
            let mut line = Line::new(event, &self.events[event], text, place);
            if matches!(self.judge(event), Some(Judged::Removes(_))) {
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
                Seen::Stored { table, new, .. } if Some(index) == self.changed => {
                    let text = match new & VALID {
                        0 => format!("makes the entry of table {table} invalid"),
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
                        Some(Judged::NotReached) => {
                            format!("does not act on CPU {}", self.cpu)
                        }
                        Some(Judged::Kept(kept, _, with)) => self.why_kept(kept, &with),
                        Some(Judged::Removes(Some(at))) if at == index => "removes it".to_owned(),
                        Some(Judged::Removes(Some(at))) => {
                            format!("removes it, completed {}", self.at(at))
                        }
                        Some(Judged::Removes(None)) => {
                            "removes it, and is never completed".to_owned()
                        }
                    };
                    let text = format!("issues `{}`: {text}", asm(self.cores, instruction));
                    add(index, text, from.map(Place::Runtime));
                }
                Seen::Sends(to, from) if since.contains(&index) && to.contains(&self.cpu) => {
                    let text = format!("sends an IPI to CPU {}", self.cpu);
                    add(index, text, from.map(Place::Runtime));
                }
                Seen::Takes if since.contains(&index) && is_ours => {
                    add(index, "takes the IPI".to_owned(), None);
                }
                Seen::Runs(Some(space)) if is_ours && index >= self.stored.unwrap_or(index) => {
                    add(index, format!("user code of space {space} runs"), None);
                }
                _ if Some(index) == self.harmed => {
                    let (text, from) = self.harm(index);
                    add(index, text, from.map(Place::Runtime));
                }
                _ => {}
            }
        }
        lines
    }

    /// Returns what happened to the page or the table, in words, and where the runtime did it.
    fn harm(&self, event: usize) -> (String, Caller) {
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

    /// Returns what went wrong, and the places that are responsible.
    fn cause(&self) -> (String, Vec<(Place, String)>) {
        let mut places = Vec::new();
        let cpu = self.cpu;
        let end = self.events.len();
        let deadline = self.runs.or(self.harmed).unwrap_or(end);
        let (harm, harm_place) = match self.harmed {
            _ if self.runs.is_some() => (
                format!(
                    "CPU {cpu} begins to run its user code {}",
                    self.at(deadline)
                ),
                self.last_call(deadline, cpu),
            ),
            Some(harmed) => {
                let (text, from) = self.harm(harmed);
                let by = self.events[harmed].cpu;
                (format!("CPU {by} {text} {}", self.at(harmed)), from)
            }
            None => {
                let by = self.changed.map_or(cpu, |changed| self.events[changed].cpu);
                ("the flush ended".to_owned(), self.last_call(end, by))
            }
        };
        if let Some(owner) = self.other_owner() {
            let stored = self.stored.unwrap_or_default();
            places.extend(self.events.get(stored).and_then(|event| {
                let at = self.last_call(stored, event.cpu)?;
                Some((
                    Place::Runtime(at),
                    "the last call of the runtime before".to_owned(),
                ))
            }));
            let cause = format!(
                "a table had this value {} although its page belonged to {owner}",
                self.at(stored)
            );
            return (cause, places);
        }
        let runtime = |text: &str| harm_place.map(|at| (Place::Runtime(at), text.to_owned()));
        let Some(changed) = self.changed else {
            places.extend(runtime("the page is released here, while an entry maps it"));
            return (format!("{harm} while the tables still lead to it"), places);
        };
        if self.harmed.is_some_and(|harmed| harmed < changed) {
            places.extend(runtime("this comes before the change of the table"));
            return (format!("{harm} before the table was changed"), places);
        }
        let judged: Vec<(usize, Judged<'m>)> = { self.since_change() }
            .filter_map(|index| Some((index, self.judge(index)?)))
            .collect();
        let instruction = |index: usize| {
            let issued = self.issued(index);
            issued.map_or(String::new(), |(it, _)| asm(self.cores, it))
        };
        let defined = |index: usize| self.defined(index);
        let removes = |at: &&(usize, Judged<'m>)| matches!(at.1, Judged::Removes(_));
        if let Some((index, Judged::Removes(done))) = judged.iter().find(removes) {
            let (index, text) = (*index, instruction(*index));
            let by = self.events[index].cpu;
            if index > deadline {
                places.extend(runtime("this should have waited for the instruction"));
                places.extend(defined(index).map(|at| (at, "this instruction removes it".into())));
                let cause = format!(
                    "{harm}, but `{text}`, which removes the entry, is issued by CPU {by} only {}",
                    self.at(index)
                );
                return (cause, places);
            }
            let Some(done) = done.filter(|done| *done <= deadline) else {
                places.extend(
                    self.completion(index)
                        .map(|at| (at, "its barrier completes it, and was not issued".into())),
                );
                places.extend(runtime("this comes before the barrier"));
                let when = done.map_or_else(
                    || "never completed".to_owned(),
                    |done| format!("completed only {}", self.at(done)),
                );
                return (
                    format!("`{text}` removes the entry, but is {when}; {harm}"),
                    places,
                );
            };
            let hidden = self.hidden.unwrap_or(end);
            if hidden > index {
                places.extend(
                    self.publication()
                        .map(|at| (at, "this makes stores visible to walkers".into())),
                );
                places.extend(self.caller(index).map(|at| {
                    (
                        Place::Runtime(at),
                        "the instruction is issued from here".into(),
                    )
                }));
                let cause = format!(
                    "`{text}` is issued by CPU {by} {} before the change is visible to the walker of CPU {cpu}, which \
                     fills the old value again",
                    self.at(index)
                );
                return (cause, places);
            }
            places.extend(defined(index).map(|at| (at, "this instruction removes it".into())));
            let cause = format!(
                "`{text}` removes the entry {}, and CPU {cpu} fills it again from an entry that is still cached",
                self.at(done)
            );
            return (cause, places);
        }
        let closest = { judged.iter() }
            .filter_map(|(index, judged)| match judged {
                Judged::Kept(kept, drops, with) => Some((*kept, *index, *drops, with)),
                _ => None,
            })
            .max_by_key(|(kept, ..)| *kept);
        let sent = self.since_change().find(
            |index| matches!(&self.events[*index].seen, Seen::Sends(to, _) if to.contains(&cpu)),
        );
        let taken = sent.and_then(|sent| {
            let mut later = sent..end;
            later.find(|index| {
                self.events[*index].cpu == cpu && matches!(self.events[*index].seen, Seen::Takes)
            })
        });
        if let Some(sent) = sent.filter(|_| taken.is_none_or(|taken| taken > deadline)) {
            places.extend(runtime("this should have waited for the CPU"));
            places.extend(
                self.caller(sent)
                    .map(|at| (Place::Runtime(at), "the IPI is sent from here".into())),
            );
            if sent > deadline {
                let by = self.events[sent].cpu;
                let cause = format!("{harm}, before CPU {by} sends the IPI {}", self.at(sent));
                return (cause, places);
            }
            let taken = taken.map_or_else(
                || "has not taken".to_owned(),
                |taken| format!("takes only {}", self.at(taken)),
            );
            return (
                format!(
                    "{harm}, but CPU {cpu} {taken} the IPI that was sent {}",
                    self.at(sent)
                ),
                places,
            );
        }
        if let Some((kept, index, drops, with)) = closest {
            let text = instruction(index);
            let why = self.why_kept(kept, with);
            places.push((Place::Definition(drops.span), "this clause keeps it".into()));
            places.extend(self.caller(index).map(|at| {
                (
                    Place::Runtime(at),
                    "the instruction is issued from here".into(),
                )
            }));
            let cause = format!("the entry should be removed by `{text}`, which {why}");
            return (cause, places);
        }
        if let Some((index, _)) = judged.first() {
            let by = self.events[*index].cpu;
            places.extend(self.reach(*index).map(|at| (at, "this CPU alone".into())));
            places.extend(runtime("nothing had reached the CPU before this"));
            let what = if sent.is_some() {
                "which took an IPI and issued nothing for it"
            } else {
                "which was sent no IPI"
            };
            let cause = format!(
                "`{}` of CPU {by} does not act on CPU {cpu}, {what}; {harm}",
                instruction(*index)
            );
            return (cause, places);
        }
        places.extend(runtime("nothing was flushed before this"));
        places.extend(
            self.candidate()
                .map(|at| (at, "such an instruction removes the entry".to_owned())),
        );
        (
            format!("no instruction that invalidates was issued; {harm}"),
            places,
        )
    }

    /// Returns where the runtime called the platform when an instruction was issued.
    fn caller(&self, event: usize) -> Caller {
        match &self.events[event].seen {
            Seen::Issued { from, .. } | Seen::Sends(_, from) => *from,
            _ => None,
        }
    }

    /// Returns who owned the page when the value was stored, if that was not the space that uses it.
    fn other_owner(&self) -> Option<String> {
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
    fn last_call(&self, before: usize, by: usize) -> Caller {
        let mut earlier = (0..before).rev().filter(|it| self.events[*it].cpu == by);
        earlier.find_map(|it| self.caller(it))
    }

    fn invalidate(&self, event: usize) -> Option<&'m crate::model::Invalidate> {
        let (instruction, _) = self.issued(event)?;
        match instruction.which {
            Which::Invalidate(index) => Some(&self.cores.hardware.model.invalidates[index]),
            _ => None,
        }
    }

    fn defined(&self, event: usize) -> Option<Place> {
        let span = self.invalidate(event)?.named.span;
        Some(Place::Definition(span))
    }

    /// Returns where the definition says on which CPUs an instruction acts.
    fn reach(&self, event: usize) -> Option<Place> {
        let it = self.invalidate(event)?;
        let at = it.agents.get(self.cores.hardware.config);
        Some(Place::Definition(at.map_or(it.named.span, |at| at.span)))
    }

    /// Returns where the definition says after which barrier an instruction is complete.
    fn completion(&self, event: usize) -> Option<Place> {
        let after = self.invalidate(event)?.after.as_ref()?;
        let at = after.get(self.cores.hardware.config)?;
        Some(Place::Definition(at.span))
    }

    /// Returns the barrier that publishes stores.
    fn publication(&self) -> Option<Place> {
        let hardware = self.cores.hardware;
        let mut barriers = hardware.model.barriers.iter();
        let publishes =
            barriers.find(|it| it.publishes.is_some() && it.requires.holds(hardware.config));
        Some(Place::Definition(publishes?.publishes?.span))
    }

    /// Returns an instruction that removes such entries.
    fn candidate(&self) -> Option<Place> {
        let hardware = self.cores.hardware;
        let mut there =
            { hardware.model.invalidates.iter() }.filter(|it| it.requires.holds(hardware.config));
        let found = there.find(|it| {
            let clauses = it.forms.iter().flat_map(|form| &form.drops);
            let mut selected = clauses.filter_map(|drops| match self.key.entry.kind {
                EntryKind::Leaf => drops.leaf,
                EntryKind::Walk => drops.walk,
                EntryKind::Root => drops.root.then_some(crate::model::LevelSel::Any),
            });
            selected.next().is_some()
        });
        Some(Place::Definition(found?.named.span))
    }
}

/// Returns whether a value points at a table.
fn is_pointer(bits: u64) -> bool {
    bits & VALID != 0 && bits & LEAF == 0
}
