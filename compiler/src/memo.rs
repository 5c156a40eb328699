//! Results of earlier runs, in the user's cache directory.
//!
//! In: what a result was made from. Out: the result, if an earlier run of the same executable in the same directory made
//! it from exactly this. Holds: a result is returned only if every byte that it was made from is the same; whatever
//! cannot be read, understood or written is as if it did not exist. So a memo changes how long a command takes, and
//! nothing else.
//!
//! `TLBC_CACHE` names another directory; if it is empty, nothing is remembered.

use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The number of results that are kept.
const KEPT: usize = 32;

/// The place of one result: that of one command for sources of the same names.
pub(crate) struct Memo {
    path: PathBuf,
    made_by: String,
}

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Stored<S, R> {
    made_by: String,
    sources: S,
    result: R,
}

impl Memo {
    /// Returns the place of the result of a command, or none if nothing can be remembered.
    pub fn new<'a>(command: &str, names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut hasher = FxHasher::default();
        command.hash(&mut hasher);
        env::current_dir().ok()?.hash(&mut hasher);
        names.into_iter().for_each(|name| name.hash(&mut hasher));
        let name = format!("{command}-{:016x}.json", hasher.finish());
        Some(Self {
            path: directory()?.join(name),
            made_by: executable()?,
        })
    }

    /// Returns the result that was made from these sources.
    pub fn recall<R: for<'a> Deserialize<'a>>(&self, sources: &[(String, Vec<u8>)]) -> Option<R> {
        let text = fs::read_to_string(&self.path).ok()?;
        let stored: Stored<Vec<(String, String)>, R> = serde_json::from_str(&text).ok()?;
        let same = stored.sources.len() == sources.len()
            && stored.sources.iter().zip(sources).all(|(old, new)| {
                let (name, text) = new;
                old.0 == *name && old.1.as_bytes() == text
            });
        (same && stored.made_by == self.made_by).then_some(stored.result)
    }

    /// Remembers a result instead of the one before.
    pub fn keep<R: Serialize>(&self, sources: &[(String, Vec<u8>)], result: &R) {
        let _ = self.written(sources, result);
    }

    fn written<R: Serialize>(&self, sources: &[(String, Vec<u8>)], result: &R) -> Option<()> {
        let mut texts = Vec::new();
        for (name, text) in sources {
            texts.push((name, std::str::from_utf8(text).ok()?));
        }
        let stored = Stored {
            made_by: self.made_by.clone(),
            sources: texts,
            result,
        };
        let directory = self.path.parent()?;
        fs::create_dir_all(directory).ok()?;
        let file = tempfile::NamedTempFile::new_in(directory).ok()?;
        serde_json::to_writer(std::io::BufWriter::new(&file), &stored).ok()?;
        file.persist(&self.path).ok()?;
        forget_oldest(directory)
    }
}

/// Returns the directory of all results.
fn directory() -> Option<PathBuf> {
    if let Some(path) = env::var_os("TLBC_CACHE") {
        return (!path.is_empty()).then(|| path.into());
    }
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let of_user = env::var_os("XDG_CACHE_HOME").and_then(absolute);
    let of_home = || Some(absolute(env::var_os("HOME")?)?.join(".cache"));
    Some(of_user.or_else(of_home)?.join("tlbc"))
}

/// Tells executables apart: a new one may make other results of the same sources.
fn executable() -> Option<String> {
    let metadata = fs::metadata(env::current_exe().ok()?).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let version = env!("CARGO_PKG_VERSION");
    Some(format!(
        "{version} {} {}",
        metadata.len(),
        modified.as_nanos()
    ))
}

/// Deletes all results but the newest. The directory may be one where the user has files of their own.
fn forget_oldest(directory: &Path) -> Option<()> {
    let mut found: Vec<(SystemTime, PathBuf)> = fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok().filter(|it| is_result(&it.path()))?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    for (_, path) in found.iter().rev().skip(KEPT) {
        let _ = fs::remove_file(path);
    }
    Some(())
}

/// Returns whether a file has the name of a result.
fn is_result(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let hash = name.and_then(|name| Some(name.strip_suffix(".json")?.rsplit_once('-')?.1));
    hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}
