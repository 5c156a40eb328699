//! Events: switches, the return to user code, and CPUs that come online.
//!
//! In: the plans. Out: rows and failures. Holds: a pending flush of a tag is complete before a root is loaded under it, or the
//! load itself completes it; where no tag tells spaces apart, entries of the previous space are gone after a switch; a CPU that starts with unknown contents invalidates everything.

use std::time::Instant;

use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::level::Level;
use tlbc_runtime::request::Space;

use super::ask::{Ask, Stale, exists};
use super::effect::{Cell, Class, Path};
use super::failure::{Failure, Rule};
use super::machine::{Partial, every_path};
use super::proof::{Proof, Row};
use super::reading::{Later, Reading};
use super::run::Execution;
use super::steps::Step;
use crate::model::{Event, Instr, Model, Source};
use crate::plan::Plans;
use crate::plan::ir::{Node, Shape};

/// An event with the flush that is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Switch(Pending),
    Renewal(Pending),
    Return { deferred: bool },
    Enter,
    Online,
}

impl Moment {
    const ALL: [Self; 9] = [
        Self::Switch(Pending::None),
        Self::Switch(Pending::Tag),
        Self::Switch(Pending::All),
        Self::Renewal(Pending::None),
        Self::Renewal(Pending::All),
        Self::Return { deferred: false },
        Self::Return { deferred: true },
        Self::Enter,
        Self::Online,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Switch(Pending::None) => "switch, nothing pending",
            Self::Switch(Pending::Tag) => "switch, a flush of the tag pending",
            Self::Switch(Pending::All) => "switch, a flush of every tag pending",
            Self::Renewal(Pending::All) => "a new tag, a flush of every tag pending",
            Self::Renewal(_) => "a new tag, nothing pending",
            Self::Return { deferred: false } => "return to user code",
            Self::Return { deferred: true } => "return to user code, a flush of the view deferred",
            Self::Enter => "entry from user code",
            Self::Online => "a CPU comes online",
        }
    }

    fn shape(self) -> Shape {
        match self {
            Self::Switch(_) => Shape::Switch,
            Self::Renewal(_) => Shape::LoadTag,
            Self::Return { .. } => Shape::ReturnToUser,
            Self::Enter => Shape::EnterFromUser,
            Self::Online => Shape::CpuOnline,
        }
    }
}

/// Returns the names of the events that complete what is deferred.
pub fn completing(facts: &Reading<'_>) -> Vec<String> {
    let on_load = [Moment::Switch(Pending::Tag), Moment::Switch(Pending::All)];
    let on_load = on_load.into_iter().filter(|_| facts.relies(Later::Load));
    let on_return = [Moment::Return { deferred: true }].into_iter();
    let on_return = on_return.filter(|_| facts.relies(Later::Return));
    let renewed = [Pending::None, Pending::All].map(Moment::Renewal);
    let renewed = { renewed.into_iter() }.filter(|_| facts.relies(Later::Renewal));
    let all = on_load.chain(renewed).chain(on_return);
    all.map(|moment| moment.name().to_owned()).collect()
}

/// Proves every event.
pub fn prove(model: &Model, plans: &Plans, proof: &mut Proof) {
    for moment in Moment::ALL {
        let start = Instant::now();
        let (mut paths, mut failed) = (0, 0);
        let mut failures = Vec::new();
        let facts = Reading::new(model);
        every_path(model, |machine| {
            let all = moment == Moment::Switch(Pending::All);
            if all && !facts.switch_flushes_every_tag(machine) {
                return;
            }
            if moment == (Moment::Return { deferred: true }) && !defers_views(plans) {
                return;
            }
            if matches!(moment, Moment::Renewal(_)) && !renews(&facts, machine) {
                return;
            }
            let found = path(&facts, plans, moment, machine);
            paths += 1;
            failed += u64::from(!found.is_empty());
            failures.extend(found);
        });
        let row = Row {
            request: moment.name().to_owned(),
            paths,
            failed,
            time: start.elapsed(),
            facts: facts.read(),
            relies: completing(&facts),
        };
        proof.add(row, failures);
    }
}

