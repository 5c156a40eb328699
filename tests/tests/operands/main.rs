//! Operands, bit by bit, worked out by hand from the layouts in the manuals.
//!
//! A row: a request on a machine, one operand of what is issued for it, its fields as
//! `(high, low, value)`, and the whole word. The fields are written from the manual, the word is
//! their sum, and nothing here calls the compiler's encoder.

#[path = "../common/mod.rs"]
mod common;

mod arm64;
mod powerpc64;
mod row;
mod s390;
mod x86_64;
