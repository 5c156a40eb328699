//! The checked-in backends, as texts: what each instruction looks like in them.

use quote::ToTokens;
use syn::{Expr, ImplItem, Item, Stmt, TraitItem, TraitItemFn};

use crate::workspace::root;

/// A generated module.
pub struct Module {
    /// The name of the architecture.
    pub arch: String,
    /// Its text.
    pub text: String,
}

/// One instruction of a backend.
pub struct Instruction {
    /// Its name in the definition.
    pub name: String,
    /// Its operands: names and types.
    pub operands: Vec<(String, String)>,
    /// The macro call that issues it.
    pub asm: String,
}

/// Returns the module of a shipped definition.
pub fn module(arch: &str) -> Module {
    let path = root().join(format!("generated/src/{arch}.rs"));
    Module {
        text: std::fs::read_to_string(path).expect("a generated module"),
        arch: arch.to_owned(),
    }
}

impl Module {
    /// Returns what the backend calls its platform for.
    pub fn calls(&self) -> Vec<TraitItemFn> {
        let file = syn::parse_file(&self.text).expect("Rust");
        let calls = file.items.into_iter().find_map(|item| match item {
            Item::Trait(it) if it.ident == "Calls" => Some(it.items),
            _ => None,
        });
        let items = calls.into_iter().flatten();
        let functions = items.filter_map(|item| match item {
            TraitItem::Fn(it) => Some(it),
            _ => None,
        });
        functions.collect()
    }

    /// The instructions, by the arms of the hardware's `match` over them. What the platform is
    /// called for is none.
    pub fn instructions(&self) -> Vec<Instruction> {
        let file = syn::parse_file(&self.text).expect("Rust");
        let variants = file.items.iter().find_map(|item| match item {
            Item::Enum(it) if it.ident == "Op" => Some(&it.variants),
            _ => None,
        });
        let names = arms(&file, "Op", "name", false);
        let issues = arms(&file, "Hardware", "issue", true);
        let instruction = |variant: &syn::Variant| {
            let of = |arms: &[(String, String)]| {
                let arm = arms.iter().find(|(name, _)| variant.ident == name);
                let (_, body) = arm.unwrap_or_else(|| panic!("no arm for {}", variant.ident));
                body.clone()
            };
            let field = |field: &syn::Field| {
                let name = field.ident.as_ref().expect("a named field");
                (name.to_string(), field.ty.to_token_stream().to_string())
            };
            Instruction {
                name: of(&names).trim_matches('"').to_owned(),
                operands: variant.fields.iter().map(field).collect(),
                asm: of(&issues),
            }
        };
        let variants = variants.expect("an enum of instructions");
        assert_eq!(variants.len(), issues.len(), "an arm for each instruction");
        let is_asm = |it: &Instruction| {
            let is_call = it.asm.contains("self . 0");
            assert!(it.asm.starts_with("asm !") != is_call, "{}", it.asm);
            !is_call
        };
        variants.iter().map(instruction).filter(is_asm).collect()
    }
}

/// The arms of the `match` that a method of a type is: the variant, and the expression.
fn arms(file: &syn::File, of: &str, method: &str, of_trait: bool) -> Vec<(String, String)> {
    let body = file.items.iter().find_map(|item| {
        let Item::Impl(block) = item else { return None };
        let is_wanted = names(&block.self_ty, of) && block.trait_.is_some() == of_trait;
        block.items.iter().find_map(|item| match item {
            ImplItem::Fn(it) if is_wanted && it.sig.ident == method => Some(&it.block),
            _ => None,
        })
    });
    let body = body.unwrap_or_else(|| panic!("{of} has no `{method}`"));
    let found = matched(body).unwrap_or_else(|| panic!("`{method}` of {of} is no match"));
    let arm = |arm: &syn::Arm| {
        let path = match &arm.pat {
            syn::Pat::Struct(it) => &it.path,
            syn::Pat::Path(it) => &it.path,
            other => panic!("{}", other.to_token_stream()),
        };
        let variant = path.segments.last().expect("a variant").ident.to_string();
        (variant, expression(&arm.body).to_token_stream().to_string())
    };
    found.arms.iter().map(arm).collect()
}

/// Whether a type is of this name, with parameters or without.
fn names(ty: &syn::Type, name: &str) -> bool {
    let syn::Type::Path(it) = ty else {
        return false;
    };
    let last = it.path.segments.last();
    last.is_some_and(|segment| segment.ident == name)
}

/// The `match` at the end of a block, within `unsafe` or not.
fn matched(block: &syn::Block) -> Option<&syn::ExprMatch> {
    match block.stmts.last()? {
        Stmt::Expr(Expr::Match(it), _) => Some(it),
        Stmt::Expr(Expr::Unsafe(it), _) => matched(&it.block),
        _ => None,
    }
}

/// What an arm is, without braces around it.
fn expression(body: &Expr) -> &dyn ToTokens {
    if let Expr::Block(it) = body
        && let [only] = it.block.stmts.as_slice()
    {
        return only;
    }
    body
}
