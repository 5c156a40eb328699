//! From the plan IR to Rust.
//!
//! In: an [`Analysis`]. Out: the text of one module. Holds: the text is formatted, parses, has no inner attribute
//! (so that it can be included), and issues what the interpreted plan does.
//!
//! Every function here is a fold over the plan, which has decided what is issued and when.

mod backend;
mod config;
mod decisions;
mod facts;
mod introductions;
mod issuers;
mod loops;
mod machine;
pub(crate) mod names;
mod nodes;
mod operands;
mod parameters;
mod registers;
mod routines;
mod text;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use rustc_hash::FxHashSet;

use crate::analysis::Analysis;
use crate::model::Model;
use crate::model::Which;
use crate::plan::Plans;
use crate::plan::ir::Shape;
use crate::source::{Files, Span};
use crate::text::wrap;
use names::Names;

/// What the folds share.
/// The most characters on a line of a comment.
const WIDTH: usize = 88;

pub(crate) struct Emit<'a> {
    model: &'a Model,
    plans: &'a Plans,
    files: &'a Files,
    names: Names,
    /// The instructions that some plan issues.
    used: BTreeSet<Which>,
    /// The body of each operand's encoder.
    encoders: Vec<Body>,
    /// The bodies of routines, made when they are needed.
    bodies: RefCell<BTreeMap<Shape, Rc<Body>>>,
}

/// The body of a function, and the names in it.
#[derive(Default)]
struct Body {
    tokens: TokenStream,
    names: FxHashSet<String>,
}

impl Body {
    fn new(tokens: TokenStream) -> Self {
        let mut names = FxHashSet::default();
        collect_names(tokens.clone(), &mut names);
        Self { tokens, names }
    }

    /// Returns these tokens followed by the body.
    fn after(self, tokens: TokenStream) -> Self {
        let Body {
            tokens: before,
            mut names,
        } = Body::new(tokens);
        names.extend(self.names);
        let tokens = [before, self.tokens].into_iter().collect();
        Self { tokens, names }
    }

