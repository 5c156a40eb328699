//! Whether the prover and the hostile hardware find the same faults of plans.
//!
//! In: plans with random faults. Out: how many of them each finds. Holds: the hardware runs random requests, and those on the
//! machine that the proof names, so a fault that it does not find is counted, with the rule that is broken; a fault that it
//! finds in plans that are proved is a fault of one of the two.

use std::collections::BTreeMap;

use tlbc::Analysis;
use tlbc::prove::Rule;
use tlbc::torment::{Explored, Options, explore};

use super::definitions::{failure, on_hardware};
use crate::mutate::Rng;
use crate::mutate::plans::{Faulty, random};

/// What finds the faults of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundBy {
    /// The prover and the hardware.
    Both,
    /// Neither: the fault makes nothing weaker.
    Neither,
    /// The prover alone: the rule, and what it says.
    Proof(String, String),
    /// The hardware alone: the ways in which the plan is broken, and the failure.
    Hardware(String),
}

/// How often both agree on plans of a definition.
#[derive(Debug, Clone, Default)]
pub struct Agreement {
    /// The number of plans with faults.
    pub plans: u64,
    /// Those that both find.
    pub both: u64,
    /// Those that neither finds.
    pub neither: u64,
    /// Those that only the prover finds, by rule, with the first of them.
    pub proof_only: BTreeMap<String, (u64, String)>,
    /// Those that only the hardware finds.
    pub hardware_only: Vec<String>,
}

/// Compares the hardware with a search through all schedules, on plans with random faults from a seed.
pub fn explored(arch: &Analysis, seed: u64) -> Explored {
    let planned = Analysis {
        model: arch.model.clone(),
        plans: random(arch, &mut Rng::with_seed(seed)).plans,
    };
    let options = Options {
        seed,
        machines: 2,
        requests: 2,
        machine: None,
        ends_at_long: true,
    };
    explore(&planned, &arch.model, &options)
}

/// Judges a plan with random faults from a seed.
pub fn judged(arch: &Analysis, seed: u64) -> FoundBy {
    let mut rng = Rng::with_seed(seed);
    let Faulty {
        plans,
        ways,
        shapes,
    } = random(arch, &mut rng);
    let failed = failure(&arch.model, &plans, &shapes);
    let planned = Analysis {
        model: arch.model.clone(),
        plans,
    };
    let run = |on, amount| on_hardware(&planned, &arch.model, seed, on, amount);
    let what = format!("seed {seed}: {ways:?} in {shapes:?}");
    match failed {
        None => match run(None, (6, 8)) {
            None => FoundBy::Neither,
            Some(found) => FoundBy::Hardware(format!("{what}\n{}", found.text)),
        },
        Some(failed) => {
            let found = run(Some(failed.machine), (1, 500)).or_else(|| run(None, (20, 20)));
            if found.is_some() {
                return FoundBy::Both;
            }
            let message = failed.diagnostic(&arch.model).message;
            FoundBy::Proof(named(failed.rule), format!("{what}: {message}"))
        }
    }
}

impl Agreement {
    /// Counts a plan.
    pub fn add(&mut self, found_by: FoundBy) {
        self.plans += 1;
        match found_by {
            FoundBy::Both => self.both += 1,
            FoundBy::Neither => self.neither += 1,
            FoundBy::Proof(rule, first) => {
                self.proof_only.entry(rule).or_insert((0, first)).0 += 1;
            }
            FoundBy::Hardware(found) => self.hardware_only.push(found),
        }
    }
}

/// Returns the name of a rule.
fn named(rule: Rule) -> String {
    format!("{rule:?}")
}
