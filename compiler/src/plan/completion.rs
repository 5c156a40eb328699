//! What completion consists of, and which part of a routine requires what.
//!
//! In: steps, each required by a part. Out: every step once, with all parts that require it. Holds: steps that the
//! same parts require share a bit of [`FinishSteps`], and a step that every part requires has none.

use tlbc_runtime::backend::FinishSteps;

use super::candidates::Candidate;
use super::ir::Node;

/// A part of a routine whose completion may differ from that of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutinePart {
    Page { walk: bool },
    Ranges { walk: bool },
    Negative,
    Everything { walk: bool },
    Teardown,
}

impl RoutinePart {
    /// Every part, in the order of their bits.
    pub const ALL: [RoutinePart; 8] = [
        RoutinePart::Page { walk: false },
        RoutinePart::Page { walk: true },
        RoutinePart::Ranges { walk: false },
        RoutinePart::Ranges { walk: true },
        RoutinePart::Negative,
        RoutinePart::Everything { walk: false },
        RoutinePart::Everything { walk: true },
        RoutinePart::Teardown,
    ];
}

/// A step of completion.
pub struct CompletionStep {
    /// What is done.
    pub action: Action,
    /// The parts that require it, one bit each.
    pub parts: u16,
}

/// What a step of completion does.
#[derive(PartialEq)]
pub enum Action {
    /// A completing barrier.
    Complete(usize),
    /// Barriers before instructions.
    Precede(Vec<Node>),
    /// An instruction whose operands are constants.
    Issue(Box<Candidate>),
    /// An IPI to these sets of CPUs.
    SendIpi(u8),
}

/// The steps of completion, and which of them depend on what was issued.
pub struct Completion {
    /// The steps, in order.
    pub steps: Vec<CompletionStep>,
    /// The sets of parts that require different steps. Each set has a bit of [`FinishSteps`].
    pub distinct: Vec<u16>,
}

impl Completion {
    /// Returns the bit of a step; none for a step that every part requires.
    pub fn bit(&self, step: &CompletionStep) -> FinishSteps {
        let position = self.distinct.iter().position(|parts| *parts == step.parts);
        position.map_or(FinishSteps::NONE, |bit| FinishSteps(1 << bit))
    }
}

/// Adds a part to those that require a step.
pub fn require(steps: &mut Vec<CompletionStep>, action: Action, part: u16) {
    match steps.iter_mut().find(|step| step.action == action) {
        Some(step) => step.parts |= part,
        None => steps.push(CompletionStep {
            action,
            parts: part,
        }),
    }
}
