//! Decision trees against their outcomes: in every configuration, whatever the tests at run time, the tree of a
//! shape does the steps that were planned for that configuration alone.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::addressing::Addressing;
use super::builder::PlanBuilder;
use super::candidates::Candidate;
use super::choose::{Chooser, useful, wanted};
use super::context::PlanContext;
use super::demand::{Demand, DemandExtent, LEAF, LEAF_AND_WALK, WALK, negative_too};
use super::ir::{Node, Test};
use super::symbolic::SymbolicMachine;
use super::{plan, shapes};
use crate::lower::lower;
use crate::model::flags::Needs;
use crate::model::{Config, Model};
use crate::parse::parse;
use crate::source::Files;
use tlbc_facts::cells::Cells;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::{Reach, Space};

/// Returns the model of a text.
pub(super) fn model(text: String) -> Model {
    let mut files = Files::default();
    let file = files.add("shipped", text);
    lower(&parse(&files, file).0.unwrap()).0.unwrap()
}

/// Returns the models of the shipped definitions.
pub(super) fn shipped() -> Vec<Model> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../archdefs");
    let paths = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let definitions = paths.filter(|path| path.extension().is_some_and(|e| e == "arch"));
    definitions
        .map(|path| model(std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// Returns every possible machine.
fn machines(model: &Model) -> impl Iterator<Item = Config> {
    let features = 0..1u32 << model.features.len();
    let all = features.flat_map(|features| {
        (0..1u32 << model.errata.len()).map(move |errata| Config {
            features,
            errata,
            geometry: 0,
        })
    });
    all.filter(|config| model.possible(*config))
}

/// Returns the tests at run time in nodes.
fn asked<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Vec<Test> {
    let mut tests = BTreeSet::new();
    for node in nodes {
        node.walk(&mut |node| {
            if let Node::Select { on, .. } = node
                && !matches!(on, Test::Feature(_) | Test::Erratum(_))
            {
                tests.insert(*on);
            }
        });
    }
    tests.into_iter().collect()
}

/// Collects the steps of a node for the tests that hold. A node that contains steps becomes a step of its own.
fn steps(node: &Node, config: Config, holds: &BTreeSet<Test>, out: &mut Vec<Node>) {
    let of = |node: &Node| {
        let mut inner = Vec::new();
        steps(node, config, holds, &mut inner);
        Box::new(Node::Seq(inner))
    };
    match node {
        Node::Seq(nodes) => nodes
            .iter()
            .for_each(|node| steps(node, config, holds, out)),
        Node::Select {
            on,
            then,
            otherwise,
        } => {
            let yes = match on {
                Test::Feature(feature) => config.has(*feature),
                Test::Erratum(erratum) => config.suffers(*erratum),
                test => holds.contains(test),
            };
            steps(if yes { then } else { otherwise }, config, holds, out);
        }
        Node::Guard { scope, body } => out.push(Node::Guard {
            scope: *scope,
            body: of(body),
        }),
        Node::Ceiling {
            count,
            beyond,
            within,
        } => out.push(Node::Ceiling {
            count: of(count),
            beyond: *beyond,
            within: of(within),
        }),
        Node::Loop { over, each, rest } => out.push(Node::Loop {
            over: *over,
            each: of(each),
            rest: rest.as_deref().map(of),
        }),
        Node::Workaround { erratum, .. } if !config.suffers(*erratum) => {}
        step => out.push(step.clone()),
    }
}

#[test]
fn trees_do_what_was_planned_for_each_configuration() {
    let models = shipped();
    assert!(!models.is_empty());
    for model in models {
        let (plans, findings) = plan(&model);
        assert!(findings.is_empty());
        let needs = Needs::of(&model);
        let mut chooser = Chooser::default();
        let (mut compared, mut all) = (0, 0);
        for config in machines(&model) {
            all += 1;
            let machine = SymbolicMachine::decided(&needs, config);
            let mut builder = PlanBuilder::new(&model, &machine, &mut chooser);
            for shape in shapes() {
                let Some(node) = builder.node(shape) else {
                    continue;
                };
                let tree = &plans.get(shape).unwrap().body;
                let tests = asked([&node, tree]);
                for bits in 0..1u32 << tests.len() {
                    let held = tests
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| bits & (1 << i) != 0);
                    let holds: BTreeSet<Test> = held.map(|(_, test)| *test).collect();
                    let (mut planned, mut grown) = (Vec::new(), Vec::new());
                    steps(&node, config, &holds, &mut planned);
                    steps(tree, config, &holds, &mut grown);
                    assert_eq!(planned, grown, "{shape:?} {config:?} {holds:?}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 20 * all, "{compared} in {all}");
    }
}

/// Returns the sets of a size, in order.
fn subsets(n: usize, size: usize) -> Vec<Vec<usize>> {
    match size {
        0 => vec![Vec::new()],
        _ => subsets(n, size - 1)
            .into_iter()
            .flat_map(|set| {
                let from = set.last().map_or(0, |last| last + 1);
                (from..n).map(move |next| set.iter().copied().chain([next]).collect())
            })
            .collect(),
    }
}

/// Returns the least set of candidates by the rule of `LANGUAGE.md`, found by trying all sets.
fn least_of_all(
    context: &PlanContext<'_>,
    pool: &[Candidate],
    demand: Demand,
) -> Option<Vec<Candidate>> {
    let cells = wanted(context, demand, Levels::ALL, Levels::ALL);
    let leaves = context.leaves_of_classes();
    let union = |set: &[usize], of: &dyn Fn(&Candidate, usize) -> Cells, view: usize| {
        (set.iter()).fold(Cells::NONE, |all, &i| all.union(&of(&pool[i], view)))
    };
    let covers = |set: &[usize]| {
        let mut views = cells.iter().enumerate();
        views.all(|(view, wanted)| union(set, &|m, view| m.cells[view], view).covers(wanted))
    };
    let rank = |set: &[usize]| {
        let candidates = || set.iter().map(|&i| &pool[i]);
        let lost = |leaves: &Cells| {
            let mut views = 0..cells.len();
            views.any(|view| union(set, &|m, view| m.everywhere[view], view).covers(leaves))
        };
        let lost = (0..3).fold(0, |all, class| {
            all | u8::from(lost(&leaves[class])) << class
        });
        let loses = candidates().fold(lost, |all, m| all | m.deferred_classes);
        let addresses: u32 = candidates()
            .flat_map(|m| m.everywhere.iter().map(Cells::count))
            .sum();
        let beyond: u32 = candidates()
            .flat_map(|m| m.cells.iter().zip(&cells))
            .map(|(all, wanted)| all.without(wanted).count())
            .sum();
        (
            loses.count_ones(),
            loses,
            candidates().map(|m| m.cost).sum::<u64>(),
            candidates()
                .map(|m| m.stage)
                .collect::<BTreeSet<u8>>()
                .len(),
            if demand.extent == DemandExtent::Everything {
                0
            } else {
                addresses
            },
            beyond,
            set.to_vec(),
        )
    };
    let most = if pool.iter().any(|m| m.stage > 0) {
        4
    } else {
        3
    };
    let mut covering: Vec<Vec<usize>> = Vec::new();
    for set in (0..=most).flat_map(|size| subsets(pool.len(), size)) {
        let within = |small: &Vec<usize>| small.iter().all(|i| set.contains(i));
        if !covering.iter().any(within) && covers(&set) {
            covering.push(set);
        }
    }
    let is_run = |&i: &usize| matches!(pool[i].addressing, Addressing::Run { .. });
    covering.retain(|set| demand.extent != DemandExtent::Runs || set.iter().any(is_run));
    let least = covering.into_iter().min_by_key(|set| rank(set))?;
    Some(least.into_iter().map(|i| pool[i].clone()).collect())
}

#[test]
fn what_is_chosen_is_the_least_of_all_that_a_machine_has() {
    let demands = |extent| {
        [LEAF, WALK, LEAF_AND_WALK, negative_too(LEAF)].map(|demand| Demand { extent, ..demand })
    };
    let demands: Vec<Demand> = [
        DemandExtent::One,
        DemandExtent::Runs,
        DemandExtent::Everything,
    ]
    .into_iter()
    .flat_map(demands)
    .collect();
    let mut compared = 0;
    for model in shipped() {
        let needs = Needs::of(&model);
        let mut chooser = Chooser::default();
        let mut tried = FxHashSet::default();
        for (config, space) in machines(&model)
            .flat_map(|config| [Space::User, Space::Kernel].map(|space| (config, space)))
        {
            let machine = SymbolicMachine::decided(&needs, config);
            let context = PlanContext::new(&model, &machine, space, Reach::Wide);
            let pool = context.candidates(false);
            for &demand in &demands {
                let cells = wanted(&context, demand, Levels::ALL, Levels::ALL);
                let candidates = pool.iter();
                let useful =
                    candidates.filter(|candidate| useful(&model, candidate, &cells, demand.extent));
                let useful: Vec<Candidate> = useful.cloned().collect();
                // Most machines have the same candidates.
                if !tried.insert((cells, useful.clone(), demand)) {
                    continue;
                }
                let chosen = chooser.choose(&context, demand);
                let least = least_of_all(&context, &useful, demand);
                assert_eq!(
                    chosen.map(|chosen| chosen.candidates.clone()),
                    least,
                    "{config:?} {space:?} {demand:?}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}
