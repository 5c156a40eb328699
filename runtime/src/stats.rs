//! Statistics of flushes.
//!
//! Each CPU counts in words that only it writes. Reading takes no lock and stops no CPU, so a sum that is read while CPUs are
//! running does not describe a single moment.

use crate::sync::Own;

/// How many size classes [`Stats::pages`] has.
pub const SIZES: usize = 12;

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The statistics of one CPU.
        #[derive(Debug)]
        pub(crate) struct CpuStats {
            $(pub $name: Own,)*
            /// Flushes by size class.
            pub pages: [Own; SIZES],
        }

        /// Statistics of one CPU, or the sums over all CPUs. The counts wrap.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Flushes by size: of 0 pages (only tables), of 1 page, of up to 2, of up to 4, and so on; the last class counts
            /// all that are larger. Flushes of everything are not counted here.
            pub pages: [u64; SIZES],
        }

        impl CpuStats {
            /// Returns statistics that are all 0.
            pub const fn new() -> Self {
                Self {
                    $($name: Own::new(0),)*
                    pages: [const { Own::new(0) }; SIZES],
                }
            }

            /// Adds the counts to sums.
            pub fn add_to(&self, sum: &mut Stats) {
                $(sum.$name = sum.$name.wrapping_add(self.$name.get());)*
                for (sum, word) in sum.pages.iter_mut().zip(&self.pages) {
                    *sum = sum.wrapping_add(word.get());
                }
            }
        }
    };
}

stats! {
    /// Flushes that were not needed, because no CPU had the space loaded.
    unneeded,
    /// Flushes on the calling CPU alone.
    here,
    /// Flushes by instructions that reach other CPUs.
    broadcast,
    /// Flushes for which CPUs were sent an IPI.
    by_ipi,
    /// Of these flushes, those of everything because of a teardown or because the caller requested everything.
    full_requested,
    /// Those of everything because another gather of the space was in progress.
    full_nested,
    /// Those of everything because the request exceeds the ceiling, if the calling CPU takes part in the flush.
    full_ceiling,
    /// Those of everything because more or less than one request was deferred.
    full_deferred,
    /// CPUs that were sent an IPI.
    sent,
    /// Requests that this CPU received from other CPUs.
    received,
    /// Of these, requests for a space that this CPU no longer has loaded, or for entries that it had flushed already.
    spurious,
    /// Flushes that were deferred: of a space, of another tag, of the user view.
    deferred,
    /// Deferred flushes that were completed: at the load of a space, at the return to user code, or before a change of a table.
    completed,
    /// New tags that a space got while it was loaded, in place of a flush of the old one.
    renewed,
    /// Rollovers of tags. Only the sums over all CPUs count them.
    rollovers,
    /// Gathers that did not end, because their closure panicked: their pages are lost.
    abandoned,
}

impl CpuStats {
    /// Counts a flush of so many pages.
    #[inline]
    pub fn flushed(&self, pages: u64) {
        self.pages[size_class(pages)].count(1);
    }
}

/// Returns the size class of a flush of so many pages.
#[inline]
const fn size_class(pages: u64) -> usize {
    // Comparisons: on many CPUs counting leading zeros costs more than the rest of the statistics.
    match pages {
        0 => 0,
        1 => 1,
        2 => 2,
        3..=4 => 3,
        5..=8 => 4,
        9..=16 => 5,
        17..=32 => 6,
        33..=64 => 7,
        65..=128 => 8,
        129..=256 => 9,
        257..=512 => 10,
        _ => SIZES - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_classes() {
        let stats = CpuStats::new();
        let mut expected = [0; SIZES];
        // Each class ends at a power of two.
        for bits in 0..64 {
            let pages = 1u64 << bits;
            for pages in [pages - 1, pages, pages + 1, u64::MAX] {
                stats.flushed(pages);
                let class = (0..SIZES - 1).find(|class| pages <= (1 << class) >> 1);
                expected[class.unwrap_or(SIZES - 1)] += 1;
            }
        }
        let mut counts = Stats::default();
        stats.add_to(&mut counts);
        assert_eq!(counts.pages, expected);
    }
}
