//! Mutated definitions: what `check` accepts compiles, and does what its plan says.

#[path = "../support/archdefs.rs"]
#[allow(dead_code, reason = "each test target uses its part")]
mod archdefs;
mod findings;
mod seeds;

use tlbc_tests::mutate::{Mutator, Rng, slip};

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
        assert_eq!(compiled.diagnostics, [], "{}", seed.name);
    }
}