/// Returns the failures of one path.
fn path(facts: &Reading<'_>, plans: &Plans, moment: Moment, machine: &Partial<'_>) -> Vec<Failure> {
    let levels = facts.level_table(machine);
    let mut ask = Ask {
        walk: true,
        everything: true,
        pending: match moment {
            Moment::Switch(pending) | Moment::Renewal(pending) => pending,
            _ => Pending::None,
        },
        view_deferred: moment == Moment::Return { deferred: true },
        ..Ask::NOTHING
    };
    let flushes = match moment {
        Moment::Switch(pending) | Moment::Renewal(pending) => pending != Pending::None,
        Moment::Return { deferred } => deferred,
        // Entries of the view that the kernel runs on are flushed while the kernel runs.
        Moment::Enter => false,
        Moment::Online => !facts.online_clean(machine),
    };
    let lowest = Level::all().find(|level| exists(&levels, *level));
    if let Some(lowest) = lowest.filter(|_| flushes) {
        ask.all(&levels, lowest, facts.caches().negative(machine));
    }
    let mut run = Execution::new(facts, plans, machine, &ask, levels);
    run.shape(moment.shape());
    let steps = run.steps;
    let path = Path {
        facts,
        machine,
        space: match moment {
            Moment::Online => Space::Kernel,
            _ => Space::User,
        },
        // The tag that is loaded is not the one that is about to be loaded.
        entering: matches!(moment, Moment::Switch(_) | Moment::Renewal(_)),
        in_use: false,
        changes: false,
        levels,
        published: moment != Moment::Online,
        steps: &steps,
    };
    let fail = |rule, cell: Option<Cell>| Failure {
        rule,
        request: moment.name().to_owned(),
        machine: machine.config(),
        cell,
        instruction: cell.and_then(|cell| path.expected(&cell)),
    };
    let mut failures: Vec<Failure> = surviving(&path, &ask, moment)
        .into_iter()
        .map(|(rule, cell)| fail(rule, Some(cell)))
        .collect();
    // Events take no lock.
    let unlocked = path.locked().into_iter().map(|it| (Rule::Unlocked, it));
    let wrong = path.wrongly_issued().into_iter().chain(unlocked);
    failures.extend(wrong.map(|(rule, instruction)| Failure {
        instruction: Some(instruction),
        ..fail(rule, None)
    }));
    if matches!(moment, Moment::Switch(_)) {
        let distinct = path.keeps_spaces_apart();
        let mut previous = Ask {
            walk: true,
            everything: true,
            live: !distinct,
            ..Ask::NOTHING
        };
        if let Some(lowest) = lowest {
            previous.all(&levels, lowest, facts.caches().negative(machine));
        }
        let cells = previous.stale.iter().flat_map(|stale| {
            let cells = path.cells(stale.kind, stale.level, 0).into_iter();
            cells.map(move |cell| (stale, cell))
        });
        let shared = |cell: &Cell| match cell.class {
            Class::This => !distinct,
            Class::Global => true,
            Class::Other => false,
        };
        let kept = cells.filter(|(stale, cell)| {
            shared(cell) && !is_gone_after_loads(&path, &previous, stale, cell)
        });
        failures.extend(kept.map(|(_, cell)| fail(Rule::Shared, Some(cell))));
    }
    // What follows the loads of a switch follows those of an entry, too.
    let event = match moment {
        Moment::Switch(_) | Moment::Renewal(_) | Moment::Enter => facts.switch(),
        Moment::Return { .. } => facts.return_to_user(),
        Moment::Online => facts.cpu_online(),
    };
    let all = loads_all(&path, wanted(facts, machine, moment));
    if !all || is_torn(&path, event, moment) {
        failures.push(fail(Rule::Loads, None));
    }
    failures.extend(disordered(&path, fail(Rule::Ordered, None)));
    let happens = moment == Moment::Online && flushes || has_loads(&steps);
    if happens && !is_resynced(&path, event) {
        failures.push(fail(Rule::Resync, None));
    }
    failures
}

/// Returns whether this CPU refetches where the definition says so: after the loads of an event, before the flush that
/// follows them acts on the entries of the space that was loaded before; after that flush as after any of a user space; and
/// after the last instruction, if nothing is loaded.
fn is_resynced(path: &Path<'_>, event: &Event) -> bool {
    let is_issue = |step: &Step| matches!(step, Step::Issue(_));
    let resync = event.resync.as_ref();
    let loads = { path.steps.iter() }.rposition(|step| matches!(step, Step::Load { .. }));
    let Some(loads) = loads else {
        return path.is_resynced(resync, is_issue);
    };
    let flush = (loads..path.steps.len()).find(|at| is_issue(&path.steps[*at]));
    let of_user = path.facts.space(Space::User).resync.as_ref();
    path.refetches(resync, loads..flush.unwrap_or(path.steps.len()))
        && (flush.is_none() || path.is_resynced(of_user, is_issue))
}

