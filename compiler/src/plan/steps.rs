//! The steps that carry out means: instructions, loops over sets, debts, and what errata want beside them.

use tlbc_runtime::deferred::Deferred;

use super::choose::Choice;
use super::ir::{Issue, Node, Over};
use super::pool::{How, Means, Names, Primitive, Setting};
use super::workarounds;
use crate::model::{Model, Need};

/// The nodes of means, debts last. With `beside`, what errata want behind them follows each.
pub fn issues<'a>(
    setting: &Setting<'_>,
    means: impl Iterator<Item = &'a Means>,
    hint: bool,
    beside: bool,
) -> Vec<Node> {
    let model = setting.model;
    let mut means: Vec<&Means> = means.collect();
    means.sort_by_key(|m| m.is_deferred());
    let node = move |m: &Means| {
        let issue = |primitive| issue_of(m, primitive, hint);
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
            How::Sets { first, rest, count } => {
                let (first, rest) = (issue(first), issue(rest));
                let mut nodes = vec![Node::Issue(first)];
                if count > 1 {
                    nodes.push(Node::Each {
                        over: Over::Sets { first: 1, count },
                        body: Box::new(Node::Issue(rest)),
                        rest: None,
                    });
                }
                with_workarounds(first, nodes)
            }
            How::InvalidateOtherTags => vec![Node::InvalidateOtherTags],
            How::DeferView => vec![Node::Defer(Deferred::VIEW_UNTIL_RETURN)],
        }
    };
    means.into_iter().flat_map(node).collect()
}

/// One instruction of a means.
pub fn issue_of(means: &Means, primitive: Primitive, hint: bool) -> Issue {
    Issue {
        invalidate: primitive.invalidate,
        form: primitive.form,
        space: means.space,
        view: means.view,
        tag: means.view.and(means.tag),
        address: means.names != Names::Everything,
        hint: hint && !means.hinted.is_empty(),
    }
}

/// Wrapped in what its instructions need of the caller.
pub fn guarded(model: &Model, choice: &Choice, node: Node) -> Node {
    let mut scopes: Vec<Need> = Vec::new();
    for means in &choice.means {
        let primitives = means.how.primitives();
        let stated = primitives.flat_map(|p| &model.invalidates[p.invalidate].needs);
        let same = means
            .after
            .iter()
            .any(|&barrier| model.barriers[barrier].same_cpu);
        let needs = stated.map(|need| need.value);
        for need in needs.chain(same.then_some(Need::SameCpu)) {
            if !scopes.contains(&need) {
                scopes.push(need);
            }
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
