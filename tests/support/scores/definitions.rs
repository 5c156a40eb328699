//! What is found of a wrong fact in a definition.
//!
//! In: a shipped definition, which is right, and one with a changed fact. Out: the stage that finds the change, or the reason
//! why it does no harm. Holds: the plans of the changed definition are judged by the right one, and by hardware made from it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use tlbc::emit::emit;
use tlbc::model::Model;
use tlbc::plan::Plans;
use tlbc::plan::ir::{Plan, Shape};
use tlbc::prove::{self, disproved};
use tlbc::source::Files;
use tlbc::torment::{self, Options, torment};
use tlbc::{Analysis, analyse};
use tlbc_runtime::request::{Reach, Space};

use super::translate;
use crate::archdefs::Definition;
use crate::mutate::facts::{self, Changed, Usage};

/// What became of a changed definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// `check` or the planner refuses it.
    Refused,
    /// Its plans are not proved against the right definition.
    Disproved,
    /// Its plans cannot be stated in terms of the right definition: it lacks a name, or has other levels.
    OtherMachine,
    /// Its plans are the same or proved, and leave entries on the hardware of the right definition, or issue what that does
    /// not have: operands have other bits, or its levels other facts, so that loops name other addresses.
    Tormented,
    /// Its plans differ and are proved, and leave entries on that hardware with the operands and levels of the right
    /// definition as well. One of the two is wrong.
    Contradicted,
    /// The same code is generated.
    SameCode,
    /// Its plans differ, and are proved: they invalidate no less.
    NoLess,
    /// Its plans are the same. Generated constants, operands or texts differ.
    Constants,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::Disproved,
        Self::Tormented,
        Self::OtherMachine,
        Self::Contradicted,
        Self::SameCode,
        Self::NoLess,
        Self::Constants,
    ];

    /// Returns what it is called in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "check",
            Self::Disproved => "prove",
            Self::Tormented => "torment",
            Self::OtherMachine => "other machine",
            Self::Contradicted => "contradicted",
            Self::SameCode => "same code",
            Self::NoLess => "no less",
            Self::Constants => "constants",
        }
    }

    /// Returns what it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Refused => "`tlbc check` refuses the definition",
            Self::Disproved => "its plans are not proved against the right definition",
            Self::Tormented => {
                "its plans are the same or proved, but operands have other bits, or loops name other addresses as its levels \
                 have other facts; on the hardware of the right definition entries are left or an instruction does not exist"
            }
            Self::OtherMachine => {
                "it lacks a name that its plans would need on the right machine, or has other levels: a kernel for the right \
                 machine does not build with it"
            }
            Self::Contradicted => {
                "its plans are proved and leave entries on hostile hardware: a fault of tlbc"
            }
            Self::SameCode => {
                "harmless: the same code is generated, except for comments. The fact is implied by others, or describes, or makes an \
                 instruction no better that no plan uses"
            }
            Self::NoLess => {
                "harmless: the plans differ and are proved against the right definition, so they invalidate no less"
            }
            Self::Constants => {
                "not judged here: the plans are the same. Constants of the runtime, the place where a feature is read, or the \
                 operands and registers of instructions that no flush of the sample issues differ; tests compare these with the \
                 manuals, the assembler and runs of the whole runtime"
            }
        }
    }
}

/// A shipped definition, against which changed ones are judged.
pub struct Judge<'a> {
    definition: &'a Definition,
    right: &'a Analysis,
    code: u64,
    known: BTreeMap<u64, Verdict>,
}

impl<'a> Judge<'a> {
    /// Creates a judge.
    pub fn new(definition: &'a Definition, right: &'a Analysis) -> Self {
        let (files, again) = definition.analysis();
        Self {
            definition,
            right,
            code: code(&again, &files),
            known: BTreeMap::new(),
        }
    }

    /// Returns every changed definition.
    pub fn changes(&self, usage: &Usage) -> Vec<Changed> {
        facts::changes(&self.definition.text, usage)
    }

    /// Returns what becomes of a changed definition.
    pub fn verdict(&mut self, changed: &Changed) -> Verdict {
        let mut files = Files::default();
        let file = files.add(&self.definition.path, &changed.mutant.text);
        let (Some(planned), _) = analyse(&files, file) else {
            return Verdict::Refused;
        };
        let code = code(&planned, &files);
        if code == self.code {
            return Verdict::SameCode;
        }
        // The same code does the same, whatever the definition says.
        if let Some(verdict) = self.known.get(&code) {
            return *verdict;
        }
        let verdict = self.judged(&planned);
        self.known.insert(code, verdict);
        verdict
    }

