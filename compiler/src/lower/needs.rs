//! What the kernel must ensure while an instruction is issued.
//!
//! In: the `needs` of an instruction, the number of its parts, and the agents that it reaches. Out: its needs. Holds:
//! a need that the definition does not exclude is kept.

use tlbc_runtime::agents::Agents;

use super::scope::Lower;
use crate::model::{At, Cases, Need};
use crate::source::Span;

/// What a definition states about the needs of an instruction.
#[derive(Default)]
pub(super) struct Stated {
    /// `needs lock;` and the like.
    pub(super) needs: Vec<At<Need>>,
    /// `may be interrupted;`
    pub(super) interrupted: Option<At<()>>,
    /// `needs no lock;`
    pub(super) concurrent: Option<At<()>>,
}

impl Stated {
    fn says(&self, wanted: Need) -> Option<Span> {
        let mut said = self.needs.iter().filter(|need| need.value == wanted);
        said.next().map(|need| need.span)
    }
}

impl Lower {
    /// Returns the needs of an instruction: those that are stated, and those that no statement excludes.
    ///
    /// `parts` is the number of instructions that are issued together, 1 for a call.
    pub(super) fn needs(
        &mut self,
        stated: Stated,
        (parts, template): (usize, Span),
        agents: &Cases<At<Agents>>,
    ) -> Vec<At<Need>> {
        let all = stated.needs.iter().map(|need| (need.value, need.span));
        self.repeated(all, |need| {
            let what = match need {
                Need::SameCpu => "`needs same cpu`",
                Need::InterruptsOff => "`needs interrupts off`",
                Need::Lock => "`needs lock`",
            };
            what.to_owned()
        });
        if let (Some(lock), Some(none)) = (stated.says(Need::Lock), stated.concurrent) {
            self.said_twice(
                "whether it needs a lock",
                none.span.max(lock),
                none.span.min(lock),
            );
        }
        if let (Some(off), Some(at)) = (stated.says(Need::InterruptsOff), &stated.interrupted) {
            self.said_twice(
                "whether it may be interrupted",
                at.span.max(off),
                at.span.min(off),
            );
        }
        if let (Some(at), true) = (&stated.interrupted, parts == 1)
            && self.is_known(at.span)
        {
            self.misplaced(
                at.span,
                "this is a single instruction, which no interrupt can divide".to_owned(),
                "remove it",
            );
        }
        let mut derived = Vec::new();
        let interrupts_off = stated.says(Need::InterruptsOff).is_some();
        if parts > 1 && stated.interrupted.is_none() && !interrupts_off {
            derived.push(At {
                value: Need::InterruptsOff,
                span: template,
            });
        }
        let mut reach = agents.cases.iter().map(|(at, _)| at);
        let broadcast = reach.find(|at| !Agents::CORE.covers(at.value));
        if let (Some(at), None, None) = (broadcast, stated.says(Need::Lock), stated.concurrent) {
            derived.push(At {
                value: Need::Lock,
                span: at.span,
            });
        }
        let mut needs = stated.needs;
        needs.append(&mut derived);
        needs
    }
}
