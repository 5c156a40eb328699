//! Gathers and locked sections: what is flushed before pages and tables are released, and how misuse is rejected.

mod caught_panics;
mod early_exits;
mod errors;
mod faults;
mod marks;
mod misuse;
mod model;
mod out_of_memory;
mod overlap;
mod sections;
mod valid_entries;
