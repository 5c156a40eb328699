//! Routines: one method a plan, its body a fold over the plan's nodes.
//!
//! A method takes the parameters that its body mentions, and answers with what it owes if any of
//! its branches owes something.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use tlbc_runtime::backend::{Audience, Debt, Owed};
use tlbc_runtime::clause::{Holders, Most};
use tlbc_runtime::request::{Reach, Space};

use super::config::{hex, upper};
use super::operands::{PARAMETERS as ENCODED, mentions};
use super::{Emit, comment, doc};
use crate::model::Need;
use crate::plan::ir::{Count, Issue, Node, Over, Plan, Reason, Shape, Test};
use crate::trace::interpret::Which;

/// What a routine may be given, in the order of its parameters.
const PARAMETERS: [(&str, &str); 10] = [
    ("tag", "u16"),
    ("of_machine", "bool"),
    ("va", "u64"),
    ("level", "Level"),
    ("walk", "bool"),
    ("pass", "&Pass"),
    ("ranges", "&Ranges"),
    ("to", "&Root"),
    ("debt", "Debt"),
    ("owed_view", "bool"),
];

/// Those of a shape.
fn may_take(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Page(..) => &["tag", "of_machine", "va", "level", "walk"],
        Shape::Pass(..) => &["tag", "of_machine", "pass"],
        Shape::Ranges(..) => &["tag", "of_machine", "ranges"],
        Shape::Everything(..) => &["tag", "of_machine", "walk"],
        Shape::Folding(..) => &[],
        Shape::Told(_) => &["of_machine", "walk"],
        Shape::Finish(..) => &["of_machine"],
        Shape::Switch => &["to", "debt"],
        Shape::Resume => &["to", "owed_view"],
        Shape::Change | Shape::Arrive => &[],
    }
}

/// Where the values of an instruction's operands are found.
#[derive(Clone, Copy)]
enum At {
    /// Nowhere: no address.
    Nothing,
    /// `va` and `level`.
    Page,
    /// `start`, the first of the pass.
    First,
    /// `va`, `num` and `scale`.
    Piece,
    /// `va` alone.
    Rest,
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
        Shape::Pass(space, reach) => of("pass", space, reach),
        Shape::Folding(space, reach) => of("folding", space, reach),
        Shape::Everything(space, reach) => of("everything", space, reach),
        Shape::Finish(space, reach) => of("finish", space, reach),
        Shape::Told(Space::User) => format_ident!("user_told"),
        Shape::Told(Space::Kernel) => format_ident!("kernel_told"),
        Shape::Change => format_ident!("change_entry"),
        Shape::Switch => format_ident!("switch_to"),
        Shape::Resume => format_ident!("resume_user"),
        Shape::Arrive => format_ident!("forget_all"),
    }
}

