//! Judgements that are kept in files, so that a run that takes hours can be made in parts.
//!
//! In: a definition, and time. Out: its changed facts and faulty plans, each judged once, whatever the number of runs. Holds:
//! judgements of another executable or of another text of the definition are not taken over; after each run the facts that
//! are judged are spread over the whole definition.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use tlbc::Analysis;
use tlbc::torment::Explored;

use super::definitions::{Judge, Verdict};
use super::planner::{FoundBy, explored, judged};
use super::table::Scores;
use crate::archdefs::{Definition, analysis};
use crate::mutate::facts::{Changed, Usage};

/// A file with one line for each judgement.
struct Kept {
    lines: Vec<String>,
    file: File,
}

impl Kept {
    /// Opens the judgements of a kind on a definition. Those that were made otherwise, and a line that was not finished, are
    /// left out.
    fn open(kind: &str, definition: &Definition) -> io::Result<Self> {
        let path = path(kind, definition)?;
        let made_by = made_by(definition)?;
        let text = fs::read_to_string(&path).unwrap_or_default();
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        let mut lines = whole.lines().map(str::to_owned);
        let lines: Vec<String> = match lines.next() {
            Some(first) if first == made_by => lines.collect(),
            _ => Vec::new(),
        };
        let again: String = std::iter::once(&made_by)
            .chain(&lines)
            .flat_map(|line| [line, "\n"])
            .collect();
        // Another process may add to it.
        if again != text {
            fs::write(&path, again)?;
        }
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { lines, file })
    }

    /// Adds lines until there are so many, or until a moment; `line` returns the fields of each, by its number. Returns whether
    /// there are so many.
    fn fill(
        &mut self,
        count: usize,
        until: Instant,
        mut line: impl FnMut(usize) -> Vec<String>,
    ) -> io::Result<bool> {
        while self.lines.len() < count {
            if Instant::now() >= until {
                return Ok(false);
            }
            self.add(&line(self.lines.len()))?;
        }
        Ok(true)
    }

    fn add(&mut self, fields: &[String]) -> io::Result<()> {
        let plain = fields.iter().map(|field| field.replace(['\n', '\t'], " "));
        let line = plain.collect::<Vec<_>>().join("\t");
        writeln!(self.file, "{line}")?;
        self.lines.push(line);
        Ok(())
    }
}

/// Returns the file, which is beside the executable.
fn path(kind: &str, definition: &Definition) -> io::Result<PathBuf> {
    let name = format!("scores-{}-{kind}", definition.arch());
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// Returns what a judgement depends on: the executable and the definition.
fn made_by(definition: &Definition) -> io::Result<String> {
    let mut hasher = DefaultHasher::new();
    fs::read(std::env::current_exe()?)?.hash(&mut hasher);
    definition.text.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// The judgements on a definition.
pub struct Judged<'a> {
    definition: &'a Definition,
    right: &'static Analysis,
    judge: Judge<'a>,
    changes: Vec<Changed>,
    facts: Kept,
    plans: Kept,
    searched: Kept,
}

impl<'a> Judged<'a> {
    /// Takes up the judgements of earlier runs.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open(definition: &'a Definition, usage: &Usage) -> io::Result<Self> {
        let right = analysis(definition.arch());
        let judge = Judge::new(definition, right);
        Ok(Self {
            definition,
            right,
            changes: judge.changes(usage),
            judge,
            facts: Kept::open("facts", definition)?,
            plans: Kept::open("plans", definition)?,
            searched: Kept::open("searched", definition)?,
        })
    }

    /// Judges facts until all are judged, or until a moment. Returns whether all are.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn judge_facts(&mut self, until: Instant) -> io::Result<bool> {
        let Self {
            judge,
            changes,
            facts,
            ..
        } = self;
        let step = step(changes.len());
        facts.fill(changes.len(), until, |nth| {
            let changed = &changes[nth * step % changes.len()];
            let verdict = judge.verdict(changed).name().to_owned();
            vec![changed.part.clone(), verdict, changed.mutant.what.clone()]
        })
    }

    /// Judges faulty plans until so many are judged, or until a moment. Returns whether so many are.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn judge_plans(&mut self, count: usize, until: Instant) -> io::Result<bool> {
        let right = self.right;
        self.plans.fill(count, until, |nth| {
            let (found_by, first, second) = match judged(right, nth as u64 + 1) {
                FoundBy::Both => ("both", String::new(), String::new()),
                FoundBy::Neither => ("neither", String::new(), String::new()),
                FoundBy::Proof(rule, first) => ("prove", rule, first),
                FoundBy::Hardware(found) => ("torment", found, String::new()),
            };
            vec![found_by.to_owned(), first, second]
        })
    }

    /// Compares the hardware with a search on faulty plans until so many are compared, or until a moment. Returns whether so
    /// many are.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn search_plans(&mut self, count: usize, until: Instant) -> io::Result<bool> {
        let right = self.right;
        self.searched.fill(count, until, |nth| {
            let Explored {
                agents,
                left,
                skipped,
                missed,
                over,
            } = explored(right, nth as u64 + 1);
            let numbers = [agents, left, skipped, missed, over];
            numbers.map(|it| it.to_string()).to_vec()
        })
    }

    /// Returns the number of facts that can be changed.
    pub fn all(&self) -> usize {
        self.changes.len()
    }

    /// Returns the definition.
    pub fn name(&self) -> &str {
        self.definition.arch()
    }

    /// Returns what was judged so far. A line that no judgement has made is left out.
    pub fn scores(&self) -> Scores {
        let mut scores = Scores::default();
        for line in &self.facts.lines {
            let mut fields = line.split('\t');
            let (part, name) = (fields.next(), fields.next());
            let verdict = Verdict::ALL.into_iter().find(|it| Some(it.name()) == name);
            if let (Some(part), Some(verdict)) = (part, verdict) {
                scores.facts.add(part, verdict);
            }
        }
        for line in &self.plans.lines {
            let fields: Vec<&str> = line.split('\t').collect();
            let [found_by, first, second] = fields[..] else {
                continue;
            };
            scores.plans.add(match found_by {
                "both" => FoundBy::Both,
                "neither" => FoundBy::Neither,
                "prove" => FoundBy::Proof(first.to_owned(), second.to_owned()),
                _ => FoundBy::Hardware(first.to_owned()),
            });
        }
        for line in &self.searched.lines {
            let numbers: Vec<u64> = line.split('\t').flat_map(str::parse).collect();
            let [agents, left, skipped, missed, over] = numbers[..] else {
                continue;
            };
            scores.searched += 1;
            scores.explored.join(Explored {
                agents,
                left,
                skipped,
                missed,
                over,
            });
        }
        scores
    }
}

/// Returns how far apart facts are that are judged one after the other: any number of them is spread over all, and each has
/// its turn once.
fn step(count: usize) -> usize {
    let coprime = |step: &usize| {
        let (mut a, mut b) = (count, *step);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    // The golden ratio spreads best.
    let first = count * 618 / 1000 + 1;
    (first..=first + count).find(coprime).unwrap_or(1)
}
