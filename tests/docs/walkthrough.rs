//! The page on adding an architecture: its commands print what it shows.
//!
//! In: `archdefs/README.md`. Blocks whose info string ends with a file's name are written to that file;
//! in `console` blocks each line after `$ ` is run by a shell, and its output is compared with the lines
//! below it, of which `...` stands for any number. The steps run in order, in a directory of their own next to
//! a link to the checkout.

use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tlbc_tests::command::{run, tlbc};
use tlbc_tests::workspace::root;

/// A step of the page.
enum Step {
    /// A file and its content.
    Write(String, String),
    /// A command and its output.
    Run(String, String),
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut blocks = page.split("\n```").skip(1);
    while let (Some(block), Some(_prose)) = (blocks.next(), blocks.next()) {
        let (info, text) = block.split_once('\n').expect("a block has lines");
        if let Some((_, file)) = info.split_once(' ') {
            steps.push(Step::Write(file.to_owned(), format!("{text}\n")));
            continue;
        }
        assert_eq!(info, "console", "a block is run, or names its file");
        for line in text.lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    steps.push(Step::Run(command.to_owned(), String::new()));
                }
                (None, Some(Step::Run(_, output))) => *output += &format!("{line}\n"),
                _ => panic!("a block begins with a command: {line}"),
            }
        }
    }
    steps
}

/// Returns whether `shown` is `output`, with lines left out where `...` stands.
fn is_shown(shown: &str, output: &str) -> bool {
    let Some((before, after)) = shown.split_once("...\n") else {
        return shown == output;
    };
    let Some(rest) = output.strip_prefix(before) else {
        return false;
    };
    let ends = rest.match_indices('\n').map(|(at, _)| at + 1);
    [0].into_iter()
        .chain(ends)
        .any(|at| is_shown(after, &rest[at..]))
}

/// Runs a command of the page and returns its output; it fails if and only if it prints errors.
fn output(command: &str, directory: &Path, path: &str) -> String {
    let done = run(Command::new("sh")
        .args(["-c", command])
        .current_dir(directory)
        .env("PATH", path)
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TARGET_DIR", directory.join("target"))
        .env_remove("RUSTFLAGS"));
    let output = done.stdout + &done.stderr;
    assert_eq!(
        done.good,
        !output.contains("error["),
        "$ {command}\n{output}"
    );
    output
}

#[test]
#[cfg(unix)]
fn the_page_shows_what_its_commands_print() {
    let page = fs::read_to_string(root().join("archdefs/README.md")).expect("the page");
    let steps = steps(&page);
    assert!(steps.len() > 8, "the page was not understood");
    let parent = TempDir::new().expect("a directory");
    std::os::unix::fs::symlink(root(), parent.path().join("tlbc")).expect("a link");
    let directory = parent.path().join("kernel");
    fs::create_dir(&directory).expect("a directory");
    let tlbc = tlbc();
    let mut path = tlbc.parent().expect("a directory").as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let path = path.to_str().expect("a path in UTF-8");
    for step in steps {
        match step {
            Step::Write(file, text) => {
                let file = directory.join(file);
                fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
                fs::write(file, text).expect("a file");
            }
            Step::Run(command, shown) => {
                let output = output(&command, &directory, path);
                let same = is_shown(&shown, &output);
                assert!(same, "$ {command}\n{output}\nand the page has:\n{shown}");
            }
        }
    }
}

#[test]
fn lines_left_out_are_any_lines() {
    assert!(is_shown("a\n...\nd\n", "a\nb\nc\nd\n"));
    assert!(is_shown("...\n", "") && is_shown("a\n...\nb\n", "a\nb\n"));
    assert!(!is_shown("a\n...\nd\n", "a\nb\nd\ne\n") && !is_shown("a\n", "a\nb\n"));
}
