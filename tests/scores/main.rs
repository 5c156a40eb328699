//! `cargo run --release -p tlbc-tests --bin scores`: how many wrong facts and faulty plans are found, and by what.

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tlbc_tests::archdefs::{Definition, analysis, shipped};
use tlbc_tests::mutate::facts::Usage;
use tlbc_tests::scores::definitions::{Judge, Verdict};
use tlbc_tests::scores::kept::Judged;
use tlbc_tests::scores::planner::{explored, judged};
use tlbc_tests::scores::table::{Scores, Whole, facts, page, plans, searched, summary};
use tlbc_tests::workspace::root;

const HELP: &str = "\
scores                              prints what is judged
scores run SECONDS [ARCH]           judges changed facts and faulty plans that are not judged yet, and keeps what is found
scores write                        writes what is judged to tests/SCORES.md and README.md
scores facts [ARCH] [STEP]          judges one in STEP changed facts, and lists those that are not found
scores plans [ARCH] [COUNT] [SEED]  judges COUNT faulty plans from a seed on, and lists those that one of both finds
ARCH may be `all`. What another build or another definition has judged does not count.
";

/// How many faulty plans of each definition are judged at most. Those of some take a hundred times as long as those of others.
const PLANS: usize = 30_000;

/// On how many faulty plans of each definition the hardware is compared with a search.
const SEARCHED: usize = 100_000;

/// How long one kind of one definition is judged before the next has its turn.
const TURN: Duration = Duration::from_secs(20);

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, otherwise: u64| {
        let given = arguments.get(index).and_then(|it| it.parse().ok());
        given.unwrap_or(otherwise)
    };
    let all = shipped();
    let usage = Usage::new(all.iter().map(|it| it.text.as_str()));
    let chosen = |index: usize| {
        let arch = arguments.get(index).map_or("all", String::as_str);
        all.iter()
            .filter(move |it| arch == "all" || it.arch() == arch)
    };
    let step = number(2, 1).max(1) as usize;
    match arguments.first().map(String::as_str) {
        Some("run") => run(chosen(2), &usage, Duration::from_secs(number(1, 0)))?,
        None => print!("{}", summary(&whole(&all, &usage)?)),
        Some("write") => write(&whole(&all, &usage)?)?,
        Some("facts") => {
            for definition in chosen(1) {
                let mut scores = Scores::default();
                judge_facts(definition, &usage, step, &mut scores);
                println!("{}", facts(&[(definition.arch().to_owned(), scores)]));
            }
        }
        Some("plans") => {
            for definition in chosen(1) {
                let mut scores = Scores::default();
                judge_plans(definition, number(2, 1000), number(3, 1), &mut scores);
                for (rule, (count, first)) in &scores.plans.proof_only {
                    println!("prove alone, {rule}: {count}\n  {first}");
                }
                for found in &scores.plans.hardware_only {
                    println!("torment alone: {found}");
                }
                let scores = [(definition.arch().to_owned(), scores)];
                println!("{}\n{}", plans(&scores), searched(&scores));
            }
        }
        Some(_) => {
            eprint!("{HELP}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Judges what is not judged yet, for so long.
fn run<'a>(
    chosen: impl Iterator<Item = &'a Definition>,
    usage: &Usage,
    time: Duration,
) -> io::Result<()> {
    let end = Instant::now() + time;
    let mut open = Vec::new();
    for definition in chosen {
        open.push(Judged::open(definition, usage)?);
    }
    while !open.is_empty() && Instant::now() < end {
        let mut left = Vec::new();
        for mut judged in open {
            let turn = || end.min(Instant::now() + TURN);
            let facts = judged.judge_facts(turn())?;
            let plans = judged.judge_plans(PLANS, turn())?;
            let searched = judged.search_plans(SEARCHED, turn())?;
            let scores = judged.scores();
            println!(
                "{}: {} of {} facts, {} of {PLANS} plans, {} of {SEARCHED} searched",
                judged.name(),
                scores.facts.all(),
                judged.all(),
                scores.plans.plans,
                scores.searched,
            );
            if !(facts && plans && searched) {
                left.push(judged);
            }
        }
        open = left;
    }
    Ok(())
}

/// Returns what is judged of all definitions.
fn whole(all: &[Definition], usage: &Usage) -> io::Result<Whole> {
    let mut whole = Whole::default();
    for definition in all {
        let judged = Judged::open(definition, usage)?;
        whole.changes += judged.all() as u64;
        whole
            .scores
            .push((judged.name().to_owned(), judged.scores()));
    }
    Ok(whole)
}

/// Writes the page of scores, and their sum to the front page.
fn write(whole: &Whole) -> io::Result<()> {
    std::fs::write(root().join("tests/SCORES.md"), page(whole))?;
    let path = root().join("README.md");
    let front = std::fs::read_to_string(&path)?;
    let [start, end] = ["<!-- scores -->\n", "<!-- end of scores -->\n"];
    let parts = front.split_once(start).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some((before, after))
    });
    let (before, after) =
        parts.ok_or_else(|| io::Error::other("README.md has no place for the scores"))?;
    std::fs::write(
        &path,
        format!("{before}{start}{}{end}{after}", summary(whole)),
    )
}

/// Judges one in some changed facts of a definition, and lists those that are not found.
fn judge_facts(definition: &Definition, usage: &Usage, step: usize, scores: &mut Scores) {
    let mut judge = Judge::new(definition, analysis(definition.arch()));
    for changed in judge.changes(usage).iter().step_by(step) {
        let verdict = judge.verdict(changed);
        scores.facts.add(&changed.part, verdict);
        if verdict > Verdict::Disproved {
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
        scores.plans.add(judged(right, seed));
        scores.searched += 1;
        scores.explored.join(explored(right, seed));
    }
}
