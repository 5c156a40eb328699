//! Workarounds: they restore what their errata remove, wherever it is removed.
//!
//! In: the errata with their workarounds, and the instructions that they weaken. Out: E0504, E0506, E0507 and E0508.
//! Holds: a workaround acts where the weakened instruction does, on the entries that this one leaves, in an order in
//! which it can, and changes no table entry.

use super::all_drops;
use super::configs::Configs;
use super::errata::{drops_lost, weakenings, workaround};
use super::settings::is_form;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AddressSelector, CachedKind, Cases, Cond, Drops, Erratum, Instr, Invalidate, Issued, LevelSel,
    Lost, Model, Weakens, Workaround,
};

/// Checks E0504: walk entries that an erratum leaves are dropped before leaf entries.
pub fn leaves_before_walks(model: &Model, found: &mut Vec<Diagnostic>) {
    for (erratum, weakens) in weakenings(model) {
        let Instr::Invalidate(index) = weakens.target.value else {
            continue;
        };
        let invalidate = &model.invalidates[index];
        let leaf = all_drops(invalidate).find(|drops| drops.leaf.is_some());
        let (Lost::Walk, Some(leaf)) = (weakens.lost.value, leaf) else {
            continue;
        };
        let before = workaround(erratum, weakens.target.value, false);
        let after = workaround(erratum, weakens.target.value, true);
        let (None, Some(late)) = (before, after) else {
            continue;
        };
        found.push(
            Diagnostic::new(
                Code::E0504,
                late.span,
                format!("with `{}`, `{}` drops leaf entries before the walk entries above them", erratum.named.name, invalidate.named.name),
            )
            .label("walk entries are dropped here, too late")
            .because(weakens.lost.span, "left by the instruction")
            .because(leaf.span, "leaf entries are dropped here")
            .note("while the entries of a table are still valid, a walk that starts from the remaining entry fills the leaf entries again")
            .help(format!("put the workaround first: `workaround before {} issue ...;`", invalidate.named.name)),
        );
    }
}

/// Checks E0506: an instruction of a workaround that follows a barrier has it before it.
pub fn preceded(model: &Model, found: &mut Vec<Diagnostic>) {
    let workarounds = model.errata.iter().flat_map(|erratum| &erratum.workarounds);
    for workaround in workarounds {
        for (index, issued) in workaround.issue.iter().enumerate() {
            let Instr::Invalidate(invalidate) = issued.instr else {
                continue;
            };
            let it = &model.invalidates[invalidate];
            let Some(follows) = it.follows else {
                continue;
            };
            let barrier = Instr::Barrier(follows.value);
            let mut before = workaround.issue[..index].iter();
            if before.any(|earlier| earlier.instr == barrier) {
                continue;
            }
            let name = &model.barriers[follows.value].named.name;
            found.push(
                Diagnostic::new(
                    Code::E0506,
                    workaround.span,
                    format!("`{}` is issued without `{name}` before it", it.named.name),
                )
                .label("the workaround")
                .because(follows.span, "follows this barrier")
                .note("a workaround issues what it names, and no barrier besides")
                .help(format!("name `{name}` before `{}`", it.named.name)),
            );
        }
    }
}

/// Checks E0506: a workaround acts wherever the weakened instruction does.
pub fn reach(model: &Model, found: &mut Vec<Diagnostic>) {
    for (erratum, weakens) in weakenings(model) {
        let target = weakens.target.value;
        let workarounds = erratum
            .workarounds
            .iter()
            .filter(|r| r.target.value == target);
        for workaround in workarounds {
            found.extend(short(model, workaround, target));
        }
    }
}

/// Reports a workaround with an invalidation that acts on fewer agents than the weakened instruction.
fn short(model: &Model, workaround: &Workaround, target: Instr) -> Option<Diagnostic> {
    let always = Cond::default();
    let requires = match target {
        Instr::Barrier(index) => &model.barriers[index].requires,
        Instr::Invalidate(index) => &model.invalidates[index].requires,
    };
    let cases = match target {
        Instr::Barrier(_) => None,
        Instr::Invalidate(index) => Some(&model.invalidates[index].agents),
    };
    workaround.issue.iter().find_map(|issued| {
        let Instr::Invalidate(index) = issued.instr else {
            return None;
        };
        let issued = &model.invalidates[index];
        let conds = issued
            .agents
            .conds()
            .chain(cases.into_iter().flat_map(Cases::conds));
        let configs = Configs::of(model, conds.chain([requires, &always]));
        let mut used = configs.iter().filter(|&config| requires.holds(config));
        let (config, needed, acts) = used.find_map(|config| {
            let needed = match target {
                Instr::Barrier(barrier) => model.barriers[barrier].completes?,
                Instr::Invalidate(_) => *cases?.get(config)?,
            };
            let acts = issued.agents.get(config)?;
            (!acts.value.covers(needed.value)).then_some((config, needed, acts))
        })?;
        Some(
            Diagnostic::new(
                Code::E0506,
                workaround.span,
                format!(
                    "`{}` acts on fewer agents than the instruction that the erratum weakens{}",
                    issued.named.name,
                    configs.when(config)
                ),
            )
            .label("does not reach all of them")
            .because(needed.span, "must be restored here")
            .because(acts.span, "acts here")
            .note("on the other agents the workaround has no effect")
            .help("name an instruction that reaches all of them"),
        )
    })
}

