//! No file of these sources imports one that imports it, directly or through others, and a stage of the compiler imports
//! only those stages that it may know.
//!
//! A file imports another one if it names a path of it, in a `use` or in code: `crate::a::B` is of the longest module that the
//! path begins with. Test modules do not count, nor do documentation and the `mod` items of a parent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::Item;

/// The sources that are free of cycles, from the top of the repository.
const ACYCLIC: [&str; 3] = ["runtime/src", "compiler/facts/src", "compiler/src"];

/// The modules of the compiler, with those that each imports; the command line may import everything. What is not in the
/// list of a module is what it cannot depend on: `check` does not know plans, and `emit` knows no clause.
const LAYERS: &[(&str, &str)] = &[
    ("at_once", ""),
    ("source", ""),
    ("codes", ""),
    ("hidden", ""),
    ("spelling", ""),
    ("undescribed", ""),
    ("template", ""),
    ("text", ""),
    ("json", "hidden"),
    ("diagnostic", "source codes"),
    ("html", ""),
    ("grouped", "source codes diagnostic"),
    ("render", "source codes diagnostic hidden json text"),
    ("ast", "source"),
    (
        "parse",
        "source codes diagnostic hidden spelling text undescribed ast",
    ),
    ("model", "source template ast"),
    (
        "lower",
        "source codes diagnostic spelling template text undescribed ast model describe",
    ),
    ("describe", "text model"),
    (
        "check",
        "source codes diagnostic template text model describe",
    ),
    ("plan", "codes diagnostic text model"),
    ("prove", "at_once codes diagnostic text model describe plan"),
    (
        "warn",
        "source codes diagnostic text ast model describe check plan",
    ),
    ("trace", "json template text model describe plan"),
    (
        "analysis",
        "source diagnostic grouped parse lower model check plan warn",
    ),
    ("emit", "source template text model describe plan analysis"),
    (
        "addresses",
        "source codes diagnostic model emit analysis check memo",
    ),
    ("sample_requests", "model trace analysis"),
    (
        "matrix",
        "html text model describe sample_requests analysis",
    ),
    ("svg", "html"),
    (
        "doc",
        "source text model describe plan prove trace matrix sample_requests analysis compile svg",
    ),
    (
        "compile",
        "at_once source codes diagnostic parse emit analysis prove",
    ),
    ("fs", "compile"),
    ("memo", ""),
    ("builder", "codes hidden render compile fs"),
    ("interpreted", "model plan trace analysis"),
    (
        "torment",
        "source text model ast plan trace analysis interpreted svg",
    ),
];

/// A module by its path in the crate; the crate itself is empty.
type Module = Vec<String>;

/// Texts of a crate, by their modules.
type Sources = BTreeMap<Module, String>;

/// What each module imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

fn module(file: &str) -> Module {
    let mut parts: Module = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    parts.pop_if(|last| last == "mod" || last == "lib");
    parts
}

fn sources(root: &Path) -> Sources {
    let (mut found, mut directories) = (Sources::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir().expect("a directory") {
            let path = entry.expect("an entry").path();
            let is_source = path.extension().is_some_and(|it| it == "rs");
            if path.is_dir() && !path.ends_with("tests") {
                directories.push(path);
            } else if is_source && !path.ends_with("tests.rs") {
                let file = path.strip_prefix(root).expect("below the root");
                let text = std::fs::read_to_string(&path).expect("a source");
                found.insert(module(&file.display().to_string()), text);
            }
        }
    }
    found
}

/// Whether an item is compiled for tests alone.
fn is_test(item: &Item) -> bool {
    let Item::Mod(item) = item else { return false };
    item.attrs.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string();
        attribute.path().is_ident("cfg") && text.contains("test")
    })
}

