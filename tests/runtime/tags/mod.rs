//! Tags: which one a space has, and that none is reused before its entries are invalidated.

mod loads;
mod one;
mod pins;
mod random;
mod renewals;
mod rollover;