/// Checks E0506: entries that a barrier leaves are dropped by its workaround.
pub fn gone(model: &Model, found: &mut Vec<Diagnostic>) {
    for (erratum, weakens) in weakenings(model) {
        let Instr::Barrier(barrier) = weakens.target.value else {
            continue;
        };
        let workaround = workaround(erratum, weakens.target.value, true);
        let Some(workaround) = workaround.filter(|_| weakens.lost.value == Lost::Gone) else {
            continue;
        };
        let invalidates = workaround
            .issue
            .iter()
            .filter_map(|issued| match issued.instr {
                Instr::Invalidate(index) => Some((issued, &model.invalidates[index])),
                Instr::Barrier(_) => None,
            });
        let invalidates: Vec<(&Issued, &Invalidate)> = invalidates.collect();
        let walk = model.caches.ever_hold(CachedKind::Walk);
        let all = |(issued, it): &(&Issued, &Invalidate)| {
            let forms = it.forms.iter().filter(|form| is_form(issued, form));
            forms.flat_map(|form| &form.drops).any(|drops| {
                let whose = drops.whose.value;
                drops.which.value == AddressSelector::Everything
                    && (whose.this || whose.loaded)
                    && whose.other
                    && whose.global
                    && drops.leaf == Some(LevelSel::Any)
                    && (!walk || drops.walk == Some(LevelSel::Any))
            })
        };
        if invalidates.is_empty() || invalidates.iter().any(all) {
            continue;
        }
        found.push(
            Diagnostic::new(
                Code::E0506,
                workaround.span,
                format!(
                    "a workaround of `{}` drops other entries than those that the erratum leaves",
                    model.barriers[barrier].named.name
                ),
            )
            .label("its operands are zero")
            .because(weakens.lost.span, "entries of any flush may be left")
            .note("after a barrier it is not known what was flushed, so entries of another address or tag would be dropped")
            .help("state the workaround for the invalidations, or name one that drops everything under any tag"),
        );
    }
}

/// Checks E0506: entries that an invalidation leaves are of a kind that its workaround drops.
pub fn left(model: &Model, found: &mut Vec<Diagnostic>) {
    for (erratum, weakens) in weakenings(model) {
        let Instr::Invalidate(index) = weakens.target.value else {
            continue;
        };
        let lost = weakens.lost.value;
        let target = &model.invalidates[index];
        let mut clauses = all_drops(target);
        let Some(clause) = clauses.find(|drops| drops_lost(model, drops, lost, weakens.caches))
        else {
            continue;
        };
        for workaround in erratum
            .workarounds
            .iter()
            .filter(|it| it.target.value == weakens.target.value)
        {
            let invalidates = workaround
                .issue
                .iter()
                .filter_map(|issued| match issued.instr {
                    Instr::Invalidate(of) => Some(&model.invalidates[of]),
                    Instr::Barrier(_) => None,
                });
            let invalidates: Vec<&Invalidate> = invalidates.collect();
            let of_tags = |drops: &Drops| {
                let (wanted, has) = (clause.whose.value, drops.whose.value);
                (has.global || !wanted.global) && (has.other || !wanted.other)
            };
            let restores =
                |drops: &Drops| drops_lost(model, drops, lost, weakens.caches) && of_tags(drops);
            let mut dropped = invalidates.iter().flat_map(|it| all_drops(it));
            // A barrier before it may be what the instruction needs to work.
            if dropped.any(restores) || !workaround.after && invalidates.is_empty() {
                continue;
            }
            found.push(
                Diagnostic::new(
                    Code::E0506,
                    workaround.span,
                    format!(
                        "a workaround of `{}` does not drop the entries that the erratum leaves",
                        target.named.name
                    ),
                )
                .label("drops no such entries")
                .because(weakens.lost.span, "left here")
                .because(clause.span, "these are dropped")
                .note("entries that the instruction leaves would be left by its workaround, too")
                .help("name an instruction that drops them, or remove the workaround: other instructions are chosen then"),
            );
        }
    }
}

