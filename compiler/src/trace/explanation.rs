//! The explanation of a trace.
//!
//! Data types, which the JSON contains as they are, and their text.

use std::fmt::Write as _;

use serde::Serialize;

use crate::text;

/// What a request costs, and why these instructions are issued.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    /// What the request costs.
    pub cost: Cost,
    /// The choices of instructions.
    pub choices: Vec<Choice>,
}

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The instructions and loads of this CPU that invalidate.
    pub operations: usize,
    /// The barriers of this CPU.
    pub barriers: usize,
    /// What each interrupted CPU does.
    pub interrupted: Vec<Interrupted>,
    /// The entries that are invalidated at all addresses, on this CPU or on interrupted ones.
    pub lost: Vec<LostEntries>,
}

/// What interrupted CPUs do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interrupted {
    /// Which CPUs.
    pub cpus: Vec<String>,
    /// The instructions of each that invalidate.
    pub operations: usize,
    /// The barriers of each.
    pub barriers: usize,
}

/// Entries that are invalidated at all addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostEntries {
    /// Their kind.
    pub kind: &'static str,
    /// The caches that lose them; none if all that hold the kind do.
    pub caches: Vec<String>,
    /// Their tag classes: `tag`, `other_tags`, `global`.
    pub classes: Vec<&'static str>,
}

/// A choice of instructions.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    /// What they invalidate.
    pub entries: String,
    /// Where they act.
    pub on: &'static str,
    /// The ceiling that the request exceeds, so that everything is invalidated.
    pub exceeded_ceiling: bool,
    /// The set that is issued.
    pub selected: Set,
    /// The next sets in the order of preference.
    pub rejected: Vec<Rejected>,
}

/// A set of instructions, with the figures that the selection rule compares.
#[derive(Debug, Clone, Serialize)]
pub struct Set {
    /// The instructions.
    pub instructions: Vec<String>,
    /// The tag classes that lose all their leaf entries.
    pub loses: Vec<&'static str>,
    /// Instructions and barriers, weighted by `cost`.
    pub cost: u64,
    /// The stages.
    pub stages: u32,
    /// The cells that are invalidated at all addresses though only some were required.
    pub everywhere: u32,
    /// The cells that are invalidated and not required.
    pub beyond: u32,
}

/// A set that is not issued.
#[derive(Debug, Clone, Serialize)]
pub struct Rejected {
    /// The set.
    #[serde(flatten)]
    pub set: Set,
    /// Why the other one is preferred.
    pub reason: String,
}

/// Returns tag classes in words.
pub(super) fn in_words(classes: &[&'static str]) -> String {
    let words = classes.iter().map(|class| match *class {
        "tag" => "of this tag",
        "other_tags" => "of other tags",
        _ => "that are global",
    });
    text::list(&words.collect::<Vec<_>>(), "and")
}

impl Cost {
    /// Returns it in one line.
    #[must_use]
    pub fn words(&self) -> String {
        let mut parts = vec![work(self.operations, self.barriers)];
        for it in &self.interrupted {
            let cpus = it.cpus.join(", ");
            parts.push(format!(
                "IPI to {cpus}: {}",
                work(it.operations, it.barriers)
            ));
        }
        let mut lost: Vec<(Vec<&str>, String)> = Vec::new();
        for it in &self.lost {
            let mut of = in_words(&it.classes);
            if !it.caches.is_empty() {
                let _ = write!(of, " in `{}`", it.caches.join("`, `"));
            }
            match lost.iter_mut().find(|(_, same)| *same == of) {
                Some((kinds, _)) => kinds.push(it.kind),
                None => lost.push((vec![it.kind], of)),
            }
        }
        let lost = lost.into_iter();
        let lost = lost.map(|(kinds, of)| format!("{} entries {of}", text::list(&kinds, "and")));
        let lost: Vec<String> = lost.collect();
        if !lost.is_empty() {
            parts.push(format!("loses all {}", text::list(&lost, "and")));
        }
        parts.join("; ")
    }
}

/// Returns counts in words: `2 operations, 1 barrier`.
fn work(operations: usize, barriers: usize) -> String {
    let of = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    format!(
        "{}, {}",
        of(operations, "operation"),
        of(barriers, "barrier")
    )
}

impl Set {
    fn words(&self) -> String {
        self.instructions.join(" + ")
    }
}

impl Why {
    /// Returns the text: the cost, and each choice with the sets that were rejected.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("cost:\n  {}\n", self.cost.words());
        for choice in &self.choices {
            let Choice {
                entries,
                on,
                selected,
                ..
            } = choice;
            let _ = writeln!(out, "chosen for {entries} on {on}:");
            if choice.exceeded_ceiling {
                out.push_str("  (by address, there are more operations than the ceiling)\n");
            }
            let _ = writeln!(out, "  {}: costs {}", selected.words(), selected.cost);
            if !choice.rejected.is_empty() {
                out.push_str("rejected:\n");
            }
            for rejected in &choice.rejected {
                let _ = writeln!(out, "  {}: {}", rejected.set.words(), rejected.reason);
            }
        }
        out
    }
}
