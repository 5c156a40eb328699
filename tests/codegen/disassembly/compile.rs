//! Compiles kernels. In: a target, a level of optimization, the text of a kernel. Out: its functions as assembly, and
//! objects to link. The runtime and the backends are compiled once for a target and level, and kept until they change.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tempfile::TempDir;
use tlbc_tests::bare_metal::{Build, Target};
use tlbc_tests::listing::{self, Function};
use tlbc_tests::rustc::write;
use tlbc_tests::workspace::{root, scratch};

/// Functions, by name.
pub type Functions = BTreeMap<String, Function>;

/// The libraries of a kernel, in the order of their dependencies, with the directories of their sources.
const LIBRARIES: [(&str, &str); 2] = [
    ("tlbc_runtime", "runtime/src"),
    ("tlbc_backends", "generated/src"),
];

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
fn libraries(target: &Target, opt_level: &str) -> PathBuf {
    static BUILT: Once<String, PathBuf> = Once::new();
    let what = format!("libraries-{}-{opt_level}", target.name);
    BUILT.get(what.clone(), || {
        let mut hasher = DefaultHasher::new();
        for (_, sources) in LIBRARIES {
            hash_files(&root().join(sources), &mut hasher);
        }
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
        for (index, (name, sources)) in LIBRARIES.into_iter().enumerate() {
            let uses: Vec<&str> = LIBRARIES[..index].iter().map(|(name, _)| *name).collect();
            build.code(name, &root().join(sources).join("lib.rs"), &uses);
        }
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
pub fn of_libraries(target: &Target, opt_level: &str) -> Functions {
    let directory = libraries(target, opt_level);
    let listings = LIBRARIES.map(|(name, _)| directory.join(format!("{name}.s")));
    let texts = listings.map(|path| fs::read_to_string(path).expect("a listing"));
    texts
        .iter()
        .flat_map(|text| listing::functions(text))
        .collect()
}

/// A compiled kernel.
pub struct Kernel {
    /// Its functions, with the generic ones of the libraries that it calls.
    pub functions: Functions,
    /// Its object.
    pub object: Vec<u8>,
}

/// Compiles a kernel, once for all tests.
pub fn kernel(target: &Target, opt_level: &str, text: &str) -> Arc<Kernel> {
    static COMPILED: Once<(String, String, String), Arc<Kernel>> = Once::new();
    let key = (target.name.clone(), opt_level.to_owned(), text.to_owned());
    COMPILED.get(key, || {
        let libraries = libraries(target, opt_level);
        let directory = TempDir::new().expect("a directory");
        let build = Build {
            target,
            opt_level,
            directory: directory.path(),
            libraries: &libraries,
        };
        let source = write(&directory.path().join("kernel.rs"), text);
        let code = build.code("kernel", &source, &LIBRARIES.map(|(name, _)| name));
        Arc::new(Kernel {
            functions: listing::functions(&code.listing),
            object: fs::read(code.object).expect("an object"),
        })
    })
}

/// Returns the objects of the libraries.
pub fn objects(target: &Target, opt_level: &str) -> [PathBuf; 2] {
    let directory = libraries(target, opt_level);
    LIBRARIES.map(|(name, _)| directory.join(format!("{name}.o")))
}

/// Returns the functions of a kernel and of the libraries.
pub fn all_functions(target: &Target, opt_level: &str, text: &str) -> Functions {
    let mut all = of_libraries(target, opt_level);
    let own = kernel(target, opt_level, text);
    all.extend(own.functions.clone());
    all
}
