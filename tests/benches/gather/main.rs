//! The cost of the runtime's own code: gathering pages, freeing tables, switching. Instructions of flushes are discarded.
//!
//! Most rows are compared with the same work in C, in Linux's layout (`peer.c`, compiled here if there is a C compiler). Both
//! sides are measured in turn, some rounds at a time, so that other load on the machine affects both; the tables have the median
//! and the minimum of all rounds, and the number of instructions, counted by valgrind if it is installed.
//!
//! ```text
//! cargo bench -p tlbc-tests --no-default-features --bench gather                    everything
//! cargo bench -p tlbc-tests --no-default-features --bench gather -- 'arm64, 2'      the rows whose name contains this
//! cargo bench -p tlbc-tests --no-default-features --bench gather -- --counts        the instructions of the runtime's side, without times
//! ```

mod apart;
mod case;
mod counts;
mod entries;
mod machine;
mod nothing;
mod peer;
mod platform;
mod task;
mod work;

use std::fmt::Write;
use std::time::Duration;

use case::{Case, MOST_FOR_CAPACITY, Shape, WORDS};
use machine::Arm64;
use peer::Peer;
use task::Bench;
use work::Work;

/// How often the two sides take turns.
const TURNS: usize = 40;
/// The rounds of a turn. One more comes before them and is not counted.
const ROUNDS: usize = 8;

/// The argument of this program when it runs under the profiler.
const COUNTED: &str = "--counted";

/// What was measured of one side: times of one round in nanoseconds, and instructions.
#[derive(Default)]
struct Side {
    times: Vec<f64>,
    instructions: Option<u64>,
}

impl Side {
    fn add(&mut self, times: impl IntoIterator<Item = f64>) {
        self.times.extend(times.into_iter().skip(1));
    }

    fn median(&mut self) -> Option<f64> {
        self.times.sort_by(f64::total_cmp);
        self.times.get(self.times.len() / 2).copied()
    }

    /// Returns the columns: the median and the minimum in nanoseconds a page, and the instructions a gather.
    fn columns(&mut self, gathers: u32, pages: u32) -> String {
        let (median, least) = (self.median(), self.times.first().copied());
        let a_page = |time: Option<f64>| {
            let time = time.map(|time| time / f64::from(gathers * pages));
            time.map_or("-".to_owned(), |time| format!("{time:.2}"))
        };
        let instructions = self.instructions.map_or("-".to_owned(), |count| {
            format!("{}", count / u64::from(gathers))
        });
        format!(
            "{:>9} {:>8} {instructions:>8}",
            a_page(median),
            a_page(least)
        )
    }
}

/// A row of a table: a case, with what was measured of the C side and of this one.
struct Row {
    case: Case,
    gathers: u32,
    pages: u32,
    c: Side,
    ours: Side,
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Measures cases in turn, and both sides of each.
fn measure(cases: &[Case], mut peer: Option<&mut Peer>) -> Vec<Row> {
    let works = cases.iter().map(|&case| (case, Work::new(case)));
    let mut works: Vec<_> = works.collect();
    let rows = works.iter().map(|(case, work)| Row {
        case: *case,
        gathers: work.gathers,
        pages: work.pages,
        c: Side::default(),
        ours: Side::default(),
    });
    let mut rows: Vec<_> = rows.collect();
    for _ in 0..TURNS {
        for ((case, work), row) in works.iter_mut().zip(&mut rows) {
            if let (Some(peer), Some(request)) = (&mut peer, case.request()) {
                row.c.add(peer.time(&request, 1 + ROUNDS));
            }
            if case.shape == Shape::Shared {
                let times = work::shared(*case, 1 + ROUNDS);
                row.ours.add(times.into_iter().map(nanoseconds));
            } else {
                row.ours.add((0..=ROUNDS).map(|_| nanoseconds(work.time())));
            }
        }
    }
    rows
}

/// Counts the instructions of each row, or says why there are none.
fn count(rows: &mut [Row], peer: Option<&Peer>) {
    let names = rows
        .iter()
        .map(|row| row.case.name() + "\n")
        .collect::<String>();
    match count_ours(&names) {
        Ok(counts) => {
            for (row, count) in rows.iter_mut().zip(counts) {
                row.ours.instructions = Some(count);
            }
        }
        Err(why) => println!("instructions are not counted: {why}"),
    }
    let Some(peer) = peer else { return };
    // Of two CPUs, only what one of them does could be counted.
    let alone = rows
        .iter_mut()
        .filter(|row| row.case.shape != Shape::Shared);
    let asked = alone.filter_map(|row| Some((format!("count {}\n", row.case.request()?), row)));
    let (requests, asked): (Vec<_>, Vec<_>) = asked.unzip();
    let lines = requests.concat();
    if let Ok(counts) = counts::count(&peer.program, &[], &lines) {
        for (row, count) in asked.into_iter().zip(counts) {
            row.c.instructions = Some(count);
        }
    }
}

/// Returns the instructions of one round of each case on this side, in a process under the profiler.
fn count_ours(names: &str) -> Result<Vec<u64>, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let counts = counts::count(&this, &[COUNTED], names)?;
    if counts.len() == names.lines().count() {
        Ok(counts)
    } else {
        Err("valgrind: profiles are missing".to_owned())
    }
}

/// Runs a round of each case that is named on standard input, under the profiler.
fn counted() {
    let all = all_cases();
    for name in std::io::stdin().lines() {
        let name = name.expect("a name");
        let case = all.iter().find(|case| case.name() == name).expect("a case");
        let mut work = Work::new(*case);
        work.time(); // the pool of batches is full after it
        work.count();
    }
}

