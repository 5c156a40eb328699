//! What was found, in words.

use std::fmt::Write as _;

use tlbc_machine::hardware::{EntryKind, Left};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::request::{Reach, Space};

use super::request::Request;
use super::run::{Bench, Harm};
use crate::model::Model;

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The number of requests that were executed.
    pub requests: u64,
    /// The number of machines that the planned definition does not have.
    pub incomparable: u64,
    /// The first failure.
    pub failure: Option<FailedRequest>,
}

/// A request that failed.
#[derive(Debug, Clone)]
pub struct FailedRequest {
    /// The seed of its machine.
    pub seed: u64,
    /// Why it failed, in one line.
    pub summary: String,
    /// The machine, the request, what was issued, and the entries that are left.
    pub text: String,
}

impl FailedRequest {
    /// Executes a request. Returns the failure, if it fails.
    pub(super) fn of(bench: &Bench<'_>, request: &Request, seed: u64) -> Option<Self> {
        let result = bench.run(request);
        let left: Vec<String> = match &result {
            Ok(harm) => harm.iter().map(|harm| words(bench, harm)).collect(),
            Err(reason) => vec![reason.clone()],
        };
        let summary = left.first()?.clone();
        let mut text = format!("machine: {}\n", machine(bench));
        let space = match request.space {
            Space::User => "user space",
            Space::Kernel => "the kernel",
        };
        let cached = match request.reach {
            Reach::Here => "cached by this CPU only",
            Reach::Wide | Reach::Given => "cached by all CPUs",
        };
        let tag = request.tags.here;
        let _ = writeln!(
            text,
            "request: {space}, tag {tag:#x}, {cached}: {}",
            request.words
        );
        let issued = bench.words(request);
        text.push_str("this CPU issues:\n");
        // The middle of a long loop says nothing.
        for (number, line) in issued.iter().enumerate() {
            if number < 12 || number + 4 >= issued.len() {
                let _ = writeln!(text, "  {line}");
            } else if number == 12 {
                let _ = writeln!(text, "  ({} more)", issued.len() - 16);
            }
        }
        text.push_str("left:\n");
        for line in left.iter().take(8) {
            let _ = writeln!(text, "  {line}");
        }
        if left.len() > 8 {
            let _ = writeln!(text, "  ({} more)", left.len() - 8);
        }
        Some(Self {
            seed,
            summary,
            text,
        })
    }
}

fn machine(bench: &Bench<'_>) -> String {
    let Model {
        features,
        errata,
        geometries,
        limits,
        ..
    } = bench.hardware.model;
    let config = bench.hardware.config;
    let mut words = vec![geometries[config.geometry].named.name.clone()];
    let on = features
        .iter()
        .enumerate()
        .filter(|(index, _)| config.has(*index));
    words.extend(on.map(|(_, it)| it.named.name.clone()));
    let on = errata
        .iter()
        .enumerate()
        .filter(|(index, _)| config.suffers(*index));
    words.extend(on.map(|(_, it)| it.named.name.clone()));
    let limits = limits.iter().zip(bench.hardware.limits);
    words.extend(limits.map(|(it, value)| format!("{}={value}", it.named.name)));
    words.join(" ")
}

fn words(bench: &Bench<'_>, harm: &Harm) -> String {
    let model = bench.hardware.model;
    let Harm { agent, entry, .. } = harm;
    let class = agent.class.iter().next().map_or("no agent", Agents::name);
    let set = agent.suspect.map_or(String::new(), |set| {
        format!(" in `{}`", model.cpu_sets[set].name)
    });
    let level = &model.levels[entry.level.index()].name;
    let kind = match entry.kind {
        EntryKind::Leaf => format!("leaf entry of {level}"),
        EntryKind::Walk => format!("walk entry of {level}"),
        EntryKind::Root => "root entry".to_owned(),
    };
    let cache = &model.caches.all[usize::from(entry.cache)].named.name;
    let under = if harm.global {
        "global".to_owned()
    } else {
        format!("under tag {:#x}", harm.tag)
    };
    let why = match harm.left {
        Left::Cached => "may still be cached",
        Left::InFlight => "is gone, but accesses that it translated may not be performed yet",
    };
    format!(
        "{class}{set}: a {kind} at {:#x} in `{cache}`, {under}, {why}",
        agent.va
    )
}
