//! What a campaign has run.
//!
//! In: a shard, and the file that an earlier run has written. Out: the totals of each definition and number of CPUs. Holds: the
//! file is replaced as a whole, so one that exists is complete.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// The part of a campaign that one process runs.
#[derive(Debug, Clone, Copy)]
pub struct Shard {
    /// Its number; the first is 1.
    pub number: u64,
    /// How many there are.
    pub of: u64,
}

impl Shard {
    /// Reads a shard, such as 1/4.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once('/')?;
        let (number, of) = (number.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&number).then_some(Self { number, of })
    }

    /// Returns the seed that the shard runs after so many others.
    pub fn seed(self, seeds: u64) -> u64 {
        self.number + seeds * self.of
    }
}

/// What was run on a definition with a number of CPUs.
#[derive(Debug, Clone, Default)]
pub struct Total {
    /// The seeds that were run.
    pub seeds: u64,
    /// Those of them whose machines have enough tags.
    pub schedules: u64,
    /// The points at which another CPU could run.
    pub points: u64,
    /// The seeds that failed.
    pub failed: Vec<u64>,
}

/// What a shard of a campaign has run.
pub struct Progress {
    path: PathBuf,
    totals: BTreeMap<(String, usize), Total>,
}

impl Progress {
    /// Reads what was run before.
    ///
    /// # Errors
    ///
    /// If the file exists and cannot be read, or its directory cannot be created.
    pub fn read(shard: Shard) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|why| why.to_string())?;
        let target = own.ancestors().nth(2).ok_or("no target directory")?; // above `release`
        let directory = target.join("campaign");
        let Shard { number, of } = shard;
        let path = directory.join(format!("{number}-of-{of}.txt"));
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        fs::create_dir_all(&directory).map_err(|why| wrong(&why))?;
        let mut totals = BTreeMap::new();
        if path.exists() {
            let text = fs::read_to_string(&path).map_err(|why| wrong(&why))?;
            for line in text.lines() {
                let (key, total) = parse(line).ok_or_else(|| wrong(&line))?;
                totals.insert(key, total);
            }
        }
        Ok(Self { path, totals })
    }

    /// Returns the total of a definition and a number of CPUs.
    pub fn of(&mut self, arch: &str, cpus: usize) -> &mut Total {
        self.totals.entry((arch.to_owned(), cpus)).or_default()
    }

    /// Returns all totals.
    pub fn all(&self) -> impl Iterator<Item = (&str, usize, &Total)> {
        let all = self.totals.iter();
        all.map(|((arch, cpus), total)| (arch.as_str(), *cpus, total))
    }

    /// Writes the totals.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self) -> Result<(), String> {
        let directory = self.path.parent().expect("it is in a directory");
        let written = || {
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            for (arch, cpus, total) in self.all() {
                let Total {
                    seeds,
                    schedules,
                    points,
                    failed,
                } = total;
                write!(file, "{arch} {cpus} {seeds} {schedules} {points}")?;
                failed.iter().try_for_each(|seed| write!(file, " {seed}"))?;
                writeln!(file)?;
            }
            file.persist(&self.path)?;
            Ok(())
        };
        written().map_err(|why: std::io::Error| format!("{}: {why}", self.path.display()))
    }
}

/// Reads a line: the definition, the CPUs, the counts, and the seeds that failed.
fn parse(line: &str) -> Option<((String, usize), Total)> {
    let mut words = line.split(' ');
    let arch = words.next()?.to_owned();
    let numbers: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
    let numbers = numbers?;
    let &[cpus, seeds, schedules, points, ref failed @ ..] = numbers.as_slice() else {
        return None;
    };
    let total = Total {
        seeds,
        schedules,
        points,
        failed: failed.to_owned(),
    };
    Some(((arch, cpus as usize), total))
}
