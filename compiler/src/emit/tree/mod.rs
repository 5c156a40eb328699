//! Generated Rust as a tree.
//!
//! In: what the folds of this module build. Out: items that `print` writes. Holds: a word of a tree that something
//! else has to provide (a parameter, an import, a flag, a private item) says so, so that what a function uses is known without
//! its text.

mod simplify;
mod syntax;
mod uses;
mod words;

pub use simplify::{as_value, hoist};
pub use syntax::{
    Case, Expr, Function, Item, Member, Stmt, borrow, hex, matches, number, string, structure,
};
pub use uses::Uses;
pub use words::{CodeText, CodeWord, FlagBarriers, Private, Property, Runtime, SetLoop, Use, Var};
