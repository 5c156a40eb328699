//! What the machine must be set to, as a section of the page.

use super::page::{heading, table};
use crate::describe::registers::{demand, reason};
use crate::model::{Demand, Model, Setup};

pub(super) const TITLE: &str = "Setup of the machine";

/// Writes the section.
pub(super) fn write(out: &mut String, model: &Model) {
    heading(out, TITLE);
    if model.setup.is_empty() {
        out.push_str("Nothing is stated.\n");
        return;
    }
    out.push_str("On every CPU, before the first flush and for as long as it runs.\n\n");
    let fields = |setup: &&Setup| matches!(setup.what, Demand::Field { .. });
    let rows = |wanted: bool| {
        model
            .setup
            .iter()
            .filter(move |setup| fields(setup) == wanted)
    };
    let row = |setup: &Setup| [demand(model, setup), reason(setup).unwrap_or_default()];
    table(
        out,
        ["what must hold", "why"],
        rows(true).chain(rows(false)).map(row),
    );
}
