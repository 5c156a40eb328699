//! Lists the architectures and their machines for macros.
//!
//! In: the definitions, `archdefs/NAME.arch`; the limits of a machine, which are fields of the backend in
//! `generated/src/NAME.rs`; the machines of `archdefs/NAME/machines.txt`. Out: two macros that call another macro with all
//! of these, in `architectures.rs`. A list that is missing is empty: a test reports it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Returns the names of the shipped definitions, sorted.
fn architectures(archdefs: &Path) -> Vec<String> {
    let entries = fs::read_dir(archdefs).expect("the directory of the definitions");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let definitions = paths.filter(|path| path.extension().is_some_and(|it| it == "arch"));
    let mut names: Vec<String> = definitions
        .map(|path| {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            stem.expect("a name in UTF-8").to_owned()
        })
        .collect();
    names.sort();
    names
}

/// Reads a file of the checkout, and runs this again when it changes. A missing file is empty.
fn read(path: &Path) -> String {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read_to_string(path).unwrap_or_default()
}

/// Returns the limits of a backend: the fields of `struct Tlb` besides the configuration.
fn limits(backend: &str) -> Vec<&str> {
    let lines = backend
        .lines()
        .skip_while(|line| !line.starts_with("pub struct Tlb"));
    let fields = lines
        .take_while(|line| *line != "}")
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": u32,"));
    fields.map(|(name, _)| name).collect()
}

/// Returns the names of the machines of a list, each with what is said about it.
fn machines(list: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('|'))
        .map(|(name, rest)| (name.trim(), rest.trim()))
}

fn main() {
    let root = Path::new("..");
    let archdefs = root.join("archdefs");
    println!("cargo::rerun-if-changed={}", archdefs.display());
    let (mut of_architectures, mut of_machines) = (String::new(), String::new());
    for arch in architectures(&archdefs) {
        let backend = read(&root.join(format!("generated/src/{arch}.rs")));
        if backend.is_empty() {
            println!(
                "cargo::error=generated/src/{arch}.rs is missing: run `cargo run -p tlbc -- gen`"
            );
        }
        let limits = limits(&backend).join(" ");
        let _ = writeln!(of_architectures, "            {arch} {{ {limits} }}");
        let list = read(&archdefs.join(&arch).join("machines.txt"));
        for (name, rest) in machines(&list) {
            let _ = writeln!(of_machines, "            {arch}_{name}: {arch} {rest:?};");
        }
    }
    let text = format!(
        "/// Calls a macro with the architectures and their limits.
#[macro_export]
macro_rules! for_each_architecture {{
    ([$($then:tt)*] $($arguments:tt)*) => {{
        $($then)*! {{ $($arguments)*
{of_architectures}        }}
    }};
}}

/// Calls a macro with the machines of all architectures.
#[macro_export]
macro_rules! for_each_machine {{
    ([$($then:tt)*] $($arguments:tt)*) => {{
        $($then)*! {{ $($arguments)*
{of_machines}        }}
    }};
}}
"
    );
    let out = std::env::var_os("OUT_DIR").expect("cargo runs this");
    fs::write(Path::new(&out).join("architectures.rs"), text).expect("a file");
}
