use super::*;

/// Pages of 4 KiB in pairs, tables of 512 entries.
const PAIRED: LevelTable = {
    let mut table = [LevelFacts::NONE; LEVELS];
    table[0] = LevelFacts::joined(12, 1);
    table[1] = LevelFacts::joined(21, 1);
    table[2] = LevelFacts::table(30);
    table
};

fn folding(walks: Walks) -> Folding {
    Folding::new(walks).with_joint()
}

fn first_two<T>(mut all: impl Iterator<Item = T>) -> (Option<T>, Option<T>) {
    (all.next(), all.next())
}

#[test]
fn neighbours_that_one_translation_covers_are_named_once() {
    let mut ranges = Ranges::new();
    // From the second entry of a pair to the first entry of another: three pairs.
    ranges.leaf(Level(0), Extent::new(0x1000, 0x4000));
    let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
    let (Some(pass), None) = first_two(passes.leaves()) else {
        panic!("{passes:?}");
    };
    assert_eq!((pass.start, pass.entries, pass.shift), (0, 3, 13));
    assert_eq!(passes.pages(), 6);
}

/// The same, where the policy states only the stride of pages.
const MERGED: LevelTable = {
    let mut table = PAIRED;
    table[0] = LevelFacts::leaf(12);
    table[1] = LevelFacts::leaf(21).merged();
    table[2] = LevelFacts::leaf(30).merged();
    table
};

#[test]
fn a_merged_level_is_flushed_at_the_next_lower_stride_without_a_hint() {
    let large = (Level(1), Extent::new(0x20_0000, 0x40_0000));
    let mut run = Ranges::new();
    run.leaf(large.0, large.1);
    let mut sorted = run;
    sorted.walk(Level(2), Extent::new(0, 0x4000_0000));
    for ranges in [run, sorted] {
        let passes = SortedPasses::new(&ranges, &MERGED, folding(Walks::Apart));
        let (Some(pass), None) = first_two(passes.leaves()) else {
            panic!("{passes:?}");
        };
        assert_eq!((pass.start, pass.entries), (0x20_0000, 1024));
        assert_eq!((pass.stride, pass.shift, pass.hint), (Level(0), 12, None));
        assert_eq!((passes.pages(), passes.entries()), (1024, 1024));
        // Where the policy states the stride, the pass has a hint.
        let stated = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Apart));
        assert!(matches!(
            first_two(stated.leaves()),
            (Some(pass), None) if pass.hint == Some(Level(1)) && pass.stride == Level(1)
        ));
    }
    // One large entry takes many instructions, so it is no single page.
    let mut one = Ranges::new();
    one.leaf(Level(1), Extent::new(0x20_0000, 0x20_0000));
    assert_eq!(one.page(&MERGED), None);
    assert!(one.page(&PAIRED).is_some());
}

#[test]
fn levels_of_one_stride_have_one_pass() {
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0x1000, 0x1000));
    ranges.leaf(Level(1), Extent::new(0x20_0000, 0x20_0000));
    ranges.leaf(Level(2), Extent::new(0x4000_0000, 0x4000_0000));
    let passes = SortedPasses::new(&ranges, &MERGED, folding(Walks::Apart));
    let (Some(pass), None) = first_two(passes.leaves()) else {
        panic!("{passes:?}");
    };
    // All addresses between them as well.
    assert_eq!(
        (pass.start, pass.entries),
        (0x1000, (0x8000_0000 >> 12) - 1)
    );
    assert_eq!(pass.hint, None);
    // The greatest stride below a level is the one that counts.
    let mut two = MERGED;
    two[1] = LevelFacts::leaf(21);
    let passes = SortedPasses::new(&ranges, &two, folding(Walks::Apart));
    let strides = passes.leaves();
    let strides = strides.map(|pass| (pass.stride, pass.entries, pass.hint));
    assert!(strides.eq([
        (Level(0), 1, Some(Level(0))),
        (Level(1), (0x8000_0000 >> 21) - 1, None)
    ]));
}

#[test]
fn new_entries_are_not_merged() {
    let mut ranges = Ranges::new();
    ranges.negative(Level(1), Extent::new(0x20_0000, 0x20_0000));
    let passes = SortedPasses::new(&ranges, &MERGED, folding(Walks::Apart));
    let is_large = |pass: Pass| pass.stride == Level(1) && pass.negative;
    assert!(matches!(first_two(passes.leaves()), (Some(pass), None) if is_large(pass)));
}

#[test]
fn an_unlinked_entry_is_of_one_entry_whatever_a_translation_covers() {
    let mut ranges = Ranges::new();
    ranges.walk(Level(1), Extent::new(0x20_0000, 0x20_0000));
    let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
    let (Some(pass), None) = first_two(passes.walks()) else {
        panic!("{passes:?}");
    };
    assert_eq!((pass.start, pass.entries, pass.shift), (0x20_0000, 1, 21));
}

