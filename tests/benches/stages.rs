//! The stages of the compiler, one by one and together, for each shipped definition.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tlbc::source::Files;
use tlbc::{analyse, check, compile, emit, lower, parse, plan};
use tlbc_tests::archdefs::{Definition, shipped};

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
            b.iter(|| emit::emit(black_box(&analysis), &files, 0));
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

/// Returns a shipped definition with additional features, errata and instructions: 24 flags and 200 instructions.
fn grown() -> Definition {
    let mut all = shipped().into_iter();
    let arm64 = all.find(|definition| definition.path.ends_with("arm64.arch"));
    let Definition { path, text } = arm64.expect("it is shipped");
    let instruction = |name: String, requires: &str, cost: usize| {
        format!(
            "invalidate {name} {requires} \"tlbi {name}, {{page}}\" {{
                per \"none\";
                drops leaf at hint of one page, this tag;
                where inner;
                after dsb_ish;
                cost {cost};
            }}\n"
        )
    };
    // Half of the features bring an instruction that loses less, half one that costs more.
    let features = (0..11).map(|k| {
        let cost = if k % 2 == 0 { 1 } else { 2 + k };
        let instruction = instruction(format!("x{k}"), &format!("requires f{k}"), cost);
        format!("feature f{k} \"one more\";\n{instruction}")
    });
    let errata = (0..6).map(|k| {
        format!(
            "erratum e{k} \"once more\" {{
                weakens dsb_ish: not drained;
                workaround after dsb_ish issue vale1is, dsb_ish;
            }}\n"
        )
    });
    let instructions = (0..169).map(|k| instruction(format!("y{k}"), "", 2 + k));
    let items: String = features.chain(errata).chain(instructions).collect();
    let policy = text.rfind("policy {").expect("a policy");
    let text = format!("{}{items}{}", &text[..policy], &text[policy..]);
    Definition { path, text }
}

fn scaling(criterion: &mut Criterion) {
    let definition = grown();
    let (files, analysis) = definition.analysis();
    let model = &analysis.model;
    assert_eq!(model.features.len() + model.errata.len(), 24);
    let mut group = criterion.benchmark_group(format!(
        "24 flags and {} instructions",
        model.invalidates.len()
    ));
    group.bench_function("3 check", |b| b.iter(|| check::check(black_box(model))));
    group.bench_function("4 plan", |b| b.iter(|| plan::plan(black_box(model))));
    group.bench_function("5 emit", |b| {
        b.iter(|| emit::emit(black_box(&analysis), &files, 0));
    });
    group.finish();
}

criterion_group!(benches, stages, whole, scaling);
criterion_main!(benches);
