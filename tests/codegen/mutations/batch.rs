//! Compiles generated modules, many at a time, and compares them with their plans.
//!
//! In: definitions that `check` accepts, with what the compiler made of them. Out: for each that fails, why.
//!
//! Every module is compiled twice as a library whose warnings are errors: for this machine, and for its own target
//! where a `core` for it can be had. Then all are linked into one program, which compares each with its plans.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tlbc_tests::bare_metal::{self, Build, Target};
use tlbc_tests::encodings::target;
use tlbc_tests::rustc::{rustc, skipped, write};
use tlbc_tests::workspace;

/// A definition that `check` accepts, and its modules.
pub struct Accepted {
    pub text: String,
    /// `target_arch` of the definition.
    pub target_arch: String,
    /// The text of its module.
    pub module: String,
    /// The text of the file that names its module.
    pub lib: String,
}

/// Why modules failed, by their index.
pub type Failures = BTreeMap<usize, String>;

/// What fails of some definitions.
pub fn failures(accepted: &[Accepted]) -> Failures {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    for (index, it) in accepted.iter().enumerate() {
        write(&directory.join(format!("m{index}.rs")), &it.module);
        write(&directory.join(format!("m{index}.arch")), &it.text);
    }
    let mut failures = Failures::new();
    let host = bare_metal::find_hosted(std::env::consts::ARCH).expect("this machine's compiler");
    let all: Vec<usize> = (0..accepted.len()).collect();
    checked(&host, directory, accepted, &all, &mut failures);
    let mut targets: Vec<&str> = accepted.iter().map(|it| it.target_arch.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    for arch in targets
        .into_iter()
        .filter(|arch| *arch != std::env::consts::ARCH)
    {
        let of_arch = all
            .iter()
            .copied()
            .filter(|index| accepted[*index].target_arch == arch);
        let of_arch: Vec<usize> = of_arch.collect();
        match target(arch).as_deref().map(bare_metal::find) {
            Some(Ok(target)) => checked(&target, directory, accepted, &of_arch, &mut failures),
            Some(Err(reason)) => skipped(&reason),
            // A name that a mutation made.
            None => {}
        }
    }
    compared(directory, accepted, &mut failures);
    failures
}

/// Compiles modules for a target as parts of one library, without those that failed before.
fn checked(
    target: &Target,
    directory: &Path,
    accepted: &[Accepted],
    modules: &[usize],
    failures: &mut Failures,
) {
    let place = directory.join(&target.name);
    std::fs::create_dir_all(&place).expect("a directory");
    let build = Build {
        target,
        opt_level: "0",
        directory: &place,
        libraries: &place,
    };
    let runtime = workspace::root().join("runtime/src/lib.rs");
    let mut command = build.command("tlbc_runtime", &[]);
    command.args(["--emit", "metadata", "--cap-lints", "allow"]);
    compiled(command.arg(runtime)).unwrap_or_else(|errors| panic!("{errors}"));
    loop {
        let left = modules.iter().filter(|index| !failures.contains_key(index));
        // A line for each, by which it is found in an error.
        let (mut text, mut lines) = ("#![no_std]\n".to_owned(), vec![None]);
        for &index in left {
            let lib = &accepted[index].lib;
            let module = lib.lines().find(|line| line.starts_with("pub mod "));
            let module = module.expect("a module");
            let file = directory.join(format!("m{index}.rs"));
            let file = file.to_str().expect("a path in UTF-8");
            let _ = writeln!(text, "pub mod m{index} {{ #[path = {file:?}] {module} }}");
            lines.push(Some(index));
        }
        let source = write(&place.join("batch.rs"), &text);
        let mut command = build.command("batch", &["tlbc_runtime"]);
        command.args(["--emit", "metadata", "-Dwarnings", "-Aunexpected_cfgs"]);
        command.arg("--error-format=short").arg(source);
        match compiled(&mut command) {
            Ok(()) => break,
            Err(errors) => blame(&errors, &lines, &target.name, failures),
        }
    }
}

/// Runs a compiler; returns what it complains of.
fn compiled(command: &mut Command) -> Result<(), String> {
    let output = command.output().expect("rustc runs");
    let errors = || String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(errors)
}

/// Assigns errors to modules.
fn blame(errors: &str, lines: &[Option<usize>], target: &str, failures: &mut Failures) {
    let mut blamed = Failures::new();
    for error in errors.lines() {
        let Some((file, rest)) = error.split_once(".rs:") else {
            continue;
        };
        let name = file.rsplit('/').next().unwrap_or(file);
        let line = rest
            .split(':')
            .next()
            .and_then(|line| line.parse::<usize>().ok());
        let index = match name.strip_prefix('m').and_then(|index| index.parse().ok()) {
            Some(index) => Some(index),
            None if name == "batch" => line.and_then(|line| *lines.get(line - 1)?),
            None => None,
        };
        if let Some(index) = index {
            let why: &mut String = blamed.entry(index).or_default();
            let _ = write!(why, "\n  for {target}: {rest}");
        }
    }
    assert!(!blamed.is_empty(), "no module is to blame:\n{errors}");
    failures.extend(blamed);
}

/// The library of these tests that this test is linked with: the newest.
fn tests_library() -> PathBuf {
    let deps = std::env::current_exe().expect("a path");
    let deps = deps.parent().expect("a directory");
    let entries = std::fs::read_dir(deps).expect("a directory");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_library = |path: &PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str());
        let is_library = name.is_some_and(|name| name.starts_with("libtlbc_tests-"));
        is_library && path.extension().is_some_and(|it| it == "rlib")
    };
    let age = |path: &PathBuf| path.metadata().and_then(|it| it.modified()).ok();
    let newest = paths.filter(is_library).max_by_key(age);
    newest.expect("the library of these tests")
}

