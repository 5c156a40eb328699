//! What a definition may say: the parser, the checks with their messages, and the reference of the language.

mod contradictions;
mod diagnostics;
mod reference;
mod syntax;
