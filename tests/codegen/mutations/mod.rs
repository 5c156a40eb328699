//! Mutated definitions: what `check` accepts compiles, and does what its plan says.
//!
//! `TLBC_MUTANTS` is how many definitions are mutated, `TLBC_MUTATION_SEED` the number that all random numbers come
//! from. A failure prints the seed, the changes and the definition.

use tlbc_tests::rustc;
mod batch;
mod directed;
mod findings;
mod seeds;

use std::fmt::Write as _;
use std::panic::catch_unwind;

use batch::{Accepted, Failures};
use seeds::Seed;
use tlbc::codes::Severity;
use tlbc_tests::mutate::{Mutator, Rng, slip};

/// How many definitions are mutated, unless said otherwise.
const MUTANTS: u64 = 300;
/// Where random numbers start from, unless said otherwise.
const SEED: u64 = 12;

/// A definition and the changes to it: each a number from which its random numbers come.
#[derive(Clone)]
struct Changed {
    seed: usize,
    changes: Vec<u64>,
}

/// The outcome for a changed definition.
enum Became {
    /// `check` refuses it, for this reason.
    Refused(String),
    /// It is accepted, and generated.
    Accepted(Accepted),
    /// The compiler panicked.
    Panicked(String),
}

impl Changed {
    /// The text, and what was changed.
    fn text(&self, seeds: &[Seed], mutator: &Mutator) -> (String, String) {
        let seed = &seeds[self.seed];
        let (mut text, mut what) = (seed.text.clone(), seed.name.clone());
        for &change in &self.changes {
            if let Some(mutant) = mutator.mutate(&text, &mut Rng::with_seed(change)) {
                text = mutant.text;
                let _ = write!(what, "\n  {}", mutant.what);
            }
        }
        (text, what)
    }

    /// The same with fewer changes, the fewest first.
    fn simpler(&self) -> Vec<Self> {
        let count = self.changes.len();
        let mut subsets: Vec<u32> = (0..(1 << count) - 1).collect();
        subsets.sort_by_key(|subset| subset.count_ones());
        let kept = |subset: u32| {
            let changes = self.changes.iter().enumerate();
            let kept = changes.filter(|(index, _)| subset & 1 << index != 0);
            kept.map(|(_, change)| *change).collect()
        };
        let simpler = subsets.into_iter().map(|subset| Self {
            seed: self.seed,
            changes: kept(subset),
        });
        simpler.collect()
    }
}

fn became(text: String) -> Became {
    let compiled = catch_unwind(|| tlbc::compile([("mutant.arch", text.as_str())]));
    match compiled {
        Err(panic) => {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            Became::Panicked(why.lines().next().unwrap_or_default().to_owned())
        }
        Ok(compiled) => {
            let [module, lib] = compiled.outputs.as_slice() else {
                let why = compiled.diagnostics.iter().map(|it| it.message.as_str());
                return Became::Refused(why.collect::<Vec<_>>().join("; "));
            };
            let target = text.split("target_arch \"").nth(1);
            let target = target.and_then(|rest| rest.split('"').next());
            Became::Accepted(Accepted {
                target_arch: target.unwrap_or_default().to_owned(),
                module: module.text.clone(),
                lib: lib.text.clone(),
                text,
            })
        }
    }
}

