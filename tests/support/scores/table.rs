//! The scores as tables.
//!
//! In: verdicts and agreements. Out: tables in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tlbc::torment::Explored;

use super::definitions::Verdict;
use super::planner::Agreement;

/// The verdicts on the changed facts of a definition.
#[derive(Debug, Clone, Default)]
pub struct Facts(BTreeMap<(String, Verdict), u64>);

impl Facts {
    /// Counts a verdict on a fact in a part of a definition.
    pub fn add(&mut self, part: &str, verdict: Verdict) {
        *self.0.entry((part.to_owned(), verdict)).or_default() += 1;
    }

    /// Returns how many are counted.
    pub fn all(&self) -> u64 {
        self.count(|_, _| true)
    }

    fn count(&self, is: impl Fn(&str, Verdict) -> bool) -> u64 {
        let counted = self.0.iter().filter(|((part, it), _)| is(part, *it));
        counted.map(|(_, count)| count).sum()
    }

    fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = self.0.keys().map(|(part, _)| part.clone()).collect();
        parts.dedup();
        parts
    }
}

/// What was found for a definition.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// The changed facts.
    pub facts: Facts,
    /// The faulty plans.
    pub plans: Agreement,
    /// On how many faulty plans the hardware was compared with a search.
    pub searched: u64,
    /// The comparison with a search.
    pub explored: Explored,
}

/// What was found for all definitions.
#[derive(Debug, Clone, Default)]
pub struct Whole {
    /// The scores of each definition.
    pub scores: Vec<(String, Scores)>,
    /// How many facts can be changed in all of them.
    pub changes: u64,
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {} |\n", cells.join(" | "))
}

fn head(cells: &[&str]) -> String {
    let rule = cells.iter().map(|_| "---".to_owned());
    row(cells.iter().map(|it| (*it).to_owned())) + &row(rule).replace(' ', "")
}

/// Returns the table of changed facts by definition.
pub fn facts(all: &[(String, Scores)]) -> String {
    let mut names = vec!["definition", "changed facts"];
    names.extend(Verdict::ALL.map(Verdict::name));
    let mut out = head(&names);
    for (name, scores) in all {
        let of = |verdict| scores.facts.count(|_, it| it == verdict).to_string();
        let sum = scores.facts.count(|_, _| true).to_string();
        out += &row([name.clone(), sum].into_iter().chain(Verdict::ALL.map(of)));
    }
    out
}

/// Returns the table of changed facts by the part of a definition, over all definitions.
pub fn parts(all: &[(String, Scores)]) -> String {
    let mut names = vec!["part", "changed facts"];
    names.extend(Verdict::ALL.map(Verdict::name));
    let mut out = head(&names);
    let mut parts: Vec<String> = all.iter().flat_map(|(_, it)| it.facts.parts()).collect();
    parts.sort();
    parts.dedup();
    for part in parts {
        let sum = |is: &dyn Fn(Verdict) -> bool| {
            let counts = all.iter();
            let counts = counts.map(|(_, it)| it.facts.count(|of, it| of == part && is(it)));
            counts.sum::<u64>().to_string()
        };
        let of = |verdict| sum(&|it| it == verdict);
        let first = [format!("`{part}`"), sum(&|_| true)];
        out += &row(first.into_iter().chain(Verdict::ALL.map(of)));
    }
    out
}

/// Returns the table of faulty plans by definition.
pub fn plans(all: &[(String, Scores)]) -> String {
    let mut out = head(&[
        "definition",
        "faulty plans",
        "both find it",
        "neither",
        "`prove` alone",
        "`torment` alone",
    ]);
    for (name, Scores { plans, .. }) in all {
        let alone: u64 = plans.proof_only.values().map(|(count, _)| count).sum();
        let counts = [
            plans.plans,
            plans.both,
            plans.neither,
            alone,
            plans.hardware_only.len() as u64,
        ];
        out += &row([name.clone()]
            .into_iter()
            .chain(counts.map(|it| it.to_string())));
    }
    out
}

