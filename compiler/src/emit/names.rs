//! Names: Rust identifiers for the items of a definition.
//!
//! In: a model. Out: an identifier for each item, unique in its scope, and for the variables of functions. An
//! identifier is the name of the definition in the case that Rust has for the kind, with a single underscore
//! instead of several. If that is a word of Rust or taken, `_2` is added (`2` in camel case), or the next number
//! that makes it unique. Names are taken by generated code, and by earlier items of the definition, so that the
//! identifier of an item does not depend on what is issued. A variable whose name is taken is called `name_bits`.
//!
//! Until a module is complete, identifiers from a definition are marked, so that they are not mistaken for names of
//! generated code in a body. [`settled`] gives the variables of a function names that differ from every other name
//! in it, and [`unmarked`] removes the marks.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::format_ident;
use rustc_hash::FxHashMap;
use tlbc_runtime::request::Space;

use crate::model::{Instr, Model, Which, variable};

/// Reserved words, in any edition.
const WORDS: [&str; 53] = [
    "Self", "_", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Returns whether Rust reserves a word, in any edition.
pub fn is_word(name: &str) -> bool {
    WORDS.contains(&name)
}

/// The functions of generated modules.
const FUNCTIONS: [&str; 6] = [
    "end_of",
    "granule",
    "hint_of",
    "level_table",
    "page_shift",
    "shift_of",
];

/// The variables of routines, which hide functions of the same name.
const VARIABLES: [&str; 43] = [
    "c",
    "change",
    "cpu",
    "end",
    "entry",
    "folding",
    "form",
    "global",
    "hint",
    "hinted",
    "keep",
    "kind",
    "level",
    "levels",
    "new",
    "nth",
    "num",
    "old",
    "operations",
    "outcome",
    "owner",
    "pass",
    "passes",
    "pending",
    "ranges",
    "root",
    "run",
    "runs",
    "scale",
    "set",
    "single",
    "slot",
    "sorted",
    "steps",
    "stride",
    "sync_ipis",
    "table",
    "tables",
    "tag",
    "teardown",
    "to",
    "va",
    "view_deferred",
];

/// A set of unique names.
pub struct Scope {
    taken: BTreeSet<String>,
    separator: &'static str,
}

impl Scope {
    /// Returns a scope in which generated code has these names.
    pub fn new<'a>(fixed: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            taken: fixed.into_iter().map(str::to_owned).collect(),
            separator: "_",
        }
    }

    /// Returns a scope for names in camel case.
    fn camel() -> Self {
        Self {
            taken: BTreeSet::new(),
            separator: "",
        }
    }

    fn is_free(&self, name: &str) -> bool {
        !is_word(name) && !self.taken.contains(name)
    }

    /// Returns an identifier for a name, with a number if it is taken.
    pub fn give(&mut self, natural: &str) -> Ident {
        let free = |name: &String| self.is_free(name);
        let numbered = (2..).map(|number| tidy(&format!("{natural}{}{number}", self.separator)));
        let mut names = std::iter::once(tidy(natural)).chain(numbered);
        let name = names.find(free).unwrap_or_default();
        let ident = format_ident!("{name}");
        self.taken.insert(name);
        ident
    }
}

/// Returns a name without two underscores in a row, for which Rust has a warning.
fn tidy(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out
}

/// Returns a name in camel case.
fn camel(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    });
    let words: String = words.collect();
    match words.chars().next() {
        Some(first) if first.is_alphabetic() => words,
        _ => format!("_{words}"),
    }
}

/// The identifiers of a module.
pub struct Names {
    flags: Vec<Ident>,
    levels: Vec<Ident>,
    limits: Vec<Ident>,
    operands: Vec<Ident>,
    encoders: Vec<Ident>,
    units: Vec<Ident>,
    variants: BTreeMap<Which, Ident>,
    issuers: BTreeMap<Which, Ident>,
    workarounds: BTreeMap<(usize, usize), Ident>,
    forms: BTreeMap<(usize, usize), Ident>,
    views: BTreeMap<(Space, usize), Ident>,
    registers: BTreeMap<String, Ident>,
    calls: BTreeMap<String, Ident>,
}

