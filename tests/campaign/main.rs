//! `cargo run --release -p tlbc-tests --bin campaign`: the whole runtime on hostile hardware, for as long as wanted.
//!
//! In: definitions, a time, and a shard. Out: what was run on each definition with each number of CPUs, and the failures, each
//! with the command that repeats it. Holds: a campaign that is ended at any moment goes on after the seeds that it has run, and
//! shards run different seeds. A seed that fails is run only once.

mod progress;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use progress::{Progress, Shard};
use tlbc::torment::whole::{Options, torment};
use tlbc_tests::archdefs::{analysis, names};

const HELP: &str = "\
campaign [ARCH] [MINUTES] [SHARD/SHARDS]
    runs random programs on the machines of a definition, or of `all`, with 2, 3 and 4 CPUs, for so many minutes; 0 shows what
    was run. Of 4 shards, 1/4 runs every fourth seed. What was run is in target/campaign: the next run goes on from there.
";

/// The numbers of CPUs.
const CPUS: [usize; 3] = [2, 3, 4];
/// The seeds after which another machine has its turn.
const SEEDS: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arch = arguments.first().map_or("all", String::as_str);
    let minutes = arguments.get(1).map_or(Ok(60), |it| it.parse::<u64>());
    let shard = arguments.get(2).map_or("1/1", String::as_str);
    let known = arch == "all" || names().any(|name| name == arch);
    let (Ok(minutes), Some(shard), true) = (minutes, Shard::parse(shard), known) else {
        print!("{HELP}");
        return ExitCode::from(2);
    };
    match run(arch, Duration::from_secs(60 * minutes), shard) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Runs a campaign. Returns how many seeds have failed, in earlier runs as well.
fn run(arch: &str, time: Duration, shard: Shard) -> Result<usize, String> {
    let mut progress = Progress::read(shard)?;
    let until = Instant::now() + time;
    let chosen: Vec<&str> = names()
        .filter(|name| arch == "all" || arch == *name)
        .collect();
    let mut machines = { chosen.iter() }
        .flat_map(|arch| CPUS.map(|cpus| (*arch, cpus)))
        .cycle();
    while Instant::now() < until {
        let Some((arch, cpus)) = machines.next() else {
            break;
        };
        let total = progress.of(arch, cpus);
        let options = Options {
            seed: shard.seed(total.seeds),
            stride: shard.of,
            schedules: SEEDS,
            cpus,
            shrinks: false,
            ..Options::default()
        };
        let report = torment(analysis(arch), &options)?;
        total.seeds += report.schedules + report.unusable;
        total.schedules += report.schedules;
        total.points += report.points;
        if let Some(failure) = report.failure {
            println!("{}", again(arch, cpus, failure.seed));
            println!("    {}", failure.complaint);
            total.failed.push(failure.seed);
        }
        progress.write()?;
    }
    let mut failed = 0;
    for (arch, cpus, total) in progress.all() {
        let million = total.points / 1_000_000;
        let schedules = total.schedules;
        println!("{arch:12} {cpus} CPUs: {schedules:8} schedules, {million:6} million points");
        for seed in &total.failed {
            println!("    failed: {}", again(arch, cpus, *seed));
        }
        failed += total.failed.len();
    }
    Ok(failed)
}

/// Returns the command that runs a seed again.
fn again(arch: &str, cpus: usize, seed: u64) -> String {
    format!("tlbc torment archdefs/{arch}.arch --runtime --cpus {cpus} --seed {seed} --schedules 1")
}
