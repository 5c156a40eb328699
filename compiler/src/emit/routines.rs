//! Routines: one method a plan, its body a fold over the plan's nodes.
//!
//! A method takes the parameters that its body mentions, and answers with what it owes if any of
//! its branches owes something.

use std::collections::BTreeSet;
use std::rc::Rc;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use tlbc_runtime::agents::Agents;
use tlbc_runtime::request::{Reach, Space};

use super::names::settled;
use super::nodes::ipi_targets;
use super::operands::mentions;
use super::parameters::At;
use super::{Body, Emit, doc};
use crate::model::{Instr, Model};
use crate::plan::ir::{Issue, Node, Plan, Shape, Test};
use crate::plan::{Plans, issued};
use crate::trace::interpret::Which;

/// What a routine may be given, in the order of its parameters.
const PARAMETERS: [(&str, &str); 16] = [
    ("tag", "u64"),
    ("global", "bool"),
    ("va", "u64"),
    ("level", "Level"),
    ("walk", "bool"),
    ("ends", "bool"),
    ("pass", "&Pass"),
    ("ranges", "&Ranges"),
    ("to", "&Root"),
    ("pending", "Pending"),
    ("owed_view", "bool"),
    ("slot", "&Slot<'_>"),
    ("change", "&Change"),
    ("kind", "Kind"),
    ("owner", "&Owner"),
    ("steps", "FinishSteps"),
];

/// Those of a shape.
fn may_take(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Page(..) => &["tag", "global", "va", "level", "walk"],
        Shape::Pass(..) => &["tag", "global", "pass"],
        Shape::Ranges(..) => &["tag", "global", "ranges"],
        Shape::Everything(..) | Shape::Teardown(..) => &["tag", "global", "walk"],
        Shape::IpiTargets(_) => &["global", "walk", "ends"],
        Shape::Change => &["tag", "slot", "change", "kind", "owner"],
        Shape::Finish(..) => &["global", "steps"],
        Shape::Switch => &["to", "pending"],
        Shape::ReturnToUser => &["to", "owed_view"],
        Shape::EnterFromUser => &["to"],
        Shape::Publish(_) | Shape::Folding(..) | Shape::CpuOnline => &[],
    }
}

/// A routine's name.
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
        Shape::Publish(Space::User) => format_ident!("user_publish"),
        Shape::Publish(Space::Kernel) => format_ident!("kernel_publish"),
        Shape::Switch => format_ident!("switch_to"),
        Shape::ReturnToUser => format_ident!("resume_user"),
        Shape::EnterFromUser => format_ident!("enter_kernel"),
        Shape::CpuOnline => format_ident!("forget_all"),
    }
}

/// The instructions that some plan issues.
pub fn used(model: &Model, plans: &Plans) -> BTreeSet<Which> {
    let mut used = BTreeSet::new();
    for plan in plans.iter() {
        plan.body.walk(&mut |node| {
            used.extend(match node {
                Node::Publish { barrier: Some(b) } => Some(Which::Barrier(*b)),
                Node::Complete { barrier, .. } | Node::Resync { barrier } => {
                    Some(Which::Barrier(*barrier))
                }
                Node::Issue(issue) => Some(Which::Invalidate(issue.invalidate)),
                Node::Workaround {
                    erratum, number, ..
                } => match issued(model, *erratum, *number).instr {
                    Instr::Invalidate(invalidate) => Some(Which::Invalidate(invalidate)),
                    Instr::Barrier(_) => None,
                },
                Node::Load { load, .. } => Some(Which::Load(*load)),
                _ => None,
            });
        });
    }
    used
}

