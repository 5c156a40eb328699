//! The path of a page: how many functions of the runtime run, in how many files, from `gather` until the kernel has released the
//! page. It bounds what a reader has to follow.
//!
//! The benchmark of gathers is compiled without optimization. One gather of one page on one CPU runs under valgrind, which lists
//! the executed lines, and the lines say which functions ran. Counted are the named functions of `runtime/src`. Not counted are:
//!
//! - getters and conversions: a body of one expression, in which each block has one statement, that calls no counted function;
//! - the files of [`WORDS`]: operations of atomic words and CPU sets, which one does not look up either if they are `core`'s.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use tlbc_tests::rustc;
use tlbc_tests::workspace;

use crate::instruction_counts::benchmark;

/// The most functions, and the most files, of a gather.
const MOST: [(&str, usize, usize); 2] = [("arm64, 1 page", 22, 7), ("x86-64, 1 page", 22, 7)];

/// The atomic words and the sets of CPUs.
const WORDS: [&str; 2] = ["sync.rs", "mask.rs"];

/// A function of the runtime.
struct Function {
    name: String,
    /// Its first line and its last.
    lines: (usize, usize),
    /// Whether its body is one expression, in which each block has one statement.
    is_one_expression: bool,
}

/// A line of a file of the runtime.
type Place = (String, usize);

/// What a gather executes of the runtime.
#[derive(Default)]
struct Profile {
    lines: BTreeSet<Place>,
    /// Calls, from a line to a line of the function that is called. It may be inlined even without optimization.
    calls: BTreeSet<(Place, Place)>,
}

/// Returns the functions of a source. It is formatted, so a function ends at the brace below its first column.
fn functions(source: &str) -> Vec<Function> {
    let lines: Vec<_> = source.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim_start().split([' ', '(', '<']);
        let qualifiers = ["pub", "crate)", "const", "unsafe", "extern", "\"C\""];
        let mut words = words.skip_while(|word| qualifiers.contains(word));
        if words.next() != Some("fn") {
            continue;
        }
        let end = format!("{:indent$}}}", "");
        let last = if line.ends_with('}') {
            first
        } else {
            match lines[first..].iter().position(|line| *line == end) {
                Some(below) => first + below,
                None => continue, // only declared
            }
        };
        let text = lines[first..=last].join("\n");
        // What a trait only declares ends with a function below it, so it is no function.
        let Ok(function) = syn::parse_str::<syn::ImplItemFn>(&text) else {
            continue;
        };
        let tokens: TokenStream = text.parse().expect("tokens");
        let body = tokens.into_iter().filter_map(|tree| match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
            _ => None,
        });
        let body = body.last().expect("a body");
        found.push(Function {
            name: function.sig.ident.to_string(),
            lines: (first + 1, last + 1),
            is_one_expression: has_single_statements(&body),
        });
    }
    found
}

/// Returns whether each block within braces, and the braces themselves, has one statement at most, and none is a loop.
fn has_single_statements(braces: &Group) -> bool {
    fn within(tokens: TokenStream) -> bool {
        tokens.into_iter().all(|tree| match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                has_single_statements(&group)
            }
            TokenTree::Group(group) => within(group.stream()),
            TokenTree::Ident(ident) => !["for", "while", "loop"].iter().any(|word| ident == word),
            _ => true,
        })
    }
    let tokens = TokenTree::Group(braces.clone()).into();
    // The fields of a literal and the arms of a match are no block.
    let statements = syn::parse2::<syn::Block>(tokens).map_or(1, |block| block.stmts.len());
    statements <= 1 && within(braces.stream())
}

/// Returns what a gather executes.
fn profile(program: &Path, case: &str, directory: &Path) -> Result<Profile, String> {
    let request = rustc::write(&directory.join("request"), &format!("{case}\n"));
    let request = std::fs::File::open(request).map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command.args(["-q", "--tool=callgrind", "--compress-strings=no"]);
    command.args(["--compress-pos=no", "--dump-after=counted_work"]);
    command.arg("--toggle-collect=counted_work");
    command.arg(format!("--callgrind-out-file={}/out", directory.display()));
    command.arg(program).arg("--counted").stdin(request);
    rustc::run(command.stdout(Stdio::null()))?;
    let text =
        std::fs::read_to_string(directory.join("out.1")).map_err(|error| error.to_string())?;
    let within = |path: &str| Some(path.split_once("/runtime/src/")?.1.to_owned());
    let place = |file: &Option<String>, line| Some((file.clone()?, line));
    let mut profile = Profile::default();
    let (mut file, mut callee_file, mut callee, mut caller) = (None, None, None, None);
    for line in text.lines() {
        if let Some((kind, value)) = line.split_once('=') {
            match kind {
                "fl" | "fi" | "fe" => file = within(value),
                "fn" => caller = None,
                "cfl" | "cfi" => callee_file = Some(within(value)),
                "calls" => {
                    let number = value.split_whitespace().nth(1);
                    let number = number.and_then(|it| it.parse().ok());
                    let of = callee_file.take().unwrap_or_else(|| file.clone());
                    callee = number.and_then(|number| place(&of, number));
                }
                _ => {}
            }
        } else if let Some((number, _)) = line.split_once(' ')
            && let Ok(number) = number.parse()
        {
            let callee = callee.take();
            let Some(at) = place(&file, number) else {
                continue;
            };
            // The first line of a function is its own. The others may be of functions that are inlined into it.
            let caller = caller.get_or_insert_with(|| at.clone());
            profile.calls.insert((caller.clone(), at.clone()));
            profile
                .calls
                .extend(callee.map(|callee| (at.clone(), callee)));
            profile.lines.insert(at);
        }
    }
    Ok(profile)
}