/// Checks E0507: a workaround belongs to an instruction that its erratum weakens.
pub fn needless(model: &Model, found: &mut Vec<Diagnostic>) {
    for erratum in &model.errata {
        for workaround in &erratum.workarounds {
            let target = workaround.target.value;
            let mut weakens = erratum.weakens.iter().filter(|w| w.target.value == target);
            if weakens.clone().any(|w| w.on.is_none()) {
                continue;
            }
            if let Some(weakens) = weakens.next() {
                found.push(of_some_cpus(erratum, weakens, workaround));
                continue;
            }
            found.push(
                Diagnostic::new(
                    Code::E0507,
                    workaround.target.span,
                    format!(
                        "`{}` has a workaround for an instruction that it does not weaken",
                        erratum.named.name
                    ),
                )
                .label("not weakened")
                .because(erratum.named.span, "weakens other instructions")
                .note("a workaround is issued only with an instruction that its erratum weakens")
                .help("state what the erratum removes: `weakens ...: not ...;`, or remove the workaround"),
            );
        }
    }
}

/// Checks E0508: a workaround changes no table entry.
pub fn writers(model: &Model, found: &mut Vec<Diagnostic>) {
    for workaround in model.errata.iter().flat_map(|erratum| &erratum.workarounds) {
        for issued in &workaround.issue {
            let Instr::Invalidate(index) = issued.instr else {
                continue;
            };
            let invalidate = &model.invalidates[index];
            let Some(writes) = &invalidate.writes_entry else {
                continue;
            };
            found.push(
                Diagnostic::new(
                    Code::E0508,
                    workaround.span,
                    format!(
                        "`{}` writes a table entry, and a flush changes none",
                        invalidate.named.name
                    ),
                )
                .label("issued with a flush")
                .because(writes.span, "writes the entry")
                .note("a flush must not write table entries")
                .help("name an instruction that drops entries and writes none"),
            );
        }
    }
}

/// Checks E0506: after a loop over addresses there is a workaround that needs none.
pub fn in_loops(model: &Model, found: &mut Vec<Diagnostic>) {
    for (erratum, weakens) in weakenings(model) {
        let Instr::Invalidate(index) = weakens.target.value else {
            continue;
        };
        let invalidate = &model.invalidates[index];
        let mut drops = all_drops(invalidate);
        let repeats = |d: &Drops| {
            matches!(
                d.which.value,
                AddressSelector::OnePage | AddressSelector::Run { .. }
            )
        };
        if invalidate.writes_entry.is_none() && !drops.any(repeats) {
            continue;
        }
        for after in [false, true] {
            let workarounds = erratum.workarounds.iter();
            let mut of_side =
                workarounds.filter(|r| r.target.value == weakens.target.value && r.after == after);
            let Some(first) = of_side.clone().next() else {
                continue;
            };
            let bare = |r: &Workaround| !r.issue.iter().any(|i| model.names_address(i));
            if of_side.any(bare) {
                continue;
            }
            found.push(
                Diagnostic::new(
                    Code::E0506,
                    first.span,
                    format!(
                        "after a loop of `{}` there is no address for this workaround",
                        invalidate.named.name
                    ),
                )
                .label("needs an address or a level")
                .because(weakens.lost.span, "must be restored there too")
                .note("a flush of a range issues the workaround once, after its addresses")
                .help(
                    "add a workaround that needs none, or set them: `issue ... with va 0 and level pte`",
                ),
            );
        }
    }
}

/// Returns the report of a workaround where its erratum weakens the instruction on a set of CPUs.
fn of_some_cpus(erratum: &Erratum, weakens: &Weakens, workaround: &Workaround) -> Diagnostic {
    Diagnostic::new(
        Code::E0507,
        workaround.target.span,
        format!(
            "`{}` has a workaround for an instruction that it weakens only on some CPUs",
            erratum.named.name
        ),
    )
    .label("has no place")
    .because(weakens.lost.span, "weakened on a set of CPUs")
    .note("an IPI to the CPUs of the set is the workaround there")
    .help("describe two errata: one with `on`, for the IPI, and one without, for the workaround")
}
