//! Divides a pass into runs that one instruction can name.
//!
//! In: a pass, and what one instruction can name: `(num + 1)` units of a size that a scale chooses.
//! Out: the runs, largest first, in the order of their addresses, and the rest, which no run can name. Holds: the runs and the rest
//! together contain each entry of the pass once.

use crate::request::pass::Pass;

/// The sizes that one instruction of a kind can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// log2 of the smallest unit, in pages or entries.
    pub base: u32,
    /// How much that increases from one scale to the next.
    pub step: u32,
    /// The number of scales.
    pub scales: u32,
    /// The most units of one run.
    pub most: u64,
}

impl Units {
    /// Returns log2 of the largest unit.
    #[must_use]
    #[inline]
    pub const fn largest(self) -> u32 {
        self.scales
            .wrapping_sub(1)
            .wrapping_mul(self.step)
            .wrapping_add(self.base)
    }

    /// Returns whether one run can name `1 << count` pages or entries.
    #[must_use]
    #[inline]
    pub const fn hold(self, count: u32) -> bool {
        count < 64 && 1u64.wrapping_shl(count) <= self.most.wrapping_shl(self.largest())
    }
}

/// Returns the largest count of a run of entries with a limit: at least 1, and any number if it is [`u32::MAX`].
#[inline]
pub(crate) const fn largest(limit: u32) -> u64 {
    match limit {
        0 => 1,
        u32::MAX => u64::MAX,
        limit => limit as u64,
    }
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first address.
    pub va: u64,
    /// The first address after it.
    pub end: u64,
    /// The number of units, minus one.
    pub num: u64,
    /// The scale, which chooses the size of a unit.
    pub scale: u32,
}

/// The runs of a pass.
#[derive(Debug, Clone)]
pub struct Runs {
    units: Units,
    /// log2 of the bytes of a page or entry that is counted.
    shift: u32,
    scale: u32,
    va: u64,
    left: u64,
}

impl Runs {
    /// Returns runs that count base pages of `1 << page` bytes. A pass of one entry has no runs: an instruction for one entry does
    /// the same.
    #[must_use]
    #[inline]
    pub const fn of_pages(pass: &Pass, page: u32, units: Units) -> Self {
        Self {
            units,
            shift: page,
            scale: if pass.entries > 1 { units.scales } else { 0 },
            va: pass.start,
            left: pass.entries.wrapping_shl(pass.shift.wrapping_sub(page)),
        }
    }

    /// Returns runs that count entries, at most `limit` for each run; any number if that is [`u32::MAX`].
    #[must_use]
    #[inline]
    pub const fn of_entries(pass: &Pass, limit: u32, units: Units) -> Self {
        let limit = largest(limit);
        let most = if limit < units.most {
            limit
        } else {
            units.most
        };
        Self {
            units: Units { most, ..units },
            shift: pass.shift,
            scale: units.scales,
            va: pass.start,
            left: pass.entries,
        }
    }

    /// Returns the address of the rest that no run can name, if anything is left after the last run.
    #[must_use]
    #[inline]
    pub const fn rest(&self) -> Option<u64> {
        if self.left > 0 { Some(self.va) } else { None }
    }
}

impl Iterator for Runs {
    type Item = Run;

    #[inline]
    fn next(&mut self) -> Option<Run> {
        while self.scale > 0 {
            let scale = self.scale.wrapping_sub(1);
            let unit = scale
                .wrapping_mul(self.units.step)
                .wrapping_add(self.units.base);
            let fit = self.left.wrapping_shr(unit);
            if fit == 0 {
                self.scale = scale;
                continue;
            }
            let count = if fit < self.units.most {
                fit
            } else {
                self.units.most
            };
            let bytes = count.wrapping_shl(unit.wrapping_add(self.shift));
            let run = Run {
                va: self.va,
                end: self.va.wrapping_add(bytes),
                num: count.wrapping_sub(1),
                scale,
            };
            self.va = run.end;
            self.left = self.left.wrapping_sub(count.wrapping_shl(unit));
            return Some(run);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    const EVEN: Units = Units {
        base: 1,
        step: 5,
        scales: 4,
        most: 32,
    };

    fn pass(entries: u64) -> Pass {
        Pass {
            start: 0x10_0000,
            entries,
            stride: Level(0),
            shift: 12,
            ..Pass::default()
        }
    }

    #[test]
    fn runs_and_rest_are_the_pass() {
        for entries in (1..3000).chain([1 << 16, (1 << 21) - 1, 1 << 21]) {
            let mut runs = Runs::of_pages(&pass(entries), 12, EVEN);
            let mut at = 0x10_0000;
            for run in runs.by_ref() {
                assert_eq!(run.va, at);
                assert!(run.num < 32);
                at += (run.num + 1) << (5 * run.scale + 1) << 12;
                assert_eq!(run.end, at);
            }
            if let Some(rest) = runs.rest() {
                assert_eq!(rest, at);
                at += 1 << 12;
            }
            assert_eq!(at, 0x10_0000 + (entries << 12));
        }
    }

    #[test]
    fn one_large_entry_is_left_whole() {
        let mut runs = Runs::of_pages(
            &Pass {
                shift: 21,
                ..pass(1)
            },
            12,
            EVEN,
        );
        assert_eq!(runs.next(), None);
        assert_eq!(runs.rest(), Some(0x10_0000));
    }

    #[test]
    fn entries_are_cut_at_the_limit() {
        let units = Units {
            base: 0,
            step: 0,
            scales: 1,
            most: 1 << 16,
        };
        let mut runs = Runs::of_entries(&pass(10), 4, units);
        let counts = [3, 3, 1].map(Some);
        assert_eq!(counts, [0; 3].map(|_| runs.next().map(|run| run.num)));
        assert_eq!((runs.next(), runs.rest()), (None, None));
    }

    #[test]
    fn a_run_without_a_largest_count_is_one() {
        let units = Units {
            base: 0,
            step: 0,
            scales: 1,
            most: u64::MAX,
        };
        let many = 1 << 50;
        let mut runs = Runs::of_entries(&pass(many), u32::MAX, units);
        assert_eq!(runs.next().map(|run| run.num), Some(many - 1));
        assert_eq!((runs.next(), runs.rest()), (None, None));
    }
}
