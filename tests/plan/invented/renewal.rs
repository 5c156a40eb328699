//! A space that runs gets a new tag in place of a flush.

use tlbc::Analysis;
use tlbc::plan::Plans;
use tlbc::plan::ir::{Node, Plan, Shape};
use tlbc::prove::{Rule, disproved, prove};
use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::{Reach, Space};

use super::{issues, with};
use tlbc_tests::requests::{Ask, good, lines};

const RENEW: &str = include_str!("definitions/renew.arch");

/// A flush of everything of a user space.
fn whole() -> Ask {
    Ask::event(Event::Everything)
}

#[test]
fn a_space_that_runs_gets_a_new_tag() {
    let arch = good(RENEW);
    let renewed = ["asid 0x3", "settle", "settle"];
    let whole = whole().tag(2);
    issues(&arch, "", &whole, &renewed);
    issues(&arch, "", &Ask::event(Event::Teardown).tag(2), &renewed);
    // One page is invalidated by its address, and so are a few; above the ceiling all are.
    let pages = |count: u64| Ask::user(0x2000, count * 0x2000, &["pte"]).tag(2);
    issues(&arch, "", &pages(1), &["page 0x2002", "settle"]);
    issues(
        &arch,
        "",
        &pages(2),
        &["page 0x2002", "page 0x4002", "settle"],
    );
    issues(&arch, "", &pages(5), &renewed);
    // The last value is followed by the first.
    let last = Ask::event(Event::Everything).tag(63);
    issues(&arch, "", &last, &["asid 0x1", "settle", "settle"]);
}

/// Other CPUs do the same for themselves, each with a tag of its own.
#[test]
fn interrupted_cpus_get_a_new_tag_as_well() {
    let trace = whole().tag(2).others().on(&good(RENEW), "");
    assert_eq!(lines(trace.issued()), ["asid 0x3", "settle", "settle"]);
    assert_eq!(
        lines(trace.issued_elsewhere()),
        ["settle", "asid 0x3", "settle"]
    );
    assert_eq!(trace.ipis[0].own_tag.as_deref(), Some("asid"));
}

/// What other spaces and the kernel use is out of reach of a new tag.
#[test]
fn the_kernel_is_flushed_by_instructions() {
    let arch = good(RENEW);
    let kernel = |bytes| Ask::kernel(0xc000_2000, bytes, &["pte"]);
    issues(&arch, "", &kernel(0x2000), &["shared 0xc0002000", "settle"]);
    issues(&arch, "", &kernel(0x1_0000), &["all", "settle"]);
}

#[test]
fn everything_is_flushed_before_tags_are_given_out_anew() {
    let arch = good(RENEW);
    let loaded = ["asid 0x2", "settle"];
    let new = |pending| Ask::event(Event::NewTag(pending)).tag(2);
    issues(&arch, "", &new(Pending::None), &loaded);
    let flushed = ["all", "settle", "asid 0x2", "settle"];
    issues(&arch, "", &new(Pending::All), &flushed);
}

/// A new tag competes by its cost with an instruction for the tag.
#[test]
fn a_new_tag_competes_by_its_cost() {
    let space = |cost: u64| {
        let space = format!(
            "invalidate space \"space {{number}}\" {{ per \"Renew manual, 4.4\"; drops leaf, negative of everything, this tag; \
             where self; after settle; cost {cost}; }} invalidate all"
        );
        with(RENEW, &[("invalidate all", &space)])
    };
    let whole = whole().tag(2);
    issues(&space(1), "", &whole, &["space 0x2", "settle"]);
    issues(&space(2), "", &whole, &["asid 0x3", "settle", "settle"]);
    // A space that is about to be loaded is flushed by the instruction.
    let switch = Ask::event(Event::Switch(Pending::Tag)).tag(2);
    let loads = [
        "space 0x2",
        "settle",
        "root 0x40000000",
        "asid 0x2",
        "settle",
    ];
    issues(&space(2), "", &switch, &loads);
}

/// Returns the rule that plans with a changed node break.
fn broken(arch: &Analysis, shape: Shape, change: impl Fn(&Node) -> Option<Node>) -> Option<Rule> {
    let Analysis { model, plans } = arch;
    assert!(prove(model, plans).failures.is_empty());
    let mut changed: Plans = plans.clone();
    let plan = plans.get(shape).expect("a plan");
    let body = replaced(&plan.body, &change);
    assert_ne!(body, plan.body);
    changed.replace(Plan {
        body,
        ..plan.clone()
    });
    Some(disproved(model, &changed, shape)?.rule)
}

fn replaced(node: &Node, change: &dyn Fn(&Node) -> Option<Node>) -> Node {
    let within = |node: &Node| Box::new(replaced(node, change));
    change(node).unwrap_or_else(|| match node {
        Node::Seq(nodes) => Node::Seq(nodes.iter().map(|it| replaced(it, change)).collect()),
        Node::Select {
            on,
            then,
            otherwise,
        } => Node::Select {
            on: *on,
            then: within(then),
            otherwise: within(otherwise),
        },
        Node::Guard { scope, body } => Node::Guard {
            scope: *scope,
            body: within(body),
        },
        other => other.clone(),
    })
}

#[test]
fn faulty_renewals_are_detected() {
    let arch = good(RENEW);
    let nothing = || Some(Node::Seq(Vec::new()));
    let whole = Shape::Everything(Space::User, Reach::Here);
    let with_interrupts = |node: &Node| match node {
        Node::Guard { body, .. } => Some((**body).clone()),
        _ => None,
    };
    assert_eq!(broken(&arch, whole, with_interrupts), Some(Rule::Cover));
    let left_out = |node: &Node| matches!(node, Node::Defer(_)).then(nothing).flatten();
    assert_eq!(broken(&arch, whole, left_out), Some(Rule::Cover));
    let kept = |node: &Node| matches!(node, Node::Load { .. }).then(nothing).flatten();
    assert_eq!(broken(&arch, Shape::LoadTag, kept), Some(Rule::Loads));
    let unflushed = |node: &Node| matches!(node, Node::Call(_)).then(nothing).flatten();
    assert_eq!(broken(&arch, Shape::LoadTag, unflushed), Some(Rule::Cover));
    let unsettled = |node: &Node| matches!(node, Node::Resync { .. }).then(nothing).flatten();
    assert_eq!(broken(&arch, Shape::LoadTag, unsettled), Some(Rule::Resync));
    // Where stores have to be published, they are before the new tag is loaded.
    let barrier = "barrier order \"order\" { publishes on cpus; } barrier settle";
    let edits = [
        (
            "publishes assumed \"only the kernel's own handler reads tables\";",
            "",
        ),
        ("barrier settle", barrier),
    ];
    let published = with(RENEW, &edits);
    let unpublished = |node: &Node| matches!(node, Node::Publish { .. }).then(nothing).flatten();
    assert_eq!(
        broken(&published, Shape::Begin(Space::User), unpublished),
        Some(Rule::Published)
    );
}
