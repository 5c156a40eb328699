//! The parser that `grammar.pest` describes.
//!
//! In: the text of a definition. Out: the nodes of its parse, each with a [`Rule`] of the grammar. A crate of its own, because
//! this is a sixth of the machine code of the compiler before optimization, and changes only with the language.
#![allow(missing_docs)] // of what the macro writes

/// The grammar of a definition.
#[derive(pest_derive::Parser)]
#[grammar = "grammar.pest"]
pub struct Grammar;

/// A node of the parse.
pub type ParseNode<'t> = pest::iterators::Pair<'t, Rule>;