/// Returns the entries that survive an event that flushes.
fn surviving(path: &Path<'_>, ask: &Ask, moment: Moment) -> Vec<(Rule, Cell)> {
    let mut out = Vec::new();
    for stale in &ask.stale {
        for cell in cells(path, stale, moment) {
            let view = path.facts.space(Space::User).views.get(cell.view);
            let loaded = view.is_some_and(|view| view.loaded);
            let later = matches!(moment, Moment::Switch(_))
                && cell.class == Class::This
                && !loaded
                && path.steps.deferred().contains(Deferred::VIEW_UNTIL_RETURN);
            if later {
                path.facts.rely(Later::Return);
                continue;
            }
            if let Some(rule) = path.broken(ask, stale, &cell) {
                out.push((rule, cell));
            } else if !is_before_use(path, &cell) {
                out.push((Rule::Deferred, cell));
            }
        }
    }
    out
}

/// Returns the cells on this CPU that an event flushes.
fn cells(path: &Path<'_>, stale: &Stale, moment: Moment) -> Vec<Cell> {
    let mut cells = path.cells(stale.kind, stale.level, 0);
    match moment {
        Moment::Return { .. } => cells.retain(|cell| {
            let loads = path.facts.return_to_user().loads.iter();
            let mut here = loads.filter(|it| it.when.holds(path.machine));
            here.any(|it| it.view == cell.view)
        }),
        // User spaces have no other class.
        Moment::Switch(Pending::Tag) => cells.retain(|cell| cell.class == Class::This),
        Moment::Switch(_) | Moment::Renewal(_) | Moment::Enter | Moment::Online => {
            let tagged = path.has_tags();
            let own = cells.clone();
            for cell in own {
                let classes = [(Class::This, true), (Class::Other, tagged)];
                let more = classes.into_iter().filter(|(_, is)| *is);
                cells.extend(more.map(|(class, _)| Cell { class, ..cell }));
            }
        }
    }
    cells
}

/// Returns whether the entries of a cell are gone before a root is loaded: by instructions that are complete before the
/// first load, or by a load. Where no tag keeps spaces apart, an instruction after the loads is in time, too: the load changes
/// nothing about which entries can be used, and the kernel accesses no address of a user space during a switch.
fn is_before_use(path: &Path<'_>, cell: &Cell) -> bool {
    let is_load = |step: &Step| matches!(step, Step::Load { empty: false, .. });
    let Some(first) = path.steps.iter().position(is_load) else {
        return true;
    };
    let is_shared = !path.keeps_spaces_apart();
    (0..path.steps.len()).any(|at| {
        let is = !path.places(at, cell).is_empty();
        let complete = path.complete(at, false);
        let in_time =
            is_load(&path.steps[at]) || complete.is_some_and(|end| end < first || is_shared);
        is && in_time
    })
}

/// Returns whether all entries of a cell are invalidated by a load, or by instructions after the loads that are complete:
/// until then, walks of the previous space fill entries. Those that are left must not make the entries again.
fn is_gone_after_loads(path: &Path<'_>, ask: &Ask, stale: &Stale, cell: &Cell) -> bool {
    let is_load = |step: &Step| matches!(step, Step::Load { empty: false, .. });
    let Some(last) = path.steps.iter().rposition(is_load) else {
        return false;
    };
    path.covered(stale, cell, |at| {
        let in_time = is_load(&path.steps[at]) || at > last && path.complete(at, false).is_some();
        in_time && path.lasts(ask, at, cell)
    })
}

/// Returns whether some flush is deferred until the return to user code.
fn defers_views(plans: &Plans) -> bool {
    let mut found = false;
    for plan in plans.iter() {
        plan.body.walk(&mut |node| {
            found |= matches!(node, Node::Defer(it) if it.contains(Deferred::VIEW_UNTIL_RETURN));
        });
    }
    found
}

fn has_loads(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Load { .. }))
}

