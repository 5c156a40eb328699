//! Everything that is issued for one request, from the plan IR.
//!
//! In: a [`Query`]: these entries were cleared, this may have been cached by these CPUs. Out: a
//! [`Trace`]: what is issued here, what each CPU issues that is told by interrupt, and what is owed
//! and until when. `show` prints it.

pub mod encode;
mod env;
pub mod interpret;
pub mod show;

use tlbc_runtime::backend::{Audience, Debt, Owed, Root};
use tlbc_runtime::clause::{Holders, Level};
use tlbc_runtime::request::{Conditions, Extent, Ranges, Reach, Scope, Space, Tag};

use crate::model::{Config, Known, Model};
use crate::plan::Plans;
use crate::plan::ir::Shape;
use encode::FieldBits;
use interpret::{Changing, Effects, Env, Op, Which, interpret};

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
    /// The CPU comes up.
    Arrive,
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
        [shape, Shape::Finish(space, reach)]
            .map(|shape| interpret(model, plans, shape, env))
            .into()
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

/// Those who are in an audience.
fn names(model: &Model, audience: Audience) -> Vec<String> {
    let holders = audience
        .holders
        .iter()
        .map(|class| Holders::name(class).to_owned());
    let sets = model.cpu_sets.iter().enumerate();
    let sets = sets.filter(|(index, _)| audience.sets & (1 << index) != 0);
    holders
        .chain(sets.map(|(_, set)| format!("CPUs of `{}`", set.name)))
        .collect()
}

#[derive(Clone, Copy)]
enum Asked {
    Page,
    Ranges,
    Everything,
    Teardown,
    Event(Shape),
}

/// The configuration as a CPU has it that is told by interrupt: who sends that tells the devices.
fn without_devices(model: &Model, config: Config) -> Config {
    let devices = model.user.devices.iter().chain(&model.kernel.devices);
    let features = devices.flat_map(|when| when.value.features_wanted());
    let of_space = features.filter(|&feature| model.features[feature].known == Known::Space);
    Config {
        features: of_space.fold(config.features, |all, feature| all & !(1 << feature)),
        ..config
    }
}

fn prepare(model: &Model, query: &Query) -> Result<(Asked, Env), String> {
    let of_machine = query.others && machine_tag(model, query.config);
    let tag = Tag {
        value: query.tag,
        of_machine,
    };
    let mut env = Env {
        config: query.config,
        limits: query.limits.clone(),
        tag,
        walk: false,
        ends: false,
        change: Changing::default(),
        page: (0, Level(0)),
        ranges: Ranges::new(),
        root: Root {
            table: ROOT,
            tag,
            empty: EMPTY,
            conditions: Conditions::NONE,
        },
        debt: Debt::None,
        owed: false,
    };
    let asked = match &query.event {
        Event::Cleared {
            extent,
            levels,
            tables,
            live,
            appeared,
        } => {
            env.ranges = ranges(model, query, *extent, levels, *tables, *appeared)?;
            if *live {
                env.ranges.below_live();
            }
            env.walk = env.ranges.tables();
            match env.ranges.scope(&model.level_table(query.config)) {
                Scope::Page { va, level, .. } => {
                    env.page = (va, level);
                    Asked::Page
                }
                _ => Asked::Ranges,
            }
        }
        Event::Everything => {
            env.walk = true;
            Asked::Everything
        }
        Event::Teardown => {
            (env.walk, env.ends) = (true, true);
            Asked::Teardown
        }
        Event::Change(change) => {
            env.change = *change;
            Asked::Event(Shape::Change)
        }
        Event::Switch(debt) => {
            env.debt = *debt;
            Asked::Event(Shape::Switch)
        }
        Event::Resume(owed) => {
            env.owed = *owed;
            Asked::Event(Shape::Resume)
        }
        Event::Arrive => Asked::Event(Shape::Arrive),
    };
    Ok((asked, env))
}

/// Whether the configuration has a tag that means the same space on every CPU.
fn machine_tag(model: &Model, config: Config) -> bool {
    let mut tags = model.tags.iter().filter(|tag| tag.when.holds(config));
    tags.any(|tag| !tag.of_cpu.value)
}

