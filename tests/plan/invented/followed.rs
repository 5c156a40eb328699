//! Barriers that instructions follow: they come after everything that has to be complete before the instructions.

use tlbc::Analysis;
use tlbc::plan::ir::{Node, Shape};
use tlbc::prove::{Rule, disproved};
use tlbc::torment::whole::knobs::plans::without;
use tlbc::torment::whole::{Options, torment};
use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::{Reach, Space};

use super::stages::live;
use super::{issues, left_on_hardware, with};
use tlbc_tests::mutate::breaks::Break;
use tlbc_tests::mutate::plans::mutants;
use tlbc_tests::requests::Ask;

const RELAY: &str = include_str!("definitions/relay.arch");
const REFILL: &str = include_str!("definitions/refill.arch");
const FORK: &str = include_str!("definitions/fork.arch");

fn pages(count: u64) -> Ask {
    Ask::user(0x1000, count * 0x1000, &["pte"])
}

/// Two loads, of which the second follows a barrier, and so does the empty root before them.
#[test]
fn a_load_comes_after_the_barrier_that_it_follows() {
    let switch = Ask::event(Event::Switch(Pending::None));
    let (root, tag) = ("load.root 0x40000000", "load.tag 0x42");
    let second = (
        "\"load.tag {number}\"  {",
        "\"load.tag {number}\" { follows publish;",
    );
    let refill = with(REFILL, &[second]);
    issues(&refill, "", &switch, &[root, "order", tag]);
    let empty = "load.root 0x1000";
    issues(&refill, "walker", &switch, &[empty, "order", tag, root]);
    let first = (
        "\"load.root {root}\"   {",
        "\"load.root {root}\" { follows publish;",
    );
    let refill = with(REFILL, &[first]);
    let all = ["order", empty, tag, "order", root];
    issues(&refill, "walker", &switch, &all);
    let unpublished: Break =
        |node, _| matches!(node, Node::Publish { .. }).then(|| Node::Seq(Vec::new()));
    let loads = mutants(&refill, unpublished).filter(|(it, _)| *it == Shape::Switch);
    let found: Vec<_> = loads
        .filter_map(|(_, plans)| disproved(&refill.model, &plans, Shape::Switch))
        .map(|it| it.rule)
        .collect();
    assert!(found.contains(&Rule::Ordered), "{found:?}");

    let mut plans = refill.clone();
    assert_eq!(complaint(&plans), "");
    let publishes = |node: &Node| matches!(node, Node::Publish { .. });
    without(&mut plans.plans, |it| it == Shape::Switch, publishes);
    let text = complaint(&plans);
    assert!(text.contains("`root` may act before"), "{text}");
}

/// Returns what the whole runtime finds with these plans; nothing if that is nothing.
fn complaint(planned: &Analysis) -> String {
    let options = Options {
        schedules: 20,
        shrinks: false,
        ..Options::default()
    };
    let report = torment(planned, &options).expect("a machine");
    assert!(
        report.failure.is_some() || report.points > 1000,
        "{report:?}"
    );
    let failure = report.failure.map(|it| it.complaint);
    failure.unwrap_or_default()
}

/// A barrier of its own for the caches after the first.
const AHEAD: (&str, &str) = (
    "barrier refetch ",
    "barrier ahead \"ahead\" { keeps flags; }\n    barrier refetch ",
);

