//! What the front page shows is what is there: commands print what follows them, and code is quoted from files.
//!
//! In: `README.md`. In a `console` block the line after `$ ` is a command of `tlbc`, and the lines below it are its output. The
//! lines of a `rust` or `arch` block are consecutive lines of the file that the page names. Set, `UPDATE_README` rewrites
//! the outputs.

use std::fs;
use std::process::Command;

use tlbc_tests::command::{run, tlbc};
use tlbc_tests::workspace::root;

/// The files that blocks of a language are quoted from.
const QUOTED: [(&str, &str); 2] = [
    ("rust", "examples/kernel/src/munmap.rs"),
    ("arch", "archdefs/arm64.arch"),
];

const UPDATE: &str = "UPDATE_README";

/// Returns the page in parts: prose, then block and prose in turn. A block has its language first, in the line of its fence.
fn parts(page: &str) -> Vec<&str> {
    page.split("```").collect()
}

/// Returns what a command prints, by its line of a `console` block.
fn printed(command: &str) -> String {
    let arguments = command.strip_prefix("$ tlbc ").expect("a command of tlbc");
    let done = run(Command::new(tlbc())
        .args(arguments.split_whitespace())
        .current_dir(root()));
    assert!(done.good, "{command}\n{}", done.stderr);
    done.stdout
}

#[test]
fn commands_print_what_follows_them() {
    let path = root().join("README.md");
    let page = fs::read_to_string(&path).expect("the page");
    let mut shown = 0;
    let written: Vec<String> = parts(&page)
        .into_iter()
        .map(|part| {
            let Some(block) = part.strip_prefix("console\n") else {
                return part.to_owned();
            };
            shown += 1;
            let command = block.lines().next().expect("a command");
            format!("console\n{command}\n{}", printed(command))
        })
        .collect();
    assert!(shown >= 2, "the page shows what two machines issue");
    let written = written.join("```");
    if written == page {
        return;
    }
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, written).expect("the page can be written");
        return;
    }
    panic!(
        "README.md shows outputs that its commands do not print; this rewrites them:\n  \
         {UPDATE}=1 cargo test -p tlbc-tests --test docs readme"
    );
}

#[test]
fn code_is_quoted_from_files() {
    let page = fs::read_to_string(root().join("README.md")).expect("the page");
    for (language, file) in QUOTED {
        assert!(page.contains(file), "the page names {file}");
        let text = fs::read_to_string(root().join(file)).expect("a file that is quoted");
        let start = format!("{language}\n");
        let mut blocks = parts(&page)
            .into_iter()
            .filter_map(|part| part.strip_prefix(&start))
            .peekable();
        assert!(blocks.peek().is_some(), "the page quotes {file}");
        for block in blocks {
            assert!(text.contains(block), "not in {file}:\n{block}");
        }
    }
}

/// A link that is relative leads to a file of the repository.
#[test]
fn links_lead_somewhere() {
    for page in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(page)).expect("the page");
        let links = text.split("](").skip(1);
        let targets = links.filter_map(|rest| rest.split_once(')'));
        let local: Vec<&str> = targets
            .map(|(target, _)| target)
            .filter(|target| !target.contains("://"))
            .collect();
        assert!(!local.is_empty(), "{page}");
        for target in local {
            assert!(root().join(target).exists(), "{page}: {target}");
        }
    }
}
