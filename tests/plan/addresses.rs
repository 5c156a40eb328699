//! `tlbc prove`: what is claimed of the addresses of the shipped definitions is proved.

use std::process::Command;

use tlbc::addresses::{By, Judged, Verdict, judge};
use tlbc::analyse;
use tlbc::codes::TOY;
use tlbc::model::{Model, Under};
use tlbc::source::Files;
use tlbc_tests::archdefs::shipped;
use tlbc_tests::requests::edited;
use tlbc_tests::rustc::skipped;

fn messages(judged: &[Judged]) -> Vec<String> {
    let found = judged.iter().filter_map(Judged::diagnostic);
    found.map(|it| it.message).collect()
}

#[test]
fn the_addresses_of_shipped_definitions_are_checked() {
    for definition in shipped() {
        let (files, analysis) = definition.analysis();
        let judged = judge(&analysis, &files, By::Values);
        assert_eq!(messages(&judged), Vec::<String>::new());
        let checked = |it: &Judged| matches!(it.verdict, Verdict::Checked(values) if values > 0);
        assert!(judged.iter().all(checked), "{}", definition.arch());
        // Loops over entries, and an operand.
        assert!(judged.len() > 10, "{}: {}", definition.arch(), judged.len());
    }
}

#[test]
fn the_addresses_of_shipped_definitions_are_proved() {
    if Command::new("z3").arg("-version").output().is_err() {
        return skipped("z3 is not installed");
    }
    for definition in shipped() {
        let (files, analysis) = definition.analysis();
        let judged = judge(&analysis, &files, By::Solver);
        assert_eq!(messages(&judged), Vec::<String>::new());
        // The loops of the runtime are compared with the claims.
        let compared = |it: &&Judged| it.words.starts_with("the runtime takes");
        let (compared, proved): (Vec<_>, Vec<_>) = judged.iter().partition(compared);
        assert!(!compared.is_empty());
        for it in proved {
            assert_eq!(it.verdict, Verdict::Proved, "{}: {}", it.about, it.words);
        }
    }
}

/// Returns the claims of the example machine that fail, after replacements in its text and a change of the model. Each
/// replaced text occurs once.
fn failed(edits: &[(&str, &str)], change: impl Fn(&mut Model)) -> Vec<String> {
    let all = edits.iter();
    let text = all.fold(TOY.to_owned(), |text, (old, new)| edited(&text, old, new));
    let mut files = Files::default();
    let file = files.add("toy.arch", &text);
    let (analysis, found) = analyse(&files, file);
    let found: Vec<String> = found.into_iter().map(|it| it.message).collect();
    let mut analysis = analysis.unwrap_or_else(|| panic!("{edits:?}: {found:?}"));
    change(&mut analysis.model);
    messages(&judge(&analysis, &files, By::Values))
}

const ADDRESS: &str = "[55:50] 0; [49:48] hint when hinted; [47:0] va[59:12];";

/// Neighbours that share a translation have the same operand.
#[test]
fn operands_of_neighbours_that_share_a_translation() {
    for joined in 1..=6 {
        let cache = format!("one per cpu; leaf at pte covers {} entries;", 1 << joined);
        let (low, top) = (12 + joined, 47 - joined);
        let address = format!(
            "[55:50] 0; [49:48] hint when hinted; [47:{}] 0; [{top}:0] va[59:{low}];",
            top + 1
        );
        let edits = [
            ("one per cpu;", cache.as_str()),
            (ADDRESS, address.as_str()),
        ];
        assert_eq!(failed(&edits, |_| {}), Vec::<String>::new());
        // Half of them share one.
        let fewer = failed(&edits, |model| {
            let at = model.caches.joined[0].as_mut();
            at.expect("neighbours").value = joined - 1;
        });
        assert_eq!(fewer.len(), 2, "{fewer:?}");
        assert!(
            fewer.iter().all(|it| it.contains("address back")),
            "{fewer:?}"
        );
    }
}

/// A run of large pages begins at a large page.
#[test]
fn operands_of_runs_of_one_level() {
    let edits = [
        (
            ADDRESS,
            "[55:43] 0; [42:39] num; [38:0] va[59:21]; names num + 1 entries;",
        ),
        (
            "drops leaf at hint of one page, this tag;",
            "drops leaf of run of 1..16 entries at pmd, this tag;",
        ),
        (
            "        drops walk of one page, this tag unless hinted;\n",
            "",
        ),
        (
            "    invalidate drop_space",
            "    operand small 64 bits { [63:56] tag; [55:48] 0; [47:0] va[59:12]; }
    invalidate drop_small \"drop.small {small}\" {
        per \"Toy manual, 4.5\";
        drops leaf, walk of one page, this tag;
        where cpus;
        needs no lock;
        after wait;
    }
    invalidate drop_space",
        ),
    ];
    assert_eq!(failed(&edits, |_| {}), Vec::<String>::new());
}

/// Where the kernel has a tag of its own, its addresses need not differ from those of user spaces.
#[test]
fn operands_with_the_bits_of_one_space() {
    let kernel = (
        "leaf global; walk under every tag;",
        "leaf under color 0; walk under color 0;",
    );
    let low = (
        ADDRESS,
        "[55:50] 0; [49:48] hint when hinted; [47:26] 0; [25:0] va[37:12];",
    );
    assert_eq!(failed(&[kernel, low], |_| {}), Vec::<String>::new());
    let shared = failed(&[kernel, low], |model| {
        for cases in [&mut model.kernel.leaf, &mut model.kernel.walk] {
            cases.cases[0].0.value = Under::EveryTag;
        }
    });
    assert_eq!(shared.len(), 2, "{shared:?}");
}

/// A 32-bit machine uses the lower half of an address alone.
#[test]
fn the_addresses_of_narrow_machines_are_checked() {
    for text in [
        include_str!("../codegen/narrow/extended.arch"),
        include_str!("../codegen/narrow/sections.arch"),
    ] {
        let mut files = Files::default();
        let file = files.add("narrow.arch", text);
        let (analysis, _) = analyse(&files, file);
        let judged = judge(&analysis.expect("a definition"), &files, By::Values);
        assert_eq!(messages(&judged), Vec::<String>::new());
        let read_back = |it: &&Judged| it.words.contains("address back");
        assert!(judged.iter().filter(read_back).count() > 0);
    }
}
