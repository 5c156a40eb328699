use super::*;
use crate::level::Level;
use crate::request::runs::Runs;

/// A walk pass and a leaf pass.
struct Two(Pass, Pass);

impl Passes for Two {
    fn tables(&self) -> bool {
        true
    }

    fn negative(&self) -> bool {
        false
    }

    fn walks(&self) -> impl Iterator<Item = Pass> {
        core::iter::once(self.0)
    }

    fn walks_complete_first(&self) -> bool {
        false
    }

    fn leaves(&self) -> impl Iterator<Item = Pass> {
        core::iter::once(self.1)
    }

    fn pages(&self) -> u64 {
        0
    }
}

fn pass(entries: u64, level: u8, walk: bool) -> Pass {
    Pass {
        entries,
        stride: Level(level),
        shift: 12 + 9 * u32::from(level),
        leaf: !walk,
        walk,
        ..Pass::default()
    }
}

const ENTRIES: [u64; 8] = [1, 2, 3, 4, 5, 8, 9, 1000];

#[test]
fn a_folding_has_what_was_added() {
    let plain = Folding::new(Walks::Level);
    let expected = Folding {
        walks: Walks::Level,
        ..Folding::default()
    };
    assert_eq!(plain, expected);
    let all = Folding {
        leaves: Leaves::Named,
        walks: Walks::Level,
        joint: true,
        negative: true,
    };
    assert_eq!(plain.with_leaves().with_joint().with_negative(), all);
    assert_eq!(plain.with_negative().with_joint().with_leaves(), all);
    let whole = plain.with_whole_leaves();
    assert_eq!(
        (whole.leaves, whole.joint, whole.negative),
        (Leaves::Whole, false, false)
    );
}

/// A level whose entries have no runs, and walk entries where runs name leaf entries only, take an instruction for each entry.
#[test]
fn runs_of_entries_are_counted() {
    let both = Levels::of(&[Level(0), Level(1)]);
    for (walk, leaf) in ENTRIES.into_iter().flat_map(|a| ENTRIES.map(|b| (a, b))) {
        let passes = Two(pass(walk, 1, true), pass(leaf, 0, false));
        assert_eq!(passes.entries(), walk + leaf);
        for most in [1, 2, 3, 4, u32::MAX] {
            let units = Units {
                base: 0,
                step: 0,
                scales: 1,
                most: u64::MAX,
            };
            let runs = |pass: &Pass| {
                let mut runs = Runs::of_entries(pass, most, units);
                let count = runs.by_ref().count() as u64;
                assert_eq!(runs.rest(), None);
                count
            };
            let (walks, leaves) = (runs(&passes.0), runs(&passes.1));
            assert_eq!(passes.entry_runs(most, both, true), walks + leaves);
            assert_eq!(passes.entry_runs(most, both, false), walk + leaves);
            let (lower, upper) = (Levels::only(Level(0)), Levels::only(Level(1)));
            assert_eq!(passes.entry_runs(most, lower, true), walk + leaves);
            assert_eq!(passes.entry_runs(most, upper, true), walks + leaf);
            assert_eq!(passes.entry_runs(most, Levels::NONE, true), walk + leaf);
        }
    }
}

/// The bound is kept, and it is at most one instruction for each scale above what full runs take.
#[test]
fn runs_of_pages_are_bounded() {
    let units = [(0, 1, 4, 4), (1, 5, 4, 32), (9, 9, 1, 2), (0, 0, 1, 1)];
    for (base, step, scales, most) in units {
        let units = Units {
            base,
            step,
            scales,
            most,
        };
        let full = most << (base + step * (scales - 1));
        assert_eq!(1 << units.largest(), full / most);
        for count in 0..64 {
            assert_eq!(units.hold(count), 1u128 << count <= u128::from(full));
        }
        assert!(!units.hold(64) && !units.hold(100));
        for (walk, leaf) in ENTRIES.into_iter().flat_map(|a| ENTRIES.map(|b| (a, b))) {
            let passes = Two(pass(walk, 1, true), pass(leaf, 0, false));
            let [bound_of_walks, bound_of_leaves] = [&passes.0, &passes.1].map(|pass| {
                let pages = pass.pages(12);
                if pass.entries == 1 || pages / pass.entries > full {
                    return pass.entries;
                }
                let mut runs = Runs::of_pages(pass, 12, units);
                let taken = runs.by_ref().count() as u64 + u64::from(runs.rest().is_some());
                let bound = pages / full + u64::from(scales) + 1;
                assert!(taken <= bound, "{units:?} {pass:?}");
                bound
            });
            assert_eq!(
                passes.page_runs(12, units, true),
                bound_of_walks + bound_of_leaves
            );
            assert_eq!(passes.page_runs(12, units, false), walk + bound_of_leaves);
        }
    }
}
