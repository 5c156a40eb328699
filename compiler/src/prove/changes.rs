//! Changes of table entries, and the publication of new ones.
//!
//! In: the plans. Out: rows and failures. Holds: where instructions write entries, a valid entry is written by one that the
//! definition names for its level and for the kind of change. What was made through the old entry is invalidated by such an
//! instruction: at the end if it writes the new entry, before the store of the new entry if not. A plain store is for an
//! entry that is invalid, for bits that only software reads, or for an entry whose flush is deferred. Where entries change by
//! plain stores, the flush is a request of its own.

use std::time::Instant;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Level;
use tlbc_runtime::pte;
use tlbc_runtime::request::passes::Pass;
use tlbc_runtime::request::{Extent, LevelTable, Reach, Space};

use super::ask::{Ask, Change, exists, extent, within};
use super::cover::are_named;
use super::effect::{Cell, Path};
use super::events;
use super::failure::{Failure, Rule};
use super::machine::{Partial, every_path};
use super::proof::{Part, Proof, Row, Unfollowed};
use super::reading::{Later, Reading};
use super::run::Execution;
use super::steps::{Step, Steps};
use crate::model::{CachedKind, Instr, Model, Stricter, Written};
use crate::plan::Plans;
use crate::plan::ir::Shape;

const KINDS: [(pte::Kind, &str); 5] = [
    (pte::Kind::Map, "an entry becomes valid"),
    (pte::Kind::Unmap, "an entry becomes invalid"),
    (pte::Kind::MoreRights, "a leaf entry gains rights"),
    (pte::Kind::Same, "software bits change"),
    (pte::Kind::Remap, "an entry is replaced"),
];

/// Returns the proof of each kind of change in each space, and of the publication of new entries.
pub fn requests() -> impl Iterator<Item = Part> {
    let spaces = [Space::User, Space::Kernel].into_iter();
    spaces.flat_map(|space| {
        let changes = KINDS.into_iter().map(move |(kind, words)| {
            let name = named(space, words);
            let prove = move |model: &Model, plans: &Plans, proof: &mut Proof| {
                follow(model, &name, proof, |facts, machine, proof| {
                    changes(facts, plans, machine, (kind, space), proof)
                });
            };
            Box::new(prove) as Part
        });
        let published = move |model: &Model, plans: &Plans, proof: &mut Proof| {
            follow(
                model,
                &named(space, "publication"),
                proof,
                |facts, machine, _| vec![publication(facts, plans, machine, space)],
            );
        };
        changes.chain(std::iter::once(Box::new(published) as Part))
    })
}

fn named(space: Space, words: &str) -> String {
    let space = match space {
        Space::User => "user",
        Space::Kernel => "kernel",
    };
    format!("{space}, change: {words}")
}

/// What a path breaks, with the entries that survive and the instruction that is meant.
type Broken = (Rule, Option<Cell>, Option<Instr>);

/// Follows every path of requests of one name. Adds their row and failures.
fn follow(
    model: &Model,
    name: &str,
    proof: &mut Proof,
    requests: impl Fn(&Reading<'_>, &Partial<'_>, &mut Proof) -> Vec<Vec<Broken>>,
) {
    let start = Instant::now();
    let facts = Reading::new(model);
    let (mut paths, mut failed) = (0, 0);
    let mut failures = Vec::new();
    every_path(model, |machine| {
        for broken in requests(&facts, machine, proof) {
            paths += 1;
            failed += u64::from(!broken.is_empty());
            let found = broken.into_iter().map(|(rule, cell, instruction)| Failure {
                rule,
                request: name.to_owned(),
                machine: machine.config(),
                cell,
                instruction,
            });
            failures.extend(found);
        }
    });
    let row = Row {
        request: name.to_owned(),
        paths,
        failed,
        time: start.elapsed(),
        facts: facts.read(),
        relies: events::completing(&facts),
    };
    proof.add(row, failures);
}

/// Returns what is wrong with each change of a kind.
fn changes(
    facts: &Reading<'_>,
    plans: &Plans,
    machine: &Partial<'_>,
    (kind, space): (pte::Kind, Space),
    proof: &mut Proof,
) -> Vec<Vec<Broken>> {
    let levels = facts.level_table(machine);
    let there = |level: &Level| {
        let leaf = kind != pte::Kind::MoreRights || levels[level.index()].leaf;
        exists(&levels, *level) && leaf
    };
    let mut out = Vec::new();
    for level in Level::all().filter(there) {
        for count in [1, 3] {
            for (only_here, may_defer) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let change = Change {
                    kind,
                    space,
                    only_here,
                    may_defer,
                    entries: entries(space, &levels, level, count),
                };
                let ask = ask(change, &levels);
                out.push(changed(facts, plans, machine, &ask, change, proof));
            }
        }
    }
    out
}

