//! What is proved of each kind of request, and from which facts.

use super::markdown::{heading, table};
use crate::describe;
use crate::model::Model;
use crate::prove::Proof;
use crate::text::numbers;

/// The title of the section.
pub const TITLE: &str = "What is proved";

/// Writes the section.
pub fn write(out: &mut String, model: &Model, proof: &Proof) {
    heading(out, TITLE);
    out.push_str(
        "For each kind of request: how many paths of its plans there are on all machines, how many of them are not proved to \
         invalidate what it requires, and the instructions, errata and parts of the definition that the proof, and those on \
         which it relies, read. The last column has the numbers of the unconfirmed facts about them: the proof may depend on these, \
         and depends on no others.\n\n",
    );
    let rows = proof.rows.iter().map(|row| {
        let facts = row.facts.iter().map(|it| describe::subject(model, *it));
        let facts: Vec<String> = facts.collect();
        [
            row.request.clone(),
            row.paths.to_string(),
            row.failed.to_string(),
            facts.join(", "),
            numbers(&row.unconfirmed(model)),
        ]
    });
    let columns = ["request", "paths", "not proved", "from", "unconfirmed"];
    table(out, columns, rows);
}
