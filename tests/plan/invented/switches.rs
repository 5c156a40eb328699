//! Switches of a machine without tags, or with one that all spaces share: the flush that follows the loads.

use tlbc::Analysis;
use tlbc::model::Model;
use tlbc::plan::ir::{Node, Shape};
use tlbc::prove::{disproved, prove};
use tlbc_runtime::request::{Reach, Space};
use tlbc_tests::mutate::plans::mutants;

use super::with;

const SLUICE: &str = include_str!("definitions/sluice.arch");

const OF_USER: (&str, &str) = (
    "leaf under every tag; walk under every tag; resync nothing",
    "leaf under every tag; walk under every tag; resync refetch",
);

#[track_caller]
fn proved(edits: &[(&str, &str)]) {
    let Analysis { model, plans } = with(SLUICE, edits);
    let failures = prove(&model, &plans).failures;
    let messages = failures.iter().map(|it| it.diagnostic(&model).message);
    assert_eq!(
        messages.collect::<Vec<_>>(),
        Vec::<String>::new(),
        "{edits:?}"
    );
}

/// Returns what the proof of a switch says of each plan of a shape that is broken in one way.
fn broken(arch: &Analysis, shape: Shape, how: fn(&Node, &Model) -> Option<Node>) -> Vec<String> {
    let of_shape = mutants(arch, how).filter(|(it, _)| *it == shape);
    let failures = of_shape.map(|(_, plans)| disproved(&arch.model, &plans, Shape::Switch));
    let messages = failures.map(|it| it.map(|it| it.diagnostic(&arch.model).message));
    messages.map(Option::unwrap_or_default).collect()
}

#[track_caller]
fn each_says(messages: &[String], count: usize, words: &str) {
    assert_eq!(messages.len(), count, "{messages:?}");
    assert!(messages.iter().all(|it| it.contains(words)), "{messages:?}");
}

/// Leaf and walk entries, or leaf entries alone, which software fills, or with a barrier after each flush.
#[test]
fn a_loop_over_all_sets_follows_the_loads() {
    proved(&[]);
    proved(&[OF_USER]);
    let software = ("fills while loaded", "fills by software");
    let leaf = [
        software,
        ("holds leaf, walk", "holds leaf"),
        ("drops leaf, walk of", "drops leaf of"),
    ];
    proved(&leaf);
}

/// Walk entries of one set make leaf entries of another again, so the loop is issued twice.
#[test]
fn one_of_the_loops_is_not_enough() {
    let arch = with(SLUICE, &[]);
    let all = Shape::Everything(Space::User, Reach::Here);
    let none = broken(&arch, all, |node, _| {
        matches!(node, Node::Issue(_)).then(|| Node::Seq(Vec::new()))
    });
    each_says(&none, 2, "leaf entries of level `pte` under the tag");
}

/// The root is in effect before the entries of the previous space are invalidated.
#[test]
fn the_loads_are_in_effect_before_the_flush() {
    let resync: fn(&Node, &Model) -> Option<Node> =
        |node, _| matches!(node, Node::Resync { .. }).then(|| Node::Seq(Vec::new()));
    let arch = with(SLUICE, &[]);
    let without = broken(&arch, Shape::Switch, resync);
    each_says(&without, without.len().max(1), "does not refetch");
    // After the flush of a user space as well, where its own statement says so.
    let arch = with(SLUICE, &[OF_USER]);
    let finish = Shape::Finish(Space::User, Reach::Here);
    each_says(&broken(&arch, finish, resync), 1, "does not refetch");
}

/// A tag with one value keeps the kernel's entries apart, and not those of two spaces.
#[test]
fn a_tag_with_one_value_is_flushed_after_the_loads() {
    const LEVELS: &str = include_str!("definitions/levels.arch");
    let one = [
        (
            "values 1..65535; from generations;",
            "values 1..1; from life;",
        ),
        ("switch { loads root;", "switch { loads root; flushes;"),
    ];
    let arch = with(LEVELS, &one);
    assert_eq!(prove(&arch.model, &arch.plans).failures.len(), 0);
    let flush = |node: &Node, _: &Model| {
        matches!(node, Node::Call(_) | Node::Issue(_)).then(|| Node::Seq(Vec::new()))
    };
    let messages = broken(&arch, Shape::Switch, flush);
    let used = messages
        .iter()
        .filter(|it| it.contains("the next space can use"));
    assert_eq!(used.count(), 2, "{messages:?}");
}
