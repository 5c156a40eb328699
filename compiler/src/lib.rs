//! Compiles definitions of how processor architectures invalidate their TLBs to Rust.
//!
//! [`compile()`] turns the texts of definitions into the texts of backends and [`check()`] only checks them; neither
//! does input or output. [`Builder`] generates backends from a build script. A [`Diagnostic`] is an error or a
//! warning about a definition. [`trace`] shows what is issued for one request.
//!
//! The stages are modules. Each reads only the output of those before it:
//!
//! | stage | from | to |
//! |---|---|---|
//! | `parse` | text | `ast` |
//! | `lower` | `ast` | `model` |
//! | `check` | `model` | diagnostics: is this a possible machine? |
//! | `plan` | `model` | `plan::ir`: what is issued for each request |
//! | `prove` | `model`, `plan::ir` | does each path of each plan invalidate what it has to? |
//! | `warn` | `model` | warnings: is this what was meant? |
//! | `emit` | `plan::ir` | Rust |
//! | `addresses` | the printed encoders | does each address reach the instruction whole? |
//!
//! `trace` interprets the plan IR instead of printing it as Rust, and `interpreted` is a backend that does so. `torment` executes
//! what plans issue on hostile hardware. `matrix` and `doc` describe a definition and its plans for readers. The plan IR names instructions and does not repeat what they
//! invalidate, so an independent check of the plans can take that from the model.

mod analysis;
mod at_once;
mod builder;
mod describe;
mod diagnostic;
mod fs;
mod grouped;
mod json;
#[cfg(feature = "cli")]
mod memo;
mod spelling;
mod svg;
mod template;
mod text;
pub mod trace;
mod undescribed;
mod warn;

// Internals, public for the command line and the tests of this repository. They change without notice.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod addresses;
#[doc(hidden)]
pub mod ast;
#[doc(hidden)]
pub mod check;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod codes;
#[doc(hidden)]
pub mod compile;
#[doc(hidden)]
pub mod doc;
#[doc(hidden)]
pub mod emit;
#[doc(hidden)]
pub mod hidden;
mod html;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod interpreted;
#[doc(hidden)]
pub mod lower;
#[doc(hidden)]
pub mod matrix;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod parse;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod prove;
#[doc(hidden)]
pub mod render;
#[doc(hidden)]
pub mod sample_requests;
#[doc(hidden)]
pub mod source;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod torment;

pub use analysis::{Analysis, analyse};
pub use builder::{BuildError, Builder};
pub use codes::{Code, Severity};
pub use compile::{Compiled, Output, check, compile, planned};
pub use diagnostic::{Diagnostic, Label};
pub use fs::FileError;
pub use source::{File, FileId, Files, Span};
