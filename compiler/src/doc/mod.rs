//! A page about an architecture, and a picture of it.
//!
//! In: a definition with its plans, and the sources. Out: `NAME.md` and `NAME.svg`. Holds: both depend
//! on the definition alone, the page links to nothing but itself and the picture, and nothing of a
//! definition is markup in either.

mod blocks;
mod instructions;
mod issued;
mod levels;
mod page;
mod picture;
mod setup;
mod svg;

use crate::Analysis;
use crate::compile::Output;
use crate::source::Files;

pub use page::{anchor, page};
pub use picture::picture;

/// The files about an architecture.
#[must_use]
pub fn documents(analysis: &Analysis, files: &Files) -> Vec<Output> {
    let name = &analysis.model.arch.name;
    vec![
        Output {
            path: format!("{name}.md"),
            text: page(analysis, files),
        },
        Output {
            path: format!("{name}.svg"),
            text: picture(&analysis.model),
        },
    ]
}
