//! Everything that is issued for one request, from the plan IR.
//!
//! In: a [`Query`]: these entries were cleared, this may have been cached by these CPUs. Out: a
//! [`Trace`]: what is issued here, what each CPU issues that is told by interrupt, and what is owed
//! and until when. `show` prints it.

mod answer;
mod asked;
pub mod encode;
mod env;
pub mod interpret;
pub mod show;

use tlbc_runtime::backend::Debt;
use tlbc_runtime::request::{Extent, Reach, Space};

use crate::model::{Config, Model};
use crate::plan::Plans;
use crate::plan::ir::Shape;
use answer::{debits, instructions, names};
use asked::{Asked, prepare, without_devices};
use encode::FieldBits;
use interpret::{Changing, Env, interpret};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Query {
    /// The configuration.
    pub config: Config,
    /// The limits of the machine, by index.
    pub limits: Vec<u64>,
    /// Whose mappings.
    pub space: Space,
    /// What happened.
    pub event: Event,
    /// The tag of the space.
    pub tag: u64,
    /// Whether other CPUs are active in the space, and one is lazy.
    pub others: bool,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Entries were cleared.
    Cleared {
        /// Where.
        extent: Extent,
        /// Of which levels.
        levels: Vec<usize>,
        /// Whether the tables that they stood in were unlinked.
        tables: bool,
        /// Whether what is below the cuts is still valid.
        live: bool,
        /// Whether they appeared where none were, and were not cleared.
        appeared: bool,
    },
    /// The whole space goes, with its tables.
    Everything,
    /// The space ends: everything of it goes, and its tag may be given to another.
    Teardown,
    /// Table entries change.
    Change(Changing),
    /// The space is loaded, with this owed for it.
    Switch(Debt),
    /// User code goes on; whether its view's flush was put off.
    Resume(bool),
    /// User code was interrupted, or called the kernel.
    EnterFromUser,
    /// The CPU comes up.
    Arrive,
    /// Entries became valid where there were none, and are made visible.
    Publish,
}

/// What is issued and owed.
#[derive(Debug)]
pub struct Trace {
    /// By this CPU.
    pub here: Vec<Instruction>,
    /// Who is told by interrupt: classes of CPUs, and sets that the kernel keeps.
    pub told: Vec<String>,
    /// By each CPU that is told by interrupt.
    pub others: Vec<Instruction>,
    /// By whom what, and until when.
    pub owed: Vec<Debit>,
}

/// One instruction.
pub struct Instruction {
    /// Its name in the definition.
    pub name: String,
    /// Its text, with operands filled in.
    pub asm: String,
    /// Its operands: name, bits, fields.
    pub operands: Vec<(String, u128, Vec<FieldBits>)>,
}

impl std::fmt::Debug for Instruction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.asm)
    }
}

/// Something put off.
#[derive(Debug, PartialEq, Eq)]
pub struct Debit {
    /// By whom.
    pub holder: &'static str,
    /// What.
    pub what: &'static str,
    /// Until when.
    pub until: &'static str,
}

/// Physical addresses that stand for the space's top table and for an empty one.
pub const ROOT: u64 = 0x4000_0000;

/// See [`ROOT`].
pub const EMPTY: u64 = 0x1000;

/// Answers a query.
///
/// # Errors
/// When the machine has no such address, or no such level, in this configuration.
pub fn trace(model: &Model, plans: &Plans, query: &Query) -> Result<Trace, String> {
    let (scope, mut env) = prepare(model, query)?;
    let reach = if query.others {
        Reach::Wide
    } else {
        Reach::Here
    };
    let flush = |env: &Env, reach| {
        let space = query.space;
        let shape = match scope {
            Asked::Teardown if plans.get(Shape::Teardown(space, reach)).is_some() => {
                Shape::Teardown(space, reach)
            }
            Asked::Page => Shape::Page(space, reach),
            Asked::Ranges => Shape::Ranges(space, reach),
            Asked::Everything | Asked::Teardown => Shape::Everything(space, reach),
            Asked::Event(shape) => {
                // Devices are not switched, nor do they come up.
                let config = without_devices(model, env.config);
                let env = Env {
                    config,
                    ..env.clone()
                };
                return vec![interpret(model, plans, shape, &env)];
            }
        };
        interpret::flush(model, plans, shape, env).into()
    };
    let here = flush(&env, reach);
    let mut owed = debits(&here, "this CPU");
    let (mut told, mut others) = (Vec::new(), Vec::new());
    let is_flush = !matches!(scope, Asked::Event(_));
    if is_flush && reach == Reach::Wide {
        let deliver = interpret(model, plans, Shape::Told(query.space), &env).deliver;
        told.extend(names(model, deliver));
        if !deliver.is_nobody() {
            env.tag.of_machine = false;
            env.config = without_devices(model, env.config);
            let effects = flush(&env, Reach::Here);
            owed.extend(debits(&effects, "each CPU told"));
            others = instructions(model, query.config, &effects);
        }
        let interrupted = here.iter().find(|effects| !effects.interrupt.is_nobody());
        if let Some(effects) = interrupted {
            told.extend(names(model, effects.interrupt));
            others.push(Instruction {
                name: "interrupt".to_owned(),
                asm: "(taking the interrupt is all it takes)".to_owned(),
                operands: Vec::new(),
            });
        }
    }
    Ok(Trace {
        here: instructions(model, query.config, &here),
        told,
        others,
        owed,
    })
}
