//! What is flushed for a fault that the tables do not justify. It may have used an entry of its own level, or a negative entry of
//! any level from there up.

use super::*;
use crate::level::LEVELS;
use crate::request::{Extent, LevelFacts, LevelTable, Ranges};

#[test]
fn a_fault_flushes_its_entry_and_negative_entries_from_its_level_up() {
    const TABLE: LevelTable = {
        let mut table = [LevelFacts::NONE; LEVELS];
        table[0] = LevelFacts::leaf(12);
        table[1] = LevelFacts::leaf(21);
        table[3] = LevelFacts::table(30);
        table
    };
    const VA: u64 = 0x4060_3000;
    let fault = |facts: &ChangeFacts, level| {
        let mut ranges = Ranges::new();
        ranges.fault(facts, &TABLE, VA, Level(level));
        ranges
    };
    let entry = |level: u8| Extent::new(VA, 1).rounded(TABLE[level as usize].shift);
    let facts = |stricter, negative| ChangeFacts {
        negative,
        stricter,
        ..FACTS
    };
    let kept = Stricter::FaultsUntilDropped;
    for negative in [Negative::Never, Negative::Expires] {
        for level in [0, 1] {
            let mut one = Ranges::new();
            one.leaf(Level(level), entry(level));
            assert_eq!(fault(&facts(kept, negative), level), one);
            for stricter in [Stricter::Refetched, Stricter::DroppedByFault] {
                assert_eq!(fault(&facts(stricter, negative), level), Ranges::new());
            }
        }
    }
    for (negative, level, named) in [
        (Negative::UntilDropped, 0, &[0, 1, 3][..]),
        (Negative::UntilDropped, 1, &[1, 3]),
        (Negative::AsPages, 0, &[0]),
        (Negative::AsPages, 1, &[0]),
    ] {
        let mut all = Ranges::new();
        for above in named {
            all.negative(Level(*above), entry(*above));
        }
        assert_eq!(fault(&facts(Stricter::Refetched, negative), level), all);
        assert!(all.has_negative());
    }
}