/// The identifiers and signs of a source, without literals and attributes, thus without documentation.
fn words(text: &str) -> Vec<String> {
    fn flatten(tokens: TokenStream, words: &mut Vec<String>) {
        let mut attribute = false;
        for tree in tokens {
            let was_attribute = std::mem::replace(&mut attribute, false);
            match tree {
                TokenTree::Group(_) if was_attribute => {}
                TokenTree::Group(group) => {
                    words.push("{".to_owned());
                    flatten(group.stream(), words);
                    words.push("}".to_owned());
                }
                TokenTree::Ident(ident) => words.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '#' => attribute = true,
                TokenTree::Punct(punct) => words.push(punct.to_string()),
                TokenTree::Literal(_) => {}
            }
        }
    }
    let mut file = syn::parse_file(text).expect("Rust");
    file.attrs.clear();
    file.items.retain(|item| !is_test(item));
    let mut all = Vec::new();
    flatten(file.to_token_stream(), &mut all);
    all
}

/// Adds the paths that begin at a word to those that were found, and returns where they end.
fn paths(words: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Module>) -> usize {
    let is = |at: usize, sign: &str| words.get(at).is_some_and(|word| word == sign);
    let mut path = prefix.to_vec();
    loop {
        if is(at, "{") {
            at += 1;
            while at < words.len() && !is(at, "}") {
                at = if is(at, ",") {
                    at + 1
                } else {
                    paths(words, at, &path, found)
                };
            }
            return at + 1;
        }
        path.extend(words.get(at).cloned());
        at += 1;
        if !(is(at, ":") && is(at + 1, ":")) {
            found.push(path);
            let renamed = is(at, "as");
            return if renamed { at + 2 } else { at };
        }
        at += 2;
    }
}

/// What a module imports, of the modules that there are.
fn imports(of: &Module, text: &str, all: &Sources) -> BTreeSet<Module> {
    let words = words(text);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < words.len() {
        let after = |sign: &str, back: usize| at >= back && words[at - back] == sign;
        let rooted = ["crate", "super", "self"].contains(&words[at].as_str());
        let goes_on = words.get(at + 1).is_some_and(|word| word == ":");
        let imported = after("use", 1);
        at = if imported || rooted && goes_on && !after(":", 1) {
            paths(&words, at, &[], &mut found)
        } else {
            at + 1
        };
    }
    let target = |path: &Module| {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Module::new(),
            "super" => of[..of.len().checked_sub(1)?].to_vec(),
            "self" => of.clone(),
            child => {
                let child: Module = of.iter().cloned().chain([child.to_owned()]).collect();
                all.contains_key(&child).then_some(child)?
            }
        };
        for part in rest {
            let deeper: Module = base.iter().cloned().chain([part.clone()]).collect();
            if !all.contains_key(&deeper) {
                break;
            }
            base = deeper;
        }
        (base != *of).then_some(base)
    };
    found.iter().filter_map(target).collect()
}

/// A way from a module back to itself, if there is one.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    let mut left: Imports = imports.clone();
    // What imports nothing that is left is in no cycle.
    while let Some(done) = left
        .iter()
        .find(|(_, of)| of.is_empty())
        .map(|(module, _)| module.clone())
    {
        left.remove(&done);
        for of in left.values_mut() {
            of.remove(&done);
        }
    }
    let mut way: Vec<Module> = vec![left.keys().next()?.clone()];
    loop {
        let next = left[way.last()?].iter().next()?.clone();
        if let Some(from) = way.iter().position(|module| *module == next) {
            way.push(next);
            return Some(way[from..].iter().map(|module| module.join("::")).collect());
        }
        way.push(next);
    }
}

fn all_imports(sources: &Sources) -> Imports {
    let of = |(module, text): (&Module, &String)| (module.clone(), imports(module, text, sources));
    sources.iter().map(of).collect()
}