fn entries(space: Space, levels: &LevelTable, level: Level, count: u64) -> Pass {
    Pass {
        start: extent(space, levels, level, count).start,
        entries: count,
        stride: level,
        shift: levels[level.index()].shift,
        hint: Some(level),
        leaf: true,
        walk: false,
        negative: false,
    }
}

/// Returns the request, with everything that may have been made through the old entries. Below an entry the first and the
/// last entry of each level stand for all.
fn ask(change: Change, levels: &LevelTable) -> Ask {
    let Pass { stride, shift, .. } = change.entries;
    let lowest = Level::all().find(|level| exists(levels, *level));
    let mut ask = Ask {
        live: Some(stride) != lowest,
        change: Some(change),
        ..Ask::NOTHING
    };
    for start in change.entries.addresses() {
        let whole = Extent::new(start, 1 << shift);
        for level in Level::all().filter(|it| *it <= stride && exists(levels, *it)) {
            let first = Extent::new(start, 1 << levels[level.index()].shift);
            for at in [first, within(whole, levels, level, 1)] {
                if levels[level.index()].leaf {
                    ask.stale(CachedKind::Leaf, level, Some(at));
                }
                if Some(level) > lowest {
                    ask.stale(CachedKind::Walk, level, Some(at));
                }
            }
        }
    }
    ask
}

/// Returns what is wrong with one change.
fn changed(
    facts: &Reading<'_>,
    plans: &Plans,
    machine: &Partial<'_>,
    ask: &Ask,
    change: Change,
    proof: &mut Proof,
) -> Vec<Broken> {
    let levels = facts.level_table(machine);
    let mut run = Execution::new(facts, plans, machine, ask, levels);
    if !run.shape(Shape::Change) {
        return vec![(Rule::Planned, None, None)];
    }
    let steps = run.steps;
    let path = |steps| Path {
        facts,
        machine,
        space: change.space,
        entering: false,
        in_use: true,
        changes: true,
        levels,
        published: true,
        steps,
    };
    let whole = path(&steps);
    if steps.iter().any(|step| compares(facts, step)) {
        proof.leave(Unfollowed::Compared);
    }
    let mut broken: Vec<Broken> = whole
        .wrongly_issued()
        .into_iter()
        .map(|(rule, instruction)| (rule, None, Some(instruction)))
        .collect();
    broken.extend(misused(&whole, change));
    let store = steps.iter().position(|it| matches!(it, Step::Store));
    if change.kind == pte::Kind::Map || facts.change().plain_store.value {
        if store.is_none() {
            broken.push((Rule::Written, None, None));
        }
        return broken;
    }
    if steps.deferred().contains(Deferred::SPACE_UNTIL_ATTACH) {
        facts.rely(Later::Load);
        let allowed = change.may_defer && facts.change().deferred.is_some();
        if !allowed {
            broken.push((Rule::Stored, None, None));
        }
        if store.is_none() {
            broken.push((Rule::Written, None, None));
        }
        return broken;
    }
    let level = change.entries.stride;
    let software = facts.change().software_bits.as_ref();
    let software = software.is_some_and(|levels| levels.value.contains(level));
    let writes_all = |to| writes_all(&whole, change, to);
    if writes_all(Written::MoreRights) {
        // CPUs may keep entries with fewer rights until they fault. The kernel's code must not fault.
        let faults = facts.caches().stricter(machine).how != Stricter::Refetched;
        if change.space == Space::Kernel && faults {
            broken.extend(surviving(&whole, ask, change));
        }
    } else if writes_all(Written::Replaced) {
        broken.extend(surviving(&whole, ask, change));
        let resync = facts.space(change.space).resync.as_ref();
        if !whole.is_resynced(resync, |it| matches!(it, Step::Issue(_))) {
            broken.push((Rule::Resync, None, None));
        }
    } else if writes_all(Written::Invalid) {
        let Some(store) = store else {
            broken.push((Rule::Written, None, None));
            return broken;
        };
        let before = Steps::from(&steps[..store]);
        let after = Steps::from(&steps[store..]);
        broken.extend(surviving(&path(&before), ask, change));
        if change.kind == pte::Kind::Remap && change.space == Space::Kernel {
            broken.extend(invisible(&path(&after)));
        }
    } else if store.is_some() {
        if change.kind != pte::Kind::Same || !software {
            broken.push((Rule::Stored, None, None));
        }
    } else {
        broken.push((Rule::Written, None, None));
    }
    broken
}

