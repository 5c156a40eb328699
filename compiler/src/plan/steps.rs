//! The steps that carry out candidates: instructions, loops over sets, deferred flushes, and workarounds.

use std::collections::BTreeSet;

use tlbc_runtime::deferred::Deferred;

use super::candidates::{Candidate, How};
use super::choose::Choice;
use super::context::PlanContext;
use super::ir::{Issue, Node, Over};
use super::workarounds;
use crate::model::{Model, Need};

/// Returns the nodes of candidates, deferred flushes last. With `beside`, each is followed by its workarounds.
pub fn issues<'a>(
    context: &PlanContext<'_>,
    candidates: impl Iterator<Item = &'a Candidate>,
    hint: bool,
    beside: bool,
) -> Vec<Node> {
    let model = context.model;
    let mut candidates: Vec<&Candidate> = candidates.collect();
    candidates.sort_by_key(|m| m.is_deferred());
    let node = move |m: &Candidate| {
        let issue = |primitive| m.issue(primitive, hint);
        let with_workarounds = |issue: Issue, nodes: Vec<Node>| {
            let mut steps = workarounds::beside(model, &m.workarounds, issue, false);
            steps.extend(nodes);
            if beside {
                steps.extend(workarounds::beside(model, &m.workarounds, issue, true));
            }
            steps
        };
        match m.how {
            How::Issue(primitive) => {
                let issue = issue(primitive);
                with_workarounds(issue, vec![Node::Issue(issue)])
            }
            How::Sets { each, count } => {
                let each = issue(each);
                let all = Node::Loop {
                    over: Over::Sets(count),
                    each: Box::new(Node::Issue(each)),
                    rest: None,
                };
                with_workarounds(each, vec![all])
            }
            How::InvalidateOtherTags => vec![Node::InvalidateOtherTags],
            How::DeferView => vec![Node::Defer(Deferred::VIEW_UNTIL_RETURN)],
        }
    };
    candidates.into_iter().flat_map(node).collect()
}

/// Returns the barriers that are issued before candidates, each once.
pub fn before<'a>(candidates: impl IntoIterator<Item = &'a Candidate>) -> Vec<Node> {
    let barriers = candidates
        .into_iter()
        .filter_map(|candidate| candidate.before);
    let barriers: BTreeSet<usize> = barriers.collect();
    let publish = |barrier| Node::Publish {
        barrier: Some(barrier),
    };
    barriers.into_iter().map(publish).collect()
}

/// Returns a node with the guards that the instructions of a choice need.
pub fn guarded(model: &Model, choice: &Choice, node: Node) -> Node {
    let needs = choice.candidates.iter().flat_map(|candidate| {
        let invalidates = candidate.how.primitive().map(|p| p.invalidate);
        needs(model, invalidates, &candidate.after)
    });
    within(needs, node)
}

/// Returns what instructions need around them, up to the barriers after which they are complete.
pub fn needs<'a>(
    model: &'a Model,
    invalidates: impl IntoIterator<Item = usize> + 'a,
    after: &[usize],
) -> impl Iterator<Item = Need> + 'a {
    let stated = invalidates.into_iter();
    let stated = stated.flat_map(|index| model.invalidates[index].needs.iter());
    let same = after
        .iter()
        .any(|&barrier| model.barriers[barrier].same_cpu);
    stated
        .map(|need| need.value)
        .chain(same.then_some(Need::SameCpu))
}

/// Returns a node with guards, each once.
pub fn within(needs: impl IntoIterator<Item = Need>, node: Node) -> Node {
    let mut scopes: Vec<Need> = Vec::new();
    for need in needs {
        if !scopes.contains(&need) {
            scopes.push(need);
        }
    }
    scopes.into_iter().fold(node, |body, scope| match body {
        Node::Guard { scope: same, .. } if same == scope => body,
        body => Node::Guard {
            scope,
            body: Box::new(body),
        },
    })
}
