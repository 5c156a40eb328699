//! Compiles kernels. In: a backend, a level of optimization, the text of a kernel. Out: its functions as assembly, and
//! objects to link. The runtime and the backend are compiled once for a level, and kept until they change.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tempfile::TempDir;
use tlbc_tests::bare_metal::{Build, Emit, Target};
use tlbc_tests::listing::{self, Function};
use tlbc_tests::rustc::write;
use tlbc_tests::workspace::{root, scratch};

/// Functions, by name.
pub type Functions = BTreeMap<String, Function>;

/// The libraries of a kernel, in the order of their dependencies.
const LIBRARIES: [&str; 2] = ["tlbc_runtime", "tlbc_backends"];

/// A backend with a compiler for its target.
pub struct Backend {
    /// The name of its architecture.
    pub arch: String,
    /// The compiler.
    pub target: Target,
}

impl Backend {
    /// Returns the file of the generated module.
    fn module(&self) -> PathBuf {
        root().join(format!("generated/src/{}.rs", self.arch))
    }

    /// Returns the text of a library that has this backend alone.
    fn library(&self) -> String {
        let Self { arch, .. } = self;
        format!(
            "#![no_std]\n#[path = \"{}\"]\npub mod {arch};\n",
            self.module().display()
        )
    }
}

/// A table whose values are computed once.
struct Once<K, V>(Mutex<BTreeMap<K, Arc<OnceLock<V>>>>);

impl<K: Ord, V: Clone> Once<K, V> {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Returns the value of a key. Another key can be computed at the same time.
    fn get(&self, key: K, compute: impl FnOnce() -> V) -> V {
        let cell = {
            let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            table.entry(key).or_default().clone()
        };
        cell.get_or_init(compute).clone()
    }
}

/// Adds the names and contents of the files below a directory to a hash.
fn hash_files(directory: &Path, hasher: &mut DefaultHasher) {
    let entries = fs::read_dir(directory).expect("a directory of sources");
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        path.hash(hasher);
        if path.is_dir() {
            hash_files(&path, hasher);
        } else {
            fs::read(&path).expect("a source").hash(hasher);
        }
    }
}

/// Returns the directory with the compiled libraries.
fn libraries(backend: &Backend, opt_level: &str) -> PathBuf {
    static BUILT: Once<String, PathBuf> = Once::new();
    let Backend { arch, target } = backend;
    let what = format!("libraries-{arch}-{}-{opt_level}", target.name);
    BUILT.get(what.clone(), || {
        let runtime = root().join("runtime/src");
        let mut hasher = DefaultHasher::new();
        hash_files(&runtime, &mut hasher);
        fs::read(backend.module())
            .expect("a module")
            .hash(&mut hasher);
        target.version().hash(&mut hasher);
        let place = scratch().join(format!("{what}-{:016x}", hasher.finish()));
        if place.is_dir() {
            return place;
        }
        remove_older(&what);
        let new = TempDir::new_in(scratch()).expect("a directory");
        let build = Build {
            target,
            opt_level,
            directory: new.path(),
            libraries: new.path(),
        };
        let of_backend = write(&new.path().join("backend.rs"), &backend.library());
        let library = |name, source: &Path, uses: &[&str]| {
            build.code(name, source, uses, Emit::Library);
        };
        library(LIBRARIES[0], &runtime.join("lib.rs"), &[]);
        library(LIBRARIES[1], &of_backend, &LIBRARIES[..1]);
        // Another process may have been faster.
        if fs::rename(new.keep(), &place).is_err() {
            assert!(place.is_dir(), "{} cannot be made", place.display());
        }
        place
    })
}

/// Removes libraries whose sources have changed since.
fn remove_older(what: &str) {
    let entries = fs::read_dir(scratch()).expect("a directory");
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(&format!("{what}-"))) {
            let _ = fs::remove_dir_all(path); // it takes room, and nothing else
        }
    }
}

/// Returns the functions of the libraries that are not generic.
pub fn of_libraries(backend: &Backend, opt_level: &str) -> Functions {
    let directory = libraries(backend, opt_level);
    let listings = LIBRARIES.map(|name| directory.join(format!("{name}.s")));
    let texts = listings.map(|path| fs::read_to_string(path).expect("a listing"));
    texts
        .iter()
        .flat_map(|text| listing::functions(text))
        .collect()
}

/// A compiled kernel.
pub struct Kernel {
    /// Its functions, with the generic ones of the libraries that it calls, if its listing was written.
    pub functions: Functions,
    /// Its object, if it was written.
    pub object: Vec<u8>,
}

/// Compiles a kernel, once for all tests that want the same of it.
pub fn kernel(backend: &Backend, opt_level: &str, text: &str, emit: Emit) -> Arc<Kernel> {
    static COMPILED: Once<(String, String, String, Emit), Arc<Kernel>> = Once::new();
    let target = &backend.target;
    let (name, level) = (target.name.clone(), opt_level.to_owned());
    let key = (name, level, text.to_owned(), emit);
    COMPILED.get(key, || {
        let libraries = libraries(backend, opt_level);
        let directory = TempDir::new().expect("a directory");
        let build = Build {
            target,
            opt_level,
            directory: directory.path(),
            libraries: &libraries,
        };
        let source = write(&directory.path().join("kernel.rs"), text);
        let code = build.code("kernel", &source, &LIBRARIES, emit);
        let listing = code.listing().unwrap_or_default();
        Arc::new(Kernel {
            functions: listing::functions(&listing),
            object: fs::read(code.object()).unwrap_or_default(),
        })
    })
}

/// Returns the objects of the libraries.
pub fn objects(backend: &Backend, opt_level: &str) -> [PathBuf; 2] {
    let directory = libraries(backend, opt_level);
    LIBRARIES.map(|name| directory.join(format!("{name}.o")))
}

/// Returns the functions of a kernel and of the libraries.
pub fn all_functions(backend: &Backend, opt_level: &str, text: &str, emit: Emit) -> Functions {
    let mut all = of_libraries(backend, opt_level);
    let own = kernel(backend, opt_level, text, emit);
    all.extend(own.functions.clone());
    all
}
