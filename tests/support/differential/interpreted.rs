//! The backend that interprets the plans of a definition, in the form in which generated backends are compared.

use std::cell::Cell;

use tlbc::Analysis;
use tlbc::interpreted::{Instruction, Interpreted};
use tlbc::model::{Config, DefinitionName, Which};
use tlbc_runtime::Backend;

use super::Issued;
use super::machines::{Generated, Machine, Module, most};

thread_local! {
    static ANALYSIS: Cell<Option<&'static Analysis>> = const { Cell::new(None) };
}

/// Returns the backend of a definition, for this thread, which uses no backend of another definition at the same time.
pub fn interpreted(analysis: &'static Analysis) -> Module {
    ANALYSIS.set(Some(analysis));
    let model = &analysis.model;
    let any = Interpreted::new(analysis, Config::default(), most(model));
    any.expect("a backend");
    let features = model.features.iter().map(|it| &it.named);
    let errata = model.errata.iter().map(|it| &it.named);
    let geometries = model.geometries.iter().skip(1).map(|it| &it.named);
    let all = features.chain(errata).chain(geometries);
    Module {
        facts: *Interpreted::facts(),
        flags: all.map(|named| named.name.as_str()).collect(),
        make,
    }
}

fn analysis() -> &'static Analysis {
    ANALYSIS.get().expect("a definition")
}

fn make(has: &dyn Fn(&str) -> bool, limits: &[u64]) -> Option<Box<dyn Machine>> {
    let model = &analysis().model;
    let bit = |(index, named): (usize, &DefinitionName)| u32::from(has(&named.name)) << index;
    let geometries = model.geometries.iter().enumerate().skip(1);
    let geometries: Vec<_> = geometries.filter(|(_, it)| has(&it.named.name)).collect();
    let config = Config {
        features: { model.features.iter().map(|it| &it.named).enumerate() }
            .map(bit)
            .sum(),
        errata: { model.errata.iter().map(|it| &it.named).enumerate() }
            .map(bit)
            .sum(),
        geometry: geometries.first().map_or(0, |(index, _)| *index),
    };
    let tlb = Interpreted::new(analysis(), config, limits.to_vec()).expect("a backend");
    let made = Generated {
        tlb,
        describe: |instruction: Instruction| describe(&instruction),
    };
    (geometries.len() < 2 && model.possible(config)).then(|| Box::new(made) as Box<_>)
}

fn describe(instruction: &Instruction) -> Issued {
    let model = &analysis().model;
    let named = match instruction.which {
        Which::Barrier(index) => &model.barriers[index].named,
        Which::Invalidate(index) => &model.invalidates[index].named,
        Which::Load(index) => &model.loads[index].named,
        Which::Store => panic!("a sink gets no plain store"),
    };
    let op = instruction.op(model);
    let operands = op.operands.iter();
    let name = |operand: usize| model.operands[operand].named.name.clone();
    let operands = operands.map(|(operand, bits)| (name(*operand), *bits));
    (named.name.clone(), operands.collect())
}