/// Returns whether a step writes an entry only if it has the old value.
fn compares(facts: &Reading<'_>, step: &Step) -> bool {
    let Step::Issue(issued) = step else {
        return false;
    };
    let writes = facts.invalidate(issued.issue.invalidate).writes_entry;
    writes.is_some_and(|writes| writes.if_old)
}

/// Returns the instructions that write entries of other levels, or something else than the change.
fn misused(path: &Path<'_>, change: Change) -> Vec<Broken> {
    let mut out = Vec::new();
    for step in path.steps.iter() {
        let Step::Issue(issued) = step else { continue };
        let invalidate = issued.issue.invalidate;
        let Some(writes) = path.facts.invalidate(invalidate).writes_entry else {
            continue;
        };
        let right = match writes.to {
            Written::Invalid | Written::Replaced => change.kind != pte::Kind::Map,
            Written::MoreRights => change.kind == pte::Kind::MoreRights,
        };
        if !right || !writes.levels.contains(change.entries.stride) {
            out.push((Rule::Written, None, Some(Instr::Invalidate(invalidate))));
        }
    }
    out
}

/// Returns whether instructions of a kind write all of the entries.
fn writes_all(path: &Path<'_>, change: Change, to: Written) -> bool {
    let named = path.steps.iter().filter_map(|step| match step {
        Step::Issue(issued) => {
            let it = path.facts.invalidate(issued.issue.invalidate);
            let writes = it.writes_entry.is_some_and(|it| it.to == to);
            issued.named.filter(|_| writes && path.is_there(issued))
        }
        _ => None,
    });
    let named: Vec<_> = named.collect();
    let Pass {
        start,
        entries,
        shift,
        ..
    } = change.entries;
    let extent = Extent::new(start, entries << shift);
    are_named(extent, shift, &named)
}

/// Returns the entries that survive on an agent that may have cached them.
fn surviving(path: &Path<'_>, ask: &Ask, change: Change) -> Vec<Broken> {
    let reach = if change.only_here {
        Reach::Here
    } else {
        Reach::Wide
    };
    let mut out = Vec::new();
    for stale in &ask.stale {
        for agent in path.agents(reach).iter() {
            for cell in path.cells(stale.kind, stale.level, agent) {
                if let Some(rule) = path.broken(ask, stale, &cell) {
                    out.push((rule, Some(cell), None));
                }
            }
        }
    }
    out
}

/// Returns what is wrong with the publication of new entries.
fn publication(
    facts: &Reading<'_>,
    plans: &Plans,
    machine: &Partial<'_>,
    space: Space,
) -> Vec<Broken> {
    let levels = facts.level_table(machine);
    let ask = Ask::NOTHING;
    let mut run = Execution::new(facts, plans, machine, &ask, levels);
    if !run.shape(Shape::Publish(space)) {
        return vec![(Rule::Planned, None, None)];
    }
    invisible(&Path {
        facts,
        machine,
        space,
        entering: false,
        in_use: true,
        changes: true,
        levels,
        published: false,
        steps: &run.steps,
    })
}

/// Returns the rules of publication that a path breaks: every walker sees the entries, and this CPU refetches where the
/// definition says so.
fn invisible(path: &Path<'_>) -> Vec<Broken> {
    let mut walkers = Agents::CPUS;
    if path.facts.space(path.space).has_devices(path.machine) {
        walkers = walkers.union(Agents::DEVICE);
    }
    let publishes = |step: &Step| match step {
        Step::Barrier(barrier) => {
            let barrier = path.facts.barrier(*barrier);
            let to = barrier.publishes.is_some_and(|on| on.value.covers(walkers));
            to && barrier.requires.holds(path.machine)
        }
        _ => false,
    };
    let mut broken = Vec::new();
    if !path.facts.is_publication_assumed() && !path.steps.iter().any(publishes) {
        broken.push((Rule::Visible, None, None));
    }
    let resync = path.facts.space(path.space).resync.as_ref();
    // An access to user memory that faults too early is repeated.
    if path.space == Space::Kernel && !path.is_resynced(resync, publishes) {
        broken.push((Rule::Resync, None, None));
    }
    broken
}