#[test]
fn walk_entries_take_no_pass_where_walk_entries_go_apart() {
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0, 0x4000));
    ranges.walk(Level(1), Extent::new(0, 0x20_0000));
    let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Apart));
    assert!(passes.walks().next().is_none());
    assert!(passes.leaves().all(|pass| pass.leaf && !pass.walk));
    assert!(!passes.walks_complete_first());
    ranges.subtree();
    let live = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Apart));
    assert!(live.walks_complete_first());
}

#[test]
fn walk_entries_have_passes_of_their_own_where_leaf_and_walk_entries_take_two_instructions() {
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0, 0x4000));
    ranges.walk(Level(1), Extent::new(0, 0x20_0000));
    let joint = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
    assert!(joint.walks().next().is_none() && joint.leaves().all(|pass| pass.walk));
    let apart = Folding {
        joint: false,
        ..folding(Walks::Named)
    };
    let apart = SortedPasses::new(&ranges, &PAIRED, apart);
    assert_eq!(apart.walks().count(), 1);
    assert!(apart.leaves().all(|pass| !pass.walk));
}

/// An instruction for pages of a level invalidates walk entries above them, and not one that was at their own level.
#[test]
fn an_unlinked_entry_beside_large_pages_takes_a_pass() {
    let mut ranges = Ranges::new();
    ranges.leaf(Level(1), Extent::new(0x40_0000, 0x40_0000));
    ranges.walk(Level(1), Extent::new(0x60_0000, 0x20_0000));
    let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
    let walks = passes.walks().map(|pass| (pass.stride, pass.start));
    assert!(walks.eq([(Level(1), 0x60_0000)]));
    assert!(passes.leaves().all(|pass| !pass.walk));
}

/// Unless what is below is still valid, and is named by another pass.
#[test]
fn a_pass_over_leaf_entries_takes_the_walk_entries_above_it() {
    let walks = |live: bool, both: bool| {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0, 0x4000));
        if both {
            ranges.leaf(Level(1), Extent::new(0x80_0000, 0x40_0000));
        }
        ranges.walk(Level(1), Extent::new(0, 0x20_0000));
        if live {
            ranges.subtree();
        }
        let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
        let joint = passes.leaves().filter(|pass| pass.walk).count();
        (passes.walks().count(), joint, passes.walks_complete_first())
    };
    assert_eq!(walks(false, false), (0, 1, false));
    assert_eq!(walks(false, true), (0, 1, false));
    assert_eq!(walks(true, false), (0, 1, false));
    assert_eq!(walks(true, true), (1, 0, true));
}

/// One instruction invalidates the walk entries of every level above its address.
#[test]
fn walk_entries_above_an_unlinked_entry_take_no_pass() {
    let passes = |upper: Extent| {
        let mut ranges = Ranges::new();
        ranges.walk(Level(1), Extent::new(0x4000_0000, 0x20_0000));
        ranges.walk(Level(2), upper);
        let passes = SortedPasses::new(&ranges, &PAIRED, Folding::new(Walks::Named));
        first_two(passes.walks().map(|pass| (pass.stride, pass.entries)))
    };
    let lower = Some((Level(1), 1));
    let one = Extent::new(0x4000_0000, 0x4000_0000);
    assert_eq!(passes(one), (lower, None));
    // Of two upper entries only one has a named address.
    let two = Extent::new(0x4000_0000, 0x8000_0000);
    assert_eq!(passes(two), (lower, Some((Level(2), 2))));
    let other = Extent::new(0, 0x4000_0000);
    assert_eq!(passes(other), (lower, Some((Level(2), 1))));
}

/// One instruction invalidates the walk entries of one level.
#[test]
fn walk_entries_have_a_pass_for_each_level_where_an_instruction_is_for_one() {
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0x4000_0000, 0x4000));
    ranges.walk(Level(1), Extent::new(0x4000_0000, 0x20_0000));
    ranges.walk(Level(2), Extent::new(0x4000_0000, 0x4000_0000));
    let passes = SortedPasses::new(&ranges, &PAIRED, Folding::new(Walks::Level));
    let walks = first_two(passes.walks().map(|pass| (pass.stride, pass.entries)));
    assert_eq!(walks, (Some((Level(1), 1)), Some((Level(2), 1))));
    assert!(passes.leaves().all(|pass| !pass.walk));
}

