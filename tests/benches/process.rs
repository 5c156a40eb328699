//! The time of the command from the start of its process to its end.

use criterion::{Criterion, criterion_group, criterion_main};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tlbc_tests::workspace::{root, target};

/// Builds the command with the release profile, and returns its path.
fn tlbc() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "tlbc", "--bin", "tlbc"])
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target())
        .status();
    assert!(built.expect("cargo runs").success());
    target()
        .join("release")
        .join(format!("tlbc{}", std::env::consts::EXE_SUFFIX))
}

/// Runs the command with a directory for what it remembers; if it is empty, nothing is remembered.
fn run(tlbc: &Path, cache: &Path, arguments: &[&str]) {
    let status = Command::new(tlbc)
        .args(arguments)
        .current_dir(root())
        .env("TLBC_CACHE", cache)
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("it runs").success());
}

fn process(criterion: &mut Criterion) {
    let tlbc = tlbc();
    let out = tempfile::tempdir().expect("a directory");
    let out = out.path().to_str().expect("a path in UTF-8");
    let cache = tempfile::tempdir().expect("a directory");
    let (cache, nothing) = (cache.path(), Path::new(""));
    let gen_all = ["gen", "archdefs", "--out", out];
    let mut group = criterion.benchmark_group("process");
    group.bench_function("nothing", |b| {
        b.iter(|| run(&tlbc, nothing, &["--version"]));
    });
    group.bench_function("check", |b| {
        b.iter(|| run(&tlbc, nothing, &["check", "archdefs"]));
    });
    run(&tlbc, cache, &gen_all);
    group.bench_function("gen, the same as before", |b| {
        b.iter(|| run(&tlbc, cache, &gen_all));
    });
    group.bench_function("gen --check", |b| {
        b.iter(|| run(&tlbc, cache, &["gen", "archdefs", "--out", out, "--check"]));
    });
    group.bench_function("gen, all to be written", |b| {
        b.iter_with_setup(
            || {
                for entry in std::fs::read_dir(out).expect("the directory") {
                    std::fs::remove_file(entry.expect("an entry").path()).expect("a file");
                }
            },
            |()| run(&tlbc, nothing, &gen_all),
        );
    });
    group.finish();
}

criterion_group!(benches, process);
criterion_main!(benches);
