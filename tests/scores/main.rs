//! Prints how many wrong facts and faulty plans are found, and by what.

use std::collections::BTreeMap;
use std::time::Instant;

use tlbc_tests::archdefs::{analysis, shipped};
use tlbc_tests::mutate::facts::Usage;
use tlbc_tests::scores::definitions::{Judge, Verdict};
use tlbc_tests::scores::planner::Agreement;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, otherwise: u64| {
        arguments
            .get(index)
            .map_or(otherwise, |it| it.parse().expect("a number"))
    };
    let all = shipped();
    let usage = Usage::new(all.iter().map(|it| it.text.as_str()));
    let only = arguments.get(1).cloned();
    for definition in all
        .iter()
        .filter(|it| only.as_deref().is_none_or(|o| o == "all" || it.arch() == o))
    {
        let right = analysis(definition.arch());
        let start = Instant::now();
        match arguments.first().map(String::as_str) {
            Some("facts") => {
                let mut judge = Judge::new(definition, right);
                let every = number(2, 1) as usize;
                let changes = judge.changes(&usage);
                println!("{}: {} changes", definition.arch(), changes.len());
                let mut counts: BTreeMap<(String, Verdict), u64> = BTreeMap::new();
                for changed in changes.iter().step_by(every) {
                    let verdict = judge.verdict(changed);
                    *counts.entry((changed.part.clone(), verdict)).or_default() += 1;
                    if verdict > Verdict::Tormented
                        || verdict == Verdict::Tormented
                        || verdict == Verdict::OtherMachine
                    {
                        println!(
                            "  {}: {}: {}",
                            verdict.name(),
                            changed.part,
                            changed.mutant.what
                        );
                    }
                }
                for ((part, verdict), count) in counts {
                    println!("{part:15} {:20} {count}", verdict.name());
                }
            }
            _ => {
                let mut agreement = Agreement::default();
                for seed in 0..number(2, 100) {
                    agreement.add(right, seed + number(3, 0));
                }
                println!("{}: {agreement:#?}", definition.arch());
            }
        }
        println!("{:?}", start.elapsed());
    }
}
