//! `cargo run --release -p tlbc-tests --bin scores`: how many wrong facts and faulty plans are found, and by what.

use tlbc_tests::archdefs::{Definition, analysis, shipped};
use tlbc_tests::mutate::facts::Usage;
use tlbc_tests::scores::definitions::{Judge, Verdict};
use tlbc_tests::scores::planner::explored;
use tlbc_tests::scores::table::{Scores, facts, page, plans};
use tlbc_tests::workspace::root;

const HELP: &str = "\
scores facts [ARCH] [STEP]          judges each changed fact of a definition, or one in STEP, and lists those that are not found
scores plans [ARCH] [COUNT] [SEED]  judges COUNT plans with random faults from a seed on
scores write [COUNT] [STEP]         does both for all definitions, and writes tests/SCORES.md
ARCH may be `all`.
";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, otherwise: u64| {
        let given = arguments.get(index).and_then(|it| it.parse().ok());
        given.unwrap_or(otherwise)
    };
    let all = shipped();
    let usage = Usage::new(all.iter().map(|it| it.text.as_str()));
    let arch = arguments.get(1).map_or("all", String::as_str);
    let chosen = all.iter().filter(|it| arch == "all" || it.arch() == arch);
    let step = number(2, 1).max(1) as usize;
    match arguments.first().map(String::as_str) {
        Some("facts") => {
            for definition in chosen {
                let mut scores = Scores::default();
                judge_facts(definition, &usage, step, true, &mut scores);
                println!("{}", facts(&[(definition.arch().to_owned(), scores)]));
            }
        }
        Some("plans") => {
            for definition in chosen {
                let mut scores = Scores::default();
                judge_plans(definition, number(2, 1000), number(3, 1), &mut scores);
                for (rule, (count, first)) in &scores.plans.proof_only {
                    println!("prove alone, {rule}: {count}\n  {first}");
                }
                for found in &scores.plans.hardware_only {
                    println!("torment alone: {found}");
                }
                println!("{}", plans(&[(definition.arch().to_owned(), scores)]));
            }
        }
        Some("write") => {
            let scored: Vec<(String, Scores)> = all
                .iter()
                .map(|definition| {
                    let mut scores = Scores::default();
                    judge_facts(definition, &usage, step, false, &mut scores);
                    judge_plans(definition, number(1, 100_000), 1, &mut scores);
                    (definition.arch().to_owned(), scores)
                })
                .collect();
            let path = root().join("tests/SCORES.md");
            std::fs::write(&path, page(&scored, step)).expect("the page can be written");
        }
        _ => print!("{HELP}"),
    }
}

/// Judges one in some changed facts of a definition.
fn judge_facts(
    definition: &Definition,
    usage: &Usage,
    step: usize,
    list: bool,
    scores: &mut Scores,
) {
    let mut judge = Judge::new(definition, analysis(definition.arch()));
    for changed in judge.changes(usage).iter().step_by(step) {
        let verdict = judge.verdict(changed);
        scores.facts.add(&changed.part, verdict);
        if list && verdict > Verdict::Disproved {
            println!(
                "{}: {}: {}",
                verdict.name(),
                changed.part,
                changed.mutant.what
            );
        }
    }
}

/// Judges plans of a definition with random faults.
fn judge_plans(definition: &Definition, count: u64, seed: u64, scores: &mut Scores) {
    let right = analysis(definition.arch());
    for seed in seed..seed.saturating_add(count) {
        scores.plans.add(right, seed);
        scores.explored.join(explored(right, seed));
    }
}
