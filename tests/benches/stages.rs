//! The stages of the compiler, one by one and together, for each shipped definition.

#[path = "../tests/support/archdefs.rs"]
mod archdefs;

use archdefs::{Definition, shipped};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tlbc::source::Files;
use tlbc::{analyse, check, compile, emit, lower, parse, plan};

fn stages(criterion: &mut Criterion) {
    for definition in shipped() {
        let (files, analysis) = definition.analysis();
        let model = &analysis.model;
        let mut group = criterion.benchmark_group(model.arch.name.as_str());
        let mut parsed = Files::default();
        let file = parsed.add(&definition.path, &definition.text);
        let ast = parse::parse(&parsed, file).0.expect("a definition");
        group.bench_function("1 parse", |b| {
            b.iter(|| parse::parse(black_box(&parsed), file));
        });
        group.bench_function("2 lower", |b| b.iter(|| lower::lower(black_box(&ast))));
        group.bench_function("3 check", |b| b.iter(|| check::check(black_box(model))));
        group.bench_function("4 plan", |b| b.iter(|| plan::plan(black_box(model))));
        group.bench_function("5 emit", |b| {
            b.iter(|| emit::emit(black_box(&analysis), &files));
        });
        group.finish();
    }
}

fn whole(criterion: &mut Criterion) {
    let definitions = shipped();
    let mut group = criterion.benchmark_group("all definitions");
    group.bench_function("check", |b| {
        b.iter(|| {
            let mut files = Files::default();
            for Definition { path, text } in &definitions {
                let file = files.add(path, text);
                black_box(analyse(&files, file));
            }
        });
    });
    group.bench_function("gen", |b| {
        b.iter(|| {
            let sources = definitions.iter();
            compile(sources.map(|Definition { path, text }| (path.as_str(), text.as_str())))
        });
    });
    group.finish();
}

criterion_group!(benches, stages, whole);
criterion_main!(benches);
