//! Warns of statements that are possible and most often a mistake.
//!
//! In: a definition without errors. Out: warnings. Holds: a warning says what to write if the statement is
//! not a mistake.
//!
//! A comment `// allow W0301: REASON` on the line of a warning, or right above it, removes the warning. One that
//! removes none is a warning itself.

mod allowed;
mod siblings;
mod suspicious;
mod unused;

use crate::ast::Arch;
use crate::diagnostic::Diagnostic;
use crate::model::Model;
use crate::source::{FileId, Files};

/// Returns the warnings about a definition.
#[must_use]
pub fn warnings(files: &Files, file: FileId, arch: &Arch, model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    unused::names(model, &mut found);
    unused::writers(model, &mut found);
    suspicious::tables(model, &mut found);
    suspicious::ceilings(model, &mut found);
    siblings::of_operands(model, &mut found);
    siblings::of_loops(arch, model, &mut found);
    allowed::without(files, file, found)
}