    fn mentions(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Returns whether the body uses a name of the runtime. A scope has the same name as `Ranges`.
    fn takes(&self, name: &str) -> bool {
        let is_scope = name == "Ranges";
        self.mentions(name) && (!is_scope || self.mentions("ranges"))
    }
}

/// Collects the names in tokens, and the words in rows of tables, which are literals until the text is written.
fn collect_names(tokens: TokenStream, names: &mut FxHashSet<String>) {
    let mut is_row = false;
    for tree in tokens {
        match tree {
            TokenTree::Ident(ident) => {
                is_row = ident == "__line";
                names.insert(ident.to_string());
            }
            TokenTree::Group(group) if is_row => {
                is_row = false;
                for literal in group.stream() {
                    let row = literal.to_string();
                    let words = row.split(|c: char| !c.is_alphanumeric() && c != '_');
                    names.extend(words.map(str::to_owned));
                }
            }
            TokenTree::Group(group) => collect_names(group.stream(), names),
            TokenTree::Literal(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// Returns the text of an architecture's module.
#[must_use]
pub fn emit(analysis: &Analysis, files: &Files) -> String {
    let emit = Emit::new(analysis, files);
    let (op, hardware) = (emit.op(), emit.hardware());
    let parts = [emit.tlb(), emit.routines(), emit.backend()];
    // Private items are written if the rest mentions them.
    let rest = Body::new(parts.into_iter().collect());
    let rest = rest.after(emit.workarounds());
    let issuers = emit.issuers(&rest);
    let rest = rest.after(issuers);
    let constants = emit.operand_constants(&rest);
    let operands = emit.operands(&rest);
    let rest = rest.after(quote!(#op #hardware #operands #constants));
    let (config, levels) = (emit.config(), emit.levels(&rest));
    let rest = rest.after(levels);
    let header = emit.header(&rest);
    let body = rest.after(config);
    let imports = imports(&analysis.model.target_arch.value, &body);
    let body = names::unmarked(body.tokens);
    text::file(&header, &quote!(#imports #body))
}

/// The names of the runtime that a module may import.
const RUNTIME: [(&str, &str); 8] = [
    ("agents", "Agents"),
    (
        "backend",
        "Answer Backend Ceiling Configuration Facts FinishSteps Finished Flags IpiTargets Issue LazyMm OfSpace \
         Outcome PteUpdate Root Shootdown Started TableFree TagSource TagValues Tags",
    ),
    ("deferred", "Deferred Pending"),
    ("level", "Level Levels"),
    (
        "pte",
        "Change ChangeFacts Changed Kind Marks Negative Owner RequiredFlush Slot Stricter",
    ),
    (
        "request",
        "LevelFacts LevelTable Ranges Reach Request Scope Space SpaceFlags",
    ),
    (
        "request::passes",
        "Folding Pass Passes SinglePass SortedPasses Walks",
    ),
    ("request::runs", "Runs Units"),
];

/// Returns the imports that a body needs.
fn imports(target: &str, body: &Body) -> TokenStream {
    let lines = RUNTIME.iter().map(|(module, names)| {
        let module = module
            .split("::")
            .map(|part| quote::format_ident!("{part}"));
        let names = names.split(' ').filter(|name| body.takes(name));
        let names: Vec<_> = names.map(|name| quote::format_ident!("{name}")).collect();
        (!names.is_empty()).then(|| quote!(use tlbc_runtime::#(#module)::*::{#(#names),*};))
    });
    quote! {
        #[cfg(target_arch = #target)]
        use core::arch::asm;
        #(#lines)*
    }
}

/// Returns the text of the crate with the modules of these architectures.
#[must_use]
pub fn lib(names: &[&str]) -> String {
    let mut text = String::from(
        "// @generated by tlbc. DO NOT EDIT.\n\
         // Regenerate: cargo run -p tlbc -- gen\n\
         //! Flush backends, one module an architecture, written by tlbc from the definitions.\n\
         #![no_std]\n",
    );
    for name in names {
        text.push_str(&format!(
            "\n/// The backend that `{name}` is defined for.\n#[rustfmt::skip]\npub mod {name};\n"
        ));
    }
    text
}

impl<'a> Emit<'a> {
    fn new(analysis: &'a Analysis, files: &'a Files) -> Self {
        let mut emit = Self {
            model: &analysis.model,
            plans: &analysis.plans,
            files,
            names: Names::new(&analysis.model),
            used: routines::used(&analysis.model, &analysis.plans),
            encoders: Vec::new(),
            bodies: RefCell::default(),
        };
        let operands = 0..emit.model.operands.len();
        emit.encoders = operands
            .map(|operand| Body::new(emit.encoder_body(operand)))
            .collect();
        emit
    }

    /// Returns the comment at the top of a module, given the code that may consult flags of the configuration.
    fn header(&self, code: &Body) -> Vec<String> {
        let version = env!("CARGO_PKG_VERSION");
        let source = self.source(self.model.arch.span);
        let mut lines = vec![
            format!("@generated by tlbc {version} from {source}. DO NOT EDIT."),
            "Regenerate: cargo run -p tlbc -- gen".to_owned(),
            format!("Needs tlbc-runtime {version}."),
        ];
        let features = self.model.features.iter().map(|it| &it.named.name);
        let errata = self.model.errata.iter().map(|it| &it.named.name);
        let (features, errata) = (
            features.enumerate(),
            errata
                .enumerate()
                .map(|(index, name)| (self.model.features.len() + index, name)),
        );
        let consulted = |flags: &mut dyn Iterator<Item = (usize, &String)>| {
            let consulted =
                flags.filter(|(bit, _)| code.mentions(&self.names.flag(*bit).to_string()));
            let names: Vec<&str> = consulted.map(|(_, name)| name.as_str()).collect();
            names.join(", ")
        };
        let flags = [
            ("Features consulted", consulted(&mut { features })),
            ("Errata consulted", consulted(&mut { errata })),
        ];
        for (heading, names) in flags.iter().filter(|(_, names)| !names.is_empty()) {
            lines.extend(wrap(&format!("{heading}: {names}."), WIDTH));
        }
        lines
    }

    /// Returns the name of a source without its directories, so that it does not depend on where it is compiled.
    fn source(&self, span: Span) -> String {
        let name = &self.files.get(span.file).name;
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
        name.chars().filter(|c| !c.is_control()).collect()
    }
}

/// Returns doc comment lines. Paragraphs are wrapped; brackets in the words of a definition are bits and no links.
fn doc(text: &str) -> TokenStream {
    let mut lines: Vec<String> = Vec::new();
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        lines.extend(wrap(&escaped(paragraph), WIDTH));
    }
    let lines = lines.into_iter().map(|line| {
        let line = if line.is_empty() {
            line
        } else {
            format!(" {line}")
        };
        quote!(#[doc = #line])
    });
    lines.collect()
}

/// Returns a text with escaped brackets outside of code.
fn escaped(line: &str) -> String {
    let mut code = false;
    let mut out = String::new();
    for c in line.chars() {
        code ^= c == '`';
        if !code && matches!(c, '[' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Returns the marker of a comment.
fn comment(text: &str) -> TokenStream {
    let lines = wrap(text, WIDTH);
    quote!(__comment!(#(#lines),*);)
}
