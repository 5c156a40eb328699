//! From the texts of definitions to the texts of backends, without input or output.
//!
//! In: names and texts. Out: [`Compiled`]. It depends on what the sources say and not on their order.

use std::collections::BTreeSet;

use crate::codes::Code;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::emit::names::is_word;
use crate::source::Files;
use crate::{Analysis, analyse, emit, parse};

/// The file that lists the modules of all architectures.
pub const LIB: &str = "lib.rs";

/// The same where the modules are part of another crate. No architecture can have the name of a keyword.
pub const MODULES: &str = "mod.rs";

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name, without a directory.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What became of the sources.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The sources, in which the diagnostics have their places.
    pub files: Files,
    /// One file an architecture, by name, and [`LIB`]; none at all if there is an error.
    pub outputs: Vec<Output>,
    /// The processor architectures that the modules are for, by Rust's names, each once.
    pub targets: Vec<String>,
    /// What is wrong with the sources, or may be.
    pub diagnostics: Vec<Diagnostic>,
}

impl Compiled {
    /// Whether the sources cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// Compiles definitions, given as names for messages and texts.
///
/// ```
/// let compiled = tlbc::compile([("foo.arch", "arch foo { frobnicate; }")]);
/// assert!(compiled.outputs.is_empty());
/// assert_eq!(compiled.diagnostics[0].code.name(), "E0101");
/// ```
pub fn compile<N: Into<String>, T: Into<Vec<u8>>>(
    sources: impl IntoIterator<Item = (N, T)>,
) -> Compiled {
    let (mut compiled, good) = planned(sources);
    if !compiled.has_errors() {
        compiled.outputs = outputs(&compiled.files, &good);
    }
    compiled
}

/// Says what is wrong with definitions: [`compile`] without its outputs.
pub fn check<N: Into<String>, T: Into<Vec<u8>>>(
    sources: impl IntoIterator<Item = (N, T)>,
) -> Compiled {
    planned(sources).0
}

/// [`check`], and the definitions with their plans, in the order of their names; they are of use where
/// there is no error.
pub fn planned<N: Into<String>, T: Into<Vec<u8>>>(
    sources: impl IntoIterator<Item = (N, T)>,
) -> (Compiled, Vec<Analysis>) {
    let sources = sources.into_iter();
    let mut sources: Vec<(String, Vec<u8>)> = sources
        .map(|(name, text)| (name.into(), text.into()))
        .collect();
    sources.sort();

    let mut compiled = Compiled {
        files: Files::default(),
        outputs: Vec::new(),
        targets: Vec::new(),
        diagnostics: Vec::new(),
    };
    let mut decoded = Vec::new();
    for (name, bytes) in sources {
        decoded.push(parse::decode(&mut compiled.files, name, bytes));
    }
    let files = &compiled.files;
    let analysed = at_once(decoded, |decoded| match decoded {
        Ok(file) => analyse(files, file),
        Err(found) => (None, vec![*found]),
    });
    let mut good = Vec::new();
    for (analysis, found) in analysed {
        good.extend(analysis);
        compiled.diagnostics.extend(found);
    }
    good.sort_by(|a, b| a.model.arch.name.cmp(&b.model.arch.name));
    let targets = good.iter().map(|it| it.model.target_arch.value.clone());
    compiled.targets = targets.collect::<BTreeSet<_>>().into_iter().collect();
    compiled.diagnostics.extend(bad_names(&good));
    (compiled, good)
}

/// What keeps architectures, which are sorted by name, from being modules of one crate.
fn bad_names(sorted: &[Analysis]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (first, second) in sorted.iter().zip(sorted.iter().skip(1)) {
        let (first, second) = (&first.model.arch, &second.model.arch);
        if first.name == second.name {
            let message = format!("architecture `{}` is defined twice", second.name);
            found.push(
                Diagnostic::new(Code::E0201, second.span, message)
                    .label("defined again here")
                    .because(first.span, "first defined here")
                    .help("rename one of them, or compile them apart"),
            );
        }
    }
    for analysis in sorted {
        let arch = &analysis.model.arch;
        if !is_module(&arch.name) {
            let message = format!("an architecture cannot be called `{}`", arch.name);
            found.push(
                Diagnostic::new(Code::E0207, arch.span, message)
                    .label("names a Rust module")
                    .note("the architecture's name is that of a module and of its file; words of Rust, `lib` and `main` are taken"),
            );
        }
    }
    found
}

/// Whether a module of the generated crate can be called so, and its file.
pub(crate) fn is_module(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let others = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_name = first && name.chars().all(others);
    is_name && !is_word(name) && !["lib", "main"].contains(&name)
}

fn outputs(files: &Files, sorted: &[Analysis]) -> Vec<Output> {
    let names: Vec<&str> = sorted.iter().map(|a| a.model.arch.name.as_str()).collect();
    let mut outputs = at_once(sorted.iter().collect(), |analysis| Output {
        path: file_name(&analysis.model.arch.name),
        text: emit::emit(analysis, files),
    });
    outputs.push(Output {
        path: LIB.to_owned(),
        text: emit::lib(&names),
    });
    outputs
}

fn file_name(arch: &str) -> String {
    format!("{arch}.rs")
}

/// What becomes of each, in order, worked out side by side: definitions have nothing to do with each other.
fn at_once<T: Send, R: Send>(all: Vec<T>, each: impl Fn(T) -> R + Sync) -> Vec<R> {
    let each = &each;
    std::thread::scope(|scope| {
        let workers: Vec<_> = all
            .into_iter()
            .map(|one| scope.spawn(move || each(one)))
            .collect();
        workers
            .into_iter()
            .map(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}
