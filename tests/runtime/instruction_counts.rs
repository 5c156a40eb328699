//! How many instructions the runtime executes: a call that is no longer inlined, or a set of CPUs that is copied, shows here
//! even if no test of behavior does.
//!
//! The benchmark of gathers is compiled with optimization and run under valgrind, which counts exactly. The bounds are a fifth
//! above what this compiler makes of the code, so that another version of it does not fail the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tlbc_tests::rustc;

/// The most instructions of one gather, or of one of what else the benchmark measures, by the names that it prints.
const MOST: [(&str, u64); 13] = [
    ("no flush, 1 page", 430),
    ("arm64, 1 page", 490),
    ("arm64, 2 pages", 655),
    ("arm64, 16 pages in folios", 850),
    ("arm64, 100 pages", 7_450),
    ("arm64, 1 pages, set of 64, 8 online, 2 active", 450),
    ("arm64, switch and back", 380),
    ("x86-64, 1 page", 475),
    ("x86-64, 2 pages", 645),
    ("x86-64, 100 pages", 6_370),
    ("x86-64, teardown of 1000", 59_000),
    ("x86-64, switch and back", 425),
    ("x86-64, lazy and back", 145),
];

/// Returns the counts of the cases whose names contain a filter, or the reason why nothing can be counted here.
fn counts(filter: &str) -> Result<BTreeMap<String, u64>, String> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("the bounds are for x86-64".to_owned());
    }
    rustc::run(Command::new("valgrind").arg("--version"))?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let program = benchmark(directory.path(), &["-Copt-level=3"]);
    let printed = rustc::run(Command::new(program).args(["--counts", filter]))?;
    let lines = printed.lines().map(|line| {
        let (count, name) = line
            .trim()
            .split_once("  ")
            .unwrap_or_else(|| panic!("{printed}"));
        (
            name.to_owned(),
            count.parse().unwrap_or_else(|_| panic!("{printed}")),
        )
    });
    Ok(lines.collect())
}

/// Compiles the benchmark with these options, and returns the program.
pub fn benchmark(directory: &Path, options: &[&str]) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = |path: &str| tests.join("..").join(path).join("src/lib.rs");
    let crates = [
        ("tlbc_runtime", "rlib", library("runtime")),
        ("tlbc_backends", "rlib", library("generated")),
        ("gather", "bin", tests.join("benches/gather/main.rs")),
    ];
    for (name, kind, source) in crates {
        let mut command = Command::new(rustc::rustc());
        command.args(["--edition", "2024", "--cap-lints", "allow"]);
        command.args(options);
        command
            .args(["--crate-name", name, "--crate-type", kind])
            .arg("--out-dir")
            .arg(directory);
        command.arg("-L").arg(directory).args([
            "--extern",
            "tlbc_runtime",
            "--extern",
            "tlbc_backends",
        ]);
        command
            .env("CARGO_TARGET_TMPDIR", directory)
            .env("CARGO_MANIFEST_DIR", tests);
        rustc::run(command.arg(source)).unwrap_or_else(|error| panic!("{error}"));
    }
    directory.join("gather")
}

#[test]
fn no_path_takes_more_instructions_than_it_did() {
    let counts = match counts("") {
        Ok(counts) => counts,
        Err(reason) => return rustc::skipped(&reason),
    };
    for (name, most) in MOST {
        let count = counts
            .get(name)
            .unwrap_or_else(|| panic!("{name}: not in {counts:?}"));
        assert!(
            *count <= most,
            "{name}: {count} instructions, at most {most} expected"
        );
    }
    // What a set of CPUs can hold makes no difference, only how many CPUs there are.
    let small: Vec<_> = counts
        .iter()
        .filter(|(name, _)| name.contains("set of 64,"))
        .collect();
    assert_eq!(small.len(), 8, "{counts:?}");
    for (name, count) in small {
        let large = counts[&name.replace("set of 64,", "set of 4096,")];
        assert!(
            large * 20 <= count * 23,
            "{name}: {count}, with room for 4,096: {large}"
        );
    }
}
