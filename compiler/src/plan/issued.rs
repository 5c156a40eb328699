//! What nodes issue.

use super::ir::{Issue, Node};
use crate::model::{Instr, Model, Which};

impl Node {
    /// Returns the instructions that a node itself issues.
    #[must_use]
    pub fn instructions(&self, model: &Model) -> Vec<Which> {
        match self {
            Node::Publish {
                barrier: Some(barrier),
            }
            | Node::Complete { barrier }
            | Node::Resync { barrier } => vec![Which::Barrier(*barrier)],
            Node::Issue(issue) => vec![Which::Invalidate(issue.invalidate)],
            Node::Workaround {
                erratum, number, ..
            } => {
                let issue = &model.errata[*erratum].workarounds[*number].issue;
                let of_step = issue.iter().map(|issued| match issued.instr {
                    Instr::Invalidate(invalidate) => Which::Invalidate(invalidate),
                    Instr::Barrier(barrier) => Which::Barrier(barrier),
                });
                of_step.collect()
            }
            Node::Load { load, .. } => vec![Which::Load(*load)],
            _ => Vec::new(),
        }
    }

    /// Returns the instruction that a node issues on every path, if tests choose only its form.
    #[must_use]
    pub fn issue_in_some_form(&self) -> Option<Issue> {
        match self {
            Node::Issue(issue) => Some(*issue),
            Node::Select {
                then, otherwise, ..
            } => {
                let then = then.issue_in_some_form()?;
                let otherwise = otherwise.issue_in_some_form()?;
                let form = otherwise.form;
                (otherwise == Issue { form, ..then }).then_some(then)
            }
            _ => None,
        }
    }

    /// Returns the load of a register, the view whose tag it loads, and whether it loads the empty root, if tests choose only
    /// whether entries under the tag are kept.
    #[must_use]
    pub fn load_of_one_root(&self) -> Option<(usize, usize, bool)> {
        match self {
            Node::Load {
                load, view, empty, ..
            } => Some((*load, *view, *empty)),
            Node::Select {
                then, otherwise, ..
            } => {
                let load = then.load_of_one_root()?;
                (otherwise.load_of_one_root() == Some(load)).then_some(load)
            }
            _ => None,
        }
    }
}
