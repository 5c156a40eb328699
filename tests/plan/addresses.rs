//! `tlbc prove`: what is claimed of the addresses of the shipped definitions is proved.

use std::process::Command;

use tlbc::addresses::{By, Judged, Verdict, judge};
use tlbc::analyse;
use tlbc::source::Files;
use tlbc_tests::archdefs::shipped;
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
