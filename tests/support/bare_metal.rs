//! Libraries without `std`, compiled for a target that may not be installed.
//!
//! Nothing is linked, so of the libraries only what other crates need of them is written
//! (`--emit metadata`): `core` takes seconds that way, once a compiler and target.

use crate::rustc::{run, rustc, with_unstable, write};
use crate::workspace::scratch;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

/// A compiler that has `core` for a target.
pub struct Target {
    rustc: PathBuf,
    /// The target, which may be that of this machine.
    pub name: String,
    /// Where a `core` is that was compiled here.
    core: Option<PathBuf>,
}

impl Target {
    /// Returns what the compiler says of its version.
    pub fn version(&self) -> String {
        ask(&self.rustc, &["-vV"]).expect("a version")
    }
}

/// Returns a compiler with `core` for a bare-metal target.
///
/// # Errors
/// The reason why there is none.
pub fn find(target: &str) -> Result<Target, String> {
    // One test compiles `core` for a target, and the others that need it wait.
    static TARGETS: Mutex<BTreeMap<String, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut targets = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
    let one_at_a_time = Arc::clone(targets.entry(target.to_owned()).or_default());
    drop(targets);
    let _guard = one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
    let compilers = compilers();
    let found = |rustc: &PathBuf, name: &str, core| Target {
        rustc: rustc.clone(),
        name: name.to_owned(),
        core,
    };
    for rustc in &compilers {
        if let Ok(directory) = ask(rustc, &["--print", "target-libdir", "--target", target])
            && Path::new(&directory).is_dir()
        {
            return Ok(found(rustc, target, None));
        }
    }
    let mut reasons = Vec::new();
    for rustc in &compilers {
        match compile_core(rustc, target) {
            Ok(core) => return Ok(found(rustc, target, Some(core))),
            Err(reason) if reasons.contains(&reason) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    Err(format!(
        "no compiler from {} on has `core` for {target}, installed or as source (rustup component rust-src, \
         or Debian's rustc-web and rust-web-src):\n{}",
        env!("CARGO_PKG_RUST_VERSION"),
        reasons.join("\n")
    ))
}

/// Returns a compiler for a processor architecture with this machine's operating system.
///
/// # Errors
/// If this machine has another processor architecture.
pub fn find_hosted(target_arch: &str) -> Result<Target, String> {
    let reason = || format!("this machine is no {target_arch}");
    let host = (std::env::consts::ARCH == target_arch)
        .then_some(())
        .ok_or_else(reason);
    host?;
    let rustc = compilers().swap_remove(0);
    let host = ask(&rustc, &["-vV"])?;
    let name = host.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(Target {
        name: name.ok_or("a compiler without a host")?.to_owned(),
        rustc,
        core: None,
    })
}

/// The compilers of this machine: the one for these tests, those of rustup, and Debian's.
pub fn compilers() -> Vec<PathBuf> {
    let mut found = vec![rustc()];
    let home = std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(Path::new(&home).join(".rustup"))
        });
    let toolchains = home.and_then(|home| std::fs::read_dir(home.join("toolchains")).ok());
    let mut toolchains: Vec<PathBuf> = toolchains
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    toolchains.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let binaries = toolchains.iter().map(|toolchain| toolchain.join("bin"));
    let binaries = binaries.chain(std::env::split_paths(&path));
    found.extend(
        binaries
            .map(|directory| directory.join("rustc"))
            .filter(|file| file.is_file() && is_new_enough(file)),
    );
    found
}

