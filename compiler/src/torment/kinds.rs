//! Kinds of entries.
//!
//! In: a kind of entry of the hardware. Out: what definitions say of it.

use tlbc_machine::hardware::EntryKind;

use crate::model;

/// Returns a kind of entry as definitions name it.
pub fn stated(kind: EntryKind) -> model::CachedKind {
    match kind {
        EntryKind::Leaf => model::CachedKind::Leaf,
        EntryKind::Walk => model::CachedKind::Walk,
        EntryKind::Root => model::CachedKind::Root,
        EntryKind::Negative => model::CachedKind::Negative,
    }
}

/// Returns whether entries of a kind say what addresses translate to, or that they do not.
pub fn is_translation(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Leaf | EntryKind::Negative)
}
