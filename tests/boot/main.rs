//! The example kernel, in QEMU: CPUs access memory without pause while it is unmapped and used again. No access may find
//! another page through a translation that is gone; and where invalidations are left out, some must.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError, RwLock};

use tlbc_tests::rustc::skipped;

/// The exit codes of `run.sh`.
const GOOD: i32 = 0;
const STALE: i32 = 1;
const MISSING: i32 = 77;

/// The scenarios of the kernel, by their numbers.
const SCENARIOS: std::ops::RangeInclusive<u32> = 1..=6;

/// What came of a boot.
struct Run {
    code: i32,
    output: String,
}

/// The kernel's CPUs run in turns, on one CPU of this machine. No access is seen out of order then.
const TURNS: &str = "--turns";

/// Boots the kernel; otherwise says what is missing for that. Where its CPUs run at the same time, no other boot does: they
/// take all CPUs of this machine.
fn boot(arch: &str, options: &[&str]) -> Result<Run, String> {
    static CPUS_IN_USE: RwLock<()> = RwLock::new(());
    built(arch)?;
    if options.contains(&TURNS) {
        let _shared = CPUS_IN_USE.read().unwrap_or_else(PoisonError::into_inner);
        run(arch, options)
    } else {
        let _alone = CPUS_IN_USE.write().unwrap_or_else(PoisonError::into_inner);
        run(arch, options)
    }
}

/// Builds the kernel once for each machine.
fn built(arch: &str) -> Result<(), String> {
    static BUILT: Mutex<BTreeMap<String, Result<(), String>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let build = || {
        let build = run(arch, &["--build"])?;
        assert_eq!(build.code, GOOD, "{}", build.output);
        Ok(())
    };
    built.entry(arch.to_owned()).or_insert_with(build).clone()
}

/// Runs `run.sh`; otherwise returns what is missing for that.
fn run(arch: &str, options: &[&str]) -> Result<Run, String> {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/kernel");
    let run = Command::new(kernel.join("run.sh"))
        .arg(arch)
        .args(options)
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernel"),
        )
        .output()
        .map_err(|error| format!("run.sh: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match run.status.code() {
        Some(MISSING) => Err(text(&run.stderr).trim_end().to_owned()),
        code => Ok(Run {
            code: code.unwrap_or(-1),
            output: text(&run.stdout) + &text(&run.stderr),
        }),
    }
}

impl Run {
    /// The number before some words.
    fn number(&self, words: &str) -> u64 {
        let before = self.output.split(words).next().unwrap_or_default();
        let digits = before.rsplit(|byte: char| !byte.is_ascii_digit()).next();
        let number = digits.and_then(|digits| digits.parse().ok());
        number.unwrap_or_else(|| panic!("no number of{words}:\n{}", self.output))
    }
}

/// Unmaps at least so many thousand pages while CPUs use them. Returns what came of it, unless something is missing.
fn holds(arch: &str, options: &[&str], thousands: u64) -> Option<Run> {
    let pages = thousands.to_string();
    let run = match boot(arch, &[options, &["--built", "--pages", &pages]].concat()) {
        Ok(run) => run,
        Err(reason) => {
            skipped(&reason);
            return None;
        }
    };
    assert_eq!(run.code, GOOD, "{}", run.output);
    assert!(run.number(" pages unmapped:") >= thousands * 1000);
    assert_eq!(run.number(" stale accesses"), 0);
    assert_eq!(run.number(" overwritten words"), 0);
    assert!(run.number(" accesses,") > thousands * 1000);
    assert!(run.number(" large pages split by writes") > 0);
    assert!(run.number(" made of small ones") > 0);
    Some(run)
}

/// Runs each scenario with a sink that is broken on purpose.
fn is_found(arch: &str, sabotage: &[&str]) {
    for scenario in SCENARIOS {
        let only = scenario.to_string();
        let run = match boot(
            arch,
            &[sabotage, &["--built", "--only", &only, "--pages", "20"]].concat(),
        ) {
            Ok(run) => run,
            Err(reason) => return skipped(&reason),
        };
        assert_eq!(run.code, STALE, "scenario {scenario}: {}", run.output);
        assert!(run.number(" stale accesses") + run.number(" overwritten words") > 0);
    }
}

#[test]
fn aarch64() {
    holds("aarch64", &[TURNS], 100);
}

#[test]
fn aarch64_at_the_same_time() {
    holds("aarch64", &[], 20);
}

#[test]
fn aarch64_plain_kpti() {
    holds("aarch64", &[TURNS, "--plain", "--kpti"], 20);
}

#[test]
fn aarch64_without_invalidations() {
    is_found("aarch64", &[TURNS, "--drops"]);
}

#[test]
fn aarch64_without_broadcast() {
    is_found("aarch64", &[TURNS, "--stays-here"]);
}

#[test]
fn riscv64() {
    if let Some(run) = holds("riscv64", &[TURNS], 20) {
        // Calls reach every CPU. Only a batched unmap sends IPIs, one for many pages.
        assert!(run.number(" IPIs") * 20 < run.number(" pages unmapped:"));
    }
}

#[test]
fn riscv64_at_the_same_time() {
    holds("riscv64", &[], 20);
}

#[test]
fn riscv64_plain() {
    if let Some(run) = holds("riscv64", &[TURNS, "--plain"], 20) {
        assert!(run.number(" IPIs") > 0, "no calls are made");
    }
}

#[test]
fn riscv64_without_invalidations() {
    is_found("riscv64", &[TURNS, "--drops"]);
}

#[test]
fn riscv64_without_calls() {
    is_found("riscv64", &[TURNS, "--stays-here"]);
}

#[test]
fn riscv64_without_forwarding() {
    is_found("riscv64", &[TURNS, "--plain", "--stays-here"]);
}

#[test]
fn x86_64() {
    holds("x86_64", &[TURNS], 100);
}

#[test]
fn x86_64_at_the_same_time() {
    holds("x86_64", &[], 20);
}

#[test]
fn x86_64_pti() {
    holds("x86_64", &[TURNS, "--kpti"], 20);
}

#[test]
fn x86_64_without_invalidations() {
    is_found("x86_64", &[TURNS, "--drops"]);
}

#[test]
fn x86_64_without_forwarding() {
    is_found("x86_64", &[TURNS, "--stays-here"]);
}

/// Tags are used again after a rollover, on the machines where a space is given one: 64 tags need as many copies of a process.
#[test]
fn rollovers() {
    for arch in ["aarch64", "riscv64"] {
        let copies = ["--built", TURNS, "--only", "3", "--pages", "100"];
        match boot(arch, &copies) {
            Ok(run) => {
                assert_eq!(run.code, GOOD, "{}", run.output);
                assert!(run.number(" rollovers of tags") > 0, "{}", run.output);
            }
            Err(reason) => skipped(&reason),
        }
    }
}