/// Returns the counted functions of a gather, each with its file.
fn counted(profile: &Profile) -> BTreeSet<(String, String)> {
    let files: BTreeSet<_> = profile
        .lines
        .iter()
        .map(|(file, _)| file.as_str())
        .collect();
    let mut all = Vec::new();
    for file in files.into_iter().filter(|file| !WORDS.contains(file)) {
        let source = std::fs::read_to_string(workspace::root().join("runtime/src").join(file));
        let functions = functions(&source.expect("a source"));
        all.extend(functions.into_iter().map(|function| (file, function)));
    }
    let index_of = |(file, line): &Place| {
        let holds = |(of, function): &(&str, Function)| {
            of == file && (function.lines.0..=function.lines.1).contains(line)
        };
        all.iter().position(holds)
    };
    let ran: BTreeSet<usize> = profile.lines.iter().filter_map(index_of).collect();
    let calls = profile.calls.iter();
    let calls: BTreeSet<_> = calls
        .filter_map(|(from, to)| Some((index_of(from)?, index_of(to)?)))
        .collect();
    let mut counted = BTreeSet::<usize>::new();
    loop {
        let calls_counted = |at: usize| counted.iter().any(|&other| calls.contains(&(at, other)));
        let is_counted = |&at: &usize| !all[at].1.is_one_expression || calls_counted(at);
        let more: BTreeSet<_> = ran.iter().copied().filter(is_counted).collect();
        if more.len() == counted.len() {
            let named = counted
                .into_iter()
                .map(|at| (all[at].0.to_owned(), all[at].1.name.clone()));
            return named.collect();
        }
        counted = more;
    }
}

#[test]
fn a_page_takes_a_short_path() {
    if let Err(reason) = rustc::run(Command::new("valgrind").arg("--version")) {
        return rustc::skipped(&reason);
    }
    let directory = tempfile::tempdir().expect("a directory");
    let program = benchmark(directory.path(), &["-Copt-level=0", "-g"]);
    let mut too_long = Vec::new();
    for (case, most, most_files) in MOST {
        let profile = profile(&program, case, directory.path());
        let counted = counted(&profile.unwrap_or_else(|why| panic!("{why}")));
        let files: BTreeSet<_> = counted.iter().map(|(file, _)| file).collect();
        let (functions, files) = (counted.len(), files.len());
        let list = counted
            .iter()
            .map(|(file, name)| format!("{file} {name}\n"));
        let list = list.collect::<String>();
        let report = format!("{case}: {functions} functions in {files} files\n{list}");
        println!("{report}");
        for known in [
            "gather.rs gather",
            "section/mod.rs unmap_all",
            "flush.rs plan",
        ] {
            assert!(list.contains(known), "{known} did not run\n{report}");
        }
        if functions > most || files > most_files {
            too_long.push(format!("at most {most} in {most_files}, but {report}"));
        }
    }
    assert!(too_long.is_empty(), "{}", too_long.concat());
}

#[test]
fn getters_are_not_steps() {
    let functions = functions(
        "impl Word {\n    pub(crate) fn get(&self) -> u64 {\n        match self.0 {\n            Some(it) => it.load(Relaxed),\n            None => Pair { left: 0, right: [0; 2] }.sum(),\n        }\n    }\n\n    fn put(&self) {\n        if self.is_full() {\n            self.flush();\n            self.count();\n        }\n    }\n}\n\nfn all() {\n    for it in [] {}\n}\n",
    );
    let seen: Vec<_> = functions
        .iter()
        .map(|it| (it.name.as_str(), it.lines, it.is_one_expression))
        .collect();
    assert_eq!(
        seen,
        [
            ("get", (2, 7), true),
            ("put", (9, 14), false),
            ("all", (17, 19), false)
        ]
    );
}
