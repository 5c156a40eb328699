//! `tlbc prove`: what is not proved has rows of its own, and is no failure.

use serde_json::Value;

use crate::support::{root, tlbc};

fn proved(arch: &str, format: &str) -> String {
    let file = format!("archdefs/{arch}.arch");
    let arguments = ["prove", "--without-solver", "--format", format, &file];
    let run = tlbc(&root(), &arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout
}

#[test]
fn what_is_not_proved_has_rows_in_the_table() {
    let table = proved("s390", "text");
    for claim in [
        "no lockless walker is in a freed table",
        "an entry has the value that is compared",
    ] {
        let row = table.lines().find(|line| line.trim().starts_with(claim));
        let row = row.unwrap_or_else(|| panic!("{claim}:\n{table}"));
        let words: Vec<&str> = row.trim()[claim.len()..].split_whitespace().collect();
        let [paths, proved, left, reason @ ..] = words.as_slice() else {
            panic!("{row}");
        };
        assert_ne!(*paths, "0", "{row}");
        assert_eq!((*proved, left), ("0", paths), "{row}");
        assert!(reason.len() > 5, "{row}");
    }
}

#[test]
fn what_is_not_proved_is_in_the_object() {
    let object: Value = serde_json::from_str(&proved("s390", "json")).expect("an object");
    let definition = &object["definitions"][0];
    assert_eq!(definition["not_proved"], 0);
    let gaps = definition["gaps"].as_array().expect("gaps");
    assert!(gaps.len() >= 2, "{gaps:?}");
    for gap in gaps {
        assert_eq!(gap["verdict"], "not proved", "{gap}");
        assert!(gap["paths"].as_u64() > Some(0), "{gap}");
        assert!(
            gap["reason"].as_str().is_some_and(|it| it.len() > 20),
            "{gap}"
        );
    }
}
