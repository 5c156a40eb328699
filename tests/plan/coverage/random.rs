//! Random configurations, and random requests: a few changed ranges, in a space, on this CPU or with others.

use std::ops::Range;

use proptest::prelude::*;
use tlbc::Analysis;
use tlbc::model::Config;
use tlbc_runtime::request::{Reach, Space};

use crate::coverage::case::Asked;
use crate::coverage::manual::Level;
use tlbc_tests::configurations::possible;

/// Generates a possible configuration.
pub fn configurations(arch: &Analysis) -> impl Strategy<Value = Config> + use<> {
    proptest::sample::select(possible(&arch.model).collect::<Vec<_>>())
}

/// One changed range: its place, its number of entries, and whether it is used.
pub type Raw = (bool, u64, u64, u8);

/// Generates a changed range.
pub fn raw() -> impl Strategy<Value = Raw> {
    let count = prop_oneof![6 => 1u64..20, 3 => 1u64..600, 1 => 1u64..3_000_000];
    (any::<bool>(), 0u64..2000, count, 0u8..4)
}

/// Generates a few changed ranges close to each other, or at the end of the space.
pub fn asked(raw: &[Raw], anchor: u64, live: bool, levels: &[Level], space: &Range<u128>) -> Asked {
    let mut asked = Asked {
        live,
        ..Asked::default()
    };
    let near = |level: Level, &(there, offset, count, place): &Raw| -> Option<Range<u128>> {
        let bytes = (u128::from(count) << level.shift.min(30)).min(space.end - space.start);
        let base = levels[0].shift;
        let start = match place {
            // Up to the last page.
            0 => space.end - bytes,
            1 => space.start,
            _ => {
                let span = (space.end - space.start) >> base;
                let at = (u128::from(anchor) % span) & !0x3ffff;
                (space.start + ((at + u128::from(offset)) << base)).min(space.end - bytes)
            }
        };
        there.then_some(start..start + bytes)
    };
    for (index, &level) in levels.iter().enumerate() {
        if let Some(range) = near(level, &raw[index]).filter(|_| level.leaf) {
            asked.leaf.push((level, range));
        }
        if let Some(range) = near(level, &raw[5 + index]).filter(|_| index > 0) {
            asked.unlinked.push((level, range));
        }
    }
    if asked.all().next().is_none() {
        let range = near(levels[0], &(true, raw[0].1, raw[0].2, raw[0].3));
        asked.leaf.push((levels[0], range.expect("it is there")));
    }
    asked
}

/// Generates the base of the upper or the lower half.
pub fn addresses(space: Space, bits: u32) -> Range<u128> {
    match space {
        Space::User => 0..1 << bits,
        Space::Kernel => (1 << 64) - (1 << bits)..1 << 64,
    }
}

pub fn spaces() -> impl Strategy<Value = Space> {
    prop_oneof![Just(Space::User), Just(Space::Kernel)]
}

pub fn reaches() -> impl Strategy<Value = Reach> {
    prop_oneof![Just(Reach::Here), Just(Reach::Wide)]
}
