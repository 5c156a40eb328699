//! How many scheduling points a core runs in a second, with random programs on the machines of each definition.

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use tlbc::torment::whole::{Options, torment};
use tlbc_tests::archdefs::{analysis, names};

/// How many schedules are run in a row.
const SCHEDULES: u64 = 50;

fn points(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("torment");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for arch in names() {
        for cpus in [2, 4] {
            let options = Options {
                schedules: SCHEDULES,
                cpus,
                shrinks: false,
                ..Options::default()
            };
            let run = || torment(analysis(arch), &options).expect("a machine").points;
            group.throughput(Throughput::Elements(run()));
            group.bench_function(format!("{arch}, {cpus} CPUs"), |b| b.iter(run));
        }
    }
    group.finish();
}

criterion_group!(benches, points);
criterion_main!(benches);
