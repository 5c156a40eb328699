//! What happened, in numbers.
//!
//! Each CPU counts for itself, in words that it alone writes; reading takes no lock and stops nobody. A sum read
//! while CPUs go on is of no one moment.

use crate::sync::Own;

/// How many size classes [`Stats::pages`] has.
pub const SIZES: usize = 12;

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The stats of a CPU.
        #[derive(Debug)]
        pub(crate) struct CpuStats {
            $(pub $name: Own,)*
            /// By size class.
            pub pages: [Own; SIZES],
        }

        /// What was counted, on one CPU or on all. Stats wrap.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Flushes of 0 pages (tables alone), of 1 page, of up to 2, of up to 4, and so on; the last of all that are
            /// larger. Those of everything are not in it.
            pub pages: [u64; SIZES],
        }

        impl CpuStats {
            /// Returns stats that are all 0.
            pub const fn new() -> Self {
                Self {
                    $($name: Own::new(0),)*
                    pages: [const { Own::new(0) }; SIZES],
                }
            }

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
    /// Flushes that needed no CPU, because none had the space loaded.
    unneeded,
    /// Flushes of the CPU that asked, alone.
    here,
    /// Flushes by instructions that reach other CPUs.
    broadcast,
    /// Flushes for which CPUs were sent an IPI.
    by_ipi,
    /// Of these flushes, how many were of everything because the space ends or was asked for whole.
    full_asked,
    /// Because another gather of the space was under way.
    full_nested,
    /// Because more entries were named than the ceiling allows one by one; where the CPU that asked takes part.
    full_ceiling,
    /// Because what was deferred was not exactly one request.
    full_deferred,
    /// CPUs that were sent an IPI.
    sent,
    /// Requests of other CPUs.
    received,
    /// Of these, requests about a space that is not loaded here any more, or about what this CPU had flushed already.
    spurious,
    /// Flushes that were deferred: of a space, of another tag, of the user view.
    deferred,
    /// Deferred flushes that were completed: on the way to a space, to user code, or before a change of a table.
    completed,
    /// Rollovers of tags; in the sum of all CPUs alone.
    rollovers,
    /// Gathers that never ended, because what ran in them panicked: their pages are lost.
    abandoned,
}

impl CpuStats {
    /// A flush of so many pages.
    #[inline]
    pub fn flushed(&self, pages: u64) {
        let class = (u64::BITS - pages.leading_zeros()) as usize;
        let class = if pages.is_power_of_two() || pages == 0 {
            class
        } else {
            class + 1
        };
        self.pages[class.min(SIZES - 1)].count(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_classes() {
        let stats = CpuStats::new();
        for pages in [0, 1, 2, 3, 4, 5, 512, 1025, u64::MAX] {
            stats.flushed(pages);
        }
        let mut counts = Stats::default();
        stats.add_to(&mut counts);
        assert_eq!(counts.pages, [1, 1, 1, 2, 1, 0, 0, 0, 0, 0, 1, 2]);
    }
}
