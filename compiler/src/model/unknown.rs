//! The parts of a definition of which not everything is known, because the text could not be read or a name not
//! resolved.
//!
//! In: the items, and the places of errors. Out: whether the item of a place has no error, and whether the definition
//! has none. Holds: a fact that is missing from a part which is not known may be what could not be read, so no
//! diagnostic can rest on it.

use std::collections::BTreeSet;

use crate::source::Span;

/// The items that contain an error.
#[derive(Debug, Clone, Default)]
pub struct Unknown {
    /// All items, in the order of the text. They do not overlap.
    items: Vec<Span>,
    /// The items with an error, by index.
    broken: BTreeSet<usize>,
    /// Whether there is an error outside of items.
    elsewhere: bool,
}

impl Unknown {
    /// Creates it from all items in the order of the text, of which everything is known.
    #[must_use]
    pub fn new(items: Vec<Span>) -> Self {
        Self {
            items,
            ..Self::default()
        }
    }

    /// Adds the place of an error.
    pub fn add(&mut self, error: Span) {
        match self.item(error) {
            Some(item) => {
                self.broken.insert(item);
            }
            None => self.elsewhere = true,
        }
    }

    /// Returns whether everything is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.broken.is_empty() && !self.elsewhere
    }

    /// Returns whether the item of a place has an error; for a place outside of items, whether anything has.
    #[must_use]
    pub fn touches(&self, place: Span) -> bool {
        match self.item(place) {
            Some(item) => self.broken.contains(&item),
            None => !self.is_empty(),
        }
    }

    /// Returns whether a place is in an item.
    #[must_use]
    pub fn is_in_item(&self, place: Span) -> bool {
        self.item(place).is_some()
    }

    /// Returns the item of a place, by index.
    fn item(&self, place: Span) -> Option<usize> {
        let after = self.items.partition_point(|item| item.start <= place.start);
        let last = after.checked_sub(1)?;
        self.items[last].contains(place).then_some(last)
    }
}