/// Whether a compiler has the version that the workspace requires. A distribution may install an older one beside.
fn is_new_enough(rustc: &Path) -> bool {
    let number = |version: &str| {
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    let version = ask(rustc, &["--version"]).unwrap_or_default();
    let version = version.split_whitespace().nth(1).and_then(number);
    version >= number(env!("CARGO_PKG_RUST_VERSION"))
}

/// Returns what a compiler prints about itself.
///
/// # Errors
/// Its messages, if it fails.
pub fn ask(rustc: &Path, question: &[&str]) -> Result<String, String> {
    let answer = run(with_unstable(rustc).args(question))?;
    Ok(answer.trim_end().to_owned())
}

/// Where `core` is, once it has been compiled for a target.
fn compile_core(rustc: &Path, target: &str) -> Result<PathBuf, String> {
    let sysroot = ask(rustc, &["--print", "sysroot"])?;
    let source = Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/src/lib.rs");
    if !source.is_file() {
        return Err(format!("{}: not there", source.display()));
    }
    let version = ask(rustc, &["-vV"])?;
    let word = |key: &str| {
        let line = version.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or("unknown").to_owned()
    };
    let name = format!(
        "core-{}-{}-{target}",
        word("release: "),
        word("commit-hash: ")
    );
    let place = scratch().join(name);
    if place.is_dir() {
        return Ok(place);
    }
    let new = tempfile::tempdir_in(scratch()).map_err(|error| error.to_string())?;
    let mut command = with_unstable(rustc);
    command.args([
        "--edition",
        "2024",
        "--crate-type",
        "rlib",
        "--crate-name",
        "core",
    ]);
    command.args(["--emit", "metadata", "-Zalways-encode-mir", "-Copt-level=3"]);
    command.args(["-Cpanic=abort", "--cap-lints", "allow", "--target", target]);
    run(command.arg("--out-dir").arg(new.path()).arg(source))?;
    // Some compilers put this beside `core` in every crate; nothing of it is ever called here.
    let builtins = "#![feature(compiler_builtins)]\n#![allow(internal_features)]\n\
                    #![compiler_builtins]\n#![no_std]\n";
    let builtins = write(&new.path().join("builtins.rs"), builtins);
    let mut command = with_unstable(rustc);
    command.args([
        "--edition",
        "2024",
        "--crate-type",
        "rlib",
        "--emit",
        "metadata",
    ]);
    command.args([
        "--crate-name",
        "compiler_builtins",
        "-Cpanic=abort",
        "--target",
        target,
    ]);
    command
        .args(["--cap-lints", "allow", "-Zalways-encode-mir", "-L"])
        .arg(new.path());
    command.arg("--out-dir").arg(new.path());
    command
        .arg("--extern")
        .arg(extern_crate("core", new.path()));
    run(command.arg(builtins))?;
    std::fs::rename(new.keep(), &place).map_err(|error| error.to_string())?;
    Ok(place)
}

fn extern_crate(name: &str, directory: &Path) -> String {
    format!(
        "{name}={}",
        directory.join(format!("lib{name}.rmeta")).display()
    )
}

/// Where a crate is compiled to, with those that it uses, and how.
#[derive(Clone, Copy)]
pub struct Build<'a> {
    /// The compiler, with its target.
    pub target: &'a Target,
    /// The level of optimization, as the compiler names it.
    pub opt_level: &'a str,
    /// The directory of the results.
    pub directory: &'a Path,
    /// The directory of the crates that it uses.
    pub libraries: &'a Path,
}

/// What the compiler writes of a crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Emit {
    /// What other crates need of it as well.
    Library,
    /// Its assembly.
    Listing,
    /// Its object.
    Object,
    /// Both: this takes less time than each for itself.
    ListingAndObject,
}

impl Emit {
    /// Returns the names that the compiler has for it.
    fn names(self) -> &'static str {
        match self {
            Self::Library => "metadata,asm,obj",
            Self::Listing => "asm",
            Self::Object => "obj",
            Self::ListingAndObject => "asm,obj",
        }
    }
}

/// What a crate was compiled to, without what is generic.
pub struct Code {
    base: PathBuf,
}

impl Code {
    /// Returns the assembly, if it was written.
    pub fn listing(&self) -> Option<String> {
        std::fs::read_to_string(self.base.with_extension("s")).ok()
    }

    /// Returns the file of the object, which is there if it was written.
    pub fn object(&self) -> PathBuf {
        self.base.with_extension("o")
    }
}

impl Build<'_> {
    /// Compiles a crate.
    pub fn code(&self, name: &str, source: &Path, uses: &[&str], emit: Emit) -> Code {
        // Without position-independent code, and without variables that are merged, an object needs nothing that it does
        // not use.
        let mut command = self.command(name, uses);
        command.args(["--emit", emit.names(), "-Zemit-stack-sizes"]);
        command.args([
            "-Crelocation-model=static",
            "-Cllvm-args=-enable-global-merge=false",
        ]);
        command.args(["--cap-lints", "allow"]).arg(source);
        run(&mut command).unwrap_or_else(|error| panic!("{error}"));
        Code {
            base: self.directory.join(name),
        }
    }

    /// The compiler for a crate; what it writes, and which lints count, is for the caller to say.
    pub fn command(&self, name: &str, uses: &[&str]) -> Command {
        let Self {
            target,
            opt_level,
            directory,
            libraries,
        } = *self;
        let mut command: Command = with_unstable(&target.rustc);
        command.args([
            "--edition",
            "2024",
            "--crate-type",
            "rlib",
            "--crate-name",
            name,
        ]);
        command.args(["-Zalways-encode-mir", "-Cpanic=abort"]);
        command.args(["-Ccodegen-units=1", "-Cdebug-assertions=off"]);
        command.arg(format!("-Copt-level={opt_level}"));
        command
            .args(["--target", &target.name, "--out-dir"])
            .arg(directory)
            .arg("-L")
            .arg(libraries);
        if let Some(core) = &target.core {
            command
                .arg("-L")
                .arg(core)
                .arg("--extern")
                .arg(extern_crate("core", core));
        }
        for used in uses {
            command.arg("--extern").arg(extern_crate(used, libraries));
        }
        command
    }
}
