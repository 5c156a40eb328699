//! The state while a definition is resolved: its names, and what was found so far.

use std::collections::{BTreeMap, BTreeSet};

use super::list::NameList;
use crate::ast::{Ident, Unread};
use crate::diagnostic::Diagnostic;
use crate::model::{Domain, LevelNumbers, Unknown};
use crate::source::Span;

/// The words for the two spaces.
pub(super) const SPACES: [&str; 2] = ["user", "kernel"];

/// The state while a definition is resolved.
#[derive(Default)]
pub(super) struct Lower {
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The names that may be defined where the text could not be read.
    pub(super) unread: UnreadNames,
    /// The parts with errors so far, which explain what is missing from them.
    pub(super) unknown: Unknown,
    pub(super) origins: Origins,
    /// The unknown names that rows of a `for` made.
    pub(super) unknown_of_rows: Vec<UnknownOfRow>,
    /// The texts between braces in names of a `for` that are none of its variables.
    pub(super) unknown_variables: BTreeSet<String>,
    pub(super) features: NameList,
    pub(super) geometries: NameList,
    pub(super) levels: NameList,
    pub(super) limits: NameList,
    pub(super) domains: Vec<Domain>,
    pub(super) tags: NameList,
    pub(super) barriers: NameList,
    pub(super) operands: NameList,
    pub(super) level_numbers: Vec<LevelNumbers>,
    pub(super) caches: NameList,
    pub(super) invalidates: NameList,
    pub(super) loads: NameList,
    pub(super) cpu_sets: NameList,
    pub(super) views: NameList,
}

/// Names that may be defined where the text could not be read.
#[derive(Default)]
pub(super) struct UnreadNames {
    /// Whether everything could be read.
    is_empty: bool,
    names: BTreeSet<String>,
    /// Names with variables, as the texts between the variables.
    patterns: Vec<Vec<String>>,
}

impl UnreadNames {
    /// Collects the names from error nodes.
    pub(super) fn new(errors: &[Unread]) -> Self {
        let mut unread = Self::default();
        for word in errors.iter().flat_map(|error| &error.words) {
            unread.add(word);
        }
        unread.is_empty = errors.is_empty();
        unread
    }

    /// Returns whether everything could be read.
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Adds a name, which may contain variables.
    pub(super) fn add(&mut self, name: &str) {
        self.is_empty = false;
        if !name.contains('{') {
            self.names.insert(name.to_owned());
            return;
        }
        let parts = name.split(['{', '}']).step_by(2);
        let parts: Vec<String> = parts.map(str::to_owned).collect();
        // A variable alone could be any name.
        if parts.concat() != "" {
            self.patterns.push(parts);
        }
    }

    /// Returns whether a name may be defined there.
    pub(super) fn may_define(&self, name: &str) -> bool {
        self.names.contains(name) || self.patterns.iter().any(|parts| fits(parts, name))
    }
}

/// A name that a row of a `for` made and that nothing defines.
pub(super) struct UnknownOfRow {
    pub(super) what: String,
    pub(super) name: Ident,
    pub(super) row: Span,
    /// The index of its diagnostic; none if the name may be defined where the text could not be read.
    pub(super) reported: Option<usize>,
}

/// Returns whether a name consists of these texts with others between them.
fn fits(parts: &[String], name: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return false;
    };
    let rest = name.strip_prefix(first.as_str());
    let rest = middle.iter().fold(rest, |rest, part| {
        let rest = rest?;
        rest.find(part.as_str()).map(|at| &rest[at + part.len()..])
    });
    rest.is_some_and(|rest| rest.ends_with(last.as_str()))
}

/// Where the rows of each `for` have the values of a name, by the place that uses it and the name itself.
pub(super) type Origins = BTreeMap<(Span, String), Span>;

/// Items of one kind, in order.
macro_rules! of_kind {
    ($items:expr, $kind:ident) => {
        $items.iter().filter_map(|item| match item {
            Item::$kind(it) => Some(it),
            _ => None,
        })
    };
}
pub(super) use of_kind;

/// Returns the fault of `[high:low]` among bits `most` to 0, and its fix.
pub(super) fn no_bits(high: u64, low: u64, most: u64) -> (String, String) {
    if low > high {
        let message = format!("the bits [{high}:{low}] are in the wrong order");
        return (
            message,
            format!("write the highest first: `[{low}:{high}]`"),
        );
    }
    let message = format!("the bits [{high}:{low}] do not exist");
    (
        message,
        format!("the bits are {most} to 0; 0 is the least significant"),
    )
}
