//! What an instruction does to cached entries: clauses, where, and when.

use crate::clause::{Clause, Holders};

/// A moment by which something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// When the instruction is done.
    AtOnce,
    /// After a barrier.
    After {
        /// The barrier, by its index in the backend.
        barrier: u8,
        /// Whether the same CPU must issue both.
        same_cpu: bool,
    },
    /// Not by itself.
    Never,
}

/// When entries are gone, and when what they had translated is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct When {
    /// Nobody can start to use them.
    pub gone: Moment,
    /// Accesses already translated are performed.
    pub drained: Moment,
    /// Save for these, who are not drained by it.
    pub except: Holders,
}

impl When {
    /// When the instruction is done.
    pub const AT_ONCE: Self = Self {
        gone: Moment::AtOnce,
        drained: Moment::AtOnce,
        except: Holders::NONE,
    };

    /// After a barrier, by its index in the backend.
    #[must_use]
    pub const fn after(barrier: u8, same_cpu: bool) -> Self {
        let moment = Moment::After { barrier, same_cpu };
        Self {
            gone: moment,
            drained: moment,
            except: Holders::NONE,
        }
    }
}

/// What an instruction does to cached entries, by the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// The name of the instruction and, if it has several, of the form.
    pub name: &'static str,
    /// What it drops when no feature is on and no level is hinted.
    pub drops: &'static [Clause],
    /// Where.
    pub holders: Holders,
    /// When.
    pub when: When,
}

impl Effect {
    /// An effect.
    #[must_use]
    pub const fn new(
        name: &'static str,
        drops: &'static [Clause],
        holders: Holders,
        when: When,
    ) -> Self {
        Self {
            name,
            drops,
            holders,
            when,
        }
    }
}
