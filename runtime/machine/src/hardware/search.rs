//! A search through all schedules of fills and invalidations.
//!
//! In: the entries of one address, and events. Out: the entries that may be cached after them. Holds: each state that some
//! schedule leads to is visited, one fill or one invalidation at a time; nothing is derived. The time grows with the number of
//! states, 2 to the power of entries and invalidations: this is the second opinion about
//! [`TranslationPath`](super::TranslationPath), for tests.

use std::collections::BTreeSet;

use super::path::{AgentWalks, CachedEntry, EntryKind, Key, PathEvent};

/// Returns the entries, one bit each, that are cached in some state after the events.
#[must_use]
pub fn cached(entries: &[CachedEntry], walks: AgentWalks, events: &[PathEvent]) -> u64 {
    let mut search = PathSearch {
        entries,
        walks,
        visible: false,
        started: Vec::new(),
        states: [SearchState {
            cached: (1 << entries.len()) - 1,
            acted: 0,
        }]
        .into(),
    };
    for event in events {
        search.event(*event);
    }
    let states = search.states.iter();
    states.fold(0, |all, state| all | state.cached)
}

/// A state of the search: the cached entries, and which of the invalidations in progress have acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SearchState {
    cached: u64,
    acted: u64,
}

struct PathSearch<'a> {
    entries: &'a [CachedEntry],
    walks: AgentWalks,
    visible: bool,
    /// What was started and is not complete: hits and key.
    started: Vec<Option<(u64, Key)>>,
    states: BTreeSet<SearchState>,
}

impl PathSearch<'_> {
    fn event(&mut self, event: PathEvent) {
        let all = std::mem::take(&mut self.states);
        match event {
            PathEvent::Publish => {
                self.visible = true;
                self.states = all;
            }
            PathEvent::Now(hits) => {
                let without = |state: SearchState| SearchState {
                    cached: state.cached & !hits,
                    ..state
                };
                self.states = all.into_iter().map(without).collect();
            }
            PathEvent::Start(hits, key) => {
                self.started.push(Some((hits, key)));
                self.states = all;
            }
            PathEvent::Complete(key) => {
                let done = (self.started.iter().enumerate())
                    .filter(|(_, it)| it.is_some_and(|(_, of)| of == key))
                    .fold(0, |done, (number, _)| done | 1 << number);
                self.states = { all.into_iter() }
                    .filter(|state| done & !state.acted == 0)
                    .collect();
                for it in &mut self.started {
                    it.take_if(|(_, of)| *of == key);
                }
            }
        }
        self.close();
    }

    /// Adds every state that fills and invalidations in progress lead to.
    fn close(&mut self) {
        let mut open: Vec<SearchState> = self.states.iter().copied().collect();
        while let Some(state) = open.pop() {
            for next in self.next(state) {
                if self.states.insert(next) {
                    open.push(next);
                }
            }
        }
    }

    fn next(&self, state: SearchState) -> Vec<SearchState> {
        let mut next = Vec::new();
        for (number, it) in self.started.iter().enumerate() {
            if let (Some((hits, _)), 0) = (it, state.acted & 1 << number) {
                next.push(SearchState {
                    cached: state.cached & !hits,
                    acted: state.acted | 1 << number,
                });
            }
        }
        for to in (0..self.entries.len()).filter(|to| self.can_fill(state.cached, *to)) {
            next.push(SearchState {
                cached: state.cached | 1 << to,
                ..state
            });
        }
        next
    }

    fn can_fill(&self, cached: u64, to: usize) -> bool {
        let entry = self.entries[to];
        let mut held = self.entries.iter().enumerate();
        let mut from = |is: &dyn Fn(&CachedEntry) -> bool| {
            held.any(|(index, source)| cached & 1 << index != 0 && is(source))
        };
        match entry.from {
            Some(cache) => {
                from(&|it| (it.cache, it.kind, it.level) == (cache, entry.kind, entry.level))
            }
            None if !self.walks.speculates => false,
            None => {
                !self.visible
                    || self.walks.live
                        && from(&|it| it.kind == EntryKind::Walk && it.level > entry.level)
            }
        }
    }
}
