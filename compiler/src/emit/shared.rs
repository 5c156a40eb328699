//! Routines that serve both spaces.
//!
//! In: the plans of a user space and of the kernel. Out: whether the kernel's is the user's with a constant tag. Holds: such a
//! plan is written once, and its routine takes the tag.

use tlbc_runtime::request::{Reach, Space};

use super::context::Emit;
use crate::plan::ir::{Issue, Node, Shape};

impl Emit<'_> {
    /// Returns the shape whose routine serves a shape, and the tag that it is called with if it serves another one.
    pub(super) fn served_by(&self, shape: Shape) -> (Shape, Option<u64>) {
        match shape {
            Shape::Pass(Space::Kernel, reach, stage) => match self.tag_of_passes(reach, stage) {
                Some(tag) => (Shape::Pass(Space::User, reach, stage), Some(tag)),
                None => (shape, None),
            },
            _ => (shape, None),
        }
    }

    /// Returns whether the routine of a shape serves both spaces.
    pub(super) fn serves_both(&self, shape: Shape) -> bool {
        matches!(shape, Shape::Pass(Space::User, reach, stage) if self.tag_of_passes(reach, stage).is_some())
    }

    /// Returns the tag of the kernel's passes, if they issue what those of a user space issue under another tag.
    fn tag_of_passes(&self, reach: Reach, stage: u8) -> Option<u64> {
        let [user, kernel] = [Space::User, Space::Kernel]
            .map(|space| self.plans.get(Shape::Pass(space, reach, stage)));
        let mut tag = None;
        let same = self.is_under_tag(&user?.body, &kernel?.body, &mut tag);
        tag.filter(|_| same)
    }

    /// Returns whether a node of the kernel is that of a user space with one constant tag, which `tag` becomes.
    fn is_under_tag(&self, user: &Node, kernel: &Node, tag: &mut Option<u64>) -> bool {
        match (user, kernel) {
            (Node::Issue(user), Node::Issue(kernel)) => self.issues_under_tag(user, kernel, tag),
            (Node::Seq(user), Node::Seq(kernel)) => {
                let mut both = user.iter().zip(kernel);
                user.len() == kernel.len()
                    && both.all(|(user, kernel)| self.is_under_tag(user, kernel, tag))
            }
            (
                Node::Select {
                    on,
                    then,
                    otherwise,
                },
                Node::Select {
                    on: kernel_on,
                    then: kernel_then,
                    otherwise: kernel_otherwise,
                },
            ) => {
                on == kernel_on
                    && self.is_under_tag(then, kernel_then, tag)
                    && self.is_under_tag(otherwise, kernel_otherwise, tag)
            }
            (
                Node::Loop { over, each, rest },
                Node::Loop {
                    over: kernel_over,
                    each: kernel_each,
                    rest: kernel_rest,
                },
            ) => {
                let rests = match (rest, kernel_rest) {
                    (Some(user), Some(kernel)) => self.is_under_tag(user, kernel, tag),
                    (None, None) => true,
                    _ => false,
                };
                over == kernel_over && rests && self.is_under_tag(each, kernel_each, tag)
            }
            _ => user == kernel,
        }
    }

    /// Returns whether an instruction of the kernel is that of a user space with one constant tag, which `tag` becomes.
    fn issues_under_tag(&self, user: &Issue, kernel: &Issue, tag: &mut Option<u64>) -> bool {
        let takes_tag = |issue: &Issue| issue.view.is_some() && issue.tag.is_none();
        let has_bits = user
            .view
            .is_some_and(|view| self.names.has_view(Space::User, view));
        let of_kernel = match (kernel.view, kernel.tag) {
            (None, _) => 0,
            (Some(_), Some(tag)) => tag,
            (Some(_), None) => return false,
        };
        let alike = Issue {
            space: kernel.space,
            view: kernel.view,
            tag: kernel.tag,
            ..*user
        };
        takes_tag(user)
            && !has_bits
            && alike == *kernel
            && *tag.get_or_insert(of_kernel) == of_kernel
    }
}
