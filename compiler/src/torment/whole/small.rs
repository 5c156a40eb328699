//! A small failure, and its text.
//!
//! In: a run that failed, with what is to blame. Out: a text for people, and for scripts and editors a sentence and
//! places. Holds: the text has the life of the stale entry first, then the steps of each CPU.

use super::case::{Ran, ScheduledCase};
use super::cores::agent_name;
use super::cores::blame::Blame;
use super::cores::blame::line::{BlameLine, BlamedPlace};
use crate::source::Files;
use crate::torment::picture::{Arrow, Life, Mark, Picture, PictureRow};

/// The most steps of a CPU that are shown.
const MOST_LINES: usize = 60;
/// The most rows of a picture.
const MOST_ROWS: usize = 150;

/// A case that fails, and why.
#[derive(Debug, Clone)]
pub struct Small {
    /// The complaint.
    pub complaint: String,
    /// What is executed.
    pub case: ScheduledCase,
    pub(super) blame: Blame,
}

impl Small {
    /// Returns the failure of a run whose events were recorded; none if it did not fail.
    pub(super) fn of(ran: Ran) -> Option<Self> {
        Some(Self {
            complaint: ran.complaint?,
            case: ran.case,
            blame: ran.blame?,
        })
    }

    /// Returns what went wrong, in one sentence without its full stop.
    #[must_use]
    pub fn cause(&self) -> &str {
        self.blame.cause.as_deref().unwrap_or(&self.complaint)
    }

    /// Returns the places that are responsible, the first most, and why.
    #[must_use]
    pub fn places(&self) -> &[(BlamedPlace, String)] {
        &self.blame.places
    }

    /// Returns the failure in words: the life of the stale entry, the cause, and what each CPU did.
    #[must_use]
    pub fn text(&self, files: &Files) -> String {
        let blame = &self.blame;
        let mut text = format!("{}\n", self.complaint);
        if let Some(entry) = &blame.entry {
            text += &format!("\nstale: {entry}\n");
        }
        for line in &blame.life {
            let name = agent_name(self.case.programs.len(), line.cpu);
            text += &format!("{:6}  {name}: {}\n", line.step, said(line, files));
        }
        if let Some(cause) = &blame.cause {
            text += &format!("cause: {cause}\n");
        }
        for (place, why) in &blame.places {
            text += &format!("  {}: {why}\n", place.shown(files));
        }
        for cpu in 0..self.case.programs.len() {
            text += &self.of_cpu(cpu, files);
        }
        text
    }

    /// Returns the failure as a picture.
    #[must_use]
    pub fn picture(&self, files: &Files) -> Picture {
        let blame = &self.blame;
        let mut paragraphs: Vec<String> = blame.entry.clone().into_iter().collect();
        paragraphs.extend(blame.cause.as_ref().map(|cause| format!("cause: {cause}")));
        let places = blame.places.iter();
        paragraphs.extend(places.map(|(place, why)| format!("{}: {why}", place.shown(files))));
        // What is said of the entry replaces what is said of the CPU.
        let of_life = |event: usize| blame.life.iter().any(|line| line.event == event);
        let mut lines: Vec<&BlameLine> = { blame.steps.iter() }
            .filter(|line| !of_life(line.event))
            .chain(&blame.life)
            .collect();
        lines.sort_by_key(|line| line.event);
        let lines = &lines[lines.len().saturating_sub(MOST_ROWS)..];
        let count = self.case.programs.len();
        let has_lane = |agent: &usize| match self.case.programs.get(*agent) {
            Some(program) => program.is_some(),
            None => lines.iter().any(|line| line.cpu == *agent),
        };
        // Each CPU has a device.
        let cpus: Vec<usize> = (0..2 * count).filter(has_lane).collect();
        let lane = |cpu: usize| cpus.iter().position(|it| *it == cpu).unwrap_or_default();
        let mut rows: Vec<PictureRow> = { lines.iter() }
            .map(|line| PictureRow {
                step: line.step.to_string(),
                lane: lane(line.cpu),
                mark: line.mark,
                text: line.text.clone(),
                place: line.place.map(|place| place.shown(files)),
            })
            .collect();
        let row_of = |event: Option<usize>| {
            let event = event?;
            let at = lines.partition_point(|line| line.event < event);
            Some(at.min(lines.len().saturating_sub(1)))
        };
        let user = blame
            .user
            .unwrap_or_else(|| lines.last().map_or(0, |line| line.cpu));
        let used = rows.len();
        rows.push(PictureRow {
            step: self.blame.complained.to_string(),
            lane: lane(user),
            mark: Mark::Use,
            text: self.complaint.clone(),
            place: None,
        });
        let filled = row_of(blame.filled).filter(|_| blame.user.is_some());
        let lives = filled.map(|filled| Life {
            lane: lane(user),
            filled,
            stale: row_of(blame.changed).unwrap_or(filled),
            used,
        });
        let changed = row_of(blame.changed);
        let mut arrows = Vec::new();
        for (from, line) in lines.iter().enumerate() {
            for to in &line.sends {
                let mut later = lines.iter().enumerate().skip(from);
                let taken = later.find(|(_, it)| it.cpu == *to && it.takes);
                let is_late = taken.is_none() && *to == user;
                let end = taken.map(|(taken, _)| taken).or(is_late.then_some(used));
                arrows.extend(end.map(|to| Arrow { from, to, is_late }));
            }
        }
        Picture {
            title: self.complaint.clone(),
            paragraphs,
            lanes: { cpus.iter() }
                .map(|agent| agent_name(count, *agent))
                .collect(),
            rows,
            lives: lives.into_iter().collect(),
            arrows,
            rules: changed
                .map(|row| (row, "the table changes".to_owned()))
                .into_iter()
                .collect(),
        }
    }

    /// Returns the steps of a CPU.
    fn of_cpu(&self, cpu: usize, files: &Files) -> String {
        let Some(operations) = &self.case.programs[cpu] else {
            return format!("\nCPU {cpu} stays offline\n");
        };
        let steps: Vec<&BlameLine> = { self.blame.steps.iter() }
            .filter(|line| line.cpu == cpu)
            .collect();
        let count = match operations.len() {
            1 => "1 operation".to_owned(),
            count => format!("{count} operations"),
        };
        let mut text = format!("\nCPU {cpu}, {count}:\n");
        // What comes last is closer to the failure.
        let left_out = steps.len().saturating_sub(MOST_LINES);
        if left_out != 0 {
            text += &format!("        ({left_out} earlier steps)\n");
        }
        for line in &steps[left_out..] {
            text += &format!("{:6}  {}\n", line.step, said(line, files));
        }
        text
    }
}

/// Returns what happened, and where.
fn said(line: &BlameLine, files: &Files) -> String {
    let place = { line.place }.map_or(String::new(), |place| format!(" ({})", place.shown(files)));
    format!("{}{place}", line.text)
}

impl BlamedPlace {
    /// Returns the file and the line.
    #[must_use]
    pub fn shown(&self, files: &Files) -> String {
        match self {
            Self::Definition(span) => {
                let (line, column) = files.line_column(span.file, span.start);
                format!("{}:{line}:{column}", files.get(span.file).name)
            }
            Self::Runtime(at) => format!("{}:{}", at.file(), at.line()),
        }
    }
}
