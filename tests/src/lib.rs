//! Code that tests, benchmarks and examples share.

// Tests panic where something is not as it should be.
#![allow(clippy::missing_panics_doc)]

pub mod checked;
pub mod churn;
mod context;
mod counted;
pub mod differential;
pub mod hooks;
pub mod hosted;
pub mod machines;
pub mod model;
pub mod moments;
pub mod mutate;
mod platform;
pub mod rules;
pub mod scheduler;
pub mod show;
pub mod tables;
mod tlbs;
pub mod watched;

/// For generated modules that are compiled with this crate: the runtime that this crate uses.
pub use tlbc_runtime;
