//! Generates backends from a build script, while a crate is built.
//!
//! In: the crate's definitions. Out: modules in its `OUT_DIR`, and instructions to cargo on standard output. See
//! [`Builder`].

use crate::codes::Severity;
use crate::compile::{Compiled, LIB, MODULES, Output, Unproved, compile_with, failures};
use crate::fs::{self, DefinitionText, FileError, HEADER};
use crate::hidden::one_line;
use crate::render::{Format, render};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Generates backends from a build script.
///
/// In `build.rs`, with `tlbc = { version = "...", default-features = false }` among the
/// build-dependencies:
///
/// ```no_run
/// fn main() -> Result<(), tlbc::BuildError> {
///     tlbc::Builder::new().definitions_in("archdefs").generate()
/// }
/// ```
///
/// In the crate, which depends on `tlbc-runtime`, either all architectures:
///
/// ```ignore
/// mod backends {
///     include!(concat!(env!("OUT_DIR"), "/mod.rs"));
/// }
/// use backends::foo;
/// ```
///
/// or a single one; a kernel may use only a part of it:
///
/// ```ignore
/// #[allow(dead_code)]
/// mod foo {
///     include!(concat!(env!("OUT_DIR"), "/foo.rs"));
/// }
/// ```
///
/// A file is written only if its text changed, so that cargo does not recompile unchanged modules.
///
/// Cargo compiles what a build script uses without optimization, also in release builds. The plans of the largest two
/// definitions that come with tlbc are proved in 7 s then. Where definitions change often, this makes it 1.5 s, and the first
/// build 50 s longer (two cores). Release builds need the same below `[profile.release.package]`:
///
/// ```toml
/// [profile.dev.package]
/// tlbc.opt-level = 1
/// tlbc-facts.opt-level = 1
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    definitions: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
    without_modules: bool,
    unproved: Unproved,
}

impl Builder {
    /// Returns a builder without definitions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a definition.
    #[must_use]
    pub fn definition(mut self, path: impl Into<PathBuf>) -> Self {
        self.definitions.push(path.into());
        self
    }

    /// Adds all definitions in a directory (`*.arch`).
    #[must_use]
    pub fn definitions_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directories.push(directory.into());
        self
    }

    /// Sets the directory that the modules are written to. The default is `OUT_DIR`.
    #[must_use]
    pub fn out_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(directory.into());
        self
    }

    /// Sets whether `mod.rs`, which lists the modules of all architectures, is written. It is by default.
    #[must_use]
    pub fn modules(mut self, wanted: bool) -> Self {
        self.without_modules = !wanted;
        self
    }

    /// Sets whether a backend whose plans cannot be proved is generated, with a mark in its header, instead of an error.
    /// It is not by default.
    #[must_use]
    pub fn allow_unproved(mut self, allowed: bool) -> Self {
        self.unproved = Unproved::of(allowed);
        self
    }

    /// Generates the modules and tells cargo when to run the build script again. Warnings about definitions become
    /// warnings of the build.
    ///
    /// # Errors
    ///
    /// Fails if a definition has errors or its plans are not proved, both of which are printed to the build log, or if a
    /// file cannot be read or written. No module is written then, unless the renaming of finished files failed halfway. A build script that returns
    /// the error from `main` shows it.
    pub fn generate(&self) -> Result<(), BuildError> {
        caught(|| self.run(&mut io::stdout()))
    }

    fn run(&self, words: &mut impl Write) -> Result<(), BuildError> {
        let mut paths = self.definitions.clone();
        for directory in &self.directories {
            let _ = writeln!(
                words,
                "cargo::rerun-if-changed={}",
                one_line(directory.display())
            );
            paths.extend(fs::definitions_in(directory)?);
        }
        for path in paths.iter().collect::<BTreeSet<_>>() {
            let _ = writeln!(
                words,
                "cargo::rerun-if-changed={}",
                one_line(path.display())
            );
        }
        let sources = fs::read(&paths)?;
        let sources = sources.into_iter().map(DefinitionText::named);
        let compiled = compile_with(sources, self.unproved, |it, _| failures(it));
        report(&compiled, words)?;
        for name in &compiled.unproved {
            let _ = writeln!(words, "cargo::warning=the backend of {name} is not proved");
        }
        // rustc warns about `target_arch` values that it does not know, such as those of new architectures.
        for target in &compiled.targets {
            let _ = writeln!(
                words,
                "cargo::rustc-check-cfg=cfg(target_arch, values({target:?}))"
            );
        }
        let environment = || std::env::var_os("OUT_DIR").map(PathBuf::from);
        let directory = self.out_dir.clone().or_else(environment);
        let directory = directory.ok_or(BuildError::NoOutDir)?;
        let outputs = self.outputs(compiled.outputs);
        let changes = fs::changes(&directory, &outputs, false)?;
        Ok(fs::apply(&directory, &changes)?)
    }

    /// Returns the modules and, if wanted, `mod.rs`, which `include!` accepts where it rejects the attributes of
    /// `lib.rs`.
    fn outputs(&self, mut outputs: Vec<Output>) -> Vec<Output> {
        outputs.retain(|output| output.path != LIB);
        if !self.without_modules {
            let modules = outputs.iter().map(|output| {
                let name = output.path.trim_end_matches(".rs");
                format!(
                    "\n#[allow(dead_code)]\n#[rustfmt::skip]\n#[path = {:?}]\npub mod {name};\n",
                    output.path
                )
            });
            let text = format!("{HEADER}. DO NOT EDIT.\n{}", modules.collect::<String>());
            let path = MODULES.to_owned();
            outputs.push(Output { path, text });
        }
        outputs
    }
}

