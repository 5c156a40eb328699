//! Temporary files of runs that were killed.
//!
//! In: a directory. Out: their names, or the directory without them, locked. Holds: no file of a run that goes on is deleted, and no
//! file that another program made.
//!
//! Runs that write into one directory take turns, so that a temporary file in it is of no run that goes on. Where
//! directories cannot be locked nothing is deleted.

use super::HEADER;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How temporary files are called.
pub(super) const PREFIX: &str = ".tlbc-";

/// A directory that no other run writes into.
pub(super) struct Locked {
    // Unlocked when it is closed, also by the end of the process.
    _directory: File,
}

/// Waits for other runs, and deletes what those left that were killed.
pub(super) fn cleared(directory: &Path) -> Option<Locked> {
    let lock = lock(directory)?;
    // What cannot be deleted does no harm; nor does what appears meanwhile.
    for path in listed(directory) {
        let _ = fs::remove_file(path);
    }
    Some(lock)
}

/// Waits for other runs, and lists by name what those left that were killed.
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

/// Whether a file is one that was to become a generated file, as far as it was written.
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
