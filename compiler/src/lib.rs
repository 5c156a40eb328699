//! tlbc: from descriptions of how processor architectures invalidate their TLBs to Rust.
//!
//! The stages, each a module, each reading only what the one before it made:
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`parse`] | text | [`ast`] |
//! | [`lower`] | [`ast`] | [`model`] |
//! | [`check`] | [`model`] | diagnostics: is this a possible machine? |
//! | [`plan`] | [`model`] | [`plan::ir`]: what is issued for each request |
//! | [`warn`] | [`model`] | warnings: is it what was meant? |
//! | [`emit`] | [`plan::ir`] | Rust |
//!
//! Between `plan` and `emit` is the place of `prove`, a second opinion that will share the vocabulary
//! with `plan` and no code: the plan IR names primitives and not what they drop, so that whoever
//! checks it looks that up for himself.
//!
//! [`trace`] interprets the plan IR instead of printing it. [`matrix`] and [`doc`] tell people what a
//! definition says and what follows from it. [`compile()`] runs them all and does no
//! input or output.

pub mod ast;
pub mod builder;
pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod codes;
pub mod compile;
pub mod describe;
pub mod diagnostic;
pub mod doc;
mod echoes;
pub mod emit;
pub mod fs;
pub mod grouped;
pub mod hidden;
pub mod json;
pub mod lower;
pub mod matrix;
pub mod model;
pub mod parse;
pub mod plan;
pub mod render;
pub mod sample_requests;
pub mod source;
pub mod spelling;
pub mod template;
pub mod trace;
pub mod warn;

pub use builder::{BuildError, Builder};
pub use compile::compile;

use diagnostic::Diagnostic;
use echoes::Findings;
use model::Model;
use plan::Plans;
use source::{FileId, Files};

/// A definition that has no errors, and its plans.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The definition.
    pub model: Model,
    /// What is issued for each request.
    pub plans: Plans,
}

/// Parses, resolves, checks and plans one file. There is an analysis if there is no error.
#[must_use]
pub fn analyse(files: &Files, file: FileId) -> (Option<Analysis>, Vec<Diagnostic>) {
    let (analysis, found) = stages(files, file);
    (analysis, grouped::grouped(found))
}

fn stages(files: &Files, file: FileId) -> (Option<Analysis>, Vec<Diagnostic>) {
    let (arch, syntax) = parse::parse(files, file);
    let Some(arch) = arch else {
        return (None, syntax);
    };
    let mut found = Findings::of_text(&arch, syntax);
    let (model, names) = lower::lower(&arch);
    found.add_names(names);
    let Some(model) = model else {
        return (None, found.into_vec());
    };
    found.add_contradictions(check::check(&model));
    if !found.is_empty() {
        return (None, found.into_vec());
    }
    let (plans, gaps) = plan::plan(&model);
    if !gaps.is_empty() {
        return (None, gaps);
    }
    let warnings = warn::warnings(files, file, &arch, &model);
    (Some(Analysis { model, plans }), warnings)
}
