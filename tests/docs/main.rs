//! The documents show what is there, and the sources keep to the rules of the project.

mod architectures;
mod beside;
mod examples;
mod functions;
mod import_cycles;
mod matrix;
mod readme;
mod sources;
mod type_names;
mod walkthrough;
mod words;
