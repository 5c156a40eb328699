//! Questions about instructions: what each drops, on which CPUs and when, sorted by the smallest unit that it can drop.

use tlbc_runtime::agents::Agents;

use super::question::{MatrixQuestion, brief, long};
use crate::analysis::Analysis;
use crate::describe::{self, code, when};
use crate::model::{AddressSelector, Barrier, Cond, Form, Invalidate, Model};

pub(super) const ALL: &[MatrixQuestion] = &[
    long("One page, on this CPU", |it| listed(it, Least::Page, true)),
    long("One page, on others as well", |it| {
        listed(it, Least::Page, false)
    }),
    long("A run, on this CPU", |it| listed(it, Least::Run, true)),
    long("A run, on others as well", |it| {
        listed(it, Least::Run, false)
    }),
    long("One set of a cache, on this CPU", |it| {
        listed(it, Least::Set, true)
    }),
    long("One set of a cache, on others as well", |it| {
        listed(it, Least::Set, false)
    }),
    long("All below a table entry, on this CPU", |it| {
        listed(it, Least::Subtree, true)
    }),
    long("All below a table entry, on others as well", |it| {
        listed(it, Least::Subtree, false)
    }),
    long("Everything, on this CPU", |it| {
        listed(it, Least::Everything, true)
    }),
    long("Everything, on others as well", |it| {
        listed(it, Least::Everything, false)
    }),
    long("No cached entry", |it| {
        let mut lines = listed(it, Least::Nothing, true);
        lines.extend(listed(it, Least::Nothing, false));
        lines
    }),
    brief("Instructions that reach other CPUs", wide),
    long("Changes are published by", published),
    long("An atomic read-modify-write orders", |it| {
        let all = it.model.atomics_order.is_some();
        vec![
            (if all {
                "everything"
            } else {
                "as its ordering states"
            })
            .to_owned(),
        ]
    }),
    long("Gone and drained after", completed),
    long("This CPU is resynchronized after", resynced),
];

/// The smallest unit that an instruction can drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Least {
    Page,
    Run,
    Set,
    Subtree,
    Everything,
    Nothing,
}

fn least(form: &Form) -> Least {
    let all = form.drops.iter().map(|drops| match drops.which.value {
        AddressSelector::OnePage => Least::Page,
        AddressSelector::Run { .. } => Least::Run,
        AddressSelector::OneSet => Least::Set,
        AddressSelector::Subtree => Least::Subtree,
        AddressSelector::Everything => Least::Everything,
    });
    all.min().unwrap_or(Least::Nothing)
}

/// Returns whether an instruction acts only on this CPU or its core, on every machine.
fn is_local(invalidate: &Invalidate) -> bool {
    let mut cases = invalidate.agents.cases.iter();
    cases.all(|(at, _)| Agents::CORE.covers(at.value))
}

fn listed(it: &Analysis, wanted: Least, local: bool) -> Vec<String> {
    let of_reach = it.model.invalidates.iter();
    let of_reach = of_reach.filter(|invalidate| is_local(invalidate) == local);
    let lines = |invalidate| {
        let form =
            move |form: &Form| (least(form) == wanted).then(|| line(&it.model, invalidate, form));
        invalidate.forms.iter().filter_map(form).collect::<Vec<_>>()
    };
    of_reach.flat_map(lines).collect()
}

/// Describes an instruction or one of its forms: what it drops, on which CPUs, and when that is complete.
fn line(model: &Model, invalidate: &Invalidate, form: &Form) -> String {
    let name = match &form.named {
        Some((named, _)) => format!("{} {}", invalidate.named.name, named.name),
        None => invalidate.named.name.clone(),
    };
    let drops: Vec<String> = form
        .drops
        .iter()
        .map(|drops| describe::drops(model, drops))
        .collect();
    let written = invalidate
        .writes_entry
        .as_ref()
        .map(|writes| describe::writes(model, writes));
    let parts: Vec<String> = written.into_iter().chain(drops).collect();
    let effect = if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join("; ")
    };
    format!(
        "{}{}: {effect}; on {}; {}",
        code(&name),
        when(model, &invalidate.requires.and(&form.requires)),
        reach(model, invalidate),
        done(model, invalidate)
    )
}

/// Describes on which CPUs and devices an instruction acts.
pub(crate) fn reach(model: &Model, invalidate: &Invalidate) -> String {
    describe::cases(model, &invalidate.agents, |at| describe::agents(at.value))
}

/// Describes when an instruction is complete.
pub(crate) fn done(model: &Model, invalidate: &Invalidate) -> String {
    match &invalidate.after {
        None => "at once".to_owned(),
        Some(after) => {
            let name = |at: &crate::model::At<usize>| code(&model.barriers[at.value].named.name);
            format!("after {}", describe::cases(model, after, name))
        }
    }
}

fn wide(it: &Analysis) -> Vec<String> {
    let wide = it
        .model
        .invalidates
        .iter()
        .filter(|invalidate| !is_local(invalidate));
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for invalidate in wide {
        let needed = needed(&it.model, &invalidate.requires);
        let name = code(&invalidate.named.name);
        match groups.iter_mut().find(|(of, _)| *of == needed) {
            Some((_, names)) => names.push(name),
            None => groups.push((needed, vec![name])),
        }
    }
    if groups.is_empty() {
        return vec!["none".to_owned()];
    }
    let line = |(needed, names): (String, Vec<String>)| format!("{}{needed}", names.join(", "));
    groups.into_iter().map(line).collect()
}

fn needed(model: &Model, of: &Cond) -> String {
    when(model, of)
}

/// Lists the barriers that have a role, with the description of the role.
fn barriers(it: &Analysis, role: impl Fn(&Barrier) -> Option<String>) -> Vec<String> {
    let lines = it.model.barriers.iter().filter_map(|barrier| {
        let role = role(barrier)?;
        let needed = when(&it.model, &barrier.requires);
        Some(format!("{}{needed}: {role}", code(&barrier.named.name)))
    });
    lines.collect()
}

fn published(it: &Analysis) -> Vec<String> {
    let mut lines = barriers(it, |barrier| {
        Some(describe::agents(barrier.publishes?.value))
    });
    if let Some(assumed) = &it.model.assumed {
        lines.push(format!("assumed: {}", describe::plain(&assumed.value)));
    }
    if lines.is_empty() {
        vec!["nothing".to_owned()]
    } else {
        lines
    }
}

fn completed(it: &Analysis) -> Vec<String> {
    let mut lines = barriers(it, |barrier| {
        let at = describe::agents(barrier.completes?.value);
        let same = if barrier.same_cpu {
            ", only invalidations of the same CPU"
        } else {
            ""
        };
        let facts = match (barrier.gone.is_some(), barrier.drained.is_some()) {
            (true, true) => "",
            (true, false) => ", gone but not drained",
            (false, true) => ", drained but not gone",
            (false, false) => ", neither gone nor drained",
        };
        Some(format!("{at}{same}{facts}"))
    });
    let at_once = it
        .model
        .invalidates
        .iter()
        .filter(|invalidate| invalidate.after.is_none());
    let count = at_once.count();
    if count == it.model.invalidates.len() {
        lines.push("at once, all instructions".to_owned());
    } else if count > 0 {
        lines.push(format!(
            "at once, {count} of {} instructions",
            it.model.invalidates.len()
        ));
    }
    lines
}

fn resynced(it: &Analysis) -> Vec<String> {
    barriers(it, |barrier| barrier.resyncs.map(|_| "this CPU".to_owned()))
}
