//! Lists the architectures, their machines and their registers.
//!
//! In: the definitions, `archdefs/NAME.arch`; the limits of a machine and the registers, which are fields in
//! `generated/src/NAME.rs`; the machines of `archdefs/NAME/machines.txt`. Out, in `architectures.rs`: two macros that call
//! another macro with all of these, and a function that reads registers by their names. A list that is missing is empty: a
//! test reports it.

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

/// Returns the lines of an item of a backend, by its first line.
fn item<'a>(backend: &'a str, first: &str) -> impl Iterator<Item = &'a str> {
    let lines = backend
        .lines()
        .skip_while(move |line| !line.starts_with(first));
    lines.skip(1).take_while(|line| *line != "}").map(str::trim)
}

/// Returns the fields of a type of a structure, by the first line of the structure.
fn fields<'a>(backend: &'a str, first: &str, of: &str) -> Vec<&'a str> {
    let fields = item(backend, first).filter_map(|line| {
        line.strip_prefix("pub ")?
            .strip_suffix(',')?
            .split_once(": ")
    });
    let fields = fields.filter(|(_, ty)| *ty == of);
    fields.map(|(name, _)| name).collect()
}

/// Returns the arm of `read_registers` for an architecture, if its backend has registers.
fn reading(arch: &str, backend: &str) -> String {
    let registers = fields(backend, "pub struct Registers", "u64");
    if registers.is_empty() {
        return String::new();
    }
    let fields = registers
        .iter()
        .map(|name| format!("{name}: value({name:?})"));
    let fields = fields.collect::<Vec<_>>().join(", ");
    let limits = item(backend, "impl Registers").filter_map(|line| {
        line.strip_prefix("pub const fn ")?
            .split_once("(&self) -> u32")
    });
    let limits = limits.map(|(name, _)| format!("({name:?}, registers.{name}())"));
    let limits = limits.collect::<Vec<_>>().join(", ");
    format!(
        "        {arch:?} => {{
            use tlbc_backends::{arch}::{{Config, Registers}};
            let registers = Registers {{ {fields} }};
            let config = Config::from_registers(&registers);
            let on = Config::NAMES.iter().filter(|(_, flag)| config.has(*flag));
            Some((on.map(|(name, _)| *name).collect(), vec![{limits}]))
        }}\n"
    )
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
    let mut of_registers = String::new();
    for arch in architectures(&archdefs) {
        let backend = read(&root.join(format!("generated/src/{arch}.rs")));
        if backend.is_empty() {
            println!(
                "cargo::error=generated/src/{arch}.rs is missing: run `cargo run -p tlbc -- gen`"
            );
        }
        let limits = fields(&backend, "pub struct Tlb", "u32").join(" ");
        let _ = writeln!(of_architectures, "            {arch} {{ {limits} }}");
        of_registers += &reading(&arch, &backend);
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

/// The flags and the limits that a backend reads from registers.
pub type Read = (Vec<&'static str>, Vec<(&'static str, u32)>);

/// Returns what a backend reads from registers, whose values are given by name. `None` if the backend reads none.
pub fn read_registers(arch: &str, value: impl Fn(&str) -> u64) -> Option<Read> {{
    match arch {{
{of_registers}        _ => None,
    }}
}}
"
    );
    let out = std::env::var_os("OUT_DIR").expect("cargo runs this");
    fs::write(Path::new(&out).join("architectures.rs"), text).expect("a file");
}
