//! Generated files are short enough to be read: little is repeated, and no routine is long.
//!
//! In: the text of each generated file. Holds: less than a tenth of the lines are in blocks of six lines that occur
//! three times or more, and no routine has more than 120 lines.

use std::collections::{BTreeMap, BTreeSet};

use tlbc_tests::workspace::root;

/// The lines of a block.
const BLOCK: usize = 6;
/// A block of fewer characters is mostly braces.
const SHORT: usize = 60;

/// Returns the number of lines in blocks that occur at least three times.
fn repeated(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut blocks: BTreeMap<&[&str], Vec<usize>> = BTreeMap::new();
    for (at, block) in lines.windows(BLOCK).enumerate() {
        let length: usize = block.iter().map(|line| line.len() + 1).sum();
        if length > SHORT {
            blocks.entry(block).or_default().push(at);
        }
    }
    let often = blocks.values().filter(|places| places.len() >= 3);
    let within = often.flatten().flat_map(|&at| at..at + BLOCK);
    within.collect::<BTreeSet<usize>>().len()
}

/// Returns the name and the number of lines of each function.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let words = ["pub ", "const ", "unsafe "];
        let head = words.iter().fold(line.trim_start(), |head, word| {
            head.strip_prefix(word).unwrap_or(head)
        });
        let Some(named) = head.strip_prefix("fn ") else {
            continue;
        };
        let name = named.split(['(', '<']).next().unwrap_or(named);
        let end = format!("{indent}}}");
        let length = lines[start..].iter().position(|line| *line == end);
        // A declaration in a trait has no body.
        found.extend(
            length
                .filter(|_| !line.ends_with(';'))
                .map(|length| (name, length + 1)),
        );
    }
    found
}

/// Returns the generated files, with their names.
fn generated() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(root().join("generated/src")).expect("the generated files");
    let mut files: Vec<(String, String)> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            (
                name.into_owned(),
                std::fs::read_to_string(&path).expect("a text"),
            )
        })
        .collect();
    files.sort();
    assert!(files.len() > 4, "{} files", files.len());
    files
}

#[test]
fn little_is_repeated_in_generated_files() {
    let mut too_much = String::new();
    for (name, text) in generated() {
        let (all, repeated) = (text.lines().count(), repeated(&text));
        println!("{name}: {all} lines, {repeated} of them in blocks that are repeated");
        if repeated * 10 >= all {
            too_much += &format!("{name}: {repeated} of {all} lines\n");
        }
    }
    assert_eq!(too_much, "");
}

#[test]
fn no_routine_is_long() {
    let mut long = String::new();
    for (name, text) in generated() {
        let all = functions(&text);
        assert!(name == "lib.rs" || all.len() > 20, "{name}: {all:?}");
        // The table of the assembly of every instruction is as long as there are instructions.
        let routines = all.iter().filter(|(function, _)| *function != "issue");
        for (function, lines) in routines.filter(|(_, lines)| *lines > 120) {
            long += &format!("{name}: {function} has {lines} lines\n");
        }
    }
    assert_eq!(long, "");
}

#[test]
fn blocks_and_functions_are_counted() {
    let block = "a long line of a block, which is not short\nb\nc\nd\ne\nf and the last line\n";
    assert_eq!(repeated(&block.repeat(2)), 0);
    assert_eq!(repeated(&format!("{block}x\n{block}y\n{block}z\n")), 18);
    let text =
        "impl A {\n    pub const fn one(self) -> u32 {\n        1\n    }\n}\nfn two() {\n}\n";
    assert_eq!(functions(text), [("one", 3), ("two", 2)]);
}