/// Compiles changed definitions; how many were accepted, and why some of them failed, by index.
fn tried(changed: &[Changed], seeds: &[Seed], mutator: &Mutator) -> (usize, Failures) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let size = changed.len().div_ceil(workers).max(1);
    let parts: Vec<(usize, Failures)> = std::thread::scope(|scope| {
        let parts = changed.chunks(size).enumerate();
        let parts = parts.map(|(part, changed)| {
            scope.spawn(move || {
                let (mut indices, mut accepted) = (Vec::new(), Vec::new());
                let mut failures = Failures::new();
                for (index, one) in changed.iter().enumerate() {
                    match became(one.text(seeds, mutator).0) {
                        Became::Refused(_) => {}
                        Became::Panicked(why) => {
                            failures.insert(part * size + index, format!("panic: {why}"));
                        }
                        Became::Accepted(it) => {
                            indices.push(part * size + index);
                            accepted.push(it);
                        }
                    }
                }
                let count = accepted.len() + failures.len();
                let failed = batch::failures(&accepted);
                failures.extend(failed.into_iter().map(|(at, why)| (indices[at], why)));
                (count, failures)
            })
        });
        let parts: Vec<_> = parts.collect();
        let parts = parts.into_iter();
        parts.map(|part| part.join().expect("a worker")).collect()
    });
    let count = parts.iter().map(|(count, _)| count).sum();
    (
        count,
        parts
            .into_iter()
            .flat_map(|(_, failures)| failures)
            .collect(),
    )
}

/// A number from the environment.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

#[test]
fn what_check_accepts_compiles_and_does_what_its_plan_says() {
    let (count, start) = (
        setting("TLBC_MUTANTS", MUTANTS),
        setting("TLBC_MUTATION_SEED", SEED),
    );
    println!("TLBC_MUTATION_SEED={start} TLBC_MUTANTS={count}");
    let seeds = seeds::all();
    let mutator = Mutator::new(seeds.iter().map(|seed| seed.text.as_str()));
    let mut rng = Rng::with_seed(start);
    let changed: Vec<Changed> = (0..count)
        .map(|_| {
            let seed = rng.usize(..seeds.len());
            let changes = rng.usize(1..=2);
            let changes = (0..changes).map(|_| rng.u64(..)).collect();
            Changed { seed, changes }
        })
        .collect();
    let (accepted, failures) = tried(&changed, &seeds, &mutator);
    println!(
        "{accepted} of {count} mutants are accepted, {} fail",
        failures.len()
    );
    let mut report = String::new();
    for (index, why) in &failures {
        let changed = &changed[*index];
        let simpler = changed.simpler();
        let (_, failed) = tried(&simpler, &seeds, &mutator);
        let least = failed.first_key_value();
        let (changed, why) = least.map_or((changed, why), |(index, why)| (&simpler[*index], why));
        let (text, what) = changed.text(&seeds, &mutator);
        let name = format!("mutant-{start}-{index}.arch");
        let path = rustc::write(
            &std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name),
            &text,
        );
        let _ = writeln!(report, "{what}\n  {}\n{why}\n", path.display());
    }
    assert!(failures.is_empty(), "TLBC_MUTATION_SEED={start}\n{report}");
    // Refused definitions test nothing here.
    assert!(accepted * 4 > count as usize, "{accepted} of {count}");
}

#[test]
fn the_same_seed_makes_the_same_changes() {
    let seeds = seeds::all();
    let mutator = Mutator::new(seeds.iter().map(|seed| seed.text.as_str()));
    let changes = |number: u64| {
        let mut rng = Rng::with_seed(number);
        let seed = &seeds[rng.usize(..seeds.len())];
        let mutant = mutator.mutate(&seed.text, &mut rng);
        (mutant, slip(&seed.text, &mut rng))
    };
    let mut different = Vec::new();
    for number in 0..50 {
        let changed = changes(number);
        assert_eq!(changed, changes(number));
        different.extend(changed.0);
    }
    different.dedup();
    assert!(different.len() > 45, "{}", different.len());
}

/// A test of mutants of definitions that are refused tests nothing.
#[test]
fn what_is_mutated_is_accepted() {
    for seed in seeds::all() {
        let compiled = tlbc::compile::check([(seed.name.as_str(), seed.text.as_str())]);
        let mut errors = compiled.diagnostics;
        errors.retain(|diagnostic| diagnostic.severity() == Severity::Error);
        assert_eq!(errors, [], "{}", seed.name);
    }
}