/// Returns the table of the comparison with a search, by definition.
pub fn searched(all: &[(String, Scores)]) -> String {
    let mut out = head(&[
        "definition",
        "faulty plans",
        "agents searched",
        "with an entry left",
        "missed",
        "over-reported",
        "not searched",
    ]);
    for (name, scores) in all {
        let it = scores.explored;
        let counts = [
            scores.searched,
            it.agents,
            it.left,
            it.missed,
            it.over,
            it.skipped,
        ];
        out += &row([name.clone()]
            .into_iter()
            .chain(counts.map(|it| it.to_string())));
    }
    out
}

/// Returns the sums over all definitions.
pub fn summary(whole: &Whole) -> String {
    let all = || whole.scores.iter().map(|(_, scores)| scores);
    let facts: u64 = all().map(|it| it.facts.all()).sum();
    let of = |wanted: &[Verdict]| -> u64 {
        let counts = all().map(|it| it.facts.count(|_, verdict| wanted.contains(&verdict)));
        counts.sum()
    };
    let plans: u64 = all().map(|it| it.plans.plans).sum();
    let both: u64 = all().map(|it| it.plans.both).sum();
    let neither: u64 = all().map(|it| it.plans.neither).sum();
    let hardware: u64 = all().map(|it| it.plans.hardware_only.len() as u64).sum();
    let proof = plans - both - neither - hardware;
    format!(
        "{facts} of {} facts were changed, one at a time: {} changes are refused by `check`, {} by the proof against the right\n\
         definition, {} are found on hostile hardware, {} do not fit the right machine, {} do no harm, {} change constants that\n\
         other tests compare, and {} contradict the proof. Of {plans} plans with faults, proof and hardware find {both} and let\n\
         {neither} pass; {proof} are found by the proof alone, and {hardware} by the hardware alone.\n",
        whole.changes,
        of(&[Verdict::Refused]),
        of(&[Verdict::Disproved]),
        of(&[Verdict::Tormented]),
        of(&[Verdict::OtherMachine]),
        of(&[Verdict::SameCode, Verdict::NoLess]),
        of(&[Verdict::Constants]),
        of(&[Verdict::Contradicted]),
    )
}

/// Returns the page of all scores.
pub fn page(whole: &Whole) -> String {
    let all = &whole.scores;
    let mut out = String::from(
        "# What is found of wrong facts and faulty plans\n\n\
         Written by `cargo run --release -p tlbc-tests --bin scores write`, from what `scores run` has judged.\n\n",
    );
    out += &summary(whole);
    out.push_str(
        "\n## Wrong facts\n\n\
         Each statement, element of a list, condition, name, keyword and number of each definition is changed, one at a time \
         (`support/mutate/facts.rs`).",
    );
    let judged: u64 = all.iter().map(|(_, scores)| scores.facts.all()).sum();
    let changes = whole.changes;
    if judged < changes {
        let _ = write!(
            out,
            " {judged} of {changes} changes, spread evenly over each definition, are judged here."
        );
    }
    out += "\n\n";
    out += &facts(all);
    out.push('\n');
    for verdict in Verdict::ALL {
        let _ = writeln!(out, "- {}: {}.", verdict.name(), verdict.meaning());
    }
    out += "\nBy the part of the definition that has the fact:\n\n";
    out += &parts(all);
    out += "\n## Faulty plans\n\n\
        Plans of flushes with one or two random faults of those in `support/mutate/plans.rs`. `prove` judges them, and they run \
        on random requests on hostile hardware; where `prove` finds a fault, on the machine that it names as well.\n\n";
    out += &plans(all);
    out += "\nWhat `prove` alone finds, by rule, with the first of each. The hardware does not know what a caller guarantees (`Needs`), what a\n\
        CPU has fetched (`Resync`) and whether entries change (`Writes`), and takes an instruction for another one with the same text\n\
        and operands (`Exists`). The rest is not met by the requests that were drawn, or is in a flush with too many instructions.\n\n";
    for (name, scores) in all {
        for (rule, (count, first)) in &scores.plans.proof_only {
            let _ = writeln!(out, "- {name}, {rule}: {count}. {first}");
        }
    }
    out += "\n## Hostile hardware and a search through all schedules\n\n\
        Such plans run on four random requests each. On each agent, the entries that the hardware leaves are compared with those \
        of a search through all schedules of fills and invalidations. Agents with more than nine entries and invalidations \
        together are not searched.\n\n";
    out += &searched(all);
    out
}