#[test]
fn no_file_imports_one_that_imports_it() {
    for root in ACYCLIC {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(root);
        let imports = all_imports(&sources(&root));
        let count: usize = imports.values().map(BTreeSet::len).sum();
        assert!(
            2 * count >= imports.len(),
            "only {count} imports were found"
        );
        assert_eq!(cycle(&imports), None, "{}", root.display());
    }
}

#[test]
fn a_stage_imports_what_it_may_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compiler/src");
    let imports = all_imports(&sources(&root));
    let mut stages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, of) in &imports {
        let [stage, ..] = module.as_slice() else {
            continue;
        };
        let others = of.iter().map(|it| it.first().map_or("lib", String::as_str));
        let others = others.filter(|other| other != stage);
        stages.entry(stage).or_default().extend(others);
    }
    for above in ["main", "cli"] {
        stages.remove(above).expect("the command line");
    }
    for (stage, imported) in stages {
        let (_, may) = (LAYERS.iter().find(|(name, _)| *name == stage))
            .unwrap_or_else(|| panic!("`{stage}` is in no layer"));
        let may: BTreeSet<&str> = may.split(' ').filter(|it| !it.is_empty()).collect();
        let more: Vec<_> = imported.difference(&may).collect();
        assert!(more.is_empty(), "`{stage}` imports {more:?}");
        let fewer: Vec<_> = may.difference(&imported).collect();
        assert!(fewer.is_empty(), "`{stage}` does not import {fewer:?}");
    }
}

/// The modules of the runtime that know the kernel. The others are parts, which need none for their tests.
const KNOW_THE_KERNEL: [&str; 9] = [
    "batch", "gather", "mmu", "pages", "platform", "reclaim", "section", "switch", "tables",
];

#[test]
fn the_parts_of_the_runtime_know_no_kernel() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src");
    let imports = all_imports(&sources(&root));
    let knows = |of: &BTreeSet<Module>| of.iter().any(|module| module[..] == ["platform"]);
    let know = imports.iter().filter(|(_, of)| knows(of));
    // The crate itself exports the trait.
    let know: BTreeSet<&str> = know
        .filter_map(|(module, _)| module.first().map(String::as_str))
        .chain(["platform"])
        .collect();
    assert_eq!(know, BTreeSet::from(KNOW_THE_KERNEL));
}

/// The finder itself: what it takes for an import, and that it finds a cycle.
#[test]
fn a_cycle_is_found() {
    let crate_of = |files: &[(&str, &str)]| -> Sources {
        let of = |(file, text): &(&str, &str)| (module(file), (*text).to_owned());
        files.iter().map(of).collect()
    };
    let found = |files: &[(&str, &str)]| cycle(&all_imports(&crate_of(files)));
    let a = ("a.rs", "use crate::b::{c::{D as E, F}, g};");
    let way = |names: &[&str]| {
        Some(
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(found(&[a, ("b/mod.rs", ""), ("b/c.rs", "")]), None);
    // In a `use` of several, in code, through a module between, and by way of a parent.
    let back = ("b/c.rs", "fn f() { crate::a::g::<u8>() }");
    assert_eq!(
        found(&[a, ("b/mod.rs", ""), back]),
        way(&["a", "b::c", "a"])
    );
    let back = ("b/mod.rs", "use super::a::h;");
    assert_eq!(found(&[a, back, ("b/c.rs", "")]), way(&["a", "b", "a"]));
    let parent = ("b/mod.rs", "mod c; pub use c::D;");
    assert_eq!(
        found(&[parent, ("b/c.rs", "use super::X;")]),
        way(&["b", "b::c", "b"])
    );
    // Not in documentation, not in a text, not in tests, and not by the name of another crate.
    let others = "/// [`a`](crate::a)\nfn f() { \"crate::a\"; core::a::b() }
                  #[cfg(test)] mod tests { use crate::a::X; } #[cfg(all(test, not(loom)))] mod more { use crate::a; }";
    assert_eq!(found(&[a, ("b/mod.rs", others), ("b/c.rs", "")]), None);
}
