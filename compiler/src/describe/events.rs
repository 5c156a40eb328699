//! Descriptions of changes, errata and ceilings.

use tlbc_runtime::request::{Reach, Space};

use super::{amount, caches, code, instr, when};
use crate::model::{Aspect, Ceiling, Issued, Lost, Model, Source, Weakens, Workaround};
use crate::text::list;

/// Describes a change that may need an invalid entry first.
#[must_use]
pub fn aspect(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Output => "another page",
        Aspect::Size => "another size",
        Aspect::Attributes => "other attributes",
        Aspect::Rights => "more rights",
    }
}

/// Describes a ceiling; `unit` is the plural of what it counts.
#[must_use]
pub fn ceiling(model: &Model, of: &Ceiling, unit: &str) -> String {
    let reach = match of.reach {
        None => "",
        Some(Reach::Here) => " on this CPU",
        Some(Reach::Wide | Reach::Given) => " on others",
    };
    let space = match of.space {
        None => "",
        Some(Space::User) => " for user spaces",
        Some(Space::Kernel) => " for the kernel",
    };
    format!("{} {unit}{reach}{space}", amount(model, of.count))
}

/// Describes what an erratum takes from an instruction.
#[must_use]
pub fn weakens(model: &Model, weakens: &Weakens) -> String {
    let lost = match weakens.lost.value {
        Lost::Gone => "entries may not be gone",
        Lost::Drained => "accesses may not be drained",
        Lost::Global => "global entries may stay",
        Lost::Walk => "walk entries may stay",
        Lost::Leaf => "leaf entries may stay",
        Lost::Root => "root bindings may stay",
        Lost::Devices => "entries of devices may stay",
    };
    let caches = weakens
        .caches
        .map_or(String::new(), |of| format!(" in {}", caches(model, of)));
    let space = match weakens.space {
        None => "",
        Some(Space::User) => " for user spaces",
        Some(Space::Kernel) => " for the kernel",
    };
    let on = weakens.on.map_or(String::new(), |set| {
        format!(" on the CPUs of {}", code(&model.cpu_sets[set].name))
    });
    format!(
        "after {}{space}{}: {lost}{caches}{on}",
        instr(model, weakens.target.value),
        when(model, &weakens.when)
    )
}

/// Describes a workaround of an erratum.
#[must_use]
pub fn workaround(model: &Model, workaround: &Workaround) -> String {
    let side = if workaround.after { "after" } else { "before" };
    let issue: Vec<String> = workaround
        .issue
        .iter()
        .map(|it| issued(model, it))
        .collect();
    format!(
        "{side} {}: {}",
        instr(model, workaround.target.value),
        issue.join(", ")
    )
}

fn issued(model: &Model, issued: &Issued) -> String {
    let with = issued.with.iter().map(|(source, value)| {
        let name = match source {
            Source::Tag => "tag",
            Source::Va => "address",
            _ => "operand",
        };
        format!("{name} {value:#x}")
    });
    let level = issued
        .level
        .map(|level| format!("level {}", code(&model.levels[level].name)));
    let with: Vec<String> = with.chain(level).collect();
    if with.is_empty() {
        return instr(model, issued.instr);
    }
    format!("{} with {}", instr(model, issued.instr), list(&with, "and"))
}
