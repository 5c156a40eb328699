//! A level is found by the size that its entries map, or counted from the lowest; its number is not a depth.

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::{Backend, Level};

/// Returns the shifts of the levels of a machine from the lowest up, with their numbers.
fn levels(backend: &impl Backend) -> Vec<(u32, u8)> {
    let up = (0..).map_while(|n| backend.levels_up(n));
    let levels = up.map(|level| {
        let shift = backend.levels()[level.index()].shift;
        assert_eq!(backend.level_of_shift(shift), Some(level));
        (shift, level.0)
    });
    levels.collect()
}

#[test]
fn levels_are_counted_over_those_that_there_are() {
    let x86 = |config| x86_64::Tlb {
        config,
        invlpgb_pages: 1,
    };
    let four = x86(x86_64::Config::NONE);
    assert_eq!(levels(&four), [(12, 0), (21, 1), (30, 2), (39, 4)]);
    let five = x86(x86_64::Config::LA57);
    assert_eq!(levels(&five), [(12, 0), (21, 1), (30, 2), (39, 3), (48, 4)]);
    let arm64 = |config| levels(&arm64::Tlb { config });
    let small = arm64(arm64::Config::NONE);
    assert_eq!(small, [(12, 0), (21, 1), (30, 2), (39, 3)]);
    let large = arm64(arm64::Config::NONE.with(arm64::Config::G64K));
    assert_eq!(large, [(16, 0), (29, 1), (42, 3)]);
    let power = powerpc64::Tlb {
        config: powerpc64::Config::NONE,
    };
    assert_eq!(levels(&power), [(12, 0), (21, 1), (30, 2), (39, 3)]);
    let s390 = s390::Tlb {
        config: s390::Config::NONE,
    };
    assert_eq!(levels(&s390), [(12, 0), (20, 1), (31, 2), (42, 3), (53, 4)]);
}

#[test]
fn what_is_no_level_is_not_found() {
    let four = x86_64::Tlb {
        config: x86_64::Config::NONE,
        invlpgb_pages: 1,
    };
    for shift in [0, 13, 48, u32::MAX] {
        assert_eq!(four.level_of_shift(shift), None, "{shift}");
    }
    assert_eq!(four.level_of_shift(39), Some(Level(4)));
    assert_eq!(
        (four.levels_up(4), four.levels_up(usize::MAX)),
        (None, None)
    );
}