/// Reports errors, together with warnings, in full in the build log. If there are only warnings they are passed to
/// cargo, one line each, because cargo shows the log only if the build fails.
fn report(compiled: &Compiled, words: &mut impl Write) -> Result<(), BuildError> {
    let rendered = |format| render(&compiled.files, &compiled.diagnostics, format, false);
    if compiled.has_errors() {
        let _ = io::stderr().write_all(rendered(Format::Human).as_bytes());
        let errors = compiled.diagnostics.iter();
        let errors = errors.filter(|d| d.severity() == Severity::Error);
        return Err(BuildError::Findings(errors.count()));
    }
    for line in rendered(Format::Short).lines() {
        let _ = writeln!(words, "cargo::warning={line}");
    }
    Ok(())
}

/// Turns a panic into an error. The panic's own message has been printed before.
fn caught(run: impl FnOnce() -> Result<(), BuildError>) -> Result<(), BuildError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(BuildError::Bug))
}

/// Why nothing was generated.
///
/// A build script that returns it from `main` prints its `Debug` form, which is therefore the same as its `Display`
/// form.
pub enum BuildError {
    /// The definitions have this many errors; they have been printed.
    Findings(usize),
    /// A file could not be read or written.
    File(FileError),
    /// `OUT_DIR` is not set, so this is not a build script, and [`Builder::out_dir`] was not called.
    NoOutDir,
    /// The compiler panicked; its message has been printed.
    Bug,
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Findings(1) => f.write_str("1 error in the definitions"),
            Self::Findings(count) => write!(f, "{count} errors in the definitions"),
            Self::File(error) => error.fmt(f),
            Self::NoOutDir => {
                f.write_str("OUT_DIR is not set: not a build script, and no out_dir was given")
            }
            Self::Bug => write!(
                f,
                "this is a bug in tlbc {}, not in the definitions; please report it together with them and with the message above",
                env!("CARGO_PKG_VERSION")
            ),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            Self::Findings(_) | Self::NoOutDir | Self::Bug => None,
        }
    }
}

impl From<FileError> for BuildError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::TOY;

    /// Runs a builder. Returns its result, what it prints for cargo, and the number of files in the directory.
    fn run(builder: &Builder, out: &tempfile::TempDir) -> (Result<(), BuildError>, String, usize) {
        let mut words = Vec::new();
        let result = builder.clone().out_dir(out.path()).run(&mut words);
        let files = std::fs::read_dir(out.path()).expect("a directory").count();
        (result, String::from_utf8(words).expect("text"), files)
    }

    #[test]
    fn modules_are_written_and_cargo_gets_its_instructions() {
        let definitions = concat!(env!("CARGO_MANIFEST_DIR"), "/../archdefs");
        let count = fs::definitions_in(definitions.as_ref())
            .expect("definitions")
            .len();
        let out = tempfile::tempdir().expect("a directory");
        let builder = Builder::new().definitions_in(definitions);
        let (result, words, files) = run(&builder.clone().modules(false), &out);
        assert!(result.is_ok());
        let lines = |start: &str| words.lines().filter(|line| line.starts_with(start)).count();
        let changed = lines("cargo::rerun-if-changed=");
        assert_eq!((changed, files), (count + 1, count));
        let known = lines("cargo::rustc-check-cfg=cfg(target_arch, values(\"");
        assert_eq!((known, words.lines().count()), (count, changed + known));
        assert!(words.starts_with(&format!("cargo::rerun-if-changed={definitions}\n")));
        assert_eq!(run(&builder, &out).2, count + 1);
    }

    /// Returns a builder for a definition in which `to` replaces `from`.
    fn changed(from: &str, to: &str) -> (tempfile::TempDir, Builder) {
        let source = tempfile::tempdir().expect("a directory");
        let path = source.path().join("foo.arch");
        let text = TOY.replacen(from, to, 1);
        assert_ne!(text, TOY);
        std::fs::write(&path, text).expect("a file");
        let builder = Builder::new().definition(path);
        (source, builder)
    }

    #[test]
    fn errors_end_the_build() {
        let (_source, builder) = changed("page 4 KiB", "frobnicate");
        let out = tempfile::tempdir().expect("a directory");
        let (result, words, files) = run(&builder, &out);
        let error = result.expect_err("an error");
        assert_eq!(format!("{error:?}"), "1 error in the definitions");
        // The log has them; cargo gets none.
        assert!(!words.contains("error"), "{words}");
        assert_eq!(files, 0);
    }

    #[test]
    fn warnings_are_cargos() {
        let spare = "operand spare 64 bits { [63:0] va; }\n    change {";
        let (source, builder) = changed("change {", spare);
        let out = tempfile::tempdir().expect("a directory");
        let (result, words, files) = run(&builder, &out);
        assert!(result.is_ok());
        let path = source.path().join("foo.arch");
        let line = format!("cargo::warning={}:60:13: warning[W0201]: ", path.display());
        assert!(words.contains(&line), "{words}");
        assert_eq!(files, 2);
    }

    #[test]
    fn a_panic_is_an_error() {
        let error = caught(|| panic!("this test panics")).expect_err("an error");
        assert!(error.to_string().starts_with("this is a bug in tlbc "));
    }
}
