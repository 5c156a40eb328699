//! No plan is dominated by what Linux 7.0 issues for the same request.
//!
//! `archdefs/NAME/linux.txt` contains the costs of Linux. A plan that is dominated needs a reason in the file, and a reason
//! needs a plan that is dominated.

use std::collections::BTreeSet;

use tlbc::Analysis;
use tlbc::model::{CachedKind, Config};
use tlbc::sample_requests::Sample;
use tlbc::trace::{Cost, Trace, explained};
use tlbc_runtime::agents::Agents;
use tlbc_tests::archdefs::{analysis, lines, names};
use tlbc_tests::workspace::root;

/// Work of one CPU: operations, barriers.
type Work = (usize, usize);

/// Entries that are lost: the kind, the tag class, the cache. A line without a cache names all that hold the kind.
type Lost = BTreeSet<(String, String, String)>;

/// What a request costs.
#[derive(Debug, PartialEq, Eq)]
struct Costs {
    here: Work,
    /// The interrupted CPUs by kind.
    interrupted: BTreeSet<String>,
    there: Work,
    /// Whether an instruction acts on other CPUs.
    wide: bool,
    lost: Lost,
}

impl Costs {
    /// Returns whether these are at most the other ones in every figure.
    fn are_within(&self, other: &Self) -> bool {
        let within = |a: Work, b: Work| a.0 <= b.0 && a.1 <= b.1;
        within(self.here, other.here)
            && self.interrupted.is_subset(&other.interrupted)
            && within(self.there, other.there)
            && self.wide <= other.wide
            && self.lost.is_subset(&other.lost)
    }
}

/// Returns the costs of a plan.
fn of_plan(analysis: &Analysis, config: Config, trace: &Trace, cost: &Cost) -> Costs {
    let model = &analysis.model;
    let issued = trace.issued().chain(trace.issued_elsewhere());
    let wide = issued.into_iter().any(|issued| {
        let mut all = model.invalidates.iter();
        let it = all.find(|it| it.named.name == issued.name);
        it.is_some_and(|it| !Agents::CORE.covers(it.reach(config)))
    });
    let mut lost = Lost::new();
    for it in &cost.lost {
        let kind = it.kind;
        for class in &it.classes {
            let mut caches = it.caches.clone();
            if caches.is_empty() {
                caches = holding(analysis, config, kind);
            }
            lost.extend(
                caches
                    .into_iter()
                    .map(|cache| (kind.to_owned(), (*class).to_owned(), cache)),
            );
        }
    }
    let interrupted = cost.interrupted.iter();
    let there = interrupted.clone().map(|it| (it.operations, it.barriers));
    Costs {
        here: (cost.operations, cost.barriers),
        interrupted: interrupted.flat_map(|it| it.cpus.clone()).collect(),
        there: there.fold((0, 0), |all, it| (all.0 + it.0, all.1 + it.1)),
        wide,
        lost,
    }
}

/// Returns the caches that hold a kind of entry.
fn holding(analysis: &Analysis, config: Config, kind: &str) -> Vec<String> {
    let kind = match kind {
        "leaf" => CachedKind::Leaf,
        "walk" => CachedKind::Walk,
        "root" => CachedKind::Root,
        other => panic!("{other}"),
    };
    let caches = &analysis.model.caches;
    let holding = caches.holding(kind, config);
    let all = caches.all.iter().enumerate();
    all.filter(|(cache, _)| holding.0 & 1 << cache != 0)
        .map(|(_, it)| it.named.name.clone())
        .collect()
}

/// A line of the file.
struct Line<'a> {
    sample: Sample,
    others: bool,
    config: Config,
    linux: Costs,
    text: &'a str,
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty())
}

/// Returns whether a word is the first of two; it must be one of them.
fn is(word: &str, first: &str, second: &str) -> bool {
    assert!([first, second].contains(&word), "{word}");
    word == first
}

fn work(text: &str) -> Work {
    let numbers: Vec<usize> = list(text).map(|it| it.parse().expect("a number")).collect();
    let [operations, barriers] = numbers[..] else {
        panic!("two numbers: {text}");
    };
    (operations, barriers)
}

fn line<'a>(analysis: &Analysis, text: &'a str) -> Line<'a> {
    let parts: Vec<&str> = text.split('|').map(str::trim).collect();
    let [
        request,
        cpus,
        features,
        here,
        interrupted,
        reach,
        lost,
        source,
    ] = parts[..]
    else {
        panic!("eight parts: {text}");
    };
    assert!(!source.is_empty(), "{text}");
    let all = &analysis.model.features;
    let bits = list(features).map(|name| {
        let feature = all.iter().position(|it| it.named.name == name);
        1 << feature.unwrap_or_else(|| panic!("a feature: {name}"))
    });
    let config = Config {
        features: bits.fold(0, |all, bit: u32| all | bit),
        ..Config::default()
    };
    let (targets, there) = interrupted.split_once(':').unwrap_or(("", "0, 0"));
    let mut expanded = Lost::new();
    for it in list(lost) {
        let mut words = it.split(' ').map(str::to_owned);
        let mut word = || words.next();
        let (kind, class) = (word().expect("a kind"), word().expect("a class"));
        let caches = word().map_or_else(|| holding(analysis, config, &kind), |it| vec![it]);
        let caches = caches.into_iter();
        expanded.extend(caches.map(|cache| (kind.clone(), class.clone(), cache)));
    }
    Line {
        sample: match request {
            "page" => Sample::Page,
            "four" => Sample::FourPages,
            "many" => Sample::TableOfPages,
            "large" => Sample::LargePageToo,
            "table" => Sample::Table,
            "all" => Sample::Everything,
            "teardown" => Sample::Teardown,
            "kernel" => Sample::KernelPage,
            "ktable" => Sample::KernelTable,
            other => panic!("a request: {other}"),
        },
        others: is(cpus, "others", "self"),
        config,
        linux: Costs {
            here: work(here),
            interrupted: list(targets).map(|it| format!("{it} CPUs")).collect(),
            there: work(there),
            wide: is(reach, "wide", "here"),
            lost: expanded,
        },
        text,
    }
}

/// Compares the plans of a definition with a file.
fn compare(analysis: &Analysis, file: &str) {
    let mut reason = None;
    let mut compared = 0;
    for text in lines(file) {
        if let Some(why) = text.strip_prefix("dominated: ") {
            reason = Some(why);
            continue;
        }
        let line = line(analysis, text);
        let query = line.sample.query(&analysis.model, line.config, line.others);
        let trace = explained(&analysis.model, &analysis.plans, &query).expect("a request");
        let cost = &trace.why.as_ref().expect("an explanation").cost;
        let plan = of_plan(analysis, line.config, &trace, cost);
        let dominated = line.linux.are_within(&plan) && line.linux != plan;
        assert_eq!(
            dominated,
            reason.take().is_some(),
            "{}\nLinux: {:?}\nplan:  {plan:?}",
            line.text,
            line.linux
        );
        compared += 1;
    }
    assert!(compared > 0 && reason.is_none());
}

/// Definitions of machines that Linux does not flush, or that are not compared yet, have no file.
#[test]
fn no_plan_is_dominated() {
    let mut files = 0;
    for arch in names() {
        let path = root().join(format!("archdefs/{arch}/linux.txt"));
        if let Ok(file) = std::fs::read_to_string(path) {
            compare(analysis(arch), &file);
            files += 1;
        }
    }
    assert!(files > 0, "no definition is compared");
}
