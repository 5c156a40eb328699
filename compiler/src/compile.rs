//! Compiles the texts of definitions to the texts of backends. No input or output.
//!
//! In: names and texts. Out: [`Compiled`]. Holds: the result does not depend on the order of the sources; a backend whose
//! proof fails is refused, or marked if the caller asks for that.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::analysis::{Analysis, analyse};
use crate::at_once::at_once;
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::emit::names::is_word;
use crate::source::Files;
use crate::{emit, parse, prove};

/// The file that lists the modules of all architectures.
pub const LIB: &str = "lib.rs";

/// The same file when the modules are part of another crate. `mod` is a keyword, so no architecture has this name.
pub const MODULES: &str = "mod.rs";

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Its name, without a directory.
    pub path: String,
    /// Its complete text.
    pub text: String,
}

/// The result of a compilation.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The sources, to which the spans of the diagnostics refer.
    pub files: Files,
    /// One file per architecture, sorted by name, and [`LIB`]. Empty if there is an error.
    pub outputs: Vec<Output>,
    /// The values of Rust's `target_arch` that the modules are for, each once.
    pub targets: Vec<String>,
    /// The names of the architectures whose outputs are marked as not proved.
    pub unproved: Vec<String>,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// What becomes of a backend whose proof fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unproved {
    /// It is an error.
    #[default]
    Refused,
    /// It is marked.
    Marked,
}

impl Unproved {
    /// Returns what becomes of it if it is allowed, or not.
    pub(crate) fn of(allowed: bool) -> Self {
        if allowed { Self::Marked } else { Self::Refused }
    }
}

impl Compiled {
    /// Returns whether there is an error among the diagnostics.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// Compiles definitions, given as names for messages and texts. The plans of each are proved ([`mod@crate::prove`]); a
/// failure is an error.
///
/// ```
/// let compiled = tlbc::compile([("foo.arch", "arch foo { frobnicate; }")]);
/// assert!(compiled.outputs.is_empty());
/// assert_eq!(compiled.diagnostics[0].code.name(), "E0101");
/// ```
pub fn compile<N: Into<String>, T: Into<Vec<u8>>>(
    sources: impl IntoIterator<Item = (N, T)>,
) -> Compiled {
    compile_with(sources, Unproved::Refused, |it, _| failures(it))
}

/// Compiles definitions like [`compile`]. `prove` returns the failures of a proof.
pub fn compile_with<N: Into<String>, T: Into<Vec<u8>>>(
    sources: impl IntoIterator<Item = (N, T)>,
    unproved: Unproved,
    prove: impl Fn(&Analysis, &Files) -> Vec<Diagnostic> + Sync,
) -> Compiled {
    let (compiled, good) = planned(sources);
    if compiled.has_errors() {
        return compiled;
    }
    finished(compiled, &good, unproved, prove)
}

/// Returns the failures of the proof of a definition.
#[must_use]
pub fn failures(analysis: &Analysis) -> Vec<Diagnostic> {
    let Analysis { model, plans } = analysis;
    let proof = prove::prove(model, plans);
    let failures = proof.failures.iter();
    failures.map(|it| it.diagnostic(model)).collect()
}

/// Proves definitions, sorted by name, and adds their modules.
fn finished(
    mut compiled: Compiled,
    sorted: &[Analysis],
    unproved: Unproved,
    prove: impl Fn(&Analysis, &Files) -> Vec<Diagnostic> + Sync,
) -> Compiled {
    let files = &compiled.files;
    let found = at_once(sorted.iter().collect(), |it| prove(it, files));
    if unproved == Unproved::Refused && found.iter().any(|it| !it.is_empty()) {
        compiled.diagnostics.extend(found.into_iter().flatten());
        return compiled;
    }
    let failed: Vec<(&Analysis, usize)> = sorted.iter().zip(found.iter().map(Vec::len)).collect();
    let marked = failed.iter().filter(|(_, failures)| *failures > 0);
    compiled.unproved = marked.map(|(it, _)| it.model.arch.name.clone()).collect();
    compiled.outputs = outputs(files, failed);
    compiled
}

/// Checks definitions: [`compile`] without its outputs.
pub fn check<N: Into<String>, T: Into<Vec<u8>>>(
    sources: impl IntoIterator<Item = (N, T)>,
) -> Compiled {
    planned(sources).0
}

/// Checks definitions like [`check`], and returns them with their plans, sorted by name. Use these only if there is no
/// error.
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
        unproved: Vec::new(),
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

/// Reports architectures, sorted by name, that cannot be modules of one crate.
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
                    .help("rename one of them, or compile them separately"),
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
                    .note("the architecture's name becomes the name of a module and of its file; Rust's keywords, `lib` and `main` are reserved"),
            );
        }
    }
    found
}

/// Returns whether a module of the generated crate, and its file, can have this name.
pub(crate) fn is_module(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let others = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_name = first && name.chars().all(others);
    is_name && !is_word(name) && !["lib", "main"].contains(&name)
}

/// Returns the modules of definitions, sorted by name, each given with the number of failures of its proof.
fn outputs(files: &Files, sorted: Vec<(&Analysis, usize)>) -> Vec<Output> {
    let names: Vec<&str> = sorted
        .iter()
        .map(|(it, _)| it.model.arch.name.as_str())
        .collect();
    let lib = Output {
        path: LIB.to_owned(),
        text: emit::lib(&names),
    };
    let mut outputs = at_once(sorted, |(analysis, failures)| Output {
        path: file_name(&analysis.model.arch.name),
        text: emit::emit(analysis, files, failures),
    });
    outputs.push(lib);
    outputs
}

fn file_name(arch: &str) -> String {
    format!("{arch}.rs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::TOY;
    use crate::plan::ir::{Node, Plan};

    /// The example machine with plans that issue nothing.
    fn broken(unproved: Unproved) -> Compiled {
        let (compiled, mut good) = planned([("toy.arch", TOY)]);
        let plans: Vec<Plan> = good[0].plans.iter().cloned().collect();
        for plan in plans {
            let body = Node::Seq(Vec::new());
            good[0].plans.replace(Plan { body, ..plan });
        }
        finished(compiled, &good, unproved, |it, _| failures(it))
    }

    #[test]
    fn a_backend_whose_proof_fails_is_refused() {
        let compiled = broken(Unproved::Refused);
        assert!(compiled.outputs.is_empty() && compiled.has_errors());
        assert!(compiled.diagnostics.iter().all(|it| it.code == Code::E0801));
    }

    #[test]
    fn or_it_is_marked() {
        let compiled = broken(Unproved::Marked);
        assert_eq!(
            (compiled.unproved, compiled.diagnostics.len()),
            (vec!["toy".to_owned()], 0)
        );
        let second = compiled.outputs[0].text.lines().nth(1).expect("a header");
        assert!(second.starts_with("// NOT PROVED, "), "{second}");
    }

    #[test]
    fn a_backend_that_is_proved_is_not_marked() {
        let compiled = compile([("toy.arch", TOY)]);
        assert!(compiled.unproved.is_empty() && !compiled.has_errors());
        assert!(!compiled.outputs[0].text.contains("PROVED"));
    }
}
