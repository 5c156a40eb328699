//! The right choice of instructions: plans and traces compared with what the manuals say.

mod addresses;
mod coverage;
mod effects;
mod errata;
mod invented;
mod known_mistakes;
mod linux;
mod operands;
mod proofs;
mod runtime;
mod scores;
mod torment;
mod traces;
mod unused_facts;