#[test]
fn no_leaves_wait_for_walk_entries_where_there_are_none() {
    let mut ranges = Ranges::new();
    ranges.walk(Level(1), Extent::new(0, 0x20_0000));
    ranges.subtree();
    let named = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
    assert!(named.walks().next().is_some() && !named.walks_complete_first());
    ranges.leaf(Level(1), Extent::new(0, 0x20_0000));
    ranges.leaf(Level(0), Extent::new(0, 0x4000));
    let both = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
    assert!(both.walks_complete_first());
}

#[test]
fn new_entries_have_a_pass_at_every_level() {
    let passes = |ranges: &Ranges, negative| {
        let folding = Folding {
            negative,
            ..folding(Walks::Named)
        };
        let passes = SortedPasses::new(ranges, &PAIRED, folding);
        assert!(passes.negative() && !passes.tables());
        let levels = passes.leaves().map(|pass| pass.stride);
        levels.fold(Levels::NONE, |all, level| all.union(Levels::only(level)))
    };
    // A new table, at a level that maps no page.
    let mut table = Ranges::new();
    table.negative(Level(2), Extent::new(0, 0x4000_0000));
    assert_eq!(passes(&table, false), Levels::only(Level(2)));
    // A page and its tables take one pass, if an instruction invalidates the entries of every level.
    let mut page = Ranges::new();
    for level in 0..3 {
        page.negative(Level(level), Extent::new(0x5000, 0x1000));
    }
    assert_eq!(passes(&page, false), Levels(7));
    assert_eq!(passes(&page, true), Levels::only(Level(0)));
}

#[test]
fn a_level_that_maps_no_page_has_no_pass_over_leaf_entries() {
    let mut ranges = Ranges::new();
    for level in 0..4 {
        ranges.leaf(Level(level), Extent::new(0, 0x4000_0000));
    }
    let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
    let levels = passes.leaves().map(|pass| pass.stride);
    assert!(levels.eq([Level(0), Level(1)]) && !passes.negative());
}

#[test]
fn levels_have_passes_of_their_own_if_an_instruction_names_the_level() {
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0, 0x80_0000));
    ranges.leaf(Level(1), Extent::new(0, 0x40_0000));
    let apart = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
    let levels = |passes: &SortedPasses| first_two(passes.leaves().map(|pass| pass.stride));
    assert_eq!(levels(&apart), (Some(Level(0)), Some(Level(1))));
    let both = folding(Walks::Named).with_leaves();
    let folded = SortedPasses::new(&ranges, &PAIRED, both);
    assert_eq!(levels(&folded), (Some(Level(0)), None));
}

#[test]
fn an_entry_of_which_an_address_is_named_takes_no_pass() {
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0x3f_e000, 0x2000));
    ranges.leaf(Level(1), Extent::new(0, 0x80_0000));
    let folding = folding(Walks::Named).with_leaves();
    // The pages are in one of two pairs of large entries.
    let passes = SortedPasses::new(&ranges, &PAIRED, folding);
    let one = passes.leaves().map(|pass| (pass.stride, pass.hint));
    assert!(one.eq([(Level(0), Some(Level(0))), (Level(1), Some(Level(1)))]));
    // They are in each of them.
    let mut single = PAIRED;
    single[1] = LevelFacts::leaf(21);
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), Extent::new(0x3f_f000, 0x2000));
    ranges.leaf(Level(1), Extent::new(0x20_0000, 0x40_0000));
    let passes = SortedPasses::new(&ranges, &single, folding);
    let all = passes.leaves();
    assert!(
        all.map(|pass| (pass.stride, pass.entries, pass.hint))
            .eq([(Level(0), 2, None)])
    );
}

#[test]
fn a_range_that_is_named_by_its_end_takes_in_what_adjoins() {
    let mut single = PAIRED;
    single[0] = LevelFacts::leaf(12);
    single[1] = LevelFacts::leaf(21);
    let folding = folding(Walks::Named).with_whole_leaves();
    let passes = |pages| {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), pages);
        ranges.leaf(Level(1), Extent::new(0x20_0000, 0x20_0000));
        let passes = SortedPasses::new(&ranges, &single, folding);
        first_two(
            passes
                .leaves()
                .map(|pass| (pass.start, pass.entries, pass.hint)),
        )
    };
    // The page before it, some of it, all of it and more.
    for (first, count, all) in [
        (0x1f_f000, 1, 513),
        (0x20_1000, 2, 512),
        (0x1f_e000, 515, 515),
    ] {
        let one = Some((first.min(0x20_0000), all, None));
        assert_eq!(passes(Extent::new(first, count << 12)), (one, None));
    }
    let apart = (
        Some((0x1f_d000, 2, Some(Level(0)))),
        Some((0x20_0000, 1, Some(Level(1)))),
    );
    assert_eq!(passes(Extent::new(0x1f_d000, 0x2000)), apart);
}
