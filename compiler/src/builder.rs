//! For `build.rs`: backends generated while a crate is built.
//!
//! In: definitions of the crate. Out: modules in its `OUT_DIR`, and words to cargo. See [`Builder`].

use crate::compile::{Compiled, LIB, MODULES, Output, compile};
use crate::diagnostic::Severity;
use crate::disk::{self, DiskError, HEADER, Source};
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
/// or one of them, of which a kernel may not use everything:
///
/// ```ignore
/// #[allow(dead_code)]
/// mod foo {
///     include!(concat!(env!("OUT_DIR"), "/foo.rs"));
/// }
/// ```
///
/// A file is written only if its text changed, so that nothing is compiled again for nothing.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    definitions: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
    without_modules: bool,
}

impl Builder {
    /// Nothing to generate yet.
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

    /// Adds all definitions that lie in a directory (`*.arch`).
    #[must_use]
    pub fn definitions_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directories.push(directory.into());
        self
    }

    /// Where the modules go; `OUT_DIR` unless this is called.
    #[must_use]
    pub fn out_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(directory.into());
        self
    }

    /// Whether to write `mod.rs`, with the modules of all architectures; it is written unless this
    /// says otherwise.
    #[must_use]
    pub fn modules(mut self, wanted: bool) -> Self {
        self.without_modules = !wanted;
        self
    }

    /// Generates, and tells cargo when to do it again. Warnings about definitions become warnings of the build.
    ///
    /// # Errors
    ///
    /// When a definition has errors, which have then been printed to the log of the build, or when a file cannot be
    /// read or written. Nothing has been written then, unless renaming finished files failed halfway. A build script
    /// that returns the error from `main` shows it.
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
            paths.extend(disk::definitions_in(directory)?);
        }
        for path in paths.iter().collect::<BTreeSet<_>>() {
            let _ = writeln!(
                words,
                "cargo::rerun-if-changed={}",
                one_line(path.display())
            );
        }
        let sources = disk::read(&paths)?;
        let compiled = compile(sources.into_iter().map(Source::named));
        report(&compiled, words)?;
        // Rust warns of values that it does not know, and a made-up or new architecture is none of its own.
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
        let changes = disk::changes(&directory, &outputs, false)?;
        Ok(disk::apply(&directory, &changes)?)
    }

    /// The modules, with a list of them that can be included where that of a crate cannot.
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

/// Shows errors in full in the log of the build, with the warnings beside them, and warnings alone to cargo, a line
/// each: it shows the log only if the build fails.
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

/// Turns a panic, whose own message has been printed by then, into an error.
fn caught(run: impl FnOnce() -> Result<(), BuildError>) -> Result<(), BuildError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(BuildError::Bug))
}

/// Why nothing was generated. A build script that ends with it shows its `Debug` form, which is its `Display` form.
pub enum BuildError {
    /// The definitions have this many errors, which have been printed.
    Findings(usize),
    /// A file could not be read or written.
    Disk(DiskError),
    /// `OUT_DIR` is not set: this is not a build script. Say [`Builder::out_dir`].
    NoOutDir,
    /// The compiler has panicked, and its message has been printed.
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
            Self::Disk(error) => error.fmt(f),
            Self::NoOutDir => {
                f.write_str("OUT_DIR is not set: not a build script, and no out_dir was given")
            }
            Self::Bug => write!(
                f,
                "this is a bug in tlbc {}, not in the definitions; please report it, with them and with the message above",
                env!("CARGO_PKG_VERSION")
            ),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk(error) => Some(error),
            Self::Findings(_) | Self::NoOutDir | Self::Bug => None,
        }
    }
}

impl From<DiskError> for BuildError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::TOY;
    use std::fs;

    /// What is said to cargo, and what is in the directory then.
    fn run(builder: &Builder, out: &tempfile::TempDir) -> (Result<(), BuildError>, String, usize) {
        let mut words = Vec::new();
        let result = builder.clone().out_dir(out.path()).run(&mut words);
        let files = fs::read_dir(out.path()).expect("a directory").count();
        (result, String::from_utf8(words).expect("text"), files)
    }

    #[test]
    fn modules_are_written_and_cargo_is_told() {
        let definitions = concat!(env!("CARGO_MANIFEST_DIR"), "/../archdefs");
        let count = disk::definitions_in(definitions.as_ref())
            .expect("definitions")
            .len();
        let out = tempfile::tempdir().expect("a directory");
        let builder = Builder::new().definitions_in(definitions);
        let (result, words, files) = run(&builder.clone().modules(false), &out);
        assert!(result.is_ok());
        let told = |word: &str| words.lines().filter(|line| line.starts_with(word)).count();
        let changed = told("cargo::rerun-if-changed=");
        assert_eq!((changed, files), (count + 1, count));
        let known = told("cargo::rustc-check-cfg=cfg(target_arch, values(\"");
        assert_eq!((known, words.lines().count()), (count, changed + known));
        assert!(words.starts_with(&format!("cargo::rerun-if-changed={definitions}\n")));
        assert_eq!(run(&builder, &out).2, count + 1);
    }

    /// A definition with another text in place of one.
    fn changed(from: &str, to: &str) -> (tempfile::TempDir, Builder) {
        let source = tempfile::tempdir().expect("a directory");
        let path = source.path().join("foo.arch");
        let text = TOY.replacen(from, to, 1);
        assert_ne!(text, TOY);
        fs::write(&path, text).expect("a file");
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
        // They are in the log, and there alone.
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
        let line = format!("cargo::warning={}:59:13: warning[W0201]: ", path.display());
        assert!(words.contains(&line), "{words}");
        assert_eq!(files, 2);
    }

    #[test]
    fn a_panic_is_an_error() {
        let error = caught(|| panic!("this test panics")).expect_err("an error");
        assert!(error.to_string().starts_with("this is a bug in tlbc "));
    }
}
