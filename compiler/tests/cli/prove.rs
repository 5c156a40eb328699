//! `tlbc prove`: what is not proved has rows of its own, and is no failure.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tlbc::codes::TOY;

use crate::support::{root, tlbc, xml};

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
    let claim = "an entry has the value that is compared";
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

#[test]
fn what_is_not_proved_is_in_the_object() {
    let object: Value = serde_json::from_str(&proved("s390", "json")).expect("an object");
    let definition = &object["definitions"][0];
    assert_eq!(definition["not_proved"], 0);
    let gaps = definition["gaps"].as_array().expect("gaps");
    assert!(!gaps.is_empty());
    for gap in gaps {
        assert_eq!(gap["verdict"], "not proved", "{gap}");
        assert!(gap["paths"].as_u64() > Some(0), "{gap}");
        assert!(
            gap["reason"].as_str().is_some_and(|it| it.len() > 20),
            "{gap}"
        );
    }
}

const HOSTILE: &str = "<b>&amp; `x` ]]> <!-- </table>";

/// Returns the results for a definition of which some facts are not confirmed.
fn unconfirmed(format: &str) -> String {
    let facts = format!(
        "unconfirmed publish \"{HOSTILE}\"; unconfirmed drop_space, drop_all \"another\"; change {{"
    );
    let directory = TempDir::new().expect("a directory");
    let text = TOY.replace("change {", &facts);
    fs::write(directory.path().join("toy.arch"), text).expect("a file");
    let arguments = ["prove", "--without-solver", "--format", format, "toy.arch"];
    let run = tlbc(directory.path(), &arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout
}

#[test]
fn unconfirmed_facts_are_beside_the_proofs_that_depend_on_them() {
    let table = unconfirmed("text");
    let line = |start: &str| {
        let line = table.lines().find(|line| line.trim().starts_with(start));
        line.unwrap_or_else(|| panic!("{start}:\n{table}"))
    };
    assert!(line("user, other CPUs too: everything ").ends_with(" ms  1, 2"));
    assert!(line("user, other CPUs too: one page ").ends_with(" ms  1"));
    assert!(line("user, change: an entry becomes valid ").ends_with(" ms"));
    assert!(line("unconfirmed 2:").ends_with("`drop_space`, `drop_all`: another"));

    let object: Value = serde_json::from_str(&unconfirmed("json")).expect("an object");
    let definition = &object["definitions"][0];
    assert_eq!(definition["unconfirmed"][1]["number"], 2);
    assert_eq!(definition["unconfirmed"][1]["about"][0], "`drop_space`");
    assert_eq!(definition["unconfirmed"][1]["text"], "another");
    let requests = definition["requests"].as_array().expect("requests");
    let of = |name: &str| {
        let row = requests.iter().find(|it| it["request"] == name);
        row.expect("a request")["unconfirmed"].to_string()
    };
    assert_eq!(of("user, other CPUs too: everything"), "[1,2]");
    assert_eq!(of("user, other CPUs too: one page"), "[1]");
    assert_eq!(of("user, change: an entry becomes valid"), "[]");
}

#[test]
fn the_page_is_complete_and_escaped() {
    let page = unconfirmed("html");
    let elements = xml::elements(page.trim_start_matches("<!DOCTYPE html>"));
    let rows = elements.iter().filter(|it| it.name == "tr").count();
    assert!(rows > 60, "{rows}");
    let row = |name: &str| {
        let row = page.lines().find(|line| line.contains(name));
        row.unwrap_or_else(|| panic!("{name}:\n{page}"))
    };
    let everything = row("<th>user, other CPUs too: everything</th>");
    assert!(everything.contains("<td>1, 2</td>"), "{everything}");
    let valid = row("<th>user, change: an entry becomes valid</th>");
    assert!(valid.contains("<td></td>"), "{valid}");
    assert!(row("&lt;b&gt;&amp;amp;").contains("<td><code>publish</code></td>"));
    assert!(page.contains("<h2>Findings</h2>\n<p>None.</p>"));
    assert!(!page.contains("<b>") && !page.contains("<!-- ") && !page.contains("<script"));
}
