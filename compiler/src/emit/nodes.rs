//! Nodes: the Rust code of each step of a plan.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::passes::Walks;
use tlbc_runtime::request::{Reach, Space};

use super::config::hex;
use super::decisions::tables;
use super::names::local;
use super::parameters::{At, nothing};
use super::{Emit, comment};
use crate::model::{Need, Which};
use crate::plan::ir::{Node, Shape};

impl Emit<'_> {
    pub(super) fn node(&self, node: &Node, at: At, shape: Shape) -> TokenStream {
        match node {
            Node::Seq(nodes) => nodes
                .iter()
                .map(|node| self.node(node, at, shape))
                .collect(),
            Node::Select {
                on,
                then,
                otherwise,
            } => self.select(*on, then, otherwise, at, shape),
            Node::Guard { scope, body } => {
                let note = comment(match scope {
                    Need::SameCpu => "The caller stays on this CPU until completion.",
                    Need::InterruptsOff => "The caller has interrupts off.",
                    Need::Lock => "The caller holds the lock: one flush at a time in the machine.",
                });
                let body = self.node(body, at, shape);
                quote!(#note #body)
            }
            Node::Publish { barrier: None }
            | Node::Nothing(_)
            | Node::Fold(_)
            | Node::Count(_)
            | Node::CompletePending(_)
            | Node::InvalidateSecondary => {
                quote!()
            }
            Node::Store => quote!(slot.store(change.new_bits);),
            Node::Publish { barrier: Some(b) } => self.barrier(*b),
            Node::Complete { barrier } | Node::Resync { barrier } => self.barrier(*barrier),
            Node::Issue(issue) => self.issued(Which::Invalidate(issue.invalidate), &|name| {
                self.parameter(issue, name, at)
            }),
            Node::Ceiling {
                count,
                beyond,
                within,
            } => self.ceiling_of(count, *beyond, within, shape),
            Node::Loop { over, each, rest } => self.repeat(*over, each, rest.as_deref(), shape),
            Node::Workaround {
                erratum,
                number,
                of,
            } => self.workaround((*erratum, *number), of.as_ref(), at),
            Node::SendIpi { to, .. } => {
                let note = comment(
                    "The barrier does not drain accesses of these CPUs; handling an IPI does.",
                );
                let targets = ipi_targets(*to);
                quote!(#note sync_ipis = #targets;)
            }
            Node::Defer(deferred) => defer(*deferred),
            Node::Requires(steps) => {
                let steps = finish_steps(*steps);
                quote!(outcome.steps |= #steps;)
            }
            Node::InvalidateOtherTags => {
                let note = comment("Other tags of this CPU are invalidated lazily.");
                let defer = defer(Deferred::OTHERS_UNTIL_LOAD);
                quote!(#note #defer)
            }
            Node::Load {
                load,
                view,
                empty,
                keep,
            } => self.load(*load, *view, *empty, *keep),
            Node::Call(other) => self.call_from(*other, shape),
        }
    }

    /// Returns the variable of an operand.
    pub(super) fn local(&self, operand: usize) -> Ident {
        local(operand, &self.model.operands[operand].named.name)
    }

    pub(super) fn barrier(&self, barrier: usize) -> TokenStream {
        let variant = self.names.variant(Which::Barrier(barrier));
        quote!(cpu.issue(Op::#variant);)
    }

    pub(super) fn load(&self, load: usize, view: usize, empty: bool, keep: bool) -> TokenStream {
        self.issued(Which::Load(load), &|parameter| match parameter {
            "c" => quote!(c),
            "tag" => self.tag(Space::User, view, &quote!(to.tag.value)),
            "root" if empty => quote!(to.empty),
            "root" => quote!(to.table),
            "keep" => quote!(#keep),
            other => nothing(other),
        })
    }

    /// Returns a call of another shape.
    pub(super) fn call_from(&self, other: Shape, shape: Shape) -> TokenStream {
        if !self.acts(other) {
            return quote!();
        }
        if let Shape::Passes(space, reach) = other {
            return self.in_passes(space, reach);
        }
        let event = matches!(
            shape,
            Shape::Switch | Shape::ReturnToUser | Shape::CpuOnline
        );
        let argument = |parameter: &str| match parameter {
            "tag" if event => quote!(to.tag.value),
            "tables" if event => quote!(true),
            "global" if event => quote!(to.tag.global),
            // An event completes its flush by this call only where every flush requires the same steps.
            "steps" if event => quote!(FinishSteps::NONE),
            "tables" => tables(shape),
            // A loop has one by value.
            "pass" if matches!(shape, Shape::Passes(..)) => quote!(&pass),
            name => {
                let name = format_ident!("{name}");
                quote!(#name)
            }
        };
        let call = self.call(other, &argument);
        if self.returns_ipis(other) {
            if self.returns_ipis(shape) {
                quote!(sync_ipis = #call;)
            } else {
                quote!(let _ = #call;)
            }
        } else if self.returns_outcome(other) {
            quote!(outcome |= #call;)
        } else if self.defers(other) {
            quote!(outcome.deferred |= #call;)
        } else {
            quote!(#call;)
        }
    }

    /// Returns the flush of ranges in passes: of a single pass directly, of others after they are sorted.
    fn in_passes(&self, space: Space, reach: Reach) -> TokenStream {
        let folding = self.plans.get(Shape::Folding(space, reach));
        let folding = folding.map_or_else(
            || quote!(Folding::default()),
            |plan| self.folding(&plan.body, plan.shape),
        );
        let call = |passes: &TokenStream| {
            self.call(Shape::Passes(space, reach), &|parameter| match parameter {
                "passes" => passes.clone(),
                name => {
                    let name = format_ident!("{name}");
                    quote!(#name)
                }
            })
        };
        let (single, sorted) = (call(&quote!(&single)), call(&quote!(sorted)));
        quote! {
            let levels = level_table(c);
            outcome |= match SinglePass::new(ranges, levels) {
                Some(single) => #single,
                None => {
                    let folding = #folding;
                    SortedPasses::apply(ranges, levels, folding, |sorted| #sorted)
                }
            };
        }
    }

    /// Returns the expression for which entries one instruction invalidates together.
    fn folding(&self, node: &Node, shape: Shape) -> TokenStream {
        match node {
            Node::Select {
                on,
                then,
                otherwise,
            } => self.choice(*on, (then, otherwise), shape, &|node| {
                self.folding(node, shape)
            }),
            Node::Fold(folding) => {
                let walks = match folding.walks {
                    Walks::Named => quote!(Named),
                    Walks::All => quote!(All),
                    Walks::Apart => quote!(Apart),
                };
                let leaves = folding.leaves.then(|| quote!(.with_leaves()));
                let joint = folding.joint.then(|| quote!(.with_joint()));
                let negative = folding.negative.then(|| quote!(.with_negative()));
                quote!(Folding::new(Walks::#walks) #leaves #joint #negative)
            }
            _ => quote!(Folding::default()),
        }
    }
}

pub(super) fn finish_steps(steps: FinishSteps) -> TokenStream {
    let bits = hex(u64::from(steps.0));
    quote!(FinishSteps(#bits))
}

fn defer(deferred: Deferred) -> TokenStream {
    let names = [
        (Deferred::OTHERS_UNTIL_LOAD, "OTHERS_UNTIL_LOAD"),
        (Deferred::VIEW_UNTIL_RETURN, "VIEW_UNTIL_RETURN"),
        (Deferred::LAZY_UNTIL_LOAD, "LAZY_UNTIL_LOAD"),
        (Deferred::INACTIVE_UNTIL_LOAD, "INACTIVE_UNTIL_LOAD"),
        (Deferred::SPACE_UNTIL_ATTACH, "SPACE_UNTIL_ATTACH"),
    ];
    let bits = names.iter().filter(|(bit, _)| deferred.contains(*bit));
    let bits = bits.map(|(_, name)| format_ident!("{name}"));
    quote!(outcome.deferred |= #(Deferred::#bits)|*;)
}

pub fn ipi_targets(to: IpiTargets) -> TokenStream {
    let names = [
        (Agents::ACTIVE, "ACTIVE"),
        (Agents::LAZY, "LAZY"),
        (Agents::INACTIVE, "INACTIVE"),
    ];
    let mut agents = quote!(Agents::NONE);
    let mut first = true;
    for (bit, name) in names.iter().filter(|(bit, _)| to.agents.covers(*bit)) {
        let name = format_ident!("{name}");
        let _ = bit;
        agents = if first {
            quote!(Agents::#name)
        } else {
            quote!(#agents.union(Agents::#name))
        };
        first = false;
    }
    let sets = hex(u64::from(to.sets));
    quote!(IpiTargets { agents: #agents, sets: #sets })
}
