//! Operands, compared with values that were made by hand from the layouts in the manuals.
//!
//! Each row has a request on a machine, an operand of an issued instruction, its fields as `(high, low, value)`, and the
//! whole word. The fields are written from the manual, and the word is their sum. The encoder of the compiler is not used.

mod arm64;
mod powerpc64;
mod row;
mod s390;
mod x86_64;