impl Names {
    /// Returns the names of a model.
    pub fn new(model: &Model) -> Self {
        let all = |scope: &mut Scope, names: &mut dyn Iterator<Item = String>| -> Vec<Ident> {
            names.map(|name| scope.give(&name)).collect()
        };
        let operands = || model.operands.iter().map(|it| &it.named.name);

        let features = model.features.iter().map(|it| &it.named);
        let errata = model.errata.iter().map(|it| &it.named);
        let geometries = model.geometries.iter().skip(1).map(|it| &it.named);
        let flags = features.chain(errata).chain(geometries);
        let mut flags = flags.map(|it| it.name.to_uppercase());
        let flags = all(&mut Scope::new(["NONE", "NAMES", "OF_SPACE"]), &mut flags);

        let mut items = Scope::new(FUNCTIONS.into_iter().chain(VARIABLES));
        let levels = model.levels.iter().map(|it| it.name.to_uppercase());
        let levels = all(&mut items, &mut { levels });
        let units = operands().map(|it| format!("{}_UNITS", it.to_uppercase()));
        let units = all(&mut items, &mut { units });
        let encoders = operands().map(|it| format!("encode_{it}"));
        let encoders = all(&mut items, &mut { encoders });

        let limits = model.limits.iter().map(|it| it.named.name.clone());
        let limits = all(&mut Scope::new(["config"]), &mut { limits });
        let fields = all(&mut Scope::new([]), &mut operands().cloned());

        let barriers = model.barriers.iter().map(|it| it.named.name.clone());
        let barriers = barriers
            .enumerate()
            .map(|(index, it)| (Which::Barrier(index), it));
        let invalidates = model.invalidates.iter().map(|it| it.named.name.clone());
        let invalidates = invalidates
            .enumerate()
            .map(|(index, it)| (Which::Invalidate(index), it));
        // A register may have the name of an instruction.
        let loads = model
            .loads
            .iter()
            .map(|it| format!("load_{}", it.named.name));
        let loads = loads
            .enumerate()
            .map(|(index, it)| (Which::Load(index), it));
        let mut scope = Scope::camel();
        let instructions: Vec<(Which, String)> = barriers.chain(invalidates).chain(loads).collect();
        let issuers = instructions.iter();
        let issuers = issuers.map(|(which, name)| (*which, items.give(name)));
        let issuers = issuers.collect();
        let variants = instructions.into_iter();
        let variants = variants.map(|(which, name)| (which, scope.give(&camel(&name))));
        let workarounds = workarounds(model, &mut items);
        let forms = forms(model, &mut items);
        let views = views(model, &mut items);

        let mut scope = Scope::new([]);
        let mut registers = BTreeMap::new();
        let of_features = model
            .features
            .iter()
            .filter_map(|it| Some(&it.from.as_ref()?.register));
        let of_limits = model
            .limits
            .iter()
            .filter_map(|it| Some(&it.from.as_ref()?.register));
        for register in of_features.chain(of_limits) {
            let name = || scope.give(&variable(register));
            registers.entry(register.clone()).or_insert_with(name);
        }
        let mut scope = Scope::new([]);
        let mut calls = BTreeMap::new();
        for call in model.invalidates.iter().filter_map(|it| it.call.as_ref()) {
            let name = || scope.give(&call.value);
            calls.entry(call.value.clone()).or_insert_with(name);
        }
        Self {
            flags,
            levels,
            limits,
            operands: fields,
            encoders,
            units,
            variants: variants.collect(),
            issuers,
            workarounds,
            forms,
            views,
            registers,
            calls,
        }
    }

    /// Returns the flags of the configuration in the order of their bits: features, errata, and all geometries
    /// except the first.
    pub fn flags(&self) -> impl Iterator<Item = Ident> {
        self.flags.iter().map(named)
    }

    /// Returns the constant of a flag, by its bit.
    pub fn flag(&self, bit: usize) -> Ident {
        named(&self.flags[bit])
    }

    /// Returns the constant of a flag for documentation.
    pub fn flag_text(&self, bit: usize) -> String {
        self.flags[bit].to_string()
    }

    /// Returns the constant of a level.
    pub fn level(&self, level: usize) -> Ident {
        named(&self.levels[level])
    }

    /// Returns the field of the backend for a limit.
    pub fn limit(&self, limit: usize) -> Ident {
        field(&self.limits[limit])
    }

    /// Returns the field of instructions for an operand.
    pub fn operand(&self, operand: usize) -> Ident {
        field(&self.operands[operand])
    }

    /// Returns the text of an operand's field.
    pub fn operand_text(&self, operand: usize) -> String {
        self.operands[operand].to_string()
    }

    /// Returns the function that issues an instruction.
    pub fn issuer(&self, which: Which) -> Ident {
        named(&self.issuers[&which])
    }

    /// Returns the function of a workaround of an erratum.
    pub fn workaround(&self, erratum: usize, number: usize) -> Ident {
        named(&self.workarounds[&(erratum, number)])
    }

