//! A search through all schedules of fills and invalidations.
//!
//! In: the entries of one address, and events. Out: the entries that may be cached after them. Holds: each state that some
//! schedule leads to is visited, one fill or one invalidation at a time; nothing is derived. The time and the memory grow
//! with the number of states, 2 to the power of entries and invalidations: this is the second opinion about
//! [`TranslationPath`](super::TranslationPath), for tests.

use super::path::{AgentWalks, CachedEntry, EntryKind, Key, PathEvent};

/// The most entries and invalidations, together, that are searched.
const MOST: usize = 24;

/// A state of the search, one bit each: the cached entries, and above them the invalidations that have acted.
type SearchState = u32;

/// Returns the entries, one bit each, that are cached in some state after the events.
///
/// # Panics
///
/// If there are more than 24 entries and invalidations.
#[must_use]
pub fn cached(entries: &[CachedEntry], walks: AgentWalks, events: &[PathEvent]) -> u64 {
    let is_start = |event: &&PathEvent| matches!(event, PathEvent::Start(..));
    let bits = entries.len() + events.iter().filter(is_start).count();
    assert!(bits <= MOST, "{bits} entries and invalidations");
    let mut search = PathSearch {
        entries,
        walks,
        visible: false,
        started: Vec::new(),
        states: StateSet::new(bits),
    };
    search.states.insert((1 << entries.len()) - 1);
    for event in events {
        search.event(*event);
    }
    let all = search.states.list.iter().fold(0, |all, state| all | state);
    u64::from(all & ((1 << entries.len()) - 1))
}

/// A set of states.
struct StateSet {
    list: Vec<SearchState>,
    /// A bit for each state that is in the list.
    known: Vec<u64>,
}

impl StateSet {
    /// Creates a set of states with this many bits.
    fn new(bits: usize) -> Self {
        Self {
            list: Vec::new(),
            known: vec![0; (1usize << bits).div_ceil(64)],
        }
    }

    fn insert(&mut self, state: SearchState) {
        let (word, bit) = (state as usize / 64, 1 << (state % 64));
        if self.known[word] & bit == 0 {
            self.known[word] |= bit;
            self.list.push(state);
        }
    }

    /// Replaces each state, or leaves it out.
    fn replace(&mut self, by: impl Fn(SearchState) -> Option<SearchState>) {
        let all = std::mem::take(&mut self.list);
        for state in &all {
            self.known[*state as usize / 64] = 0;
        }
        for state in all.into_iter().filter_map(by) {
            self.insert(state);
        }
    }
}

/// An invalidation in progress.
#[derive(Clone, Copy)]
struct SearchedInvalidation {
    hits: SearchState,
    key: Key,
    /// Its bit in a state.
    bit: SearchState,
}

struct PathSearch<'a> {
    entries: &'a [CachedEntry],
    walks: AgentWalks,
    visible: bool,
    /// Every invalidation that was started; none for one that is complete.
    started: Vec<Option<SearchedInvalidation>>,
    states: StateSet,
}

impl PathSearch<'_> {
    fn event(&mut self, event: PathEvent) {
        match event {
            PathEvent::Publish => self.visible = true,
            PathEvent::Now(hits) => {
                let hits = self.entries_in(hits);
                self.states.replace(|state| Some(state & !hits));
            }
            PathEvent::Start(hits, key) => {
                let hits = self.entries_in(hits);
                let bit = 1 << (self.entries.len() + self.started.len());
                self.started
                    .push(Some(SearchedInvalidation { hits, key, bit }));
            }
            PathEvent::Complete(key) => {
                let mut done = 0;
                for it in &mut self.started {
                    let complete = it.take_if(|it| it.key == key);
                    done |= complete.map_or(0, |it| it.bit);
                }
                let is_done = |state: SearchState| (done & !state == 0).then_some(state);
                self.states.replace(is_done);
            }
        }
        self.close();
    }

    /// Returns the bits of those entries that there are.
    fn entries_in(&self, hits: u64) -> SearchState {
        hits as SearchState & ((1 << self.entries.len()) - 1)
    }

    /// Adds every state that fills and invalidations in progress lead to.
    fn close(&mut self) {
        let in_progress: Vec<SearchedInvalidation> =
            self.started.iter().copied().flatten().collect();
        let fills: Vec<FillSource> = self.entries.iter().map(|to| self.source(to)).collect();
        let mut at = 0;
        while let Some(&state) = self.states.list.get(at) {
            at += 1;
            for it in in_progress.iter().filter(|it| state & it.bit == 0) {
                self.states.insert(state & !it.hits | it.bit);
            }
            for (to, from) in fills.iter().enumerate() {
                if from.memory || state & from.entries != 0 {
                    self.states.insert(state | 1 << to);
                }
            }
        }
    }

    /// Returns from what an entry can be filled now.
    fn source(&self, to: &CachedEntry) -> FillSource {
        let held = self.entries.iter().enumerate();
        let all = |is: &dyn Fn(&CachedEntry) -> bool| {
            let sources = held.clone().filter(|(_, source)| is(source));
            sources.fold(0, |bits, (nth, _)| bits | 1 << nth)
        };
        match to.from {
            Some(cache) => FillSource {
                memory: false,
                entries: all(&|it| (it.cache, it.kind, it.level) == (cache, to.kind, to.level)),
            },
            None => FillSource {
                memory: self.walks.speculates && !self.visible,
                // The top table is not found by a walk.
                entries: if self.walks.speculates
                    && self.walks.live
                    && matches!(to.kind, EntryKind::Leaf | EntryKind::Walk)
                {
                    all(&|it| it.kind == EntryKind::Walk && it.level > to.level)
                } else {
                    0
                },
            },
        }
    }
}

/// From what an entry can be filled.
struct FillSource {
    /// Whether it can be filled from memory.
    memory: bool,
    /// The entries from which it can be filled, one bit each.
    entries: SearchState,
}
