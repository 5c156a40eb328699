//! Random requests on random machines: what is issued drops all that was asked for, no more than is
//! documented, and within the ceiling.
//!
//! Operands are read back with `manual`, which knows the manuals and not the definitions.

#[path = "../common/mod.rs"]
mod common;

mod arm64;
mod case;
mod manual;
mod powerpc64;
mod random;
mod s390;
mod x86_64;
