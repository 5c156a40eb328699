//! The time of flushes through a sink that counts: deciding and encoding, without the instructions.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tlbc_backends::{arm64, x86_64};
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Extent, Ranges, Reach, Request, Scope, Space, SpaceFlags, Tag};
use tlbc_runtime::{Backend, Record};

/// Starts and finishes a flush; returns the number of its instructions.
fn flush<B: Backend>(tlb: &B, request: &Request<'_>) -> u64 {
    let mut count = 0;
    let mut sink = Record(|op| {
        black_box(op);
        count += 1;
    });
    let started = tlb.start(black_box(&mut sink), black_box(request));
    let _ = black_box(tlb.finish(&mut sink, started));
    count
}

/// A flush of a user space on several CPUs.
fn request(scope: Scope<'_>) -> Request<'_> {
    Request {
        space: Space::User,
        tag: Tag {
            value: 5,
            global: false,
        },
        reach: Reach::Wide,
        published: false,
        flags: SpaceFlags::NONE,
        scope,
    }
}

fn requests<B: Backend>(criterion: &mut Criterion, tlb: &B) {
    let mut group = criterion.benchmark_group(format!("flush, {}", B::FACTS.name));
    let va = 0x7f12_3456_7000;
    let page = request(Scope::Page {
        va,
        level: Level(0),
        table: false,
    });
    group.bench_function("one page", |b| b.iter(|| flush(black_box(tlb), &page)));
    for pages in [2, 32, 512] {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(va, pages << 12));
        let many = request(Scope::Ranges(&ranges));
        let name = format!("{pages} pages, {} instructions", flush(tlb, &many));
        group.bench_function(name, |b| b.iter(|| flush(black_box(tlb), &many)));
    }
    let all = request(Scope::Everything { tables: true });
    group.bench_function("everything", |b| b.iter(|| flush(black_box(tlb), &all)));
    group.finish();
}

fn backends(criterion: &mut Criterion) {
    requests(
        criterion,
        &arm64::Tlb {
            config: arm64::Config::NONE
                .with(arm64::Config::TTL)
                .with(arm64::Config::ETS2),
        },
    );
    requests(
        criterion,
        &x86_64::Tlb {
            config: x86_64::Config::NONE
                .with(x86_64::Config::PGE)
                .with(x86_64::Config::PCID)
                .with(x86_64::Config::INVPCID),
            invlpgb_pages: 1,
        },
    );
}

criterion_group!(benches, backends);
criterion_main!(benches);
