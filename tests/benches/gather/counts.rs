//! Exact counts of instructions, by running both sides under valgrind.
//!
//! In: the cases, each of which runs one round within `counted_work`. Out: how many instructions the round took, one number for
//! each case. Valgrind's `callgrind` counts only within that function, and writes a file whenever it returns.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs what is counted. The profiler finds it by this name.
// SAFETY: no other function has this name.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "Rust" fn counted_work(run: &mut dyn FnMut()) {
    run();
    std::hint::black_box(()); // not a tail call, which would leave the function before the work begins
}

/// Runs a program under the profiler, with requests on its standard input. Returns the instructions of each call of
/// `counted_work`.
///
/// # Errors
///
/// Returns the reason if there is no profiler here, or if it fails.
pub fn count(program: &Path, arguments: &[&str], requests: &str) -> Result<Vec<u64>, String> {
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("counts-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    std::fs::write(directory.join("requests"), requests).map_err(|error| error.to_string())?;
    let requests =
        std::fs::File::open(directory.join("requests")).map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command.args([
        "-q",
        "--tool=callgrind",
        "--toggle-collect=counted_work",
        "--dump-after=counted_work",
    ]);
    command.arg(format!("--callgrind-out-file={}/out", directory.display()));
    command
        .arg(program)
        .args(arguments)
        .stdin(requests)
        .stdout(Stdio::null());
    let output = command
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "valgrind: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let parts =
        (1..).map_while(|part| std::fs::read_to_string(directory.join(format!("out.{part}"))).ok());
    let counts = parts.map(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("totals: "));
        line.and_then(|count| count.trim().parse().ok())
            .ok_or("valgrind: a profile without a sum".to_owned())
    });
    let counts = counts.collect();
    let _ = std::fs::remove_dir_all(&directory);
    counts
}
