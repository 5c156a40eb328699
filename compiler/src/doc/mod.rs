//! The page about an architecture, and its picture.
//!
//! In: a definition with its plans and their proof, and the sources. Out: `NAME.md` and `NAME.svg`. Holds: both depend only on the
//! definition, the page links only to itself and to the picture, and no text of a definition is interpreted as
//! markup.

mod blocks;
mod instructions;
mod issued;
mod levels;
mod markdown;
mod page;
mod picture;
mod proved;
mod setup;

use crate::analysis::Analysis;
use crate::compile::Output;
use crate::prove::Proof;
use crate::source::Files;

pub use markdown::anchor;
pub use page::page;
pub use picture::picture;

/// Returns the page and the picture of an architecture.
#[must_use]
pub fn documents(analysis: &Analysis, files: &Files, proof: &Proof) -> Vec<Output> {
    let name = &analysis.model.arch.name;
    vec![
        Output {
            path: format!("{name}.md"),
            text: page(analysis, files, proof),
        },
        Output {
            path: format!("{name}.svg"),
            text: picture(&analysis.model),
        },
    ]
}
