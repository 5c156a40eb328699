//! Forms of an instruction: each has a number of its own.
//!
//! In: the forms, with their numbers. Out: E0410. Holds: of two forms of an instruction that may be used on one machine, the
//! numbers differ.

use super::configs::Configs;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::Model;

/// Checks E0410: forms of an instruction have numbers of their own.
pub fn numbers(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        for (index, form) in it.forms.iter().enumerate() {
            let Some((named, number)) = &form.named else {
                continue;
            };
            let other = it.forms[..index].iter().find_map(|other| {
                let (first, same) = other.named.as_ref()?;
                let conds = [&form.requires, &other.requires];
                let configs = Configs::of(model, conds);
                let both = configs
                    .iter()
                    .any(|config| conds.iter().all(|cond| cond.holds(config)));
                (same == number && both).then_some(first)
            });
            let Some(first) = other else { continue };
            found.push(
                Diagnostic::new(
                    Code::E0410,
                    named.span,
                    format!(
                        "the forms `{}` and `{}` are both {number}",
                        first.name, named.name
                    ),
                )
                .label("again here")
                .because(first.span, "first here")
                .note("the machine does the same for both, so an effect that only one of them states does not happen")
                .help("give each form the number that the manual gives it"),
            );
        }
    }
}
