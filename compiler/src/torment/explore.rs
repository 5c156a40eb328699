//! A search through all schedules as the second opinion about the hostile hardware.
//!
//! In: an agent after a request, and its events. Out: [`Explored`]: on how many agents the two agree about the entries that
//! may be cached. Holds: an agent with so many entries or invalidations that the search takes long is left out and
//! counted. Which entries an instruction invalidates is not searched: both take it from the definition.

use tlbc_machine::hardware::search::cached;
use tlbc_machine::hardware::{CachedEntry, Left, PathEvent};

use super::agent::Agent;

/// The most entries and invalidations of an agent, together, that are searched.
const MOST: usize = 9;

/// On how many agents the hostile hardware agrees with the search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Explored {
    /// The agents on which both were compared.
    pub agents: u64,
    /// Those of them on which some entry is left.
    pub left: u64,
    /// Those that were not searched.
    pub skipped: u64,
    /// Those on which the search leaves an entry that the hardware does not.
    pub missed: u64,
    /// Those on which the hardware leaves an entry that the search does not.
    pub over: u64,
}

impl Explored {
    /// Compares both on an agent after a request.
    pub(super) fn add(&mut self, agent: &Agent) {
        let entries: Vec<CachedEntry> = agent.path.entries().copied().collect();
        let events = agent.path.recorded();
        let started = events
            .iter()
            .filter(|it| matches!(it, PathEvent::Start(..)));
        if entries.len() + started.count() > MOST {
            self.skipped += 1;
            return;
        }
        let searched = cached(&entries, agent.path.walks(), events);
        let left = agent.path.left().filter(|(_, left)| *left == Left::Cached);
        let left = left.fold(0, |all, (index, _)| all | 1 << index);
        self.agents += 1;
        self.left += u64::from(searched != 0);
        self.missed += u64::from(searched & !left != 0);
        self.over += u64::from(left & !searched != 0);
    }

    /// Adds the results of others.
    pub fn join(&mut self, other: Self) {
        self.agents += other.agents;
        self.left += other.left;
        self.skipped += other.skipped;
        self.missed += other.missed;
        self.over += other.over;
    }
}
