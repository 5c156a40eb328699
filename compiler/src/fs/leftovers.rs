//! Temporary files of runs that were killed.
//!
//! In: a directory. Out: their names, or the directory without them and locked. Holds: no file of a running process is
//! deleted, and no file that another program created.
//!
//! A run locks the directory that it writes to. A process that holds the lock therefore knows that all temporary files
//! in the directory are leftovers. On systems without directory locks nothing is deleted.

use super::HEADER;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The prefix of the names of temporary files.
pub(super) const PREFIX: &str = ".tlbc-";

/// The lock of a directory: no other run writes to it.
pub(super) struct Locked {
    // Closing the file releases the lock, as does the end of the process.
    _directory: File,
}

/// Waits for other runs, deletes the files of killed runs and returns the lock.
pub(super) fn cleared(directory: &Path) -> Option<Locked> {
    let lock = lock(directory)?;
    // A leftover that cannot be deleted does no harm.
    for path in listed(directory) {
        let _ = fs::remove_file(path);
    }
    Some(lock)
}

/// Waits for other runs, and returns the files of killed runs, sorted by name.
pub(super) fn found(directory: &Path) -> Vec<PathBuf> {
    let Some(_lock) = lock(directory) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = listed(directory).collect();
    found.sort();
    found
}

fn listed(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| is_leftover(path))
}

#[cfg(unix)]
fn lock(directory: &Path) -> Option<Locked> {
    use rustix::fs::{FlockOperation, flock};
    let directory = File::open(directory).ok()?;
    flock(&directory, FlockOperation::LockExclusive).ok()?;
    Some(Locked {
        _directory: directory,
    })
}

#[cfg(not(unix))]
fn lock(_: &Path) -> Option<Locked> {
    None
}

/// Returns whether a file is a temporary file of this program: by its name and by as much of the header as was written.
fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_ours = |name: &str| {
        let random = name.strip_prefix(PREFIX).unwrap_or_default();
        random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    name.is_some_and(is_ours) && is_file && begins_as_generated(path)
}

fn begins_as_generated(path: &Path) -> bool {
    let mut start = Vec::new();
    let header = HEADER.as_bytes();
    let read = File::open(path).and_then(|file| {
        let mut file = file.take(header.len() as u64);
        file.read_to_end(&mut start)
    });
    read.is_ok() && header.starts_with(&start)
}
