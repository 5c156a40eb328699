//! Wrong facts and faulty plans are found: a sample. `scores` judges all of them and writes `tests/SCORES.md`.

use tlbc::torment::Explored;
use tlbc_tests::archdefs::{analysis, names, shipped};
use tlbc_tests::mutate::facts::{Usage, changes};
use tlbc_tests::scores::definitions::{Judge, Verdict};
use tlbc_tests::scores::planner::{Agreement, explored, judged};
use tlbc_tests::scores::table;
use tlbc_tests::workspace::root;

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

/// Returns the verdicts on those changed facts of a definition that satisfy a condition, with what was changed.
fn verdicts(arch: &str, is: impl Fn(&str) -> bool) -> Vec<(Verdict, String)> {
    let all = shipped();
    let usage = Usage::new(all.iter().map(|it| it.text.as_str()));
    let mut definitions = all.iter();
    let definition = definitions.find(|it| it.arch() == arch);
    let mut judge = Judge::new(definition.expect("a definition"), analysis(arch));
    let changes = judge.changes(&usage);
    let chosen = changes.iter().map(|it| (it, it.mutant.what.clone()));
    let chosen = chosen.filter(|(_, what)| is(what));
    chosen
        .map(|(changed, what)| (judge.verdict(changed), what))
        .collect()
}

/// An instruction that invalidates the walk entries of one address is taken for one that invalidates all: its plan names one
/// address for several unlinked tables.
#[test]
fn a_condition_of_walk_entries_that_is_wrong_is_found() {
    let judged = verdicts("x86_64", |what| {
        let clause = what.contains("`drops walk of everything, loaded tag when not tce;`");
        clause && (what.starts_with("`not ") || what.contains("` without `when"))
    });
    let disproved = judged.iter().filter(|(it, _)| *it == Verdict::Disproved);
    assert!(disproved.count() >= 7, "{judged:?}");
    // What is left is no definition.
    let found = |it: &(Verdict, String)| matches!(it.0, Verdict::Disproved | Verdict::Refused);
    assert!(judged.iter().all(found), "{judged:?}");
}

/// Instructions that write entries are judged by the plans of changes.
#[test]
fn wrong_levels_of_a_writing_instruction_are_found() {
    let judged = verdicts("s390", |what| {
        let other = what.starts_with("`at pmd`") || what.starts_with("`at pud`");
        other && what.contains("in `writes entry at pte: more rights;`")
    });
    assert!(judged.len() >= 4, "{judged:?}");
    for (verdict, what) in judged {
        assert_eq!(verdict, Verdict::Disproved, "{what}");
    }
}

/// A call that reached every CPU and the devices of a space is taken for one that reaches this core alone. The handler of an IPI
/// issues it as for a space without devices, with other operand bits than the sender.
#[test]
fn a_call_for_all_that_is_taken_for_a_local_one_does_no_harm() {
    let judged = verdicts("powerpc64", |what| {
        ["self", "core"]
            .iter()
            .any(|it| *what == format!("`where {it};` for `where all_agents;`"))
    });
    assert!(judged.len() >= 4, "{judged:?}");
    let harmless = judged.iter().filter(|(it, _)| *it == Verdict::NoLess);
    assert!(harmless.count() >= 2, "{judged:?}");
    assert!(
        judged.iter().all(|(it, _)| *it != Verdict::Contradicted),
        "{judged:?}"
    );
}

/// A call drops only the pages that lie in its range whole. Below an unlinked table there may be pages of several sizes, and a plan
/// that names the range in pieces of the smallest leaves the larger ones.
#[test]
fn ranges_in_pieces_below_a_live_table_are_no_proof() {
    let judged = verdicts("powerpc64", |what| {
        what.contains("`drops walk of run of 1.. entries at pte, pmd, pud, this tag;` without `p")
    });
    assert!(!judged.is_empty());
    let contradicted = { judged.iter() }.filter(|(it, _)| *it == Verdict::Contradicted);
    assert_eq!(contradicted.count(), 0, "{judged:?}");
    assert!(
        judged.iter().any(|(it, _)| *it == Verdict::Disproved),
        "{judged:?}"
    );
}

/// With larger translations loops name fewer addresses. Plans do not say so: their proof is for the levels of the right
/// definition.
#[test]
fn translations_that_are_too_large_are_found() {
    let judged = verdicts("x86_64", |what| {
        what.contains("leaf at pte covers 2 entries")
    });
    assert!(!judged.is_empty());
    let found = |it: &(Verdict, String)| it.0 == Verdict::Tormented;
    assert!(judged.iter().all(found), "{judged:?}");
}

/// The page has the tables of today, with a row for each definition.
#[test]
fn the_page_of_scores_is_complete() {
    let path = root().join("tests/SCORES.md");
    let page = std::fs::read_to_string(path).expect("`scores write` writes the page");
    for table in [table::facts(&[]), table::plans(&[]), table::searched(&[])] {
        assert!(page.contains(&table), "{table}");
        let rows = page.split(&table).nth(1).unwrap_or_default().lines();
        let rows = rows.take_while(|line| line.starts_with('|'));
        let found: Vec<&str> = rows.filter_map(|row| row.split(" | ").next()).collect();
        let wanted: Vec<String> = names().map(|name| format!("| {name}")).collect();
        assert_eq!(found, wanted);
    }
    for verdict in Verdict::ALL {
        assert!(page.contains(&format!("- {}: ", verdict.name())));
    }
}

/// The front page has the sums of the page of scores.
#[test]
fn the_front_page_has_the_sums() {
    let read = |page: &str| std::fs::read_to_string(root().join(page)).expect("a page");
    let front = read("README.md");
    let sums = front.split_once("<!-- scores -->\n");
    let sums = sums.and_then(|(_, rest)| rest.split_once("<!-- end of scores -->"));
    let (sums, _) = sums.expect("a place for the sums");
    assert!(sums.contains("contradict the proof"), "{sums}");
    assert!(read("tests/SCORES.md").contains(sums), "{sums}");
}

/// The prover is no weaker than the hardware, and the hardware agrees with a search.
#[test]
fn faulty_plans_are_found() {
    let mut all = Agreement::default();
    let mut searched = Explored::default();
    for arch in names().map(analysis) {
        for seed in 0..PLANS {
            all.add(judged(arch, seed));
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
