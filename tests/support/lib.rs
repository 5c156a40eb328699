//! Code that tests, benchmarks and examples share.

// Tests panic where something is not as it should be.
#![allow(clippy::missing_panics_doc)]

// Before the modules, which use its macros.
include!(concat!(env!("OUT_DIR"), "/architectures.rs"));

pub mod archdefs;
pub mod bare_metal;
pub mod checked;
pub mod churn;
pub mod command;
pub mod configurations;
mod context;
mod counted;
pub mod differential;
pub mod elf;
pub mod encodings;
pub mod hooks;
pub mod hosted;
pub mod instructions;
pub mod linker;
pub mod listing;
pub mod machines;
pub mod misuse;
pub mod model;
pub mod moments;
pub mod mutate;
pub mod operands;
pub mod overridden;
mod platform;
pub mod requests;
pub mod rules;
pub mod rustc;
pub mod scheduler;
pub mod scores;
pub mod show;
mod snapshot;
pub mod tables;
mod tlbs;
pub mod traces;
pub mod unchecked;
pub mod watched;
pub mod workspace;

/// For [`snapshot!`].
pub use insta;

/// For generated modules that are compiled with this crate: the runtime that this crate uses.
pub use tlbc_runtime;

/// For [`on_every_machine!`]: the generated backends.
pub use tlbc_backends;
