//! The events that are changes of the state of CPUs and memory.
//!
//! In: the state of [`Cores`], and the one that was recorded last. Out: an event for each difference. Holds: it does not matter
//! which code has made a change.

use tlbc_machine::schedule;

use super::Cores;
use super::history::{EntryKey, History, Seen, Snapshot};

impl Cores<'_> {
    /// Records what has changed since the last call.
    pub(super) fn observe(&mut self) {
        if self.is_over() {
            return;
        }
        let Some(mut history) = self.history.take() else {
            return;
        };
        let now = self.snapshot();
        let last = std::mem::replace(&mut history.last, now.clone());
        self.differences(&last, &now, &mut history);
        self.history = Some(history);
    }

    fn snapshot(&self) -> Snapshot {
        let tables = self.memory.tables.iter().map(|table| {
            let seen = (0..table.entries.len()).map(|nth| table.seen(nth));
            (seen.collect(), table.is_freed.get())
        });
        let mut clean: Vec<usize> = self.memory.clean.iter().copied().collect();
        clean.sort_unstable();
        let held =
            { self.all.iter() }.map(|core| core.held.iter().map(|it| it.key.clone()).collect());
        Snapshot {
            tables: tables.collect(),
            held: held.collect(),
            users: self.all.iter().map(|core| core.user).collect(),
            pages: self.memory.owners.clone(),
            clean,
        }
    }

    fn differences(&self, last: &Snapshot, now: &Snapshot, history: &mut History) {
        let by = schedule::current();
        let from = self.called.get(by).copied().flatten();
        let mut add = |cpu: usize, seen: Seen| history.add(self.steps, cpu, seen);
        for (table, (seen, is_freed)) in now.tables.iter().enumerate() {
            let (before, was_freed) = match last.tables.get(table) {
                Some((before, was_freed)) => (before.as_slice(), *was_freed),
                None => (&[][..], false),
            };
            for (nth, seen) in seen.iter().enumerate() {
                let before = before.get(nth).map_or(&[0][..], Vec::as_slice);
                let value = |values: &[u64]| values.last().copied().unwrap_or_default();
                let (old, new) = (value(before), value(seen));
                if old != new {
                    add(
                        by,
                        Seen::Stored {
                            table,
                            nth,
                            old,
                            new,
                        },
                    );
                }
                for &old in before.iter().filter(|value| !seen.contains(value)) {
                    add(by, Seen::Hidden { table, nth, old });
                }
            }
            if *is_freed && !was_freed {
                add(by, Seen::Freed { table, from });
            }
        }
        for (page, &new) in now.pages.iter().enumerate() {
            let old = last.pages.get(page).copied().flatten();
            if old != new {
                add(
                    by,
                    Seen::Owner {
                        page,
                        old,
                        new,
                        from,
                    },
                );
            }
        }
        for &page in now.clean.iter().filter(|page| !last.clean.contains(page)) {
            add(by, Seen::Cleaned { page, from });
        }
        for (cpu, held) in now.held.iter().enumerate() {
            let before: &[EntryKey] = last.held.get(cpu).map_or(&[], Vec::as_slice);
            for gone in before.iter().filter(|key| !held.contains(key)) {
                add(cpu, Seen::Removed(gone.clone()));
            }
            for new in held.iter().filter(|key| !before.contains(key)) {
                add(cpu, Seen::Filled(new.clone()));
            }
            let user = now.users[cpu];
            if user != last.users.get(cpu).copied().flatten() {
                add(cpu, Seen::Runs(user));
            }
        }
    }
}
