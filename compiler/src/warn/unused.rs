//! Definitions that are never used, which does no harm.
//!
//! In: all names, and what instructions write. Out: W0201.

use crate::check::unused::never_used;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{DefinitionName, Instr, Model};
use crate::plan;
use crate::text::list;

/// Checks W0201: domains, barriers, operands, loads and sets of CPUs are used.
pub(super) fn names(model: &Model, found: &mut Vec<Diagnostic>) {
    let weakens = model.errata.iter().flat_map(|erratum| &erratum.weakens);
    let sets: Vec<usize> = weakens.filter_map(|weakens| weakens.on).collect();
    let barriers: Vec<&DefinitionName> = model.barriers.iter().map(|it| &it.named).collect();
    let operands: Vec<&DefinitionName> = model.operands.iter().map(|it| &it.named).collect();
    let loads: Vec<&DefinitionName> = model.loads.iter().map(|it| &it.named).collect();
    let cpu_sets: Vec<&DefinitionName> = model.cpu_sets.iter().collect();
    let domains: Vec<&DefinitionName> = model.domains.iter().map(|it| &it.named).collect();
    let used_domains = model.domains.iter().enumerate();
    let used_domains = used_domains
        .filter(|(_, it)| it.used)
        .map(|(index, _)| index);
    let of_domain = "name it after a `where` or in the role of a barrier, or remove it";
    let of_barrier = "name it after an `after`, a `follows` or a `resync`, or remove it";
    let of_operand = "name it in the template of an instruction, or remove it";
    let of_load = "name it in `switch` or `return_to_user`, or remove it";
    let of_set = "name it after the `on` of an erratum, or remove it";
    let all = [
        ("domain", domains, used_domains.collect(), of_domain),
        ("barrier", barriers, used_barriers(model), of_barrier),
        ("operand", operands, used_operands(model), of_operand),
        ("load", loads, used_loads(model), of_load),
        ("set of CPUs", cpu_sets, sets, of_set),
    ];
    for (what, all, used, help) in all {
        found.extend(never_used(Code::W0201, what, &all, &used, help));
    }
}

/// Checks W0201: an instruction that writes entries serves changes of each level that it writes.
pub(super) fn writers(model: &Model, found: &mut Vec<Diagnostic>) {
    for (index, levels) in plan::unserved(model) {
        let it = &model.invalidates[index];
        let Some(writes) = it.writes_entry else {
            continue;
        };
        let names: Vec<String> = (levels.iter())
            .map(|level| format!("`{}`", model.levels[level.index()].name))
            .collect();
        found.push(
            Diagnostic::new(
                Code::W0201,
                it.named.span,
                format!(
                    "`{}` serves no change of entries of {}",
                    it.named.name,
                    list(&names, "and")
                ),
            )
            .label("never used for these")
            .because(writes.span, "writes them")
            .note("an instruction serves a change if it drops everything that was made through the old entry, on every agent that may have cached it")
            .help("correct what it drops and where, or remove the levels that it cannot serve"),
        );
    }
}

/// Returns the barriers that an instruction, an event or a workaround names, and those that publish.
fn used_barriers(model: &Model) -> Vec<usize> {
    let publishing = model.barriers.iter().enumerate();
    let publishing = publishing.filter(|(_, barrier)| barrier.publishes.is_some());
    let mut used: Vec<usize> = publishing.map(|(index, _)| index).collect();
    used.extend(
        model
            .invalidates
            .iter()
            .filter_map(|i| i.after.as_ref())
            .flat_map(|after| after.cases.iter().map(|(at, _)| at.value)),
    );
    let followed = model.invalidates.iter().filter_map(|i| i.follows);
    used.extend(followed.map(|at| at.value));
    let before_loads = model.loads.iter().filter_map(|load| load.follows);
    used.extend(before_loads.map(|at| at.value));
    let resyncs = model.resyncs();
    used.extend(resyncs.flat_map(|(_, of)| of.barriers().map(|(at, _)| at.value)));
    let workarounds = model.errata.iter().flat_map(|erratum| &erratum.workarounds);
    used.extend(
        workarounds
            .flat_map(|workaround| &workaround.issue)
            .filter_map(|issued| match issued.instr {
                Instr::Barrier(barrier) => Some(barrier),
                Instr::Invalidate(_) => None,
            }),
    );
    used
}

fn used_operands(model: &Model) -> Vec<usize> {
    let barriers = model.barriers.iter().map(|barrier| &barrier.template);
    let invalidates = model
        .invalidates
        .iter()
        .map(|invalidate| &invalidate.template);
    let loads = model.loads.iter().map(|load| &load.template);
    let templates = barriers.chain(invalidates).chain(loads);
    templates
        .flat_map(|template| template.operands.clone())
        .collect()
}

fn used_loads(model: &Model) -> Vec<usize> {
    let events = [&model.switch, &model.return_to_user, &model.cpu_online];
    let loads = events.into_iter().flat_map(|event| &event.loads);
    loads.flat_map(|loads| loads.loads.clone()).collect()
}