fn all_cases() -> Vec<Case> {
    let parts = [
        Case::compared(),
        Case::shared(),
        Case::capacities(),
        Case::others(),
    ];
    parts.concat()
}

/// Returns how a ratio compares with its target.
fn judged(ratio: f64, target: f64) -> String {
    let met = if ratio <= target { "met" } else { "NOT met" };
    format!("{ratio:>7.2} {target:>7.2}  {met}")
}

/// Returns the table of rows that are compared with the C program, and of those compared with nothing.
fn compared(rows: &mut [Row]) -> String {
    let mut text = format!(
        "\n{:<32}{:^27}  {:^27}\n{:<32}{side}  {side}{:>7} {:>7}\n",
        "",
        "C program",
        "runtime",
        "ns a page, instructions a gather",
        "ratio",
        "at most",
        side = format!("{:>9} {:>8} {:>8}", "median", "minimum", "instr."),
    );
    for row in rows {
        let ratio = row
            .ours
            .median()
            .zip(row.c.median())
            .map(|(ours, c)| ours / c);
        let result = match (ratio, row.case.target()) {
            (Some(ratio), Some(target)) => judged(ratio, target),
            (Some(ratio), None) => format!("{ratio:>7.2}"),
            (None, _) => String::new(),
        };
        let c = row.c.columns(row.gathers, row.pages);
        let ours = row.ours.columns(row.gathers, row.pages);
        let _ = writeln!(text, "{:<32}{c}  {ours}{result}", row.case.name());
    }
    text
}

/// Returns the table of what the capacity of CPU sets costs.
fn capacities(rows: &mut [Row]) -> String {
    let heads = WORDS
        .map(|words| format!("{:>18}", format!("set of {}", words * 64)))
        .concat();
    let mut text = format!(
        "\n{:<40}{heads}{:>7} {:>7}\n",
        "ns a gather (instructions)", "ratio", "at most"
    );
    for rows in rows.chunks_mut(WORDS.len()) {
        let Some(Shape::Capacity {
            online,
            active,
            pages,
            ..
        }) = rows.first().map(|row| row.case.shape)
        else {
            continue;
        };
        let flush = rows[0].case.flush.name();
        let name = format!("{flush}, {pages} pages, {online} online, {active} active");
        let _ = write!(text, "{name:<40}");
        let mut medians = Vec::new();
        for row in rows {
            let median = row.ours.median().unwrap_or(f64::NAN) / f64::from(row.gathers);
            let count = row.ours.instructions.map_or("-".to_owned(), |count| {
                format!("{}", count / u64::from(row.gathers))
            });
            let _ = write!(text, "{:>18}", format!("{median:.1} ({count})"));
            medians.push(median);
        }
        let ratio = medians[medians.len() - 1] / medians[0];
        let _ = writeln!(text, "{}", judged(ratio, MOST_FOR_CAPACITY));
    }
    text
}

/// Prints rows as a table.
type Table = fn(&mut [Row]) -> String;

/// Measures the cases whose names contain the filter, both sides in turn, and prints the tables.
fn tables(filter: &str) {
    let mut peer = match Peer::start() {
        Ok(peer) => Some(peer),
        Err(why) => {
            println!("the comparison with C is skipped: {why}");
            None
        }
    };
    if let Some(peer) = &peer {
        println!(
            "C by {} -O2; {TURNS} turns of {ROUNDS} rounds",
            peer.compiler
        );
    }
    println!("a gather is {} bytes of stack", Bench::<Arm64>::SIZE);
    let parts: [(Vec<Case>, Table); 4] = [
        (Case::compared(), compared),
        (Case::shared(), compared),
        (Case::capacities(), capacities),
        (Case::others(), compared),
    ];
    for (cases, table) in parts {
        let cases = cases
            .into_iter()
            .filter(|case| case.name().contains(filter));
        let cases: Vec<_> = cases.collect();
        let in_turn = cases.chunks(WORDS.len());
        let mut rows: Vec<_> = in_turn
            .flat_map(|some| measure(some, peer.as_mut()))
            .collect();
        if !rows.is_empty() {
            count(&mut rows, peer.as_ref());
            print!("{}", table(&mut rows));
        }
    }
    apart::table();
}

/// Prints the instructions of the cases whose names contain the filter, one a line.
fn counts(filter: &str) {
    let cases = all_cases()
        .into_iter()
        .filter(|case| case.name().contains(filter));
    let cases: Vec<_> = cases.collect();
    let names = cases
        .iter()
        .map(|case| case.name() + "\n")
        .collect::<String>();
    match count_ours(&names) {
        Ok(counts) => {
            for (case, count) in cases.iter().zip(counts) {
                println!(
                    "{:>8}  {}",
                    count / u64::from(Work::new(*case).gathers),
                    case.name()
                );
            }
        }
        Err(why) => println!("instructions are not counted: {why}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag| arguments.iter().any(|argument| argument == flag);
    let filter = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    let filter = filter.map_or("", String::as_str);
    if has(COUNTED) {
        counted();
    } else if has("--counts") {
        counts(filter);
    } else if has("--bench") {
        if cfg!(feature = "torment") {
            // The runtime would call a function after each access to what CPUs share.
            eprintln!("the runtime is not that of a kernel: run this with `--no-default-features`");
            std::process::exit(2);
        }
        tables(filter);
    } else {
        // Under `cargo test` every case runs once.
        for case in all_cases() {
            Work::new(case).time();
        }
    }
}
