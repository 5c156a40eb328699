use super::*;
use crate::request::levels::LevelFacts;

const PAGE: Level = Level(0);
const LARGE: Level = Level(1);
const LEVELS_OF_TWO: LevelTable = {
    let mut table = [LevelFacts::NONE; LEVELS];
    table[0] = LevelFacts::leaf(12);
    table[1] = LevelFacts::leaf(21);
    table
};

fn run(extents: &[(Level, u64, u64)]) -> Ranges {
    let mut ranges = Ranges::new();
    for &(level, start, bytes) in extents {
        ranges.leaf(level, Extent::new(start, bytes));
    }
    ranges
}

fn page(ranges: &Ranges) -> Option<(u64, Level, bool)> {
    ranges.page(&LEVELS_OF_TWO)
}

#[test]
fn leaves_of_one_level_are_one_run() {
    let orders = [[0x1000, 0x2000, 0x5000], [0x5000, 0x1000, 0x2000]];
    for order in orders {
        let ranges = run(&order.map(|start| (PAGE, start, 0x1000)));
        let Recorded::Run(PAGE, extent) = ranges.recorded() else {
            panic!("{ranges:?}");
        };
        assert_eq!(extent, Extent::new(0x1000, 0x5000));
        assert!(!ranges.is_nothing() && page(&ranges).is_none());
    }
}

#[test]
fn what_is_more_is_kept_by_level() {
    let mut ranges = run(&[(PAGE, 0x1000, 0x1000), (LARGE, 0x20_0000, 0x20_0000)]);
    ranges.leaf(PAGE, Extent::new(0x2000, 0x1000));
    let Recorded::Sorted(sorted) = ranges.recorded() else {
        panic!("{ranges:?}");
    };
    assert_eq!(sorted.leaf[0], Extent::new(0x1000, 0x2000));
    assert_eq!(sorted.leaf[1], Extent::new(0x20_0000, 0x20_0000));
    assert!(!ranges.tables() && !ranges.has_subtree() && !ranges.has_negative());
}

#[test]
fn one_entry_is_a_page() {
    assert_eq!(
        page(&run(&[(LARGE, 0x20_0000, 0x20_0000)])),
        Some((0x20_0000, LARGE, false))
    );
    // The last one as well; not a part of one, nor what is in two.
    assert_eq!(page(&run(&[(LARGE, 0x20_1000, 0x1000)])), None);
    let last = 0u64.wrapping_sub(0x1000);
    assert_eq!(
        page(&run(&[(PAGE, last, 0x1000)])),
        Some((last, PAGE, false))
    );
    assert_eq!(page(&run(&[(PAGE, 0x1800, 0x1000)])), None);
    assert_eq!(page(&Ranges::new()), None);
    // An extent without an address adds nothing.
    let nothing = run(&[(PAGE, 0x1000, 0)]);
    assert!(nothing.is_nothing() && nothing == Ranges::new());
    assert_eq!(
        page(&run(&[(PAGE, 0x2000, 0x1000), (LARGE, 0, 0)])),
        Some((0x2000, PAGE, false))
    );
}

#[test]
fn one_entry_whose_table_is_unlinked_as_well_is_a_page() {
    let mut ranges = run(&[(PAGE, 0x20_3000, 0x1000)]);
    ranges.walk(LARGE, Extent::new(0x20_0000, 0x20_0000));
    assert_eq!(page(&ranges), Some((0x20_3000, PAGE, true)));
    ranges.subtree();
    assert_eq!(page(&ranges), None);
}

#[test]
fn levels_are_those_of_what_was_added() {
    let levels = |ranges: &Ranges, has: fn(&Ranges, Levels) -> bool| {
        let all = Level::all().map(Levels::only);
        let added = all.filter(|&level| has(ranges, level));
        added.fold(Levels::NONE, Levels::union)
    };
    let (leaf, walk) = (Ranges::has_leaf_at, Ranges::has_walk_at);
    let (page, large) = (Levels::only(PAGE), Levels::only(LARGE));
    let mut ranges = run(&[]);
    assert_eq!(levels(&ranges, leaf), Levels::NONE);
    ranges.leaf(PAGE, Extent::new(0x1000, 0x1000));
    assert_eq!(levels(&ranges, leaf), page);
    ranges.walk(LARGE, Extent::new(0, 0x20_0000));
    assert_eq!(
        (levels(&ranges, leaf), levels(&ranges, walk)),
        (page, large)
    );
    ranges.leaf(LARGE, Extent::new(0, 0x20_0000));
    let both = page.union(large);
    assert_eq!(
        (levels(&ranges, leaf), levels(&ranges, walk)),
        (both, large)
    );
    ranges.negative(LARGE, Extent::new(0, 0x20_0000));
    assert_eq!(
        (levels(&ranges, leaf), levels(&ranges, walk)),
        (both, large)
    );
}

