//! Nodes: the Rust code of each step of a plan.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::Space;
use tlbc_runtime::request::passes::Walks;

use super::config::hex;
use super::names::local;
use super::parameters::{At, nothing};
use super::routines::name;
use super::{Emit, comment};
use crate::model::Which;
use crate::model::{Instr, Issued, Need};
use crate::plan::ir::{Issue, Node, Shape};

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
            | Node::CompletePending(_)
            | Node::InvalidateSecondary => {
                quote!()
            }
            Node::Store => quote!(slot.store(change.new_bits);),
            Node::Publish { barrier: Some(b) } => self.barrier(*b),
            Node::Complete { barrier, .. } | Node::Resync { barrier } => self.barrier(*barrier),
            Node::Issue(issue) => {
                let note = self.cite(issue);
                let operands = &self.model.invalidates[issue.invalidate].template.operands;
                let lets = operands.iter().map(|&operand| {
                    let (name, value) = (self.local(operand), self.encode(issue, operand, at));
                    quote!(let #name = #value;)
                });
                let op = self.instruction(issue.invalidate, |operand| {
                    let name = self.local(operand);
                    quote!(#name)
                });
                quote!(#note #(#lets)* cpu.issue(#op);)
            }
            Node::Passes { folding, body } => {
                let body = self.node(body, at, shape);
                let folding = name(*folding);
                quote! {
                    let passes = Passes::new(ranges, level_table(c), self.#folding());
                    #body
                }
            }
            Node::Fold(folding) => {
                let leaves = folding.leaves;
                let walks = match folding.walks {
                    Walks::Named => quote!(Named),
                    Walks::All => quote!(All),
                    Walks::Apart => quote!(Apart),
                };
                let (joint, negative) = (folding.joint, folding.negative);
                quote!(Folding {
                    leaves: #leaves, walks: Walks::#walks, joint: #joint, negative: #negative
                })
            }
            Node::Each { over, body, rest } => self.each(*over, body, rest.as_deref(), shape),
            Node::Workaround {
                erratum,
                number: (number, step),
                of,
            } => {
                let erratum = &self.model.errata[*erratum];
                let note = comment(&format!("Erratum: {}.", erratum.named.text));
                let issued = &erratum.workarounds[*number].issue[*step];
                let op = self.workaround(issued, of.as_ref(), at);
                quote!(#note cpu.issue(#op);)
            }
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
        self.nth_local(operand, 0, &self.model.operands[operand].named.name)
    }

    /// Returns the variable of an operand in the nth instruction of a loop that has it.
    pub(super) fn nth_local(&self, operand: usize, nth: usize, natural: &str) -> Ident {
        local(operand + nth * self.model.operands.len(), natural)
    }

    pub(super) fn barrier(&self, barrier: usize) -> TokenStream {
        let variant = self.names.variant(Which::Barrier(barrier));
        quote!(cpu.issue(Op::#variant);)
    }

    pub(super) fn cite(&self, issue: &Issue) -> TokenStream {
        let it = &self.model.invalidates[issue.invalidate];
        let form = it.forms[issue.form]
            .named
            .as_ref()
            .map(|(named, _)| named.name.as_str());
        let view = issue
            .view
            .filter(|&view| !self.model.space(issue.space).views[view].loaded);
        let view = view.map(|view| {
            self.model.space(issue.space).views[view]
                .named
                .name
                .as_str()
        });
        let form = form.map(|form| format!("form {form}"));
        let view = view.map(|view| format!("view {view}"));
        let parts: Vec<String> = form.into_iter().chain(view).collect();
        if parts.is_empty() {
            return quote!();
        }
        comment(&format!("{}, {}", it.named.name, parts.join(", ")))
    }

    pub(super) fn instruction(
        &self,
        invalidate: usize,
        operand: impl Fn(usize) -> TokenStream,
    ) -> TokenStream {
        let variant = self.names.variant(Which::Invalidate(invalidate));
        let operands = &self.model.invalidates[invalidate].template.operands;
        if operands.is_empty() {
            return quote!(Op::#variant);
        }
        let fields = operands.iter().map(|&index| {
            let (name, value) = (self.names.operand(index), operand(index));
            quote!(#name: #value)
        });
        quote!(Op::#variant { #(#fields),* })
    }

    /// Returns the instruction of a workaround: with zeros, or with the operands of the instruction that needs it,
    /// except for those that the workaround states.
    fn workaround(&self, issued: &Issued, of: Option<&Issue>, at: At) -> TokenStream {
        let Instr::Invalidate(invalidate) = issued.instr else {
            return quote!();
        };
        let Some(issue) = of else {
            return self.instruction(invalidate, |operand| {
                if self.model.operands[operand].bits.value > 64 {
                    quote!([0, 0])
                } else {
                    quote!(0)
                }
            });
        };
        let value = |name: &str| {
            let set = issued.with.iter().find(|(of, _)| of.name() == name);
            match (name, set, issued.level) {
                (_, Some((_, value)), _) => hex(*value),
                ("stride", _, Some(level)) => {
                    let name = self.names.level(level);
                    quote!(#name)
                }
                ("form", ..) => nothing("form"),
                _ => self.parameter(issue, name, at),
            }
        };
        self.instruction(invalidate, |operand| {
            let encoder = self.names.encoder(operand);
            let arguments = self.encoder_parameters(operand).into_iter().map(value);
            quote!(#encoder(#(#arguments),*))
        })
    }

    pub(super) fn load(&self, load: usize, view: usize, empty: bool, keep: bool) -> TokenStream {
        let it = &self.model.loads[load];
        let variant = self.names.variant(Which::Load(load));
        let fields = it.template.operands.iter().map(|&operand| {
            let name = self.names.operand(operand);
            let value = |parameter: &str| match parameter {
                "c" => quote!(c),
                "tag" => self.tag(Space::User, view, &quote!(to.tag.value)),
                "root" if empty => quote!(to.empty),
                "root" => quote!(to.table),
                "keep" => quote!(#keep),
                other => nothing(other),
            };
            let encoder = self.names.encoder(operand);
            let arguments = self.encoder_parameters(operand).into_iter().map(value);
            quote!(#name: #encoder(#(#arguments),*))
        });
        quote!(cpu.issue(Op::#variant { #(#fields),* });)
    }

    /// Returns a call of another shape.
    pub(super) fn call_from(&self, other: Shape, shape: Shape) -> TokenStream {
        if !self.acts(other) {
            return quote!();
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
