//! How many findings a mistake of one token causes: hardly ever more than three.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::thread;

use tlbc::render::{Format, render};
use tlbc_tests::mutate::{Rng, slip};

use crate::mutations::seeds::{self, Seed};

/// How many mistakes are made, unless `TLBC_SLIPS` says otherwise.
const SLIPS: u64 = 1500;
/// The first of their seeds, unless `TLBC_SEED` says otherwise.
const FIRST: u64 = 1;
/// What one mistake may cause.
const MOST: usize = 3;
/// How many of a thousand may cause more.
const EXCEPTIONS: usize = 10;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// A mistake that is refused.
struct Refused {
    seed: u64,
    what: String,
    findings: usize,
    shown: String,
}

/// Makes the mistake of a seed; nothing if the text says the same afterwards, or is accepted.
fn refused(seeds: &[Seed], seed: u64) -> Option<Refused> {
    let mut rng = Rng::with_seed(seed);
    let of = &seeds[rng.usize(..seeds.len())];
    let mutant = slip(&of.text, &mut rng)?;
    let compiled = tlbc::compile::check([(of.name.as_str(), mutant.text.as_str())]);
    let findings = compiled.diagnostics.len();
    (findings > 0).then(|| Refused {
        seed,
        what: format!("{}: {}", of.name, mutant.what),
        findings,
        shown: render(&compiled.files, &compiled.diagnostics, Format::Short, false),
    })
}

/// How many mistakes cause one finding, two, and so on, and the share of those up to there.
fn distribution(refused: &[Refused]) -> String {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for slip in refused {
        *counts.entry(slip.findings).or_default() += 1;
    }
    let mut text = String::new();
    let mut sum = 0;
    for (findings, count) in counts {
        sum += count;
        let share = sum * 10_000 / refused.len();
        let (percent, rest) = (share / 100, share % 100);
        let _ = writeln!(
            text,
            "{findings:>3} findings: {count:>5} mistakes, {percent:3}.{rest:02} % so far"
        );
    }
    text
}

#[test]
fn a_mistake_of_one_token_causes_at_most_three_findings() {
    let (slips, first) = (setting("TLBC_SLIPS", SLIPS), setting("TLBC_SEED", FIRST));
    let seeds = seeds::all();
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let all: Vec<Refused> = thread::scope(|scope| {
        let (seeds, end) = (&seeds, first + slips);
        let of_worker = |worker| {
            move || {
                let numbers = (first + worker..end).step_by(workers as usize);
                numbers
                    .filter_map(|number| refused(seeds, number))
                    .collect::<Vec<_>>()
            }
        };
        let workers: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(of_worker(worker)))
            .collect();
        let all = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        all.flatten().collect()
    });
    println!(
        "{slips} mistakes from seed {first}, {} of them refused\n{}",
        all.len(),
        distribution(&all)
    );
    let mut worst: Vec<&Refused> = all.iter().filter(|slip| slip.findings > MOST).collect();
    worst.sort_by_key(|slip| std::cmp::Reverse((slip.findings, slip.seed)));
    for slip in &worst {
        println!("seed {}, {}\n{}", slip.seed, slip.what, slip.shown);
    }
    assert!(
        all.len() > slips as usize / 2,
        "too few mistakes are refused"
    );
    assert!(
        worst.len() * 1000 <= all.len() * EXCEPTIONS,
        "{} of {}",
        worst.len(),
        all.len()
    );
}
