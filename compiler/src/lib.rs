//! tlbc: from descriptions of how processor architectures invalidate their TLBs to Rust.

pub mod ast;
pub mod codes;
pub mod diagnostic;
pub mod parse;
pub mod render;
pub mod source;