#[test]
fn a_level_that_cannot_be_is_everything() {
    let none = Level(LEVELS as u8);
    let extent = Extent::new(0x1000, 0x1000);
    let changes: [fn(&mut Ranges, Level, Extent); 3] =
        [Ranges::leaf, Ranges::walk, Ranges::negative];
    for before in [run(&[]), run(&[(PAGE, 0x1000, 0x1000)])] {
        for change in changes {
            let mut ranges = before;
            change(&mut ranges, none, extent);
            let Recorded::Sorted(sorted) = ranges.recorded() else {
                panic!("{ranges:?}");
            };
            assert_eq!(*sorted, Sorted::EVERYTHING);
            assert!(ranges.tables() && ranges.has_subtree() && page(&ranges).is_none());
        }
    }
    assert_eq!(Extent::EVERYTHING.entries(12), 1 << 52);
}

#[test]
fn a_run_ends_at_the_last_address() {
    let last = 0u64.wrapping_sub(0x1000);
    let around = [(PAGE, last, 0x1000), (PAGE, 0, 0x1000)];
    let through = [(PAGE, 0, last), (PAGE, last, 0x1000)];
    for ranges in [run(&around), run(&through)] {
        let Recorded::Run(PAGE, extent) = ranges.recorded() else {
            panic!("{ranges:?}");
        };
        // All of the address space, which is one byte more than can be counted.
        assert_eq!(extent.entries(12), 1 << 52);
        assert_eq!(extent.rounded(12).entries(12), 1 << 52);
        assert_eq!(extent.rounded(21).entries(21), 1 << 43);
    }
}

/// What was changed in an extent: leaf entries of the level, or anything else.
#[test]
fn what_was_changed_at_an_address_is_found() {
    let places = [0x1000, 0x2000, 0x5000, 0x20_0000, 0x20_1000];
    let extents = places.map(|start| Extent::new(start, 0x1000));
    let of = |change: fn(&mut Ranges, Level, Extent), level, extent| {
        let mut ranges = run(&[(PAGE, 0x2000, 0x1000)]);
        change(&mut ranges, level, extent);
        ranges
    };
    let no_more: fn(&mut Ranges, Level, Extent) = |_, _, _| ();
    for (level, changed) in [PAGE, LARGE]
        .into_iter()
        .flat_map(|level| extents.map(|at| (level, at)))
    {
        for (change, walks) in [
            (no_more, None),
            (Ranges::leaf, Some(false)),
            (Ranges::walk, Some(true)),
        ] {
            let ranges = of(change, level, changed);
            for (asked, at) in [PAGE, LARGE]
                .into_iter()
                .flat_map(|level| extents.map(|at| (level, at)))
            {
                // Leaf entries of one level are kept as one extent.
                let first = Extent::new(0x2000, 0x1000);
                let same = walks == Some(false) && level == PAGE;
                let pages = if same { first.hull(changed) } else { first };
                let more = walks.is_some() && !same && changed.overlaps(at);
                let leaf = |of: Level| {
                    of == PAGE && pages.overlaps(at) || of == level && walks == Some(false) && more
                };
                let other = if asked == PAGE {
                    leaf(LARGE)
                } else {
                    leaf(PAGE)
                };
                let expected = Touched {
                    leaf: leaf(asked),
                    other: other || walks == Some(true) && more,
                };
                assert_eq!(
                    ranges.touched(asked, at),
                    expected,
                    "{ranges:x?} {asked:?} {at:x?}"
                );
            }
        }
    }
}

#[test]
fn an_entry_is_aligned_and_whole() {
    for shift in [12, 21] {
        let bytes = 1u64 << shift;
        let last = 0u64.wrapping_sub(bytes);
        for start in [0, bytes, 6 * bytes, last] {
            assert!(is_entry(shift, start, start + (bytes - 1)));
            assert!(!is_entry(shift, start, start));
            assert!(!is_entry(shift, start, start + (bytes - 2)));
            assert!(!is_entry(shift, start + 1, start + (bytes - 1)));
        }
        assert!(!is_entry(shift, bytes, 3 * bytes - 1));
        assert!(!is_entry(shift, bytes / 2, bytes - 1));
    }
    assert!(!is_entry(0, 0, 0));
}