/// The fields of a backend's structure other than its configuration.
fn limits(module: &str) -> Vec<String> {
    let file = syn::parse_file(module).expect("Rust");
    let fields = file.items.iter().find_map(|item| match item {
        syn::Item::Struct(it) if it.ident == "Tlb" => Some(&it.fields),
        _ => None,
    });
    let names = fields.expect("a backend").iter().skip(1);
    let names = names.map(|field| field.ident.as_ref().expect("a name").to_string());
    names.collect()
}

/// Links the modules that did not fail into a program, and lets it compare them with their plans.
fn compared(directory: &Path, accepted: &[Accepted], failures: &mut Failures) {
    let mut modules = String::new();
    let mut calls = String::new();
    for (index, it) in accepted.iter().enumerate() {
        if failures.contains_key(&index) {
            continue;
        }
        let limits = limits(&it.module).join(" ");
        let _ = writeln!(
            modules,
            "mod m{index} {{ use tlbc_tests::tlbc_runtime; include!(\"m{index}.rs\"); }}"
        );
        let _ = writeln!(
            calls,
            "    report({index}, include_str!(\"m{index}.arch\"), &generated!(m{index} {{ {limits} }}));"
        );
    }
    let text = format!(
        "#![allow(warnings)]\n\
         use tlbc_tests::{{differential::{{Module, difference}}, generated}};\n\
         {modules}\n\
         fn report(index: usize, text: &str, module: &Module) {{\n    \
             if let Err(why) = difference(text, module) {{ println!(\"{{index}} {{why:?}}\"); }}\n\
         }}\n\
         fn main() {{\n    std::panic::set_hook(Box::new(|_| {{}}));\n{calls}}}\n"
    );
    let source = write(&directory.join("compared.rs"), &text);
    let library = tests_library();
    let program = directory.join("compared");
    let mut command = Command::new(rustc());
    command.args(["--edition", "2024", "-Ccodegen-units=4", "-Cdebuginfo=0"]);
    command
        .arg("--extern")
        .arg(format!("tlbc_tests={}", library.display()));
    command
        .arg("-L")
        .arg(library.parent().expect("a directory"));
    command.arg("-o").arg(&program).arg(source);
    compiled(&mut command).unwrap_or_else(|errors| panic!("{errors}"));
    let output = Command::new(program).output().expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (index, why) = line.split_once(' ').expect("an index");
        failures.insert(index.parse().expect("an index"), why.to_owned());
    }
}
