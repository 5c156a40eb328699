//! The right choice of instructions: plans and traces compared with what the manuals say.

mod addresses;
#[cfg(feature = "torment")]
mod corpus;
mod coverage;
mod effects;
mod errata;
mod invented;
#[cfg(feature = "torment")]
mod knobs;
mod known_mistakes;
mod linux;
mod needs;
mod operands;
mod proofs;
#[cfg(feature = "torment")]
mod runtime;
mod scores;
#[cfg(feature = "torment")]
mod shrunk;
mod torment;
mod traces;
mod unused_facts;
