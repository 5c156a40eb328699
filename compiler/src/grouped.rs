//! Joins diagnostics that have one cause.
//!
//! In: the diagnostics of all stages. Out: the same diagnostics; those of one cause are joined into the first of them,
//! which lists the other places. Holds: no place is lost.
//!
//! Diagnostics have one cause if they report the same unknown name, or if they report the same rule with the same
//! text except for names and contradict the same fact. Examples: ten instructions rely on one barrier; one row of a
//! `for` defines several names twice.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// Joins diagnostics of one cause.
#[must_use]
pub fn grouped(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut groups = Groups::default();
    for diagnostic in found {
        groups.add(diagnostic);
    }
    groups
        .all
        .into_iter()
        .map(|group| group.diagnostic)
        .collect()
}

/// The groups so far.
#[derive(Default)]
struct Groups {
    all: Vec<Group>,
    /// The first group of each cause, by index.
    by_cause: FxHashMap<Cause, usize>,
}

/// Diagnostics of one cause.
struct Group {
    diagnostic: Diagnostic,
    /// All places of the diagnostic.
    places: FxHashSet<Span>,
}

/// The cause of a diagnostic: its rule, its text without names, and the place to blame, where that is not the text.
#[derive(PartialEq, Eq, Hash)]
struct Cause {
    code: Code,
    sentences: Vec<String>,
    at: Option<Span>,
}

impl Groups {
    /// Adds a diagnostic to the first group of its cause.
    fn add(&mut self, diagnostic: Diagnostic) {
        let causes = causes(&diagnostic);
        let known = causes.iter().filter_map(|cause| self.by_cause.get(cause));
        if let Some(&group) = known.min() {
            self.all[group].join(diagnostic);
            return;
        }
        for cause in causes {
            self.by_cause.insert(cause, self.all.len());
        }
        let places = diagnostic.labels().map(|label| label.span).collect();
        self.all.push(Group { diagnostic, places });
    }
}

impl Group {
    /// Adds the places of another diagnostic.
    fn join(&mut self, other: Diagnostic) {
        let group = &mut self.diagnostic;
        let places: Vec<Span> = if group.primary.span == other.primary.span {
            other.secondary.iter().map(|label| label.span).collect()
        } else {
            vec![other.primary.span]
        };
        for place in places.into_iter().chain(other.also) {
            if self.places.insert(place) {
                group.also.push(place);
            }
        }
    }
}

/// Returns the causes that a diagnostic may share with others: none for one that stands alone.
fn causes(diagnostic: &Diagnostic) -> Vec<Cause> {
    let code = diagnostic.code;
    if code == Code::E0202 {
        // All uses of one unknown name.
        let sentences = vec![diagnostic.message.clone()];
        let at = None;
        return vec![Cause {
            code,
            sentences,
            at,
        }];
    }
    let labels = diagnostic.labels().map(|label| &label.text);
    let sentences = std::iter::once(&diagnostic.message).chain(labels);
    let sentences: Vec<String> = sentences.map(|text| without_names(text)).collect();
    let places: Vec<Span> = match code {
        // One row of a `for` defines several names twice, or several rows define an instruction without some statement.
        Code::E0201 | Code::E0401 => vec![diagnostic.primary.span],
        code if code.is_of_text() => Vec::new(),
        _ => diagnostic
            .secondary
            .iter()
            .map(|label| label.span)
            .collect(),
    };
    let cause = |at| Cause {
        code,
        sentences: sentences.clone(),
        at: Some(at),
    };
    places.into_iter().map(cause).collect()
}

/// Returns a sentence without its names, which are enclosed in backticks.
fn without_names(sentence: &str) -> String {
    sentence.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn at(offset: usize) -> Span {
        Span::new(FileId(0), offset..offset + 1)
    }

    fn finding(code: Code, place: usize, message: &str) -> Diagnostic {
        Diagnostic::new(code, at(place), message)
    }

    #[test]
    fn one_contradicted_fact_is_one_cause() {
        let of = |place, name| {
            let message = format!("`{name}` acts on more agents than `wait` waits for");
            finding(Code::E0402, place, &message).because(at(1), "completes here")
        };
        let groups = grouped(vec![of(10, "a"), of(20, "b"), of(30, "c")]);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].primary.span, at(10));
        assert_eq!(groups[0].also, [at(20), at(30)]);
    }

    #[test]
    fn one_unknown_name_is_one_cause_and_two_are_two() {
        let of = |place, name| {
            finding(Code::E0202, place, &format!("there is no level `{name}`")).label("not defined")
        };
        let groups = grouped(vec![of(10, "pmd"), of(20, "pud"), of(30, "pmd")]);
        assert_eq!(groups.len(), 2);
        assert_eq!(
            (&groups[0].also[..], &groups[1].also[..]),
            (&[at(30)][..], &[][..])
        );
    }

    #[test]
    fn two_missing_statements_have_two_causes() {
        let of = |place| finding(Code::E0203, place, "the page size is missing");
        assert_eq!(grouped(vec![of(10), of(20)]).len(), 2);
        let of = |place| finding(Code::E0101, place, "expected `;`");
        assert_eq!(grouped(vec![of(10), of(20)]).len(), 2);
    }
}