fn ranges(
    model: &Model,
    query: &Query,
    extent: Extent,
    levels: &[usize],
    tables: bool,
    appeared: bool,
) -> Result<Ranges, String> {
    let config = query.config;
    let space = model.space(query.space);
    if let Some(addresses) = space.addresses.get(config)
        && (!addresses.contain(extent.start) || !addresses.contain(extent.last()))
    {
        let end = u128::from(addresses.base) + (1u128 << addresses.bits);
        return Err(format!(
            "{:#x}..{:#x} is not in {:#x}..{end:#x}, the addresses that the space has",
            extent.start,
            u128::from(extent.last()) + 1,
            addresses.base
        ));
    }
    let table = model.level_table(config);
    let mut ranges = Ranges::new();
    for &level in levels {
        let facts = table[level];
        let name = &model.levels[level].name;
        if facts.shift == 0 {
            return Err(format!("there is no level {name} in this configuration"));
        }
        if facts.leaf && appeared {
            ranges.appeared(Level(level as u8), extent);
        } else if facts.leaf {
            ranges.leaf(Level(level as u8), extent);
        } else if !tables {
            return Err(format!("entries of level {name} map no pages"));
        }
    }
    if tables {
        let (Some(low), Some(high)) = (levels.iter().min(), levels.iter().max()) else {
            return Ok(ranges);
        };
        // The tables of a level hang on the entries of the next one above.
        for level in *low..=*high {
            if table[level].shift == 0 {
                continue;
            }
            match (level + 1..table.len()).find(|&above| table[above].shift != 0) {
                Some(above) => ranges.walk(Level(above as u8), extent),
                None => {
                    return Err(format!(
                        "the table of level {} is the top: nothing points at it that could be cut",
                        model.levels[level].name
                    ));
                }
            }
        }
    }
    Ok(ranges)
}

fn debits(effects: &[Effects], holder: &'static str) -> Vec<Debit> {
    let owed = effects.iter().fold(Owed::NOTHING, |all, e| all | e.owed);
    let table = [
        (
            Owed::OTHERS_UNTIL_LOAD,
            holder,
            "leaf and walk entries of everything under other tags",
            "load",
        ),
        (
            Owed::VIEW_UNTIL_RESUME,
            holder,
            "leaf and walk entries of everything under the user view's tag",
            "resume",
        ),
        (
            Owed::LAZY_UNTIL_LOAD,
            "lazy CPUs",
            "what was asked for, or everything under the tag",
            "load",
        ),
        (
            Owed::PARKED_UNTIL_LOAD,
            "parked CPUs",
            "what was asked for, or everything under the tag",
            "load",
        ),
        (
            Owed::SPACE_UNTIL_ATTACH,
            "every CPU",
            "leaf and walk entries of the whole space",
            "attach",
        ),
    ];
    let of = |(what, holder, text, until)| {
        owed.contains(what).then_some(Debit {
            holder,
            what: text,
            until,
        })
    };
    table.into_iter().filter_map(of).collect()
}

fn instructions(model: &Model, config: Config, effects: &[Effects]) -> Vec<Instruction> {
    let ops = effects.iter().flat_map(|effects| &effects.ops);
    ops.flat_map(|op| lines(model, config, op)).collect()
}

/// An instruction of the machine a line, even where the definition has several in one.
fn lines(model: &Model, config: Config, op: &Op) -> Vec<Instruction> {
    let (named, template) = match op.which {
        Which::Barrier(index) => {
            let it = &model.barriers[index];
            (&it.named, &it.template)
        }
        Which::Invalidate(index) => {
            let it = &model.invalidates[index];
            (&it.named, &it.template)
        }
        Which::Load(index) => {
            let it = &model.loads[index];
            (&it.named, &it.template)
        }
        Which::Store => {
            return vec![Instruction {
                name: "store".to_owned(),
                asm: "(the entries are stored)".to_owned(),
                operands: Vec::new(),
            }];
        }
    };
    let operands = |line: &str| {
        let of_line = |operand: usize| {
            let name = &model.operands[operand].named.name;
            let named_anywhere = template
                .lines
                .iter()
                .any(|l| l.contains(&format!("{{{name}}}")));
            !named_anywhere || line.contains(&format!("{{{name}}}"))
        };
        op.operands
            .iter()
            .filter(|(operand, _)| of_line(*operand))
            .map(|&(operand, bits)| {
                let it = &model.operands[operand];
                let fields = encode::fields(model, it, config, &op.sources.0);
                (it.named.name.clone(), bits, fields)
            })
            .collect::<Vec<_>>()
    };
    let machine = template.lines.iter().filter(|line| !line.starts_with('.'));
    machine
        .map(|line| {
            let operands = operands(line);
            let asm = operands.iter().fold(line.clone(), |asm, (name, bits, _)| {
                asm.replace(&format!("{{{name}}}"), &format!("{bits:#x}"))
            });
            Instruction {
                name: named.name.clone(),
                asm: asm.replace("{scratch}", "scratch"),
                operands,
            }
        })
        .collect()
}