impl Emit<'_> {
    /// The instructions that some plan issues.
    pub(super) fn used(&self) -> BTreeSet<Which> {
        let mut used = BTreeSet::new();
        for plan in self.plans.iter() {
            plan.body.walk(&mut |node| {
                used.extend(match node {
                    Node::Publish { barrier: Some(b) } => Some(Which::Barrier(*b)),
                    Node::Complete { barrier } | Node::Resync { barrier } => {
                        Some(Which::Barrier(*barrier))
                    }
                    Node::Issue(issue) => Some(Which::Invalidate(issue.invalidate)),
                    Node::Remedy { invalidate, .. } => Some(Which::Invalidate(*invalidate)),
                    Node::Load { load, .. } => Some(Which::Load(*load)),
                    _ => None,
                });
            });
        }
        used
    }

    /// Whether any node satisfies a predicate, in a shape or in those that it calls.
    fn any(&self, shape: Shape, is: &dyn Fn(&Node) -> bool) -> bool {
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
                    | Node::Remedy { .. }
                    | Node::Load { .. }
                    | Node::Owe(_)
                    | Node::Retire
                    | Node::Deliver { .. }
            )
        })
    }

    /// Whether a shape may owe something.
    pub(super) fn owes(&self, shape: Shape) -> bool {
        self.any(shape, &|node| matches!(node, Node::Owe(_) | Node::Retire))
    }

    /// Whether a shape may interrupt CPUs with nothing to do.
    pub(super) fn interrupts(&self, shape: Shape) -> bool {
        self.any(shape, &|node| matches!(node, Node::Deliver { .. }))
    }

    /// The parameters that a shape takes.
    fn parameters(&self, shape: Shape) -> Vec<&'static str> {
        let Some(plan) = self.plans.get(shape) else {
            return Vec::new();
        };
        let body = self.body(plan);
        // A pass is taken apart, and what is owed for tables follows from the ranges.
        let parts = |name: &str| match (plan.shape, name) {
            (Shape::Pass(..), "pass") => true,
            (Shape::Ranges(..), "ranges") => mentions(&body, "ranges") || mentions(&body, "walk"),
            _ => mentions(&body, name),
        };
        let may = may_take(shape).iter().copied();
        may.filter(|name| parts(name)).collect()
    }

    /// A call of a shape; `argument` says where a parameter comes from.
    pub(super) fn call(&self, shape: Shape, argument: &dyn Fn(&str) -> TokenStream) -> TokenStream {
        let name = name(shape);
        let arguments = self.parameters(shape).into_iter().map(argument);
        quote!(self.#name(cpu, #(#arguments),*))
    }

    pub(super) fn routines(&self) -> TokenStream {
        let methods = self.plans.iter().filter(|plan| {
            let flush = !matches!(plan.shape, Shape::Change | Shape::Told(_));
            self.acts(plan.shape) && flush || matches!(plan.shape, Shape::Folding(..))
        });
        let methods: Vec<TokenStream> = methods.map(|plan| self.routine(plan)).collect();
        let told = [Space::User, Space::Kernel].map(|space| self.told(space));
        quote! {
            impl Tlb { #(#methods)* #(#told)* }
        }
    }

    fn routine(&self, plan: &Plan) -> TokenStream {
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
        let c = mentions(&body, "c").then(|| quote!(let c = self.config;));
        let walk = matches!(plan.shape, Shape::Ranges(..)) && mentions(&body, "walk");
        let walk = walk.then(|| quote!(let walk = ranges.tables();));
        let parts = matches!(plan.shape, Shape::Pass(..)).then(|| {
            let parts = ["start", "entries", "stride", "leaf", "walk"];
            let parts = parts
                .iter()
                .filter(|part| mentions(&body, part))
                .map(|part| {
                    let name = format_ident!("{part}");
                    quote!(let #name = pass.#name;)
                });
            let hint = mentions(&body, "hint").then(hint_of_pass);
            let parts: TokenStream = parts.collect();
            quote!(#parts #hint)
        });
        let text = doc(&self.introduction(plan));
        if let Shape::Folding(..) = plan.shape {
            return quote! {
                #text
                fn #name(&self) -> Folding { #c #body }
            };
        }
        let inline = match plan.shape {
            Shape::Pass(..) | Shape::Ranges(..) | Shape::Everything(..) => quote!(#[inline(never)]),
            _ => quote!(#[inline]),
        };
        let (start, end, answer) = if self.interrupts(plan.shape) {
            (
                quote!(let mut interrupt = Audience::NOBODY;),
                quote!(interrupt),
                quote!(-> Audience),
            )
        } else if self.owes(plan.shape) {
            (
                quote!(let mut owed = Owed::NOTHING;),
                quote!(owed),
                quote!(-> Owed),
            )
        } else {
            (quote!(), quote!(), quote!())
        };
        quote! {
            #text
            #inline
            fn #name<C: Issue<Op>>(&self, cpu: &mut C, #(#parameters),*) #answer {
                #c #walk #parts #start
                #body
                #end
            }
        }
    }

    /// What a routine is for, what it has to drop, and where it comes from.
    fn introduction(&self, plan: &Plan) -> String {
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
            Shape::Pass(s, r) => format!(
                "Consecutive entries of one level of {} {}: `entries` from `start`.",
                of(s),
                by(r)
            ),
            Shape::Folding(s, r) => format!(
                "How far one instruction reaches, for ranges of {} {}.",
                of(s),
                by(r)
            ),
            Shape::Everything(s, r) => format!("Every entry of {} {}.", of(s), by(r)),
            Shape::Finish(s, r) => format!("Completion, for entries of {} {}.", of(s), by(r)),
            Shape::Switch => "Loads another address space.".to_owned(),
            Shape::Resume => "Loads what user code runs on.".to_owned(),
            Shape::Arrive => "Drops everything, whoever's it is.".to_owned(),
            Shape::Told(_) | Shape::Change => String::new(),
        };
        for (clause, holders) in &plan.obligation {
            let kind = if clause.what.leaf.is_empty() {
                "walk"
            } else {
                "leaf"
            };
            let mut classes = Vec::new();
            let names = [
                (clause.whose.this, "under the space's tag"),
                (clause.whose.other, "under other tags"),
                (clause.whose.global, "that are global"),
            ];
            classes.extend(names.iter().filter(|(is, _)| *is).map(|(_, name)| *name));
            let holders: Vec<&str> = holders.iter().map(Holders::name).collect();
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

    fn body(&self, plan: &Plan) -> TokenStream {
        let at = match plan.shape {
            Shape::Page(..) => At::Page,
            Shape::Pass(..) => At::First,
            _ => At::Nothing,
        };
        self.node(&plan.body, at, plan.shape)
    }

    fn node(&self, node: &Node, at: At, shape: Shape) -> TokenStream {
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
                });
                let body = self.node(body, at, shape);
                quote!(#note #body)
            }
            Node::Publish { barrier: None } => {
                let by = self
                    .model
                    .assumed
                    .as_ref()
                    .map_or("", |text| text.value.as_str());
                comment(&format!("Changes are published by {by}."))
            }
            Node::Publish { barrier: Some(b) } => self.barrier(*b),
            Node::Complete { barrier } | Node::Resync { barrier } => self.barrier(*barrier),
            Node::Issue(issue) => {
                let note = self.cite(issue);
                let operands = &self.model.invalidates[issue.invalidate].template.operands;
                let bound = |operand: usize| {
                    // An operand that is named like a source would hide it from the next one.
                    let name = self.operand_name(operand);
                    let hides = ENCODED.iter().any(|(source, _)| name == source);
                    (!hides).then_some(name)
                };
                let lets = operands.iter().filter_map(|&operand| {
                    let (name, value) = (bound(operand)?, self.encode(issue, operand, at));
                    Some(quote!(let #name = #value;))
                });
                let op = self.instruction(issue, |operand| match bound(operand) {
                    Some(name) => quote!(#name),
                    None => self.encode(issue, operand, at),
                });
                quote!(#note #(#lets)* cpu.issue(#op);)
            }
            Node::Passes { folding, body } => {
                let body = self.node(body, at, shape);
                let folding = self.call_pure(*folding);
                quote! {
                    let passes = Passes::new(ranges, &level_table(c), #folding);
                    #body
                }
            }
            Node::Fold(folding) => {
                let (leaves, walks) = (folding.leaves, folding.walks);
                quote!(Folding { leaves: #leaves, walks: #walks })
            }
            Node::Each { over, body, rest } => self.each(*over, body, rest.as_deref(), shape),
            Node::Remedy {
                erratum,
                invalidate,
            } => {
                let note = comment(&format!(
                    "Erratum: {}.",
                    self.model.errata[*erratum].named.text
                ));
                let variant = self.variant(Which::Invalidate(*invalidate));
                let operands = &self.model.invalidates[*invalidate].template.operands;
                let zeros = operands.iter().map(|&operand| {
                    let name = self.operand_name(operand);
                    if self.model.operands[operand].bits.value > 64 {
                        quote!(#name: [0, 0])
                    } else {
                        quote!(#name: 0)
                    }
                });
                quote!(#note cpu.issue(Op::#variant { #(#zeros),* });)
            }
            Node::Deliver { to, .. } => {
                let note = comment("Taking an interrupt is what these CPUs need.");
                let audience = audience(*to);
                quote!(#note interrupt = #audience;)
            }
            Node::Notify => comment("Devices that share the tables have been told by now."),
            Node::Owe(owed) => owe(*owed),
            Node::Retire => {
                let note = comment("Every other tag of this CPU is disowned, not flushed.");
                let owe = owe(Owed::OTHERS_UNTIL_LOAD);
                quote!(#note #owe)
            }
            Node::Pay(Debt::None | Debt::Tag) => comment("Everything under the tag goes."),
            Node::Pay(Debt::All) => comment("Everything under every tag goes."),
            Node::Load {
                load,
                view,
                empty,
                keep,
            } => self.load(*load, *view, *empty, *keep),
            Node::Call(other) => self.call_from(*other, shape),
            Node::Nothing(reason) => comment(match reason {
                Reason::AtOnce => "Instructions are complete when they are done.",
                Reason::NobodyElse => "Nobody else has to be told.",
                Reason::SameView => "User code runs on what the kernel runs on.",
            }),
            Node::Change { .. } => quote!(),
        }
    }

    fn select(&self, on: Test, then: &Node, otherwise: &Node, at: At, shape: Shape) -> TokenStream {
        let test = self.test(on);
        let chained = matches!(otherwise, Node::Select { .. });
        let (then, otherwise) = (self.node(then, at, shape), self.node(otherwise, at, shape));
        match (then.is_empty(), otherwise.is_empty()) {
            (true, true) => quote!(),
            (false, true) => quote!(if #test { #then }),
            (true, false) => quote!(if !(#test) { #otherwise }),
            (false, false) if chained => quote!(if #test { #then } else #otherwise),
            (false, false) => quote!(if #test { #then } else { #otherwise }),
        }
    }

    fn test(&self, test: Test) -> TokenStream {
        match test {
            Test::Feature(feature) => {
                let name = upper(&self.model.features[feature].named.name);
                quote!(c.has(Config::#name))
            }
            Test::Erratum(erratum) => {
                let name = upper(&self.model.errata[erratum].named.name);
                quote!(c.has(Config::#name))
            }
            Test::OfMachine => quote!(of_machine),
            Test::Walk => quote!(walk),
            Test::Leaf => quote!(leaf),
            Test::Live => quote!(ranges.is_live()),
            Test::Stride(levels) => {
                let levels = levels
                    .iter()
                    .map(|level| upper(&self.model.levels[level.index()].name));
                quote!(matches!(stride, #(#levels)|*))
            }
            Test::OverCeiling(count) => {
                let operations = match count {
                    Count::Entries => quote!(passes.entries()),
                    Count::Runs(most) => {
                        let most = self.most(most);
                        quote!(passes.runs(#most))
                    }
                    Count::Few => quote!(0),
                };
                quote!(self.ceiling().is_below(#operations, passes.pages()))
            }
            Test::Debt(Debt::None) => quote!(debt == Debt::None),
            Test::Debt(Debt::Tag) => quote!(debt == Debt::Tag),
            Test::Debt(Debt::All) => quote!(debt == Debt::All),
            Test::Owed => quote!(owed_view),
        }
    }

    fn most(&self, most: Most) -> TokenStream {
        match most {
            Most::Count(count) => {
                let count = Literal::u32_unsuffixed(count);
                quote!(#count)
            }
            Most::Limit(limit) => {
                let name = format_ident!("{}", self.model.limits[limit as usize].named.name);
                quote!(self.#name)
            }
        }
    }

    fn barrier(&self, barrier: usize) -> TokenStream {
        let variant = self.variant(Which::Barrier(barrier));
        quote!(cpu.issue(Op::#variant);)
    }

    fn cite(&self, issue: &Issue) -> TokenStream {
        let it = &self.model.invalidates[issue.invalidate];
        let form = it.forms[issue.form]
            .named
            .as_ref()
            .map(|(named, _)| named.name.as_str());
        let view = issue
            .view
            .filter(|&view| !self.model.user.views[view].loaded);
        let view = view.map(|view| self.model.user.views[view].named.name.as_str());
        let mut text = format!("{}: {}", self.place(it.span), it.named.name);
        if let Some(form) = form {
            text.push_str(&format!(", form {form}"));
        }
        if let Some(view) = view {
            text.push_str(&format!(", view {view}"));
        }
        comment(&text)
    }

    fn instruction(&self, issue: &Issue, operand: impl Fn(usize) -> TokenStream) -> TokenStream {
        let variant = self.variant(Which::Invalidate(issue.invalidate));
        let operands = &self.model.invalidates[issue.invalidate].template.operands;
        if operands.is_empty() {
            return quote!(Op::#variant);
        }
        let fields = operands.iter().map(|&index| {
            let (name, value) = (self.operand_name(index), operand(index));
            if name.to_string() == value.to_string() {
                quote!(#name)
            } else {
                quote!(#name: #value)
            }
        });
        quote!(Op::#variant { #(#fields),* })
    }

    /// A call of an operand's encoder.
    fn encode(&self, issue: &Issue, operand: usize, at: At) -> TokenStream {
        let it = &self.model.invalidates[issue.invalidate];
        let value = |name: &str| match name {
            "c" => quote!(c),
            "tag" => match issue.view {
                None => quote!(0),
                Some(view) => self.tag(view, &quote!(tag)),
            },
            "va" if !issue.address => quote!(0),
            "va" => match at {
                At::Piece => quote!(run.va),
                At::First => quote!(start),
                _ => quote!(va),
            },
            "hint" if !issue.hint => quote!(None),
            "hint" => match at {
                At::Page => quote!(hint(c, level)),
                _ => quote!(hint),
            },
            "stride" if !issue.address => quote!(Level(0)),
            "stride" => match at {
                At::Page => quote!(level),
                _ => quote!(stride),
            },
            "num" => match at {
                At::Piece => quote!(run.num),
                _ => quote!(0),
            },
            "scale" => match at {
                At::Piece => quote!(run.scale),
                _ => quote!(0),
            },
            "form" => hex(it.forms[issue.form]
                .named
                .as_ref()
                .map_or(0, |(_, value)| *value)),
            "keep" => quote!(false),
            _ => quote!(0),
        };
        let encoder = self.encoder_name(operand);
        let arguments = self.encoder_parameters(operand).into_iter().map(value);
        quote!(#encoder(#(#arguments),*))
    }

    /// A tag in a view.
    fn tag(&self, view: usize, tag: &TokenStream) -> TokenStream {
        match self.model.user.views[view].or {
            0 => tag.clone(),
            or => {
                let or = hex(or);
                quote!(#tag | #or)
            }
        }
    }

    fn each(&self, over: Over, body: &Node, rest: Option<&Node>, shape: Shape) -> TokenStream {
        match over {
            Over::Cuts => {
                let body = self.node(body, At::First, shape);
                quote!(for pass in passes.cuts() { #body })
            }
            Over::Leaves => {
                let body = self.node(body, At::First, shape);
                quote!(for pass in passes.leaves() { #body })
            }
            Over::Entries => self.entries(body),
            Over::Runs { operand, most } => self.runs(operand, most, body, rest, shape),
        }
    }

    /// One entry after the other, operands built once and stepped by adding.
    fn entries(&self, body: &Node) -> TokenStream {
        let mut issues = Vec::new();
        body.walk(&mut |node| {
            if let Node::Issue(issue) = node {
                issues.push(*issue);
            }
        });
        let (mut before, mut inside, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for issue in &issues {
            let note = self.cite(issue);
            let named = |operand: usize| {
                let name = self.operand_name(operand);
                match issue.view.filter(|_| {
                    issues
                        .iter()
                        .filter(|i| i.invalidate == issue.invalidate)
                        .count()
                        > 1
                }) {
                    Some(view) => {
                        format_ident!("{name}_{}", self.model.user.views[view].named.name)
                    }
                    None => name,
                }
            };
            for &operand in &self.model.invalidates[issue.invalidate].template.operands {
                let (name, value) = (named(operand), self.encode(issue, operand, At::First));
                let advance = self.advance(operand, &name);
                let mutable = (!advance.is_empty()).then(|| quote!(mut));
                before.push(quote!(let #mutable #name = #value;));
                after.push(advance);
            }
            let op = self.instruction(issue, |operand| {
                let name = named(operand);
                quote!(#name)
            });
            inside.push(quote!(#note cpu.issue(#op);));
        }
        quote! {
            let step = 1u64.wrapping_shl(shift(c, stride));
            #(#before)*
            let mut left = entries;
            while left > 0 {
                #(#inside)*
                #(#after)*
                left -= 1;
            }
        }
    }

    fn runs(
        &self,
        operand: usize,
        most: Most,
        body: &Node,
        rest: Option<&Node>,
        shape: Shape,
    ) -> TokenStream {
        let Some(names) = self.model.operands[operand].names.as_ref() else {
            return quote!();
        };
        let body = self.node(body, At::Piece, shape);
        let rest = rest
            .map(|rest| self.node(rest, At::Rest, shape))
            .unwrap_or_default();
        let units = self.units_name(operand);
        let most = self.most(most);
        let runs = if names.pages {
            quote!(Runs::of_pages(pass, shift(c, stride), page_shift(c), #units))
        } else {
            quote!(Runs::of_entries(pass, shift(c, stride), #most, #units))
        };
        if rest.is_empty() || !names.pages {
            return quote!(for run in #runs { #body });
        }
        quote! {
            let mut runs = #runs;
            for run in runs.by_ref() { #body }
            if let Some(va) = runs.rest() { #rest }
        }
    }

    fn load(&self, load: usize, view: usize, empty: bool, keep: bool) -> TokenStream {
        let it = &self.model.loads[load];
        let variant = self.variant(Which::Load(load));
        let fields = it.template.operands.iter().map(|&operand| {
            let name = self.operand_name(operand);
            let value = |parameter: &str| match parameter {
                "c" => quote!(c),
                "tag" => self.tag(view, &quote!(to.tag.value)),
                "root" if empty => quote!(to.empty),
                "root" => quote!(to.table),
                "keep" => quote!(#keep),
                _ => quote!(0),
            };
            let encoder = self.encoder_name(operand);
            let arguments = self.encoder_parameters(operand).into_iter().map(value);
            quote!(#name: #encoder(#(#arguments),*))
        });
        let note = comment(&format!("{}: {}", self.place(it.span), it.named.name));
        quote!(#note cpu.issue(Op::#variant { #(#fields),* });)
    }

    /// A call of a shape that only answers.
    fn call_pure(&self, shape: Shape) -> TokenStream {
        let name = name(shape);
        quote!(self.#name())
    }

    /// A call of another shape from within one.
    fn call_from(&self, other: Shape, shape: Shape) -> TokenStream {
        if !self.acts(other) {
            return quote!();
        }
        let event = matches!(shape, Shape::Switch | Shape::Resume | Shape::Arrive);
        let argument = |parameter: &str| match parameter {
            "tag" if event => quote!(to.tag.value),
            "walk" if event => quote!(true),
            "of_machine" if event => quote!(to.tag.of_machine),
            name => {
                let name = format_ident!("{name}");
                quote!(#name)
            }
        };
        let call = self.call(other, &argument);
        if self.interrupts(other) {
            if self.interrupts(shape) && matches!(shape, Shape::Finish(..)) {
                quote!(interrupt = #call;)
            } else {
                quote!(let _ = #call;)
            }
        } else if self.owes(other) {
            quote!(owed = owed.and(#call);)
        } else {
            quote!(#call;)
        }
    }

    /// Who is interrupted: an expression a branch.
    fn told(&self, space: Space) -> TokenStream {
        let shape = Shape::Told(space);
        let Some(plan) = self.plans.get(shape).filter(|_| self.acts(shape)) else {
            return quote!();
        };
        let name = name(shape);
        let body = self.told_by(&plan.body);
        let c = mentions(&body, "c").then(|| quote!(let c = self.config;));
        let parameters = PARAMETERS.iter().filter(|(name, _)| mentions(&body, name));
        let parameters = parameters.map(|(name, _)| {
            let name = format_ident!("{name}");
            quote!(#name: bool)
        });
        let text = doc("The CPUs to interrupt for a request that others are to be told of.");
        quote! {
            #text
            #[inline]
            fn #name(&self, #(#parameters),*) -> Audience { #c #body }
        }
    }

    fn told_by(&self, node: &Node) -> TokenStream {
        match node {
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                let test = self.test(*on);
                let (then, otherwise) = (self.told_by(then), self.told_by(otherwise));
                quote!(if #test { #then } else { #otherwise })
            }
            Node::Deliver { to, .. } => audience(*to),
            _ => quote!(Audience::NOBODY),
        }
    }

    /// Arguments of a `Told` shape, in order.
    pub(super) fn told_arguments(&self, space: Space) -> Option<Vec<&'static str>> {
        let shape = Shape::Told(space);
        let plan = self.plans.get(shape).filter(|_| self.acts(shape))?;
        let body = self.told_by(&plan.body);
        let taken = PARAMETERS.iter().filter(|(name, _)| mentions(&body, name));
        Some(taken.map(|(name, _)| *name).collect())
    }
}

fn hint_of_pass() -> TokenStream {
    quote!(let hint = match pass.hint { Some(level) => hint(c, level), None => None };)
}

fn owe(owed: Owed) -> TokenStream {
    let names = [
        (Owed::OTHERS_UNTIL_LOAD, "OTHERS_UNTIL_LOAD"),
        (Owed::VIEW_UNTIL_RESUME, "VIEW_UNTIL_RESUME"),
        (Owed::LAZY_UNTIL_LOAD, "LAZY_UNTIL_LOAD"),
        (Owed::PARKED_UNTIL_LOAD, "PARKED_UNTIL_LOAD"),
    ];
    let ands = names
        .iter()
        .filter(|(bit, _)| owed.contains(*bit))
        .map(|(_, name)| {
            let name = format_ident!("{name}");
            quote!(.and(Owed::#name))
        });
    quote!(owed = owed #(#ands)*;)
}

fn audience(to: Audience) -> TokenStream {
    let names = [
        (Holders::ACTIVE, "ACTIVE"),
        (Holders::LAZY, "LAZY"),
        (Holders::PARKED, "PARKED"),
    ];
    let mut holders = quote!(Holders::NONE);
    let mut first = true;
    for (bit, name) in names.iter().filter(|(bit, _)| to.holders.covers(*bit)) {
        let name = format_ident!("{name}");
        let _ = bit;
        holders = if first {
            quote!(Holders::#name)
        } else {
            quote!(#holders.union(Holders::#name))
        };
        first = false;
    }
    let sets = hex(u64::from(to.sets));
    quote!(Audience { holders: #holders, sets: #sets })
}
