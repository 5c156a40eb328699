//! What went wrong with a stale entry.
//!
//! In: a [`Story`]. Out: a sentence, and the places that are responsible. Holds: of several reasons the one is named that comes
//! closest to removing the entry in time.

use tlbc_machine::hardware::EntryKind;

use super::line::{BlamedPlace, asm};
use super::story::{EntryFate, Story};
use crate::model::{Invalidate, LevelSel, Which};
use crate::torment::whole::cores::history::Seen;

impl<'m> Story<'_, 'm> {
    /// Returns what went wrong, and the places that are responsible.
    pub fn cause(&self) -> (String, Vec<(BlamedPlace, String)>) {
        let mut places = Vec::new();
        let (cpu, agent) = (self.cpu, self.cores.name(self.cpu));
        let end = self.events.len();
        let deadline = self.runs.or(self.harmed).unwrap_or(end);
        let (harm, harm_place) = match self.harmed {
            _ if self.runs.is_some() => (
                format!("{agent} begins to run its user code {}", self.at(deadline)),
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
                    BlamedPlace::Runtime(at),
                    "the last call of the runtime before".to_owned(),
                ))
            }));
            let cause = format!(
                "a table had this value {} although its page belonged to {owner}",
                self.at(stored)
            );
            return (cause, places);
        }
        let runtime = |text: &str| harm_place.map(|at| (BlamedPlace::Runtime(at), text.to_owned()));
        let Some(changed) = self.changed else {
            places.extend(runtime("the page is released here, while an entry maps it"));
            return (format!("{harm} while the tables still lead to it"), places);
        };
        if self.harmed.is_some_and(|harmed| harmed < changed) {
            places.extend(runtime("this comes before the change of the table"));
            return (format!("{harm} before the table was changed"), places);
        }
        let judged: Vec<(usize, EntryFate<'m>)> = { self.since_change() }
            .filter_map(|index| Some((index, self.judge(index)?)))
            .collect();
        let instruction = |index: usize| {
            let issued = self.issued(index);
            issued.map_or(String::new(), |(it, _)| asm(self.cores, it))
        };
        let defined = |index: usize| self.defined(index);
        let removes = |at: &&(usize, EntryFate<'m>)| matches!(at.1, EntryFate::Removes(_));
        if let Some((index, EntryFate::Removes(done))) = judged.iter().find(removes) {
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
                        BlamedPlace::Runtime(at),
                        "the instruction is issued from here".into(),
                    )
                }));
                let cause = format!(
                    "`{text}` is issued by CPU {by} {} before the change is visible to the walker of {agent}, which \
                     fills the old value again",
                    self.at(index)
                );
                return (cause, places);
            }
            places.extend(defined(index).map(|at| (at, "this instruction removes it".into())));
            let cause = format!(
                "`{text}` removes the entry {}, and {agent} fills it again from an entry that is still cached",
                self.at(done)
            );
            return (cause, places);
        }
        let unordered = judged.iter().find_map(|(index, judged)| match judged {
            EntryFate::Unordered(barrier) => Some((*index, *barrier)),
            _ => None,
        });
        if let Some((index, barrier)) = unordered {
            let barrier = &self.cores.hardware.model.barriers[barrier].named;
            places
                .extend(defined(index).map(|at| (at, "this instruction follows a barrier".into())));
            places.extend(self.caller(index).map(|at| {
                (
                    BlamedPlace::Runtime(at),
                    "the instruction is issued from here".into(),
                )
            }));
            let cause = format!(
                "`{}` may act before the change, because `{}` does not precede it",
                instruction(index),
                barrier.name
            );
            return (cause, places);
        }
        let closest = { judged.iter() }
            .filter_map(|(index, judged)| match judged {
                EntryFate::KeptReason(kept, drops, with) => Some((*kept, *index, *drops, with)),
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
                    .map(|at| (BlamedPlace::Runtime(at), "the IPI is sent from here".into())),
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
                    "{harm}, but {agent} {taken} the IPI that was sent {}",
                    self.at(sent)
                ),
                places,
            );
        }
        if let Some((kept, index, drops, with)) = closest {
            let text = instruction(index);
            let why = self.why_kept(kept, with);
            places.push((
                BlamedPlace::Definition(drops.span),
                "this clause keeps it".into(),
            ));
            places.extend(self.caller(index).map(|at| {
                (
                    BlamedPlace::Runtime(at),
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
                "`{}` of CPU {by} does not act on {agent}, {what}; {harm}",
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

    fn invalidate(&self, event: usize) -> Option<&'m Invalidate> {
        let (instruction, _) = self.issued(event)?;
        match instruction.which {
            Which::Invalidate(index) => Some(&self.cores.hardware.model.invalidates[index]),
            _ => None,
        }
    }

    fn defined(&self, event: usize) -> Option<BlamedPlace> {
        let span = self.invalidate(event)?.named.span;
        Some(BlamedPlace::Definition(span))
    }

    /// Returns where the definition says on which CPUs an instruction acts.
    fn reach(&self, event: usize) -> Option<BlamedPlace> {
        let it = self.invalidate(event)?;
        let at = it.agents.get(self.cores.hardware.config);
        Some(BlamedPlace::Definition(
            at.map_or(it.named.span, |at| at.span),
        ))
    }

    /// Returns where the definition says after which barrier an instruction is complete.
    fn completion(&self, event: usize) -> Option<BlamedPlace> {
        let after = self.invalidate(event)?.after.as_ref()?;
        let at = after.get(self.cores.hardware.config)?;
        Some(BlamedPlace::Definition(at.span))
    }

    /// Returns the barrier that publishes stores.
    fn publication(&self) -> Option<BlamedPlace> {
        let hardware = self.cores.hardware;
        let mut barriers = hardware.model.barriers.iter();
        let publishes =
            barriers.find(|it| it.publishes.is_some() && it.requires.holds(hardware.config));
        Some(BlamedPlace::Definition(publishes?.publishes?.span))
    }

    /// Returns an instruction that removes such entries.
    fn candidate(&self) -> Option<BlamedPlace> {
        let hardware = self.cores.hardware;
        let mut there =
            { hardware.model.invalidates.iter() }.filter(|it| it.requires.holds(hardware.config));
        let found = there.find(|it| {
            let clauses = it.forms.iter().flat_map(|form| &form.drops);
            let mut selected = clauses.filter_map(|drops| match self.key.entry.kind {
                EntryKind::Leaf => drops.leaf,
                EntryKind::Walk => drops.walk,
                EntryKind::Root => drops.root.then_some(LevelSel::Any),
                EntryKind::Negative => drops.negative,
            });
            selected.next().is_some()
        });
        Some(BlamedPlace::Definition(found?.named.span))
    }
}
