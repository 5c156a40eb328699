//! What to run.

use std::time::Instant;

use super::cores::weak::Weakness;
use super::kernel::Mistake;
use crate::interpreted::Breaks;
use crate::model::Config;

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed of the first schedule.
    pub seed: u64,
    /// The distance from a seed to the next one.
    pub stride: u64,
    /// The number of schedules.
    pub schedules: u64,
    /// The number of CPUs.
    pub cpus: usize,
    /// The machine and its limits, if it is not chosen at random.
    pub machine: Option<(Config, Vec<u64>)>,
    /// Whether a failure is made small.
    pub shrinks: bool,
    /// What the kernel does wrong.
    pub mistake: Option<Mistake>,
    /// What is wrong with the requests that plans are interpreted for.
    pub broken: Option<Breaks>,
    /// What the hardware does not do.
    pub weak: Option<Weakness>,
    /// No schedule starts later than this.
    pub until: Option<Instant>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            stride: 1,
            schedules: 1000,
            cpus: 2,
            machine: None,
            shrinks: true,
            mistake: None,
            broken: None,
            weak: None,
            until: None,
        }
    }
}

/// The operations of the program of each CPU.
pub const OPERATIONS: usize = 24;
/// The limit of steps in a row of a schedule in which no CPU issues an instruction. A program takes some thousands.
pub const MOST_IDLE_STEPS: u64 = 100_000;
/// How far the limits of a machine may be above the least ones.
pub const LIMIT_RANGE: u64 = 40;
/// The most CPUs.
pub const MOST_CPUS: usize = 8;
