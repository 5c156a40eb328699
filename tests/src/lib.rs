//! What tests, benchmarks and examples share.

// Tests panic where something is not as it should be.
#![allow(clippy::missing_panics_doc)]

mod counted;
pub mod hosted;
pub mod machines;
pub mod model;
pub mod scheduler;
pub mod show;
pub mod tables;
pub mod watched;
