//! What a CPU did, in words.
//!
//! In: an event of a history. Out: a [`BlameLine`]. Holds: it says nothing about a stale entry.

use std::panic::Location;

use crate::interpreted::Instruction;
use crate::source::Span;
use crate::torment::picture::Mark;
use crate::torment::whole::cores::Cores;
use crate::torment::whole::cores::history::{Seen, SeenEvent};
use crate::trace::step;

/// A place that is responsible.
#[derive(Debug, Clone, Copy)]
pub enum BlamedPlace {
    /// Words of the definition.
    Definition(Span),
    /// A call of the platform by the runtime.
    Runtime(&'static Location<'static>),
}

/// What happened to an entry at a step, or a CPU did.
#[derive(Debug, Clone)]
pub struct BlameLine {
    pub step: u64,
    pub cpu: usize,
    pub text: String,
    pub place: Option<BlamedPlace>,
    /// The index of its event.
    pub event: usize,
    pub mark: Mark,
    /// The CPUs that are sent an IPI.
    pub sends: Vec<usize>,
    /// Whether the CPU takes an IPI.
    pub takes: bool,
}

impl BlameLine {
    pub fn new(index: usize, event: &SeenEvent, text: String, place: Option<BlamedPlace>) -> Self {
        Self {
            step: event.step,
            cpu: event.cpu,
            text,
            place,
            event: index,
            mark: mark(&event.seen),
            sends: match &event.seen {
                Seen::Sends(to, _) => to.clone(),
                _ => Vec::new(),
            },
            takes: matches!(event.seen, Seen::Takes),
        }
    }
}

/// Returns what a CPU did, in words, if it did something.
pub fn line(cores: &Cores<'_>, index: usize, event: &SeenEvent) -> Option<BlameLine> {
    let (text, place) = match &event.seen {
        Seen::Note(text) => (text.clone(), None),
        Seen::Issued {
            instruction, from, ..
        } => (format!("issues `{}`", asm(cores, instruction)), *from),
        Seen::Sends(to, from) => (format!("sends an IPI to {}", list(to)), *from),
        Seen::Takes => ("takes the IPI".to_owned(), None),
        Seen::Owner {
            page,
            new: None,
            from,
            ..
        } => (format!("releases page {page}"), *from),
        Seen::Freed { table, from } => (format!("frees table {table}"), *from),
        _ => return None,
    };
    Some(BlameLine::new(
        index,
        event,
        text,
        place.map(BlamedPlace::Runtime),
    ))
}

/// Returns the mark of an event that says nothing about a stale entry.
fn mark(seen: &Seen) -> Mark {
    match seen {
        Seen::Note(_) | Seen::Runs(_) => Mark::Note,
        Seen::Issued { .. } => Mark::Instruction,
        Seen::Sends(..) | Seen::Takes => Mark::Ipi,
        Seen::Stored { .. } | Seen::Hidden { .. } => Mark::Store,
        Seen::Filled(_) => Mark::Fill,
        Seen::Removed(_) => Mark::Removal,
        Seen::Owner { .. } | Seen::Freed { .. } | Seen::Cleaned { .. } => Mark::Release,
    }
}

fn list(cpus: &[usize]) -> String {
    let names: Vec<String> = cpus.iter().map(|cpu| format!("CPU {cpu}")).collect();
    names.join(", ")
}

/// Returns the text of an instruction with its operands.
pub fn asm(cores: &Cores<'_>, instruction: &Instruction) -> String {
    let hardware = cores.hardware;
    let op = instruction.op(hardware.model);
    let step = step(hardware.model, hardware.config, &op, None);
    let text = step.and_then(|it| Some(it.instruction()?.asm.join("; ")));
    text.unwrap_or_default()
}