    /// Returns the constant of a form, if the form has a name.
    pub fn form(&self, invalidate: usize, form: usize) -> Option<Ident> {
        self.forms.get(&(invalidate, form)).map(named)
    }

    /// Returns the constant for the bits of a view's tag, if it has any.
    pub fn view(&self, space: Space, view: usize) -> Option<Ident> {
        self.views.get(&(space, view)).map(named)
    }

    /// Returns the function that encodes an operand.
    pub fn encoder(&self, operand: usize) -> Ident {
        named(&self.encoders[operand])
    }

    /// Returns the constant for the run lengths of an operand.
    pub fn units(&self, operand: usize) -> Ident {
        named(&self.units[operand])
    }

    /// Returns the variant of an instruction.
    pub fn variant(&self, which: Which) -> Ident {
        named(&self.variants[&which])
    }

    /// Returns the field for the value of a register.
    pub fn register(&self, register: &str) -> Ident {
        field(&self.registers[register])
    }

    /// Returns the function of the platform for a call.
    pub fn call(&self, call: &str) -> Ident {
        field(&self.calls[call])
    }
}

/// Returns the names of workarounds. Those of an erratum with the same steps share one.
fn workarounds(model: &Model, scope: &mut Scope) -> BTreeMap<(usize, usize), Ident> {
    let mut names: BTreeMap<(usize, usize), Ident> = BTreeMap::new();
    for (index, erratum) in model.errata.iter().enumerate() {
        for (number, workaround) in erratum.workarounds.iter().enumerate() {
            let first = erratum
                .workarounds
                .iter()
                .position(|it| it.steps_are_of(workaround));
            let first = first.and_then(|first| names.get(&(index, first)));
            let name = first.cloned().unwrap_or_else(|| {
                let last = workaround.issue.last().map(|issued| match issued.instr {
                    Instr::Barrier(barrier) => &model.barriers[barrier].named.name,
                    Instr::Invalidate(invalidate) => &model.invalidates[invalidate].named.name,
                });
                let last = last.map_or("nothing", String::as_str);
                scope.give(&format!("{}_by_{last}", erratum.named.name))
            });
            names.insert((index, number), name);
        }
    }
    names
}

/// Returns the names of forms.
fn forms(model: &Model, scope: &mut Scope) -> BTreeMap<(usize, usize), Ident> {
    let mut names = BTreeMap::new();
    for (index, it) in model.invalidates.iter().enumerate() {
        for (form, it_form) in it.forms.iter().enumerate() {
            if let Some((named, _)) = &it_form.named {
                let name = format!("{}_{}", it.named.name, named.name).to_uppercase();
                names.insert((index, form), scope.give(&name));
            }
        }
    }
    names
}

/// Returns the names of the bits of views.
fn views(model: &Model, scope: &mut Scope) -> BTreeMap<(Space, usize), Ident> {
    let mut names = BTreeMap::new();
    for space in [Space::User, Space::Kernel] {
        for (index, view) in model.space(space).views.iter().enumerate() {
            if view.or != 0 {
                let name = format!("{}_VIEW", view.named.name.to_uppercase());
                names.insert((space, index), scope.give(&name));
            }
        }
    }
    names
}

/// The mark of a name in the scope of functions.
const NAMED: &str = "TLBC_named_";
/// The mark of a name after a dot, or in a structure.
const FIELD: &str = "TLBC_field_";
/// The mark of a variable without a name.
const LOCAL: &str = "TLBC_local_";

fn named(name: &Ident) -> Ident {
    format_ident!("{NAMED}{name}")
}

/// Marks a name that is used after a dot, in a structure, or alone.
pub fn field(name: &Ident) -> Ident {
    format_ident!("{FIELD}{name}")
}

/// Returns the marker of a variable with a preferred name. Equal keys are one variable.
pub fn local(key: usize, natural: &str) -> Ident {
    format_ident!("{LOCAL}{key}_{natural}")
}

/// Returns a function with names for its variables.
pub fn settled(function: TokenStream) -> TokenStream {
    let mut locals = Vec::new();
    let mut taken = BTreeSet::new();
    visit(function.clone(), &mut |ident| {
        let text = ident.to_string();
        if text.starts_with(LOCAL) {
            if !locals.contains(&text) {
                locals.push(text);
            }
        } else if !text.starts_with(FIELD) {
            taken.insert(text.trim_start_matches(NAMED).to_owned());
        }
    });
    let mut scope = Scope::new(taken.iter().map(String::as_str));
    let given = locals.into_iter().map(|local| {
        let (_, natural) = local[LOCAL.len()..].split_once('_').unwrap_or_default();
        let name = if scope.is_free(&tidy(natural)) {
            scope.give(natural)
        } else {
            scope.give(&format!("{natural}_bits"))
        };
        (local, name)
    });
    let given: FxHashMap<String, Ident> =
        given.map(|(local, name)| (local, field(&name))).collect();
    let of_local = |ident: Ident| given.get(&ident.to_string()).cloned().unwrap_or(ident);
    replaced(function, &of_local, &shorten)
}

