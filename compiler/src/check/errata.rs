//! Errata: they remove facts that exist, and what they remove from a barrier is restored.
//!
//! In: the errata, and the instructions that they weaken. Out: E0207 and E0506. Holds: an instruction has the fact that
//! an erratum removes, and a flush is complete in spite of it. `workarounds` checks what they issue.

use super::all_drops;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{At, CachedKind, Drops, Erratum, Instr, Lost, Model, Weakens, Workaround};
use tlbc_facts::clause::CacheSet;
use tlbc_runtime::agents::Agents;

fn word(lost: Lost) -> &'static str {
    match lost {
        Lost::Gone => "gone",
        Lost::Drained => "drained",
        Lost::Global => "global",
        Lost::Walk => "walk",
        Lost::Leaf => "leaf",
        Lost::Root => "root",
        Lost::Devices => "devices",
    }
}

/// Returns every weakening, with its erratum.
pub(super) fn weakenings(model: &Model) -> impl Iterator<Item = (&Erratum, &Weakens)> {
    let errata = model.errata.iter();
    errata.flat_map(|erratum| {
        erratum
            .weakens
            .iter()
            .map(move |weakens| (erratum, weakens))
    })
}

/// Returns the first workaround of an erratum on one side of an instruction.
pub(super) fn workaround(erratum: &Erratum, target: Instr, after: bool) -> Option<&Workaround> {
    let mut workarounds = erratum.workarounds.iter();
    workarounds.find(|workaround| workaround.target.value == target && workaround.after == after)
}

/// Checks E0207: an erratum removes a fact that the instruction has.
pub fn subjects(model: &Model, found: &mut Vec<Diagnostic>) {
    for (_, weakens) in weakenings(model) {
        let lost = weakens.lost.value;
        let (what, help) = match weakens.target.value {
            Instr::Barrier(barrier) => match lost {
                Lost::Gone | Lost::Drained if model.barriers[barrier].completes.is_some() => {
                    continue;
                }
                Lost::Gone | Lost::Drained => (
                    "the barrier completes nothing",
                    "name the barrier that waits for invalidations",
                ),
                _ => (
                    "a barrier drops no entries",
                    "name the invalidation that leaves them",
                ),
            },
            Instr::Invalidate(index) if !does(model, index, lost, weakens.caches) => (
                "the instruction does not have that effect",
                "correct the fact that the erratum removes, or what the instruction drops",
            ),
            Instr::Invalidate(_) => continue,
        };
        let named = match weakens.target.value {
            Instr::Barrier(barrier) => &model.barriers[barrier].named,
            Instr::Invalidate(index) => &model.invalidates[index].named,
        };
        found.push(
            Diagnostic::new(
                Code::E0207,
                weakens.lost.span,
                format!(
                    "{what}, so it has no fact `{}` that an erratum could remove",
                    word(lost)
                ),
            )
            .label("not possible here")
            .because(named.span, "weakened here")
            .help(help),
        );
    }
}

/// Returns whether an invalidation has the fact that an erratum removes, in these caches.
fn does(model: &Model, index: usize, lost: Lost, caches: Option<CacheSet>) -> bool {
    let it = &model.invalidates[index];
    match lost {
        Lost::Gone | Lost::Drained => true,
        Lost::Devices => {
            let mut cases = it.agents.cases.iter();
            cases.any(|(at, _)| at.value.covers(Agents::DEVICE))
        }
        Lost::Leaf | Lost::Walk | Lost::Root | Lost::Global => {
            all_drops(it).any(|drops| drops_lost(model, drops, lost, caches))
        }
    }
}

/// Returns whether a clause drops the entries that the erratum leaves.
pub(super) fn drops_lost(
    model: &Model,
    drops: &Drops,
    lost: Lost,
    caches: Option<CacheSet>,
) -> bool {
    let (there, kind) = match lost {
        Lost::Leaf => (drops.leaf.is_some(), CachedKind::Leaf),
        Lost::Walk => (drops.walk.is_some(), CachedKind::Walk),
        Lost::Root => (drops.root, CachedKind::Root),
        Lost::Global => (drops.whose.value.global, CachedKind::Leaf),
        Lost::Gone | Lost::Drained | Lost::Devices => return false,
    };
    let held = drops
        .caches
        .unwrap_or_else(|| model.caches.ever_holding(kind));
    there && caches.is_none_or(|caches| caches.0 & held.0 != 0)
}

/// Checks E0506: a completion that an erratum removes is restored.
pub fn completion(model: &Model, found: &mut Vec<Diagnostic>) {
    for (erratum, weakens) in weakenings(model) {
        let Instr::Barrier(index) = weakens.target.value else {
            continue;
        };
        match (
            workaround(erratum, weakens.target.value, true),
            weakens.lost,
        ) {
            (
                Some(workaround),
                At {
                    value: Lost::Gone | Lost::Drained,
                    ..
                },
            ) => {
                found.extend(incomplete(model, index, workaround));
            }
            // An IPI drains the CPU that handles it, so it can be sent to the set.
            (
                None,
                At {
                    value: Lost::Gone, ..
                },
            ) => found.push(unmended(model, index, weakens)),
            (
                None,
                At {
                    value: Lost::Drained,
                    ..
                },
            ) if weakens.on.is_none() => {
                found.push(unmended(model, index, weakens));
            }
            _ => {}
        }
    }
}

fn unmended(model: &Model, barrier: usize, weakens: &Weakens) -> Diagnostic {
    let barrier = &model.barriers[barrier];
    let what = word(weakens.lost.value);
    let note = match (weakens.lost.value, weakens.on) {
        (Lost::Gone, Some(_)) => "an IPI drains the CPUs of the set; it drops no entries",
        (Lost::Gone, None) => "nothing else makes the flush wait until entries are gone",
        _ => "nothing else makes the flush wait for accesses that were translated before",
    };
    Diagnostic::new(
        Code::E0506,
        weakens.lost.span,
        format!(
            "an erratum removes `{what}` from `{}`, and no workaround restores it",
            barrier.named.name
        ),
    )
    .label("removed here")
    .because(barrier.named.span, "completes flushes")
    .note(note)
    .help(format!(
        "add what the vendor says: `workaround after {} issue ...;`",
        barrier.named.name
    ))
}

/// Reports a workaround that does not end with a barrier as wide as the weakened one.
fn incomplete(model: &Model, barrier: usize, workaround: &Workaround) -> Option<Diagnostic> {
    let weakened = &model.barriers[barrier];
    let needed = weakened.completes?;
    let done = match workaround.issue.last()?.instr {
        Instr::Barrier(last) => model.barriers[last].completes,
        Instr::Invalidate(_) => None,
    };
    if done.is_some_and(|done| done.value.covers(needed.value)) {
        return None;
    }
    let message = if done.is_some() {
        "a workaround ends with a barrier that completes on fewer agents than the weakened one"
    } else {
        "a workaround does not end with a barrier that completes"
    };
    Some(
        Diagnostic::new(Code::E0506, workaround.span, message)
            .label("not complete at its end")
            .because(needed.span, "must be restored here")
            .note("the instructions of the workaround would not be finished when the flush returns")
            .help(format!(
                "end it with a completing barrier, for instance `{}`",
                weakened.named.name
            )),
    )
}
