//! Routines: one method for each plan; its body is a fold over the plan's nodes.
//!
//! A method has the parameters that its body mentions, and returns what it defers if any of its branches defers
//! something.

use std::collections::BTreeSet;
use std::rc::Rc;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use tlbc_runtime::request::{Reach, Space};

use super::nodes::ipi_targets;
use super::parameters::At;
use super::{Body, Emit, doc};
use crate::model::Which;
use crate::model::{Instr, Model};
use crate::plan::Plans;
use crate::plan::ir::{Issue, Node, Plan, Shape};

/// The parameters of routines, in order.
const PARAMETERS: [(&str, &str); 17] = [
    ("tag", "u64"),
    ("global", "bool"),
    ("va", "u64"),
    ("level", "Level"),
    ("tables", "bool"),
    ("teardown", "bool"),
    ("pass", "&Pass"),
    ("ranges", "&Ranges"),
    ("passes", "&impl Passes"),
    ("to", "&Root"),
    ("pending", "Pending"),
    ("view_deferred", "bool"),
    ("slot", "&Slot<'_>"),
    ("change", "&Change"),
    ("kind", "Kind"),
    ("owner", "&Owner"),
    ("steps", "FinishSteps"),
];

/// Returns the parameters that a routine of a shape may have.
fn may_take(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Page(..) => &["tag", "global", "va", "level", "tables"],
        Shape::Pass(..) => &["tag", "global", "pass"],
        Shape::Ranges(..) => &["tag", "global", "ranges"],
        Shape::Passes(..) => &["tag", "global", "passes"],
        Shape::Everything(..) | Shape::Teardown(..) => &["tag", "global", "tables"],
        Shape::IpiTargets(_) => &["global", "tables", "teardown"],
        Shape::Change => &["tag", "slot", "change", "kind", "owner"],
        Shape::Invalidate | Shape::Replace | Shape::Relax => {
            &["tag", "pass", "slot", "change", "owner"]
        }
        Shape::Finish(..) => &["global", "steps"],
        Shape::Switch => &["to", "pending"],
        Shape::ReturnToUser => &["to", "view_deferred"],
        Shape::EnterFromUser => &["to"],
        Shape::Publish(_) | Shape::Folding(..) | Shape::CpuOnline => &[],
    }
}

/// Returns the name of a routine.
pub fn name(shape: Shape) -> Ident {
    let of = |what: &str, space: Space, reach: Reach| {
        let space = match space {
            Space::User => "user",
            Space::Kernel => "kernel",
        };
        let reach = match reach {
            Reach::Here => "here",
            Reach::Wide => "wide",
        };
        format_ident!("{space}_{reach}_{what}")
    };
    match shape {
        Shape::Page(space, reach) => of("page", space, reach),
        Shape::Ranges(space, reach) => of("ranges", space, reach),
        Shape::Passes(space, reach) => of("passes", space, reach),
        Shape::Pass(space, reach, stage) => of(
            ["pass", "second_pass", "third_pass", "fourth_pass"][usize::from(stage)],
            space,
            reach,
        ),
        Shape::Folding(space, reach) => of("folding", space, reach),
        Shape::Everything(space, reach) => of("everything", space, reach),
        Shape::Teardown(space, reach) => of("teardown", space, reach),
        Shape::Finish(space, reach) => of("finish", space, reach),
        Shape::IpiTargets(Space::User) => format_ident!("user_ipi_targets"),
        Shape::IpiTargets(Space::Kernel) => format_ident!("kernel_ipi_targets"),
        Shape::Change => format_ident!("change_entry"),
        Shape::Invalidate => format_ident!("invalidate_entries"),
        Shape::Replace => format_ident!("replace_entries"),
        Shape::Relax => format_ident!("relax_entries"),
        Shape::Publish(Space::User) => format_ident!("user_publish"),
        Shape::Publish(Space::Kernel) => format_ident!("kernel_publish"),
        Shape::Switch => format_ident!("switch_to"),
        Shape::ReturnToUser => format_ident!("load_user_view"),
        Shape::EnterFromUser => format_ident!("load_kernel_view"),
        Shape::CpuOnline => format_ident!("invalidate_all"),
    }
}