/// Returns a module without marks.
pub fn unmarked(module: TokenStream) -> TokenStream {
    let bare = |ident: Ident| {
        let text = ident.to_string();
        let bare = text.strip_prefix(NAMED).or(text.strip_prefix(FIELD));
        bare.map_or(ident, |bare| format_ident!("{bare}"))
    };
    replaced(module, &bare, &|_| {})
}

/// Visits each identifier that is not after a dot.
fn visit(tokens: TokenStream, each: &mut impl FnMut(&Ident)) {
    let mut is_member = false;
    for tree in tokens {
        let is_dot = matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == '.');
        match tree {
            TokenTree::Ident(ident) if !is_member => each(&ident),
            TokenTree::Group(group) => visit(group.stream(), each),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        is_member = is_dot;
    }
}

/// Replaces identifiers, and calls `last` for the tokens of a group after each one is added.
fn replaced(
    tokens: TokenStream,
    by: &impl Fn(Ident) -> Ident,
    last: &impl Fn(&mut Vec<TokenTree>),
) -> TokenStream {
    let mut out = Vec::new();
    for tree in tokens {
        out.push(match tree {
            TokenTree::Ident(ident) => by(ident).into(),
            TokenTree::Group(group) => {
                Group::new(group.delimiter(), replaced(group.stream(), by, last)).into()
            }
            other => other,
        });
        last(&mut out);
    }
    out.into_iter().collect()
}

/// Replaces `Op::A { x: x }` by `Op::A { x }`.
fn shorten(trees: &mut Vec<TokenTree>) {
    if let [
        ..,
        TokenTree::Ident(field),
        TokenTree::Punct(colon),
        TokenTree::Ident(value),
    ] = trees.as_slice()
        && colon.as_char() == ':'
        && field == value
        && field.to_string().starts_with(FIELD)
    {
        trees.truncate(trees.len() - 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn a_name_is_taken_over_unless_it_is_taken() {
        let mut scope = Scope::new(["config"]);
        let names = [
            "pages", "pages", "config", "fn", "gen", "_", "__", "a__b", "a_b", "pages_2",
        ];
        let given = names.map(|name| scope.give(name).to_string());
        let expected = [
            "pages",
            "pages_2",
            "config_2",
            "fn_2",
            "gen_2",
            "_2",
            "_3",
            "a_b",
            "a_b_2",
            "pages_2_2",
        ];
        assert_eq!(given, expected);
    }

    #[test]
    fn names_in_camel_case_begin_with_no_digit() {
        let mut scope = Scope::camel();
        let names = [
            "complete",
            "complete_",
            "_complete",
            "self",
            "_",
            "__",
            "_1",
            "load_root",
        ];
        let given = names.map(|name| scope.give(&camel(name)).to_string());
        let expected = [
            "Complete",
            "Complete2",
            "Complete3",
            "Self2",
            "_2",
            "_3",
            "_1",
            "LoadRoot",
        ];
        assert_eq!(given, expected);
    }

    #[test]
    fn variables_differ_from_everything_in_their_function() {
        let [tag, tag_bits, page, other] = [(0, "tag"), (1, "tag_bits"), (2, "page"), (3, "page")]
            .map(|(key, name)| local(key, name));
        let (op, encode) = (
            field(&format_ident!("page")),
            named(&format_ident!("encode")),
        );
        let function = quote! {
            fn f(tag: u64) {
                let #tag = #encode(tag);
                let #tag_bits = #tag;
                let #page = 1;
                let #other = 2;
                issue(Op::Page { #op: #page });
                issue(Op::Page { #op: #other });
            }
        };
        let expected = quote! {
            fn f(tag: u64) {
                let tag_bits = encode(tag);
                let tag_bits_bits = tag_bits;
                let page = 1;
                let page_bits = 2;
                issue(Op::Page { page });
                issue(Op::Page { page: page_bits });
            }
        };
        let function = unmarked(settled(function));
        assert_eq!(function.to_string(), expected.to_string());
    }
}
