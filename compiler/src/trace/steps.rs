//! The steps of a trace.
//!
//! In: instructions of the interpreter, and IPI targets. Out: [`Step`]s with operands filled in and split into fields, and
//! [`Target`]s with the reason why each is interrupted.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::IpiTargets;
use tlbc_runtime::request::Space;

use super::encode;
use super::hex::Hex;
use super::interpret::{Op, Role};
use super::query::Query;
use super::response::{
    BarrierRole, Field, Instruction, LoadedRoot, Operand, Step, Store, Target, TargetCpus,
    Undrained,
};
use crate::model::{Config, Instr, Lost, Model, Source, Which};
use crate::template::shown;

/// Returns a step; `None` for a plain store unless `store` describes it.
pub fn step(model: &Model, config: Config, op: &Op, store: Option<&Store>) -> Option<Step> {
    let instruction = |name: &str, lines| instruction(model, config, op, (name, lines));
    Some(match op.which {
        Which::Barrier(index) => {
            let it = &model.barriers[index];
            Step::Barrier {
                role: match op.role {
                    Role::Publish => BarrierRole::Publish,
                    Role::Order => BarrierRole::Order,
                    Role::Resync => BarrierRole::Resync,
                    _ => BarrierRole::Complete,
                },
                workaround: workaround(model, op.role),
                instruction: instruction(&it.named.name, &it.template.lines),
            }
        }
        Which::Invalidate(index) => {
            let it = &model.invalidates[index];
            Step::Invalidate {
                workaround: workaround(model, op.role),
                instruction: instruction(&it.named.name, it.shown()),
            }
        }
        Which::Load(index) => {
            let it = &model.loads[index];
            Step::Load {
                root: match op.role {
                    Role::EmptyRoot => LoadedRoot::Empty,
                    _ => LoadedRoot::Space,
                },
                instruction: instruction(&it.named.name, &it.template.lines),
            }
        }
        Which::Store => Step::Store(store?.clone()),
    })
}

/// Returns the erratum whose workaround an instruction belongs to.
fn workaround(model: &Model, role: Role) -> Option<String> {
    match role {
        Role::Workaround(erratum) => Some(model.errata[erratum].named.name.clone()),
        _ => None,
    }
}

fn instruction(
    model: &Model,
    config: Config,
    op: &Op,
    (name, lines): (&str, &[String]),
) -> Instruction {
    let operands = op.operands.iter().map(|&(operand, bits)| {
        let it = &model.operands[operand];
        let fields = encode::fields(model, it, config, &op.sources.0).into_iter();
        Operand {
            name: it.named.name.clone(),
            value: Hex(bits),
            fields: fields
                .map(|field| Field {
                    high: field.high,
                    low: field.low,
                    source: field.name,
                    value: field.bits.into(),
                })
                .collect(),
        }
    });
    let operands: Vec<Operand> = operands.collect();
    // Directives of the assembler are no instructions.
    let lines = lines.iter().filter(|line| !line.starts_with('.'));
    let value = |of: &str| {
        let operand = operands.iter().find(|operand| operand.name == of);
        operand.map_or_else(|| of.to_owned(), |operand| operand.value.to_string())
    };
    let asm = lines.map(|line| shown(line, value)).collect();
    Instruction {
        name: name.to_owned(),
        asm,
        operands,
    }
}

/// Returns whether an operand of an instruction contains the tag of the space.
pub(super) fn takes_tag(model: &Model, op: &Op) -> bool {
    let mut operands = op.operands.iter();
    operands.any(|&(operand, _)| {
        let mut fields = model.operands[operand].fields.iter();
        fields.any(|field| field.value.source() == Some(Source::Tag))
    })
}

/// Returns the targets of an IPI.
pub(super) fn targets(model: &Model, query: &Query, to: IpiTargets) -> Vec<Target> {
    let kinds = [
        (Agents::ACTIVE, TargetCpus::Active),
        (Agents::LAZY, TargetCpus::Lazy),
        (Agents::INACTIVE, TargetCpus::Inactive),
    ];
    let kinds = kinds
        .into_iter()
        .filter(|(kind, _)| to.agents.covers(*kind));
    let kinds = kinds.map(|(_, cpus)| Target {
        cpus,
        set: None,
        reason: reason(cpus, query.space).to_owned(),
        undrained_by: Vec::new(),
    });
    let sets = model.cpu_sets.iter().enumerate();
    let sets = sets.filter(|(index, _)| to.sets & (1 << index) != 0);
    let sets = sets.map(|(index, set)| {
        let undrained_by = undrained(model, query.config, index);
        Target {
            cpus: TargetCpus::Set,
            set: Some(set.name.clone()),
            reason: not_drained(&undrained_by),
            undrained_by,
        }
    });
    kinds.chain(sets).collect()
}

fn reason(cpus: TargetCpus, space: Space) -> &'static str {
    match (cpus, space) {
        (_, Space::Kernel) => "use the kernel's mappings",
        (TargetCpus::Active, _) => "run the space",
        (TargetCpus::Lazy, _) => "may walk its tables",
        _ => "may hold entries under its tag, which is given to another space",
    }
}

/// Returns the barriers that do not drain the accesses of a set of CPUs.
fn undrained(model: &Model, config: Config, set: usize) -> Vec<Undrained> {
    let errata = model.errata.iter().enumerate();
    let present = errata.filter(|(index, _)| config.suffers(*index));
    let found = present.flat_map(|(_, erratum)| {
        let weakens = erratum.weakens.iter();
        let of_set = weakens.filter(|w| w.on == Some(set) && w.lost.value == Lost::Drained);
        of_set.filter_map(|w| match w.target.value {
            Instr::Barrier(barrier) => Some(Undrained {
                barrier: model.barriers[barrier].named.name.clone(),
                erratum: erratum.named.name.clone(),
            }),
            Instr::Invalidate(_) => None,
        })
    });
    found.collect()
}

fn not_drained(by: &[Undrained]) -> String {
    let by = by
        .iter()
        .map(|it| format!("`{}` of `{}`", it.barrier, it.erratum));
    let by: Vec<String> = by.collect();
    format!("their accesses are not drained: {}", by.join(", "))
}
