//! The steps that carry out candidates: instructions, loops over sets, deferred flushes, and workarounds.

use std::collections::BTreeSet;

use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Levels;

use super::candidates::{Candidate, How};
use super::context::PlanContext;
use super::ir::{Issue, Node, Over, Test};
use super::workarounds;
use crate::model::{Need, Which};

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
            How::RenewTag => vec![Node::Defer(Deferred::TAG_UNTIL_RENEWAL)],
        }
    };
    candidates.into_iter().flat_map(node).collect()
}

/// Returns the barriers that candidates follow, each once.
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

/// Returns the steps of requests by their level, where it makes a difference.
pub fn by_level(steps: impl IntoIterator<Item = (Levels, Node)>) -> Option<Node> {
    let mut groups: Vec<(Levels, Node)> = Vec::new();
    for (levels, node) in steps {
        match groups.iter_mut().find(|(_, same)| *same == node) {
            Some((of, _)) => *of = of.union(levels),
            None => groups.push((levels, node)),
        }
    }
    let (_, last) = groups.pop()?;
    Some(groups.into_iter().rev().fold(last, |rest, (levels, node)| {
        Node::select(Test::Stride(levels), node, rest)
    }))
}

/// Returns a node with the guards that its instructions need, also those of workarounds: what each states, and the same CPU
/// up to a barrier that requires that. The tag of this CPU changes with interrupts off.
pub fn guarded(context: &PlanContext<'_>, node: Node) -> Node {
    let model = context.model;
    let mut scopes: Vec<Need> = Vec::new();
    node.walk(&mut |node| {
        let renews = matches!(node, Node::Defer(it) if it.contains(Deferred::TAG_UNTIL_RENEWAL));
        if renews && !scopes.contains(&Need::InterruptsOff) {
            scopes.push(Need::InterruptsOff);
        }
        for instruction in node.instructions(model) {
            let Which::Invalidate(invalidate) = instruction else {
                continue;
            };
            let it = &model.invalidates[invalidate];
            let after = it.done_after(context.machine);
            let same = after.is_some_and(|barrier| model.barriers[barrier].same_cpu);
            let stated = it.needs.iter().map(|need| need.value);
            for need in stated.chain(same.then_some(Need::SameCpu)) {
                if !scopes.contains(&need) {
                    scopes.push(need);
                }
            }
        }
    });
    scopes.into_iter().fold(node, |body, scope| Node::Guard {
        scope,
        body: Box::new(body),
    })
}
