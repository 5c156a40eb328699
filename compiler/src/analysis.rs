//! The stages from the text of one definition to its plans.
//!
//! In: a file of [`Files`]. Out: the definition with its plans, or diagnostics. Holds: a definition with an error is
//! not planned, one whose requests cannot all be served has no [`Analysis`], and no diagnostic follows
//! from another.

use crate::diagnostic::Diagnostic;
use crate::model::Model;
use crate::plan::{self, Plans};
use crate::source::{FileId, Files};
use crate::{check, grouped, lower, parse, warn};

/// A definition without errors, and its plans. [`trace()`](crate::trace::trace()) reads both.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The definition, with its names resolved.
    pub model: Model,
    /// What is issued for each request.
    pub plans: Plans,
}

/// Parses, resolves, checks and plans one file. Returns an analysis if there is no error.
#[doc(hidden)]
#[must_use]
pub fn analyse(files: &Files, file: FileId) -> (Option<Analysis>, Vec<Diagnostic>) {
    let (analysis, found) = stages(files, file);
    (analysis, grouped::grouped(found))
}

fn stages(files: &Files, file: FileId) -> (Option<Analysis>, Vec<Diagnostic>) {
    let (arch, mut found) = parse::parse(files, file);
    let Some(arch) = arch else {
        return (None, found);
    };
    let (model, names) = lower::lower(&arch);
    found.extend(names);
    let Some(model) = model else {
        return (None, found);
    };
    found.extend(check::check(&model));
    if !found.is_empty() {
        return (None, found);
    }
    let (plans, gaps) = plan::plan(&model);
    if !gaps.is_empty() {
        return (None, gaps);
    }
    let warnings = warn::warnings(files, file, &arch, &model);
    (Some(Analysis { model, plans }), warnings)
}
