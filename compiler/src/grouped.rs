//! Joins diagnostics that have one cause.
//!
//! In: the diagnostics of all stages. Out: the same diagnostics; those of one cause are joined into the first of them,
//! which lists the other places. Holds: no place is lost.
//!
//! Diagnostics have one cause if they report the same unknown name, or if they report the same rule with the same
//! text except for names and contradict the same fact. Examples: ten instructions rely on one barrier; one row of a
//! `for` defines several names twice.

use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// Joins diagnostics of one cause.
#[must_use]
pub fn grouped(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut groups: Vec<(Wording, Diagnostic)> = Vec::new();
    for diagnostic in found {
        let wording = Wording::of(&diagnostic);
        let same = groups
            .iter_mut()
            .find(|(first, group)| *first == wording && have_one_cause(group, &diagnostic));
        match same {
            Some((_, group)) => join(group, diagnostic),
            None => groups.push((wording, diagnostic)),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The text of a diagnostic without the names in it. An unknown name is kept, because it is the cause.
#[derive(PartialEq)]
struct Wording {
    code: Code,
    sentences: Vec<String>,
}

impl Wording {
    fn of(diagnostic: &Diagnostic) -> Self {
        let code = diagnostic.code;
        if code == Code::E0202 {
            // All uses of one unknown name.
            let sentences = vec![diagnostic.message.clone()];
            return Self { code, sentences };
        }
        let labels = diagnostic.labels().map(|label| &label.text);
        let sentences = std::iter::once(&diagnostic.message).chain(labels);
        let sentences = sentences.map(|text| without_names(text)).collect();
        Self { code, sentences }
    }
}

/// Returns a sentence without its names, which are enclosed in backticks.
fn without_names(sentence: &str) -> String {
    sentence.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

fn have_one_cause(first: &Diagnostic, other: &Diagnostic) -> bool {
    let same_place = first.primary.span == other.primary.span;
    match first.code {
        Code::E0202 => return true,
        // One row of a `for` defines several names twice, or several rows define an instruction without some statement.
        Code::E0201 | Code::E0401 => return same_place,
        _ => {}
    }
    let of_other: Vec<Span> = other.secondary.iter().map(|label| label.span).collect();
    let shares_fact = first
        .secondary
        .iter()
        .any(|label| of_other.contains(&label.span));
    !first.code.is_of_text() && shares_fact
}

/// Adds the places of `other` to those of `group`.
fn join(group: &mut Diagnostic, other: Diagnostic) {
    let places: Vec<Span> = if group.primary.span == other.primary.span {
        other.secondary.iter().map(|label| label.span).collect()
    } else {
        vec![other.primary.span]
    };
    let known: Vec<Span> = group.labels().map(|label| label.span).collect();
    for place in places.into_iter().chain(other.also) {
        if !known.contains(&place) && !group.also.contains(&place) {
            group.also.push(place);
        }
    }
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
