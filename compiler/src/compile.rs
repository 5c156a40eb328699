//! From the texts of definitions to the texts of backends, without input or output.
//!
//! In: names and texts. Out: [`Compiled`]. It depends on what the sources say and not on their order.

use crate::codes::Code;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::model::{Model, variable};
use crate::source::{Files, Span};
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
                    .note("the architecture's name is that of a module and of its file; keywords and `lib` are taken"),
            );
        }
    }
    found.extend(sorted.iter().flat_map(|analysis| taken(&analysis.model)));
    found.extend(
        sorted
            .iter()
            .flat_map(|analysis| registers(&analysis.model)),
    );
    found
}

/// Whether Rust takes a word as a name.
fn is_name(word: &str) -> bool {
    syn::parse_str::<syn::Ident>(word).is_ok()
}

/// Whether a module of the generated crate can be called so.
pub(crate) fn is_module(name: &str) -> bool {
    is_name(name) && file_name(name) != LIB
}

/// Registers that cannot be told apart by their names in Rust, or have none.
fn registers(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut seen: Vec<(&str, Span)> = Vec::new();
    let features = model.features.iter().filter_map(|it| it.from.as_ref());
    let limits = model.limits.iter().filter_map(|it| it.from.as_ref());
    let features = features.map(|from| (from.register.as_str(), from.span));
    let limits = limits.map(|from| (from.register.as_str(), from.span));
    for (register, span) in features.chain(limits) {
        let name = variable(register);
        let other = seen.iter().find(|(other, _)| variable(other) == name);
        let clash = other.filter(|(other, _)| *other != register);
        let diagnostic = if let Some((clash, first)) = clash {
            let message = format!("`{clash}` and `{register}` are both `{name}` in Rust");
            Diagnostic::new(Code::E0207, span, message)
                .label("not told apart from the other")
                .because(*first, "the other")
        } else if is_name(&name) {
            seen.push((register, span));
            continue;
        } else {
            Diagnostic::new(Code::E0207, span, format!("`{name}` is a word of Rust")).label("taken")
        };
        found.push(
            diagnostic
                .note("the generated module has a field of that name for the value of the register")
                .help("give the register another name"),
        );
    }
    found
}

/// Names that become items of the module beside one that every module has.
fn taken(model: &Model) -> Vec<Diagnostic> {
    let features = model.features.iter().map(|f| &f.named);
    let errata = model.errata.iter().map(|e| &e.named);
    let geometries = model.geometries.iter().map(|g| &g.named);
    let flags = features.chain(errata).chain(geometries);
    let limits = model.limits.iter().map(|l| &l.named);
    let named = (flags.map(|named| (named, &["none", "names"][..])))
        .chain(limits.map(|named| (named, &["config"][..])))
        .chain(model.levels.iter().map(|named| (named, &["effects"][..])));
    named
        .filter(|(named, taken)| taken.contains(&named.name.as_str()))
        .map(|(named, _)| {
            let message = format!("nothing of this kind can be called `{}`", named.name);
            Diagnostic::new(Code::E0207, named.span, message)
                .label("taken")
                .note("the generated module has something of its own by that name")
                .help("give it another name")
        })
        .collect()
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
