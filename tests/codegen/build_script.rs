//! A crate whose build script generates its backends, from its first build to a broken definition.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const BUILD: &str = r#"
fn main() -> Result<(), tlbc::BuildError> {
    tlbc::Builder::new().definitions_in("archdefs").generate()
}
"#;

const MAIN: &str = r#"
mod backends {
    include!(concat!(env!("OUT_DIR"), "/mod.rs"));
}
#[allow(dead_code)]
mod alone {
    include!(concat!(env!("OUT_DIR"), "/x86_64.rs"));
}

fn name<B: tlbc_runtime::Backend>() -> &'static str {
    B::FACTS.name
}

fn main() {
    println!("{}", name::<backends::loongarch64::Tlb>());
    println!("{}", name::<backends::quartz::Tlb>());
    println!("{}", name::<backends::x86_64::Tlb>());
    println!("{}", name::<alone::Tlb>());
}
"#;

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the checkout")
}

/// Creates a crate that depends on the checkout and on the crates of its lock file.
fn project() -> TempDir {
    let project = TempDir::new().expect("a directory");
    let root = root();
    let manifest = format!(
        r#"
[package]
name = "project"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
tlbc-runtime = {{ path = '{}' }}

[build-dependencies]
tlbc = {{ path = '{}', default-features = false }}

[profile.dev]
debug = false
"#,
        root.join("runtime").display(),
        root.join("compiler").display(),
    );
    let write = |name: &str, text: &str| {
        let path = project.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    };
    write("Cargo.toml", &manifest);
    write("build.rs", BUILD);
    write("src/main.rs", MAIN);
    // Of those that are proved in little time without optimization, as a build script is compiled.
    for name in [
        "Cargo.lock",
        "archdefs/loongarch64.arch",
        "archdefs/x86_64.arch",
    ] {
        write(name, &fs::read_to_string(root.join(name)).expect("a file"));
    }
    // Of a processor that Rust does not know.
    write(
        "archdefs/quartz.arch",
        include_str!("new_architecture/quartz.arch"),
    );
    project
}

fn cargo(project: &TempDir, command: &str) -> (bool, String, String) {
    let output = Command::new(env!("CARGO"))
        .args([command, "--offline"])
        .current_dir(project.path())
        // Kept, so that the next run finds the dependencies built.
        .env("CARGO_TARGET_DIR", env!("CARGO_TARGET_TMPDIR"))
        .env("RUSTFLAGS", "-Dwarnings")
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.success(), text(stdout), text(stderr))
}

#[test]
fn a_build_script_generates() {
    let project = project();
    let (good, stdout, stderr) = cargo(&project, "run");
    assert!(good, "{stderr}");
    assert_eq!(stdout, "loongarch64\nquartz\nx86_64\nx86_64\n");

    let (_, _, again) = cargo(&project, "build");
    assert!(!again.contains("Compiling"), "{again}");

    // A new definition in the directory is seen.
    let bad = project.path().join("archdefs/bad.arch");
    fs::write(&bad, "arch bad {\n    frobnicate;\n}\n").expect("a file");
    let (good, _, stderr) = cargo(&project, "build");
    assert!(!good);
    let message = "error[E0101]: expected an item of a definition";
    assert_eq!(stderr.matches(message).count(), 1, "{stderr}");
    assert!(stderr.contains("archdefs/bad.arch:2:5\n"), "{stderr}");
    assert!(
        stderr.contains("Error: 1 error in the definitions\n"),
        "{stderr}"
    );

    fs::remove_file(bad).expect("a file");
    let (good, _, stderr) = cargo(&project, "build");
    assert!(good, "{stderr}");
}