/// The barrier that an instruction follows comes after the stages that have to be complete before the instruction.
#[test]
fn a_barrier_that_is_followed_comes_after_the_stage_before() {
    let micro = "drops leaf of one page, this tag or global in micro;";
    let nano = "drops leaf of everything, any tag in nano;";
    let of_space = "drops leaf of everything, this tag in micro;";
    let follows = |text: &str| format!("{text} follows ahead;");
    let [micro_ahead, nano_ahead, space_ahead] = [micro, nano, of_space].map(follows);
    let edits = [
        AHEAD,
        (micro, &micro_ahead),
        (nano, &nano_ahead),
        (of_space, &space_ahead),
    ];
    let relay = with(RELAY, &edits);
    let one = [
        "order",
        "page 0x1000, 0x42",
        "settle",
        "ahead",
        "micro 0x1000, 0x42",
        "settle",
        "ahead",
        "nano",
        "settle",
    ];
    issues(&relay, "", &pages(1), &one);
    let many = [
        "order",
        "page 0x1000, 0x42",
        "page 0x2000, 0x42",
        "settle",
        "ahead",
        "micro 0x1000, 0x42",
        "micro 0x2000, 0x42",
        "settle",
        "ahead",
        "nano",
        "settle",
    ];
    issues(&relay, "", &pages(2), &many);
    live(&relay, 2, &many);
    let space = [
        "order",
        "space 0x42",
        "settle",
        "ahead",
        "micro.space 0x42",
        "settle",
        "ahead",
        "nano",
        "settle",
    ];
    issues(&relay, "", &Ask::event(Event::Everything), &space);
    let load = ["root 0x42000040000000", "refetch"];
    let switch = [&space[..], &load].concat();
    let tag = Ask::event(Event::Switch(Pending::Tag));
    issues(&relay, "", &tag, &switch);
    // The last two stages take no operands, and are left to completion.
    let whole = "drops leaf of everything, any tag in micro; follows ahead;";
    let edits = [
        AHEAD,
        (micro, whole),
        ("\"micro{sent} {address}, {number}\"", "\"micro{sent}\""),
        (
            of_space,
            "drops leaf of everything, any tag in micro; follows ahead; cost 9;",
        ),
        ("\"micro.space{sent} {number}\"", "\"micro.space{sent}\""),
        (nano, &nano_ahead),
    ];
    let late = with(RELAY, &edits);
    let one = [
        "order",
        "page 0x1000, 0x42",
        "settle",
        "ahead",
        "micro",
        "settle",
        "ahead",
        "nano",
        "settle",
    ];
    issues(&late, "", &pages(1), &one);
    // A barrier that completes the stage before is not issued again.
    let same = [(
        "drops leaf of one page, this tag or global in micro;",
        "drops leaf of one page, this tag or global in micro; follows settle_here;",
    )];
    let expected = [
        "order",
        "page 0x1000, 0x42",
        "settle",
        "micro 0x1000, 0x42",
        "settle",
        "nano",
        "settle",
    ];
    issues(&with(RELAY, &same), "", &pages(1), &expected);
}

/// A plan whose barrier comes before the stage before is not proved.
#[test]
fn a_barrier_that_comes_too_early_is_no_proof() {
    let of = |clause: &str| {
        with(
            RELAY,
            &[AHEAD, (clause, &format!("{clause} follows ahead;"))],
        )
    };
    let late = of("drops leaf of one page, this tag or global in micro;");
    let early = of("drops leaf, walk of one page, this tag or global in tlb;");
    let shape = Shape::Page(Space::User, Reach::Here);
    let rule = |plans| disproved(&late.model, plans, shape).map(|it| it.rule);
    assert_eq!(rule(&late.plans), None);
    assert_eq!(rule(&early.plans), Some(Rule::Lasting));
    assert_eq!(left_on_hardware(&late, &late.model), "");
    let too_early = Analysis {
        model: late.model.clone(),
        plans: early.plans,
    };
    let text = left_on_hardware(&too_early, &late.model);
    assert!(text.contains("in `micro`"), "{text}");
}

/// Where walk entries of a live table go first, the barrier that the instructions for leaf entries follow comes after them.
#[test]
fn a_barrier_before_leaf_entries_comes_after_the_walk_entries() {
    let edits = [
        (
            "barrier complete",
            "barrier ahead \"ahead\" { keeps flags; }\n    barrier complete",
        ),
        (
            "drops leaf of one page, this tag or global;",
            "drops leaf of one page, this tag or global; follows ahead;",
        ),
    ];
    let fork = with(FORK, &edits);
    let by_address = [
        "order",
        "upper.page 0x0",
        "wait",
        "recent.page 0x0",
        "wait",
        "ahead",
        "leaf.page 0x1000, 0x42",
        "leaf.page 0x2000, 0x42",
        "wait",
        "recent.page 0x0",
        "wait",
    ];
    live(&fork, 2, &by_address);
}
