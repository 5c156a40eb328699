//! What a gather has changed so far, in a form that costs nothing while it is entries of one level in one run.

use crate::change::Obligation;
use crate::clause::{Level, Which};
use crate::request::{Extent, Ranges};

/// What was changed: most gathers change entries of one level, in one run.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub extent: Extent,
    pub level: Level,
    /// Of other levels, and of tables.
    pub rest: Option<Ranges>,
}

impl Recorded {
    /// Leaf entries of a level.
    #[inline]
    pub fn leaf(&mut self, level: Level, extent: Extent) {
        if self.extent.is_empty() || self.level == level {
            self.level = level;
            self.extent = self.extent.hull(extent);
        } else {
            self.rest().leaf(level, extent);
        }
    }

    /// Whatever a change obliges to.
    pub fn obligation(&mut self, obligation: &Obligation, extent: Extent) {
        let rest = if let (None, None, Some(leaf)) =
            (&obligation.walk, &obligation.absent, &obligation.leaf)
            && let (Which::Containing, Some(level)) = (leaf.which, leaf.what.leaf.iter().next())
        {
            return self.leaf(level, extent);
        } else {
            self.rest()
        };
        for clause in [obligation.walk, obligation.leaf, obligation.absent] {
            let Some(clause) = clause else { continue };
            for level in clause.what.leaf.iter() {
                rest.leaf(level, extent);
            }
            for level in clause.what.walk.iter() {
                rest.walk(level, extent);
            }
            for level in clause.what.absent.iter() {
                rest.appeared(level, extent);
            }
            if clause.which == Which::Subtree {
                rest.below_live();
            }
        }
    }

    #[cold]
    fn rest(&mut self) -> &mut Ranges {
        self.rest.get_or_insert_with(Ranges::new)
    }

    /// What was changed is flushed.
    #[inline]
    pub fn forget(&mut self) {
        self.extent = Extent::EMPTY;
        self.rest = None;
    }

    /// Whether nothing was changed.
    #[inline]
    pub fn is_nothing(&self) -> bool {
        self.extent.is_empty() && self.rest.is_none()
    }
}
