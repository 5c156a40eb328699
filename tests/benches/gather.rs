//! The cost of the runtime's own code: gathering pages, freeing tables, switching. Instructions are discarded.
//!
//! The results are compared with the same work in C, in Linux's layout (`gather.c`, compiled here if there is a C
//! compiler). Both clear entries by a locked exchange, take batches from a pool, and add up the pages that are
//! released. Both are measured in the same way: the best of many rounds, with the entries filled again between them.

#[path = "gather/apart.rs"]
mod apart;
#[path = "gather/machine.rs"]
mod machine;
#[path = "gather/nothing.rs"]
mod nothing;

use apart::{APART, PAGES};
use criterion::{Criterion, Throughput, criterion_group};
use machine::{Arena, Arm64, Bench, Machine, X86};
use nothing::Nothing;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The number of pages in one gather.
const SIZES: [usize; 5] = [1, 8, 100, 10_000, 1_000_000];
/// Gathers with fewer pages are measured several at once.
const SMALL: usize = 8192;

/// Rounds of the table, whose figures are minima.
const RUNS: usize = 40;

/// Fills the entries and clears them, some pages at a time. Returns the time that clearing took.
fn round<M: Machine>(bench: &Bench<M>, arena: &Arena, pages: usize) -> Duration {
    arena.fill();
    let start = Instant::now();
    for first in (0..arena.len()).step_by(pages) {
        bench.unmap(arena, first, pages);
    }
    start.elapsed()
}

fn arena<M: Machine>(bench: &Bench<M>, pages: usize) -> Arena {
    bench.arena((SMALL / pages).max(1) * pages)
}

/// Returns nanoseconds per page, of the best round.
fn best<M: Machine>(bench: &Bench<M>, pages: usize) -> f64 {
    let arena = arena(bench, pages);
    let rounds = 4 + 400_000 / arena.len();
    let least = (0..rounds).map(|_| round(bench, &arena, pages)).min();
    let pages = u32::try_from(arena.len()).expect("fewer pages");
    least.expect("a round").as_secs_f64() * 1e9 / f64::from(pages)
}

fn operations<M: Machine>(criterion: &mut Criterion) {
    let bench = Bench::<M>::new();
    let mut group = criterion.benchmark_group(M::NAME);
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    for pages in SIZES {
        let arena = arena(&bench, pages);
        group.throughput(Throughput::Elements(arena.len() as u64));
        group.sample_size(if pages > SMALL { 10 } else { 50 });
        group.bench_function(format!("gathers of {pages} pages"), |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| round(&bench, &arena, pages)).sum());
        });
    }
    let spread = bench.arena(SMALL);
    group.throughput(Throughput::Elements((SMALL / APART) as u64));
    group.bench_function(format!("gathers of {PAGES} pages, every {APART}th"), |b| {
        b.iter_custom(|rounds| {
            let clear = |_| {
                spread.fill();
                let start = Instant::now();
                for first in (0..SMALL).step_by(PAGES * APART) {
                    bench.unmap_apart(&spread, first, PAGES, APART);
                }
                start.elapsed()
            };
            (0..rounds).map(clear).sum()
        });
    });
    let links = bench.arena(512);
    group.throughput(Throughput::Elements(512));
    group.bench_function("tables, 512 in a gather", |b| {
        b.iter_custom(|rounds| {
            let free = |_| {
                links.fill();
                let start = Instant::now();
                bench.free_tables(&links);
                start.elapsed()
            };
            (0..rounds).map(free).sum()
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("flush of a page", |b| b.iter(|| bench.flush_page()));
    group.bench_function("switch to another space and back", |b| {
        b.iter(|| bench.switch_twice());
    });
    group.bench_function("lazy, there and back", |b| {
        b.iter(|| bench.lazy_and_back());
    });
    group.finish();
}

/// Columns of the C side: clearing alone; out of line and inlined, with a flush that does nothing; inlined with what
/// Linux does around the instructions of a flush, on each of the two machines.
const COLUMNS: usize = 5;
/// The columns of each size.
type Figures = [[f64; COLUMNS]; SIZES.len()];

/// Compiles the C side, or returns the reason why it cannot.
fn compile() -> Result<impl Fn() -> Figures, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let program = directory.path().join("gather");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gather.c");
    let wanted = std::env::var("CC").ok();
    let compilers = ["cc", "gcc", "clang"].map(String::from);
    let compiler = wanted.into_iter().chain(compilers).find(|compiler| {
        let mut command = Command::new(compiler);
        command.args(["-O2", "-o"]).arg(&program).arg(&source);
        command.status().is_ok_and(|status| status.success())
    });
    let compiler = compiler.ok_or("none of $CC, cc, gcc and clang compiles it")?;
    println!("C by {compiler} -O2");
    Ok(move || {
        let _kept = &directory;
        let output = Command::new(&program).output().expect("it runs").stdout;
        let text = String::from_utf8(output).expect("numbers");
        let mut lines = text.lines().map(|line| {
            let mut words = line.split_whitespace();
            let mut word = || words.next().expect("a word");
            let size: usize = word().parse().expect("a size");
            let figures = [(); COLUMNS].map(|()| word().parse().expect("a time"));
            (size, figures)
        });
        SIZES.map(|size| {
            let (its, figures) = lines.next().expect("a line");
            assert_eq!(its, size, "both sides measure the same");
            figures
        })
    })
}

fn less<const N: usize>(least: &mut [f64; N], now: [f64; N]) {
    for (least, now) in least.iter_mut().zip(now) {
        *least = least.min(now);
    }
}

/// Measures both sides in turn, so that other load on the machine affects both.
fn table() {
    let c = compile();
    if let Err(why) = &c {
        println!("the comparison with C is skipped: {why}");
    }
    let nothing = Bench::<Nothing>::new();
    let (arm, x86) = (Bench::<Arm64>::new(), Bench::<X86>::new());
    let mut least = [([f64::INFINITY; COLUMNS], [f64::INFINITY; 3]); SIZES.len()];
    for _ in 0..RUNS {
        let figures = c
            .as_ref()
            .map_or([[f64::NAN; COLUMNS]; SIZES.len()], |run| run());
        for ((of_c, ours), (size, figures)) in least.iter_mut().zip(SIZES.into_iter().zip(figures))
        {
            less(of_c, figures);
            let now = [best(&nothing, size), best(&arm, size), best(&x86, size)];
            less(ours, now);
        }
    }
    println!(
        "\nns a page, best of {RUNS} runs; a gather is {} bytes of stack",
        Bench::<Arm64>::SIZE
    );
    let heads = [
        "exchange",
        "C out of line",
        "C inlined",
        "C like arm64",
        "C like x86_64",
        Nothing::NAME,
        Arm64::NAME,
        X86::NAME,
    ];
    println!(
        "{:>8}{}",
        "pages",
        heads.map(|head| format!("{head:>18}")).concat()
    );
    for (size, (of_c, ours)) in SIZES.into_iter().zip(least) {
        print!("{size:>8}");
        for time in of_c.into_iter().chain(ours) {
            print!("{time:>18.2}");
        }
        println!();
    }
}

fn both(criterion: &mut Criterion) {
    operations::<Arm64>(criterion);
    operations::<X86>(criterion);
}

criterion_group!(benches, both);

fn main() {
    // Under `cargo test` everything runs once, and under a profiler there is no comparison.
    let has = |flag| std::env::args().any(|argument| argument == flag);
    if has("--bench") && !has("--profile-time") {
        table();
        apart::table();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
