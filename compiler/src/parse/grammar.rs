//! The parser that `grammar.pest` describes, whose items cannot be documented.
#![allow(missing_docs)]

/// The grammar of a definition.
#[derive(pest_derive::Parser)]
#[grammar = "parse/grammar.pest"]
pub struct Grammar;

/// A node of the parse.
pub(super) type ParseNode<'t> = pest::iterators::Pair<'t, Rule>;
