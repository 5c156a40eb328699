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

/// How often both agree on plans of a definition.
#[derive(Debug, Clone, Default)]
pub struct Agreement {
    /// The number of plans with faults.
    pub plans: u64,
    /// Those that both find.
    pub both: u64,
    /// Those that neither finds: the fault makes nothing weaker.
    pub neither: u64,
    /// Those that only the prover finds, by rule, with the first of them.
    pub proof_only: BTreeMap<String, (u64, String)>,
    /// Those that only the hardware finds: the ways in which they are broken, and the failure.
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
    };
    explore(&planned, &arch.model, &options)
}

impl Agreement {
    /// Judges plans with random faults from a seed.
    pub fn add(&mut self, arch: &Analysis, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let faulty = random(arch, &mut rng);
        self.plans += 1;
        let failed = failure(&arch.model, &faulty.plans, &faulty.shapes);
        let Faulty {
            plans,
            ways,
            shapes,
        } = faulty;
        let planned = Analysis {
            model: arch.model.clone(),
            plans,
        };
        let run = |on, amount| on_hardware(&planned, &arch.model, seed, on, amount);
        match failed {
            None => match run(None, (6, 8)) {
                None => self.neither += 1,
                Some(found) => {
                    let text = format!("seed {seed}: {ways:?} in {shapes:?}\n{}", found.text);
                    self.hardware_only.push(text);
                }
            },
            Some(failed) => {
                let found = run(Some(failed.machine), (1, 60)).or_else(|| run(None, (20, 20)));
                if found.is_some() {
                    self.both += 1;
                } else {
                    let message = failed.diagnostic(&arch.model).message;
                    let text = format!("seed {seed}: {ways:?} in {shapes:?}: {message}");
                    let known = self.proof_only.entry(named(failed.rule));
                    known.or_insert((0, text)).0 += 1;
                }
            }
        }
    }
}

/// Returns the name of a rule.
fn named(rule: Rule) -> String {
    format!("{rule:?}")
}
