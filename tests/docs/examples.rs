//! What each example prints, on each architecture. To be read as a reviewer of a kernel would: is everything flushed
//! before it comes out, does each CPU that gets an IPI need it, is nothing flushed twice?

use std::collections::BTreeSet;

use quote::ToTokens;
use tlbc_tests::show::{Example, NAMES, report};
use tlbc_tests::snapshot;

#[path = "../../examples/cursor.rs"]
mod cursor;
#[path = "../../examples/device.rs"]
mod device;
#[path = "../../examples/exec.rs"]
mod exec;
#[path = "../../examples/exit.rs"]
mod exit;
#[path = "../../examples/munmap.rs"]
mod munmap;
#[path = "../../examples/reclaim.rs"]
mod reclaim;
#[path = "../../examples/single_space.rs"]
mod single_space;

/// Returns the output on an architecture.
fn on<E: Example>(arch: &str) -> String {
    report::<E>([arch.to_owned()].into_iter()).expect("an architecture")
}

/// Compares the output on each architecture with a snapshot beside its definition.
fn compare<E: Example>(name: &str) {
    for arch in NAMES {
        snapshot!(
            name,
            on::<E>(arch),
            format!("../../archdefs/{arch}/examples")
        );
    }
}

#[test]
fn munmap() {
    compare::<munmap::Munmap>("munmap");
}

#[test]
fn exit() {
    compare::<exit::Exit>("exit");
}

#[test]
fn exec() {
    compare::<exec::Exec>("exec");
}

#[test]
fn reclaim() {
    compare::<reclaim::Reclaim>("reclaim");
}

#[test]
fn device() {
    compare::<device::Device>("device");
}

#[test]
fn cursor() {
    compare::<cursor::Fork>("cursor");
}

#[test]
fn single_space() {
    compare::<single_space::SingleSpace>("single_space");
}

/// The kernel runs from the table that it loads: at no moment may another one be loaded.
#[test]
fn a_kernel_with_one_space_stays_mapped() {
    // What is loaded has another name on powerpc64.
    let output: String = ["x86_64", "arm64", "s390"]
        .map(on::<single_space::SingleSpace>)
        .concat();
    let loads = [" cr3=", " ttbr0=", " control="];
    let loaded: Vec<&str> = loads
        .iter()
        .flat_map(|load| output.split(load).skip(1))
        .filter_map(|rest| rest.lines().next())
        .collect();
    // Each of two CPUs loads it once on x86-64, twice on arm64 and on s390.
    assert_eq!(loaded.len(), 2 * (1 + 2 + 2), "{output}");
    assert!(
        loaded.iter().all(|table| table.ends_with("f000")),
        "{output}"
    );
}

#[test]
fn one_architecture_can_be_named_and_no_other() {
    let report = |arguments: &[&str]| {
        report::<munmap::Munmap>(arguments.iter().map(|argument| (*argument).to_owned()))
    };
    let one = report(&["arm64"]).unwrap();
    assert!(one.starts_with("arm64\n") && report(&[]).unwrap().contains(&one));
    let message = report(&["vax"]).unwrap_err();
    assert!(message.contains("'vax'") && message.contains(&NAMES.join("|")));
    assert!(report(&["arm64", "s390"]).unwrap_err().contains("'s390'"));
}

/// The names of a crate that a file imports, or names by their path.
fn names_of(krate: &str, file: &syn::File) -> BTreeSet<String> {
    fn collect(tree: &syn::UseTree, names: &mut BTreeSet<String>) {
        match tree {
            syn::UseTree::Path(path) => collect(&path.tree, names),
            syn::UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
            syn::UseTree::Rename(rename) => drop(names.insert(rename.ident.to_string())),
            syn::UseTree::Group(group) => group.items.iter().for_each(|it| collect(it, names)),
            syn::UseTree::Glob(_) => panic!("a glob hides which names are needed"),
        }
    }
    let mut names = BTreeSet::new();
    let mut imports = 0;
    for item in &file.items {
        if let syn::Item::Use(import) = item
            && let syn::UseTree::Path(path) = &import.tree
            && path.ident == krate
        {
            collect(&path.tree, &mut names);
            imports += 1;
        }
    }
    let paths = file.to_token_stream().to_string().matches(krate).count();
    assert_eq!(paths, imports, "every name is imported");
    names
}

/// What a kernel author learns before the first munmap.
#[test]
fn a_first_munmap_needs_twelve_names() {
    let file = syn::parse_file(include_str!("../../examples/first_munmap.rs")).expect("Rust");
    let names = names_of("tlbc_runtime", &file);
    for needed in ["Platform", "Pte", "Mmu"] {
        assert!(names.contains(needed), "{names:?}");
    }
    assert!(names.len() <= 12, "{}: {names:?}", names.len());
    let prelude = include_str!("../../runtime/src/prelude.rs");
    let prelude = syn::parse_file(prelude).expect("Rust");
    let prelude = names_of("crate", &prelude);
    assert!(
        names.is_subset(&prelude),
        "the prelude has them: {prelude:?}"
    );
}