/// Returns the loads of an event, each with the view that is loaded. An entry from user code loads again, for the view that
/// the kernel runs on, what the return to user code loaded for another.
fn wanted(facts: &Reading<'_>, machine: &Partial<'_>, moment: Moment) -> Vec<(usize, usize)> {
    let event = match moment {
        Moment::Renewal(_) => {
            let loads = { facts.tags().iter() }
                .filter(|tag| tag.when.holds(machine))
                .filter_map(|tag| Some(tag.renewal?.value.load));
            let view = loaded_view(facts, machine);
            return loads.map(|load| (load, view)).collect();
        }
        Moment::Switch(_) => facts.switch(),
        Moment::Return { .. } | Moment::Enter => facts.return_to_user(),
        Moment::Online => facts.cpu_online(),
    };
    let here = event.loads.iter().filter(|it| it.when.holds(machine));
    let all = here.flat_map(|it| it.loads.iter().map(|&load| (load, it.view)));
    if moment != Moment::Enter {
        return all.collect();
    }
    let kernel = loaded_view(facts, machine);
    let others = all.filter(|(_, view)| *view != kernel);
    others.map(|(load, _)| (load, kernel)).collect()
}

/// Returns the view that the kernel runs on.
fn loaded_view(facts: &Reading<'_>, machine: &Partial<'_>) -> usize {
    let mut views = facts.space(Space::User).views.iter();
    let view = views.position(|view| view.loaded && view.when.holds(machine));
    view.unwrap_or(0)
}

/// Returns whether a space that is loaded may get a new tag.
fn renews(facts: &Reading<'_>, machine: &Partial<'_>) -> bool {
    let mut tags = facts.tags().iter();
    tags.any(|tag| tag.when.holds(machine) && tag.renewal.is_some())
}

/// Returns whether each of these loads is issued, once, and no other.
fn loads_all(path: &Path<'_>, mut wanted: Vec<(usize, usize)>) -> bool {
    let loaded = path.steps.iter().filter_map(|step| match step {
        Step::Load {
            load,
            view,
            empty: false,
            ..
        } => Some((*load, *view)),
        _ => None,
    });
    let mut loaded: Vec<(usize, usize)> = loaded.collect();
    loaded.sort_unstable();
    wanted.sort_unstable();
    loaded == wanted
}

/// Returns the failure of the first load that the machine does not have, or that does not come right after the barrier that it
/// follows: that is its instruction.
fn disordered(path: &Path<'_>, failure: Failure) -> Option<Failure> {
    let mut steps = path.steps.iter().enumerate();
    let missed = steps.find_map(|(at, step)| {
        let Step::Load { load, .. } = step else {
            return None;
        };
        let it = path.facts.load(*load);
        let before = at.checked_sub(1).map(|before| &path.steps[before]);
        let missed = it
            .follows
            .filter(|barrier| !matches!(before, Some(Step::Barrier(of)) if *of == barrier.value));
        let exists = it.requires.holds(path.machine);
        (missed.is_some() || !exists).then_some(missed)
    })?;
    Some(Failure {
        instruction: missed.map(|barrier| Instr::Barrier(barrier.value)),
        ..failure
    })
}

/// Returns whether a walker may see the root of one space with the tag of another during a switch.
fn is_torn(path: &Path<'_>, event: &Event, moment: Moment) -> bool {
    if !matches!(moment, Moment::Switch(_)) || !path.facts.is_half_loaded(event, path.machine) {
        return false;
    }
    let has = |load: usize, source: Source| {
        let operands = path.facts.load(load).template.operands.iter();
        let mut fields = operands.flat_map(|&it| &path.facts.operand(it).fields);
        fields.any(|field| field.value.source() == Some(source))
    };
    let loads = path.steps.iter().filter_map(|step| match step {
        Step::Load { load, empty, .. } => Some((*load, *empty)),
        _ => None,
    });
    let loads: Vec<(usize, bool)> = loads.collect();
    // The roots that are loaded later are empty first.
    let first = loads.iter().position(|(_, empty)| !empty).unwrap_or(0);
    let emptied: Vec<usize> = loads[..first].iter().map(|(load, _)| *load).collect();
    let real: Vec<usize> = loads[first..].iter().map(|(load, _)| *load).collect();
    let is_root = |load: &usize| has(*load, Source::Root);
    let is_left = real
        .iter()
        .any(|load| is_root(load) && !emptied.contains(load));
    // A tag that is loaded after the root leaves the new root under the old tag.
    let after_root = real.iter().skip_while(|load| !is_root(load)).skip(1);
    let mut late_tags = after_root.filter(|load| has(**load, Source::Tag) && !is_root(load));
    is_left || late_tags.next().is_some()
}
