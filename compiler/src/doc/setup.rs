//! The section of the page about the required setup of the machine.

use super::markdown::{heading, table};
use crate::describe::registers::{demand, reason};
use crate::model::{Model, Requirement, Setup};

pub(super) const TITLE: &str = "Setup of the machine";

/// Writes the section about the required setup.
pub(super) fn write(out: &mut String, model: &Model) {
    heading(out, TITLE);
    if model.setup.is_empty() {
        out.push_str("None is stated.\n");
        return;
    }
    out.push_str("Required on every CPU, from before its first flush for as long as it runs.\n\n");
    let fields = |setup: &&Setup| matches!(setup.what, Requirement::Field { .. });
    let rows = |wanted: bool| {
        model
            .setup
            .iter()
            .filter(move |setup| fields(setup) == wanted)
    };
    let row = |setup: &Setup| [demand(model, setup), reason(setup).unwrap_or_default()];
    table(
        out,
        ["requirement", "why"],
        rows(true).chain(rows(false)).map(row),
    );
}
