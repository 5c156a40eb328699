//! What bits of an entry change, and which marks they clear.
//!
//! In: the bits of an entry before and after, as the kernel's [`Pte`] decodes them. Out: a [`Change`]. Holds: it clears the marks that
//! only the old bits have.

use crate::level::Level;
use crate::platform::{Platform, Pte};
use crate::pte::{Change, Entry, Marks, Was};

/// Returns the change of a valid entry to other bits.
pub(crate) fn change_of<P: Platform, E: Pte<P>>(level: Level, old: Was, bits: u64) -> Change {
    let new = E::decode(level, bits);
    let clears = match new {
        Entry::Invalid => Marks::NONE,
        _ => marks::<P, E>(level, old.any).without(marks::<P, E>(level, bits)),
    };
    Change {
        new,
        new_bits: bits,
        clears,
        ..Change::to_invalid(level, E::decode(level, old.first))
    }
}

/// Returns the marks that the machine has set in the bits of a valid entry.
fn marks<P: Platform, E: Pte<P>>(level: Level, bits: u64) -> Marks {
    let mut marks = Marks::NONE;
    if E::is_accessed(level, bits) {
        marks = marks.union(Marks::ACCESSED);
    }
    if E::is_dirty(level, bits) {
        marks = marks.union(Marks::DIRTY);
    }
    marks
}
