//! The hostile closure agrees with a search through all schedules.
//!
//! Random entries of one address and random events; after them, the entries that may be cached according to the
//! closure are exactly those that are cached in some state which the search reaches.

use fastrand::Rng;
use tlbc_machine::hardware::search::cached;
use tlbc_machine::hardware::{
    AgentWalks, CachedEntry, EntryKind, Left, PathEvent, TranslationPath,
};
use tlbc_runtime::level::Level;

fn entries(rng: &mut Rng) -> Vec<CachedEntry> {
    let entry = |kind, level, cache, from| CachedEntry {
        kind,
        level: Level(level),
        cache,
        from,
    };
    let mut all = vec![entry(EntryKind::Leaf, 0, 0, None)];
    let optional = [
        entry(EntryKind::Walk, 1, 0, None),
        entry(EntryKind::Walk, 2, 0, None),
        entry(EntryKind::Leaf, 1, 0, None),
        // Its level decides nothing.
        entry(EntryKind::Root, 0, 0, None),
        entry(EntryKind::Leaf, 0, 1, Some(0)),
        entry(EntryKind::Leaf, 0, 2, Some(1)),
    ];
    all.extend(optional.into_iter().filter(|_| rng.bool()));
    rng.shuffle(&mut all);
    all
}

fn events(rng: &mut Rng, entries: usize) -> Vec<PathEvent> {
    let hits = |rng: &mut Rng| rng.u64(..1 << entries);
    let one = |_| match rng.u8(..8) {
        0 => PathEvent::Publish,
        1 | 2 => PathEvent::Now(hits(rng)),
        3..=5 => PathEvent::Start(hits(rng), rng.u32(..2)),
        _ => PathEvent::Complete(rng.u32(..2)),
    };
    (0..7).map(one).collect()
}

#[test]
fn the_closure_is_the_search() {
    let mut rng = Rng::with_seed(1);
    let (mut gone, mut kept) = (0, 0);
    for round in 0..20_000 {
        let entries = entries(&mut rng);
        let walks = AgentWalks {
            speculates: rng.u8(..4) != 0,
            live: rng.bool(),
        };
        let mut path = TranslationPath::new(entries.iter().copied(), walks);
        path.record();
        let events = events(&mut rng, entries.len());
        for &event in &events {
            match event {
                PathEvent::Publish => path.publish(),
                PathEvent::Now(hits) => path.invalidate_now(hits),
                PathEvent::Start(hits, key) => path.start(hits, key),
                PathEvent::Complete(key) => path.complete(key, true),
            }
        }
        let closure = path.left().fold(0, |all, (index, _)| all | 1 << index);
        let searched = cached(&entries, walks, &events);
        assert_eq!(
            closure, searched,
            "round {round}: {entries:?} {walks:?} {events:?}"
        );
        assert_eq!(path.recorded(), events, "round {round}");
        kept += usize::from(closure != 0);
        gone += usize::from(closure == 0);
    }
    assert!(gone > 1000 && kept > 1000, "{gone} gone, {kept} kept");
}

#[test]
fn an_entry_that_is_gone_may_have_accesses_in_flight() {
    let leaf = CachedEntry {
        kind: EntryKind::Leaf,
        level: Level(0),
        cache: 0,
        from: None,
    };
    let walks = AgentWalks {
        speculates: true,
        live: false,
    };
    let mut path = TranslationPath::new([leaf], walks);
    path.publish();
    path.start(1, 7);
    path.complete(7, false);
    assert_eq!(path.left().collect::<Vec<_>>(), [(0, Left::InFlight)]);
    path.drain();
    assert_eq!(path.left().count(), 0);
}

/// A CPU executes a loop over the sets of a cache, and another one the same before the first has completed its own. What
/// follows has its effect, however many instructions that is.
#[test]
fn long_loops_of_two_cpus_leave_room_for_more() {
    let entry = |kind, cache, from| CachedEntry {
        kind,
        level: Level(u8::from(kind == EntryKind::Walk)),
        cache,
        from,
    };
    let entries = [
        entry(EntryKind::Walk, 0, None),
        entry(EntryKind::Leaf, 1, None),
        entry(EntryKind::Leaf, 2, Some(1)),
    ];
    let (walk, leaf, made) = (1, 2, 4);
    let walks = AgentWalks {
        speculates: true,
        live: true,
    };
    let mut path = TranslationPath::new(entries, walks);
    path.publish();
    for key in [1, 2] {
        path.start(walk, key);
    }
    path.complete(2, true);
    for key in [1, 2] {
        for set in 0..300 {
            path.start(if set == 17 { walk | leaf } else { walk }, key);
        }
    }
    path.complete(2, true);
    path.start(made, 3);
    path.complete(3, true);
    assert_eq!(path.left().count(), 0);
}
