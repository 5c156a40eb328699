//! Lists of names.
//!
//! In: names in the order of the definition. Out: the place of a name. Holds: of a repeated name, the first counts.

use std::ops::Deref;

use rustc_hash::FxHashMap;

use crate::model::DefinitionName;

/// Names in the order of the definition.
#[derive(Clone, Default)]
pub(super) struct NameList {
    all: Vec<DefinitionName>,
    places: FxHashMap<String, usize>,
}

impl NameList {
    /// Returns the index of a name.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

impl From<Vec<DefinitionName>> for NameList {
    fn from(all: Vec<DefinitionName>) -> Self {
        let numbered = all.iter().enumerate().rev();
        let places = numbered.map(|(place, named)| (named.name.clone(), place));
        Self {
            places: places.collect(),
            all,
        }
    }
}

impl Deref for NameList {
    type Target = [DefinitionName];

    fn deref(&self) -> &[DefinitionName] {
        &self.all
    }
}
