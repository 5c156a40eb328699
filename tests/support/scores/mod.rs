//! How many wrong facts and faulty plans are found, and by what.
//!
//! In: the shipped definitions. Out: counts by definition and kind. Holds: the same seeds give the same counts.

pub mod definitions;
pub mod kept;
pub mod planner;
pub mod table;
pub mod translate;