    fn judged(&self, planned: &Analysis) -> Verdict {
        let Some(plans) = translate::plans(planned, &self.right.model) else {
            return Verdict::OtherMachine;
        };
        let different = different(&plans, &self.right.plans);
        if failure(&self.right.model, &plans, &different).is_some() {
            return Verdict::Disproved;
        }
        let options = Options {
            seed: 1,
            machines: 20,
            requests: 15,
            machine: None,
            ends_at_long: true,
        };
        let run = |planned: &Analysis| torment(planned, &self.right.model, &options).failure;
        let is_found = run(&self.bounded(planned)).is_some();
        if is_found && different.is_empty() {
            return Verdict::Tormented;
        }
        if is_found {
            // What was proved are its plans with the operands and the levels of the right definition.
            let as_proved = Analysis {
                model: self.right.model.clone(),
                plans,
            };
            return match run(&as_proved) {
                Some(_) => Verdict::Contradicted,
                None => Verdict::Tormented,
            };
        }
        match different.as_slice() {
            [] => Verdict::Constants,
            _ => Verdict::NoLess,
        }
    }

    /// Returns a definition with the ceilings of the right one: they have no influence on what is invalidated, and without
    /// one the hardware would flush each page of a large range by itself, and record every instruction.
    fn bounded(&self, planned: &Analysis) -> Analysis {
        let (mut model, right) = (planned.model.clone(), &self.right.model);
        let is_same = model.features.len() == right.features.len()
            && model.errata.len() == right.errata.len()
            && model.limits.len() == right.limits.len();
        if is_same {
            let policy = &mut model.policy;
            policy
                .ceiling_operations
                .clone_from(&right.policy.ceiling_operations);
            policy.ceiling_pages.clone_from(&right.policy.ceiling_pages);
        }
        Analysis {
            model,
            plans: planned.plans.clone(),
        }
    }
}

/// Returns a hash of the generated code without its comments.
fn code(analysis: &Analysis, files: &Files) -> u64 {
    let text = emit(analysis, files, 0);
    let mut hasher = DefaultHasher::new();
    for line in text.lines() {
        if !line.trim_start().starts_with("//") {
            line.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Returns the shapes that two sets of plans serve differently.
pub fn different(plans: &Plans, others: &Plans) -> Vec<Shape> {
    let body = |plans: &Plans, shape| plans.get(shape).map(|plan: &Plan| plan.body.clone());
    let shapes = plans.iter().chain(others.iter()).map(|plan| plan.shape);
    let mut shapes: Vec<Shape> = shapes
        .filter(|shape| body(plans, *shape) != body(others, *shape))
        .collect();
    shapes.sort_unstable();
    shapes.dedup();
    shapes
}

/// Returns the first failure of the requests that plans of some shapes serve, directly or as a part.
pub fn failure(model: &Model, plans: &Plans, shapes: &[Shape]) -> Option<prove::Failure> {
    let mut asked: Vec<Shape> = Vec::new();
    for shape in shapes {
        // What a flush defers, events complete.
        asked.push(Shape::Switch);
        let of = |space: Space, reach: Reach| Shape::Everything(space, reach);
        match *shape {
            Shape::Switch
            | Shape::LoadTag
            | Shape::ReturnToUser
            | Shape::EnterFromUser
            | Shape::CpuOnline => {}
            Shape::Change
            | Shape::Invalidate
            | Shape::Replace
            | Shape::MoreRights
            | Shape::Publish(_) => asked.push(Shape::Change),
            Shape::IpiTargets(space) => {
                asked.extend([of(space, Reach::Wide), of(space, Reach::Given)]);
            }
            other => asked.push(of(other.space(), other.reach())),
        }
    }
    asked.sort_unstable();
    asked.dedup();
    asked
        .into_iter()
        .find_map(|shape| disproved(model, plans, shape))
}

/// Returns the first failure of plans on hardware: on the machine that a proof names, or on random ones.
pub fn on_hardware(
    planned: &Analysis,
    hardware: &Model,
    seed: u64,
    on: Option<tlbc::model::Config>,
    (machines, requests): (u64, u64),
) -> Option<torment::FailedRequest> {
    let limits = |least: bool| {
        let limits = hardware.limits.iter();
        limits
            .map(|it| if least { it.least } else { it.most })
            .collect()
    };
    let machine = |least| on.map(|config| (config, limits(least)));
    let run = |machine| {
        let options = Options {
            seed,
            machines,
            requests,
            machine,
            ends_at_long: true,
        };
        torment(planned, hardware, &options).failure
    };
    match on {
        None => run(None),
        Some(_) => run(machine(true)).or_else(|| run(machine(false))),
    }
}
