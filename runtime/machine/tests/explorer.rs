//! The hostile closure agrees with a search through all schedules.
//!
//! Random entries of one address and random events; after them, the entries that may be cached according to the
//! closure are exactly those that are cached in some state which the search reaches.

use std::collections::BTreeSet;

use fastrand::Rng;
use tlbc_machine::hardware::{Entry, Kind, Left, Path, Walks};
use tlbc_runtime::level::Level;

/// An event.
#[derive(Debug, Clone, Copy)]
enum Event {
    Publish,
    Now(u64),
    Start(u64, u32),
    Complete(u32),
}

/// A state of the search: the cached entries, and which of the invalidations in progress have acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    cached: u64,
    acted: u64,
}

struct Search<'a> {
    entries: &'a [Entry],
    walks: Walks,
    visible: bool,
    /// What was started and is not complete: hits and key.
    started: Vec<Option<(u64, u32)>>,
    states: BTreeSet<State>,
}

impl Search<'_> {
    fn event(&mut self, event: Event) {
        let all = std::mem::take(&mut self.states);
        match event {
            Event::Publish => {
                self.visible = true;
                self.states = all;
            }
            Event::Now(hits) => {
                let without = |state: State| State {
                    cached: state.cached & !hits,
                    ..state
                };
                self.states = all.into_iter().map(without).collect();
            }
            Event::Start(hits, key) => {
                self.started.push(Some((hits, key)));
                self.states = all;
            }
            Event::Complete(key) => {
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
        let mut open: Vec<State> = self.states.iter().copied().collect();
        while let Some(state) = open.pop() {
            for next in self.next(state) {
                if self.states.insert(next) {
                    open.push(next);
                }
            }
        }
    }

    fn next(&self, state: State) -> Vec<State> {
        let mut next = Vec::new();
        for (number, it) in self.started.iter().enumerate() {
            if let (Some((hits, _)), 0) = (it, state.acted & 1 << number) {
                next.push(State {
                    cached: state.cached & !hits,
                    acted: state.acted | 1 << number,
                });
            }
        }
        for to in (0..self.entries.len()).filter(|to| self.can_fill(state.cached, *to)) {
            next.push(State {
                cached: state.cached | 1 << to,
                ..state
            });
        }
        next
    }

    fn can_fill(&self, cached: u64, to: usize) -> bool {
        let entry = self.entries[to];
        let mut held = self.entries.iter().enumerate();
        let mut from = |is: &dyn Fn(&Entry) -> bool| {
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
                        && from(&|it| it.kind == Kind::Walk && it.level > entry.level)
            }
        }
    }
}

fn entries(rng: &mut Rng) -> Vec<Entry> {
    let entry = |kind, level, cache, from| Entry {
        kind,
        level: Level(level),
        cache,
        from,
    };
    let mut all = vec![entry(Kind::Leaf, 0, 0, None)];
    let optional = [
        entry(Kind::Walk, 1, 0, None),
        entry(Kind::Walk, 2, 0, None),
        entry(Kind::Leaf, 0, 1, Some(0)),
        entry(Kind::Leaf, 0, 2, Some(1)),
    ];
    all.extend(optional.into_iter().filter(|_| rng.bool()));
    all
}

fn events(rng: &mut Rng, entries: usize) -> Vec<Event> {
    let hits = |rng: &mut Rng| rng.u64(..1 << entries);
    let one = |_| match rng.u8(..8) {
        0 => Event::Publish,
        1 | 2 => Event::Now(hits(rng)),
        3..=5 => Event::Start(hits(rng), rng.u32(..2)),
        _ => Event::Complete(rng.u32(..2)),
    };
    (0..7).map(one).collect()
}

#[test]
fn the_closure_is_the_search() {
    let mut rng = Rng::with_seed(1);
    let (mut gone, mut kept) = (0, 0);
    for round in 0..20_000 {
        let entries = entries(&mut rng);
        let walks = Walks {
            speculates: rng.u8(..4) != 0,
            live: rng.bool(),
        };
        let mut path = Path::new(entries.iter().copied(), walks);
        let mut search = Search {
            entries: &entries,
            walks,
            visible: false,
            started: Vec::new(),
            states: [State {
                cached: (1 << entries.len()) - 1,
                acted: 0,
            }]
            .into(),
        };
        let events = events(&mut rng, entries.len());
        for &event in &events {
            search.event(event);
            match event {
                Event::Publish => path.publish(),
                Event::Now(hits) => path.invalidate_now(hits),
                Event::Start(hits, key) => path.start(hits, key),
                Event::Complete(key) => path.complete(key, true),
            }
        }
        let closure = path.left().fold(0, |all, (index, _)| all | 1 << index);
        let searched = { search.states.iter() }.fold(0u64, |all, state| all | state.cached);
        assert_eq!(
            closure, searched,
            "round {round}: {entries:?} {walks:?} {events:?}"
        );
        kept += usize::from(closure != 0);
        gone += usize::from(closure == 0);
    }
    assert!(gone > 1000 && kept > 1000, "{gone} gone, {kept} kept");
}

#[test]
fn an_entry_that_is_gone_may_have_accesses_in_flight() {
    let leaf = Entry {
        kind: Kind::Leaf,
        level: Level(0),
        cache: 0,
        from: None,
    };
    let walks = Walks {
        speculates: true,
        live: false,
    };
    let mut path = Path::new([leaf], walks);
    path.publish();
    path.start(1, 7);
    path.complete(7, false);
    assert_eq!(path.left().collect::<Vec<_>>(), [(0, Left::InFlight)]);
    path.drain();
    assert_eq!(path.left().count(), 0);
}