impl Emit<'_> {
    /// Whether any node satisfies a predicate, in a shape or in those that it calls.
    pub(super) fn any(&self, shape: Shape, is: &dyn Fn(&Node) -> bool) -> bool {
        let mut found = false;
        if let Some(plan) = self.plans.get(shape) {
            plan.body.walk(&mut |node| {
                found |=
                    is(node) || matches!(node, Node::Call(other) if !found && self.any(*other, is));
            });
        }
        found
    }

    /// Whether a shape does anything.
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

    /// Whether a shape may owe something.
    pub(super) fn owes(&self, shape: Shape) -> bool {
        self.any(shape, &|node| {
            matches!(node, Node::Defer(_) | Node::InvalidateOtherTags)
        })
    }

    /// Whether a routine notes what it leaves to be done.
    fn notes(&self, shape: Shape) -> bool {
        self.any(shape, &|node| {
            matches!(
                node,
                Node::Defer(_)
                    | Node::InvalidateOtherTags
                    | Node::Requires(_)
                    | Node::Select {
                        on: Test::OverCeiling(_),
                        ..
                    }
            )
        })
    }

    /// Whether a routine returns all that it leaves to be done: those of a flush do, events complete what they issue.
    pub(super) fn leaves(&self, shape: Shape) -> bool {
        let started = matches!(
            shape,
            Shape::Page(..) | Shape::Ranges(..) | Shape::Everything(..) | Shape::Teardown(..)
        );
        started && self.notes(shape)
    }

    /// Whether a shape answers with CPUs to interrupt with nothing to do.
    pub(super) fn interrupts(&self, shape: Shape) -> bool {
        matches!(shape, Shape::Finish(..))
            && self.any(shape, &|node| matches!(node, Node::SendIpi { .. }))
    }

    /// The parameters that a shape takes.
    pub(super) fn parameters(&self, shape: Shape) -> Vec<&'static str> {
        let Some(plan) = self.plans.get(shape) else {
            return Vec::new();
        };
        let body = self.body(plan);
        // A pass is taken apart, and what is owed for tables follows from the ranges.
        let parts = |name: &str| match (plan.shape, name) {
            (Shape::Pass(..), "pass") | (Shape::Change, "slot" | "change") => true,
            (Shape::Ranges(..), "ranges") => ["ranges", "walk", "negative"]
                .iter()
                .any(|name| body.mentions(name)),
            _ => body.mentions(name),
        };
        let may = may_take(shape).iter().copied();
        may.filter(|name| parts(name)).collect()
    }

    /// A call of a shape; `argument` says where a parameter comes from.
    pub(super) fn call(&self, shape: Shape, argument: &dyn Fn(&str) -> TokenStream) -> TokenStream {
        self.call_on(&quote!(self), shape, argument)
    }

    /// The same, on this backend.
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
            self.acts(plan.shape) && flush || matches!(plan.shape, Shape::Folding(..))
        });
        let methods: Vec<TokenStream> = methods.map(|plan| self.routine(plan)).collect();
        let told = [Space::User, Space::Kernel].map(|space| self.told(space));
        quote! {
            impl Tlb { #(#methods)* #(#told)* }
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
        let walk = matches!(plan.shape, Shape::Ranges(..)) && body.mentions("walk");
        let walk = walk.then(|| quote!(let walk = ranges.tables();));
        let negative = matches!(plan.shape, Shape::Ranges(..)) && body.mentions("negative");
        let negative = negative.then(|| quote!(let negative = ranges.have_appeared();));
        let pass = (plan.shape == Shape::Change).then(|| {
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
        let parts = matches!(plan.shape, Shape::Pass(..) | Shape::Change).then(|| {
            let parts = ["start", "entries", "stride", "leaf", "walk", "negative"];
            let parts = parts.iter().filter(|part| body.mentions(part)).map(|part| {
                let name = format_ident!("{part}");
                quote!(let #name = pass.#name;)
            });
            let hint = body.mentions("hinted").then(hint_of_pass);
            let parts: TokenStream = parts.collect();
            quote!(#parts #hint)
        });
        let mut before = [&pass, &parts].into_iter().flatten();
        let c = body.mentions("c") || before.any(|it| mentions(it, "c"));
        let c = c.then(|| quote!(let c = self.config;));
        let text = doc(&self.introduction(plan));
        if let Shape::Folding(..) = plan.shape {
            return quote! {
                #text
                #[inline]
                fn #name(&self) -> Folding { #c #tokens }
            };
        }
        let inline = match plan.shape {
            Shape::Pass(..) | Shape::Ranges(..) | Shape::Everything(..) | Shape::Teardown(..) => {
                quote!(#[inline(never)])
            }
            // The one-page flush is a straight line wherever it is called.
            Shape::Page(..) | Shape::Finish(..) => quote!(#[inline(always)]),
            _ => quote!(#[inline]),
        };
        let interrupts = self.interrupts(plan.shape);
        let interrupt = interrupts.then(|| quote!(let mut sync_ipis = IpiTargets::NONE;));
        let outcome = (self.notes(plan.shape) && !interrupts)
            .then(|| quote!(let mut outcome = Outcome::NOTHING;));
        let (end, answer) = if interrupts {
            (quote!(sync_ipis), quote!(-> IpiTargets))
        } else if self.leaves(plan.shape) {
            (quote!(outcome), quote!(-> Outcome))
        } else if self.owes(plan.shape) {
            (quote!(outcome.deferred), quote!(-> Deferred))
        } else {
            (quote!(), quote!())
        };
        settled(quote! {
            #text
            #inline
            fn #name<C: Issue<Op>>(&self, cpu: &mut C, #(#parameters),*) #answer {
                #c #tag #walk #negative #pass #parts #interrupt #outcome
                #tokens
                #end
            }
        })
    }

    /// What a routine is for, what it has to drop, and where it comes from.
    pub(super) fn introduction(&self, plan: &Plan) -> String {
        let of = |space| match space {
            Space::User => "a user space",
            Space::Kernel => "the kernel",
        };
        let by = |reach| match reach {
            Reach::Here => "that only this CPU may hold",
            Reach::Wide => "that other CPUs may hold as well",
        };
        let mut text = match plan.shape {
            Shape::Page(s, r) => format!(
                "One leaf entry of {} {}, and with `walk` the table it stood in.",
                of(s),
                by(r)
            ),
            Shape::Ranges(s, r) => format!("Ranges of entries of {} {}.", of(s), by(r)),
            Shape::Pass(s, r, stage) => format!(
                "Consecutive entries of one level of {} {}: `entries` from `start`{}.",
                of(s),
                by(r),
                if stage == 0 {
                    ""
                } else {
                    ", in caches that make theirs from entries that are gone"
                }
            ),
            Shape::Folding(s, r) => format!(
                "How far one instruction reaches, for ranges of {} {}.",
                of(s),
                by(r)
            ),
            Shape::Everything(s, r) => format!("Every entry of {} {}.", of(s), by(r)),
            Shape::Teardown(s, r) => format!(
                "Every entry of {} {}, and what binds its tag to its top table.",
                of(s),
                by(r)
            ),
            Shape::Change => {
                "Changes table entries by the instructions that write them.".to_owned()
            }
            Shape::Publish(s) => format!("Makes new entries of {} visible to walkers.", of(s)),
            Shape::Finish(s, r) => format!("Completion, for entries of {} {}.", of(s), by(r)),
            Shape::Switch => "Loads another address space.".to_owned(),
            Shape::ReturnToUser => "Loads what user code runs on.".to_owned(),
            Shape::EnterFromUser => "Loads what the kernel runs on after user code ran.".to_owned(),
            Shape::CpuOnline => "Drops everything, whoever's it is.".to_owned(),
            Shape::IpiTargets(_) => String::new(),
        };
        for (clause, holders) in &plan.required {
            let kind = match (clause.kinds.root, clause.kinds.leaf.is_empty()) {
                (true, _) => "root",
                (false, true) => "walk",
                (false, false) => "leaf",
            };
            let mut classes = Vec::new();
            let names = [
                (clause.tags.this, "under the space's tag"),
                (clause.tags.other, "under other tags"),
                (clause.tags.global, "that are global"),
            ];
            classes.extend(names.iter().filter(|(is, _)| *is).map(|(_, name)| *name));
            let holders: Vec<&str> = holders.iter().map(Agents::name).collect();
            text.push_str(&format!(
                "\n\nOwes: {kind} entries {}, on {}.",
                classes.join(" and "),
                holders.join(", ")
            ));
        }
        if !plan.cites.is_empty() {
            let places: Vec<String> = plan.cites.iter().map(|&span| self.place(span)).collect();
            let mut places: Vec<&str> = places.iter().map(String::as_str).collect();
            places.dedup();
            text.push_str(&format!("\n\nFrom: {}.", places.join(", ")));
        }
        text
    }

    /// The body of a plan's routine; made once, since callers ask what it mentions.
    pub(super) fn body(&self, plan: &Plan) -> Rc<Body> {
        if let Some(body) = self.bodies.borrow().get(&plan.shape) {
            return Rc::clone(body);
        }
        let at = match plan.shape {
            Shape::Page(..) => At::Page,
            Shape::Pass(..) | Shape::Change => At::First,
            _ => At::Nothing,
        };
        let body = Rc::new(Body::new(self.node(&plan.body, at, plan.shape)));
        self.bodies
            .borrow_mut()
            .insert(plan.shape, Rc::clone(&body));
        body
    }

    /// Who is interrupted: an expression a branch.
    pub(super) fn told(&self, space: Space) -> TokenStream {
        let shape = Shape::IpiTargets(space);
        let Some(plan) = self.plans.get(shape).filter(|_| self.acts(shape)) else {
            return quote!();
        };
        let name = name(shape);
        let body = Body::new(self.told_by(&plan.body, shape));
        let c = body.mentions("c").then(|| quote!(let c = self.config;));
        let parameters = PARAMETERS.iter().filter(|(name, _)| body.mentions(name));
        let parameters = parameters.map(|(name, _)| {
            let name = format_ident!("{name}");
            quote!(#name: bool)
        });
        let tokens = &body.tokens;
        let text = doc(
            "The CPUs to send an IPI for a request that other CPUs may have cached entries of.",
        );
        quote! {
            #text
            #[inline(always)]
            fn #name(&self, #(#parameters),*) -> IpiTargets { #c #tokens }
        }
    }

    pub(super) fn told_by(&self, node: &Node, shape: Shape) -> TokenStream {
        match node {
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                let test = self.test(*on, shape);
                let (then, otherwise) = (self.told_by(then, shape), self.told_by(otherwise, shape));
                quote!(if #test { #then } else { #otherwise })
            }
            Node::SendIpi { to, .. } => ipi_targets(*to),
            _ => quote!(IpiTargets::NONE),
        }
    }

    /// Arguments of a `Told` shape, in order.
    pub(super) fn told_arguments(&self, space: Space) -> Option<Vec<&'static str>> {
        let shape = Shape::IpiTargets(space);
        let plan = self.plans.get(shape).filter(|_| self.acts(shape))?;
        let body = Body::new(self.told_by(&plan.body, shape));
        let taken = PARAMETERS.iter().filter(|(name, _)| body.mentions(name));
        Some(taken.map(|(name, _)| *name).collect())
    }
}

/// Whether an instruction is given the tag of the space at hand.
fn names_tag(body: &Node) -> bool {
    let mut found = false;
    body.walk(&mut |node| {
        let given = |issue: &Issue| issue.view.is_some() && issue.tag.is_none();
        found |= matches!(node, Node::Issue(issue) if given(issue));
    });
    found
}

fn hint_of_pass() -> TokenStream {
    quote!(let hinted = match pass.hint { Some(level) => hint_of(c, level), None => None };)
}