/// Returns the instructions that a node issues.
pub(super) fn instructions_of(model: &Model, node: &Node) -> Vec<Which> {
    match node {
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

/// Returns the instructions that some plan issues.
pub fn used(model: &Model, plans: &Plans) -> BTreeSet<Which> {
    let mut used = BTreeSet::new();
    for plan in plans.iter() {
        plan.body
            .walk(&mut |node| used.extend(instructions_of(model, node)));
    }
    used
}

impl Emit<'_> {
    /// Returns whether a predicate holds for any node of a shape, or of the shapes that it calls.
    pub(super) fn any(&self, shape: Shape, is: &dyn Fn(&Node) -> bool) -> bool {
        let mut found = false;
        if let Some(plan) = self.plans.get(shape) {
            plan.body.walk(&mut |node| {
                let next = match node {
                    Node::Call(other) | Node::Ceiling { beyond: other, .. } => Some(*other),
                    _ => None,
                };
                found |= is(node) || next.is_some_and(|next| !found && self.any(next, is));
            });
        }
        found
    }

    /// Returns whether a shape has any effect.
    pub(super) fn acts(&self, shape: Shape) -> bool {
        self.any(shape, &|node| {
            matches!(
                node,
                Node::Publish { barrier: Some(_) }
                    | Node::Issue(_)
                    | Node::Complete { .. }
                    | Node::Resync { .. }
                    | Node::Workaround { .. }
                    | Node::Load { .. }
                    | Node::Defer(_)
                    | Node::InvalidateOtherTags
                    | Node::SendIpi { .. }
            )
        })
    }

    /// Returns whether a shape may defer something.
    pub(super) fn defers(&self, shape: Shape) -> bool {
        self.any(shape, &|node| {
            matches!(node, Node::Defer(_) | Node::InvalidateOtherTags)
        })
    }

    /// Returns whether a routine has an outcome to record.
    fn has_outcome(&self, shape: Shape) -> bool {
        self.any(shape, &|node| {
            matches!(
                node,
                Node::Defer(_)
                    | Node::InvalidateOtherTags
                    | Node::Requires(_)
                    | Node::Ceiling { .. }
            )
        })
    }

    /// Returns whether a routine returns an outcome. Those that start a flush do; events complete what they issue.
    pub(super) fn returns_outcome(&self, shape: Shape) -> bool {
        let started = matches!(
            shape,
            Shape::Page(..)
                | Shape::Ranges(..)
                | Shape::Passes(..)
                | Shape::Everything(..)
                | Shape::Teardown(..)
        );
        started && self.has_outcome(shape)
    }

    /// Returns whether a shape returns CPUs that get an IPI without a flush.
    pub(super) fn returns_ipis(&self, shape: Shape) -> bool {
        matches!(shape, Shape::Finish(..))
            && self.any(shape, &|node| matches!(node, Node::SendIpi { .. }))
    }

    /// Returns the parameters of a shape.
    pub(super) fn parameters(&self, shape: Shape) -> Vec<&'static str> {
        let Some(plan) = self.plans.get(shape) else {
            return Vec::new();
        };
        let body = self.body(plan);
        // Entries of a change are counted in its slot.
        let parts = |name: &str| match (plan.shape, name) {
            (Shape::Change, "slot" | "change") => true,
            _ => body.mentions(name),
        };
        let may = may_take(shape).iter().copied();
        may.filter(|name| parts(name)).collect()
    }

    /// Returns a call of a shape; `argument` returns the value of a parameter.
    pub(super) fn call(&self, shape: Shape, argument: &dyn Fn(&str) -> TokenStream) -> TokenStream {
        self.call_on(&quote!(self), shape, argument)
    }

    /// Returns a call of a shape on a backend.
    pub(super) fn call_on(
        &self,
        receiver: &TokenStream,
        shape: Shape,
        argument: &dyn Fn(&str) -> TokenStream,
    ) -> TokenStream {
        let name = name(shape);
        let arguments = self.parameters(shape).into_iter().map(argument);
        quote!(#receiver.#name(cpu, #(#arguments),*))
    }

    pub(super) fn routines(&self) -> TokenStream {
        let methods = self.plans.iter().filter(|plan| {
            let stores = plan.shape == Shape::Change && self.model.change.plain_store.value;
            let flush = !matches!(plan.shape, Shape::IpiTargets(_)) && !stores;
            self.acts(plan.shape) && flush && !matches!(plan.shape, Shape::Folding(..))
        });
        let methods: Vec<TokenStream> = methods.map(|plan| self.routine(plan)).collect();
        let targets = [Space::User, Space::Kernel].map(|space| self.ipi_targets_of(space));
        quote! {
            impl<M: Configuration<Config>> Tlb<M> { #(#methods)* #(#targets)* }
        }
    }

    pub(super) fn routine(&self, plan: &Plan) -> TokenStream {
        let name = name(plan.shape);
        let body = self.body(plan);
        let taken = self.parameters(plan.shape);
        let parameters = PARAMETERS
            .iter()
            .filter(|(name, _)| taken.contains(name))
            .map(|(name, of)| {
                let name = format_ident!("{name}");
                let of: TokenStream = of.parse().unwrap_or_default();
                quote!(#name: #of)
            });
        let tokens = &body.tokens;
        let pass = (plan.shape == Shape::Change && body.mentions("pass")).then(|| {
            quote! {
                let pass = &Pass {
                    start: slot.va,
                    entries: slot.entries.len() as u64,
                    stride: change.level,
                    shift: shift_of(c, change.level),
                    ..Pass::default()
                };
            }
        });
        let tag = (plan.shape == Shape::Switch && names_tag(&plan.body))
            .then(|| quote!(let tag = to.tag.value;));
        let hint = (body.mentions("hinted"))
            .then(|| quote!(let hinted = pass.hint.and_then(|level| hint_of(c, level));));
        let c = body.mentions("c") || pass.is_some() || hint.is_some();
        let c = c.then(|| quote!(let c = self.config.flags();));
        let text = doc(&self.introduction(plan));
        let inline = match plan.shape {
            Shape::Ranges(..) | Shape::Everything(..) | Shape::Teardown(..) => {
                quote!(#[inline(never)])
            }
            // The flush of one page has no loops. With a single pass, most of its fields are constants.
            Shape::Page(..) | Shape::Pass(..) | Shape::Finish(..) => quote!(#[inline(always)]),
            _ => quote!(#[inline]),
        };
        let returns_ipis = self.returns_ipis(plan.shape);
        let sync_ipis = returns_ipis.then(|| quote!(let mut sync_ipis = IpiTargets::NONE;));
        let outcome = (self.has_outcome(plan.shape) && !returns_ipis)
            .then(|| quote!(let mut outcome = Outcome::NOTHING;));
        let (end, answer) = if returns_ipis {
            (quote!(sync_ipis), quote!(-> IpiTargets))
        } else if self.returns_outcome(plan.shape) {
            (quote!(outcome), quote!(-> Outcome))
        } else if self.defers(plan.shape) {
            (quote!(outcome.deferred), quote!(-> Deferred))
        } else {
            (quote!(), quote!())
        };
        quote! {
            #text
            #inline
            fn #name(&self, cpu: &mut impl Issue<Op>, #(#parameters),*) #answer {
                #c #tag #pass #hint #sync_ipis #outcome
                #tokens
                #end
            }
        }
    }

    /// Returns the body of a plan's routine. It is made once, because callers ask for the names in it.
    pub(super) fn body(&self, plan: &Plan) -> Rc<Body> {
        if let Some(body) = self.bodies.borrow().get(&plan.shape) {
            return Rc::clone(body);
        }
        let at = match plan.shape {
            Shape::Page(..) => At::Page,
            Shape::Pass(..) | Shape::Change | Shape::Invalidate | Shape::Replace | Shape::Relax => {
                At::First
            }
            _ => At::Nothing,
        };
        let body = Rc::new(Body::new(self.node(&plan.body, at, plan.shape)));
        self.bodies
            .borrow_mut()
            .insert(plan.shape, Rc::clone(&body));
        body
    }

    /// Returns the function that chooses the CPUs to send an IPI.
    pub(super) fn ipi_targets_of(&self, space: Space) -> TokenStream {
        let shape = Shape::IpiTargets(space);
        let Some(plan) = self.plans.get(shape).filter(|_| self.acts(shape)) else {
            return quote!();
        };
        let name = name(shape);
        let body = Body::new(self.ipi_target(&plan.body, shape));
        let c = body
            .mentions("c")
            .then(|| quote!(let c = self.config.flags();));
        let parameters = PARAMETERS.iter().filter(|(name, _)| body.mentions(name));
        let parameters = parameters.map(|(name, _)| {
            let name = format_ident!("{name}");
            quote!(#name: bool)
        });
        let tokens = &body.tokens;
        let text = doc(
            "Returns the CPUs to send an IPI for a request whose entries other CPUs may have cached.",
        );
        quote! {
            #text
            #[inline(always)]
            fn #name(&self, #(#parameters),*) -> IpiTargets { #c #tokens }
        }
    }

    /// Returns the expression for the CPUs to send an IPI.
    fn ipi_target(&self, node: &Node, shape: Shape) -> TokenStream {
        match node {
            Node::Select {
                on,
                then,
                otherwise,
            } => self.choice(*on, (then, otherwise), shape, &|node| {
                self.ipi_target(node, shape)
            }),
            Node::SendIpi { to, .. } => ipi_targets(*to),
            _ => quote!(IpiTargets::NONE),
        }
    }

    /// Returns the arguments of the function that chooses the CPUs to send an IPI, in order.
    pub(super) fn ipi_target_arguments(&self, space: Space) -> Option<Vec<&'static str>> {
        let shape = Shape::IpiTargets(space);
        let plan = self.plans.get(shape).filter(|_| self.acts(shape))?;
        let body = Body::new(self.ipi_target(&plan.body, shape));
        let taken = PARAMETERS.iter().filter(|(name, _)| body.mentions(name));
        Some(taken.map(|(name, _)| *name).collect())
    }
}

/// Returns whether an instruction has the tag of the space as an operand.
fn names_tag(body: &Node) -> bool {
    let mut found = false;
    body.walk(&mut |node| {
        let given = |issue: &Issue| issue.view.is_some() && issue.tag.is_none();
        found |= matches!(node, Node::Issue(issue) if given(issue));
    });
    found
}
