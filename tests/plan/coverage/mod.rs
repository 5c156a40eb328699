//! Random requests on random machines: the instructions drop all requested entries, name no others, and stay within the
//! ceiling.
//!
//! Operands are decoded by `manual`, which is written from the manuals and does not use the definitions.

mod arm64;
mod case;
mod manual;
mod powerpc64;
mod random;
mod s390;
mod x86_64;
