//! Wrong facts and faulty plans are found: a sample. `scores` judges all of them and writes `tests/SCORES.md`.

use tlbc::torment::Explored;
use tlbc_tests::archdefs::{analysis, names, shipped};
use tlbc_tests::mutate::facts::{Usage, changes};
use tlbc_tests::scores::definitions::{Judge, Verdict};
use tlbc_tests::scores::planner::{Agreement, explored};

/// One in so many changed facts is judged.
const STEP: usize = 400;
/// How many faulty plans of each definition are judged.
const PLANS: u64 = 3;

/// No plan of a wrong definition is proved and leaves entries on the right hardware.
#[test]
fn wrong_facts_are_found() {
    let all = shipped();
    let usage = Usage::new(all.iter().map(|it| it.text.as_str()));
    let (mut judged, mut found) = (0, 0);
    for definition in &all {
        let mut judge = Judge::new(definition, analysis(definition.arch()));
        for changed in judge.changes(&usage).iter().step_by(STEP) {
            let verdict = judge.verdict(changed);
            let what = &changed.mutant.what;
            assert_ne!(
                verdict,
                Verdict::Contradicted,
                "{}: {what}",
                definition.path
            );
            judged += 1;
            found += u32::from(verdict < Verdict::OtherMachine);
        }
    }
    assert!(found * 2 > judged, "{found} of {judged}");
}

/// What an instruction writes into table entries is judged by the plans of changes.
#[test]
fn wrong_facts_about_writing_instructions_are_found() {
    let all = shipped();
    let usage = Usage::new(all.iter().map(|it| it.text.as_str()));
    for definition in &all {
        let mut judge = Judge::new(definition, analysis(definition.arch()));
        let changes = judge.changes(&usage);
        for changed in changes
            .iter()
            .filter(|it| it.mutant.what.contains("writes entry"))
        {
            let verdict = judge.verdict(changed);
            println!("{verdict:?}: {}", changed.mutant.what);
        }
    }
}

/// A definition that says too much of what an instruction invalidates of walk entries makes plans that name one address for
/// several tables. All of them are refused.
#[test]
fn wrong_facts_about_walk_entries_are_found() {
    let all = shipped();
    let usage = Usage::new(all.iter().map(|it| it.text.as_str()));
    for definition in &all {
        let mut judge = Judge::new(definition, analysis(definition.arch()));
        let conditional = |what: &str| what.contains("drops walk") && what.contains(" when ");
        let changes = judge.changes(&usage);
        for changed in changes.iter().filter(|it| conditional(&it.mutant.what)) {
            let verdict = judge.verdict(changed);
            println!("{verdict:?}: {}", changed.mutant.what);
            assert_ne!(
                verdict,
                Verdict::Contradicted,
                "{}: {}",
                definition.path,
                changed.mutant.what
            );
        }
    }
}

/// The prover is no weaker than the hardware, and the hardware agrees with a search.
#[test]
fn faulty_plans_are_found() {
    let mut all = Agreement::default();
    let mut searched = Explored::default();
    for arch in names().map(analysis) {
        for seed in 0..PLANS {
            all.add(arch, seed);
            searched.join(explored(arch, seed));
        }
    }
    assert_eq!(all.hardware_only, Vec::<String>::new());
    assert!(all.both >= 7, "{all:?}");
    assert!(searched.agents > 1000 && searched.left > 0, "{searched:?}");
    assert_eq!((searched.missed, searched.over), (0, 0), "{searched:?}");
}

/// Each statement, condition and number of a definition is changed.
#[test]
fn each_fact_is_changed() {
    let text = "arch a { feature f \"f\"; caches { tlb holds leaf, walk when f; one per cpu; } invalidate i \"i\" { drops leaf of one page, this tag when f; after b; } barrier b \"b\" { gone; } }";
    let usage = Usage::new([text]);
    let all = changes(text, &usage);
    let has = |part: &str| all.iter().any(|it| it.mutant.text.contains(part));
    for part in [
        "tlb holds leaf;",
        "tlb holds leaf, walk ;",
        "tlb holds leaf, walk when not f;",
        "drops leaf of everything, this tag when f;",
        "drops leaf, walk of one page, this tag when f;",
        "drops leaf of one page, any tag when f;",
        "at once;",
        "caches {  one per cpu; }",
        "\"b\" {  }",
    ] {
        assert!(has(part), "{part}");
    }
    let unlike = all.iter().all(|it| it.mutant.text != text);
    assert!(unlike);
}
