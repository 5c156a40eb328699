//! The cost of what is issued, and the alternatives that were rejected.
//!
//! In: the steps of a trace, and the flushes that it consists of. Out: a [`Why`]. Holds: the first set of each choice
//! is the one that the plans issue; the other ones are in the order of preference.

use tlbc_facts::clause::{CacheSet, TagSelector};
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::passes::{Folding, Pass, Passes, SortedPasses, Walks};
use tlbc_runtime::request::{LevelTable, Ranges, Reach, Space};

use super::explanation::{Choice, Cost, Interrupted, LostEntries, Rejected, Set, Why, in_words};
use super::interpret::Op;
use super::query::Query;
use super::response::{Step, Target, Trace};
use crate::describe;
use crate::model::{AddressSelector, CachedKind, Drops, Model, Under, Which};
use crate::plan::candidates::How;
use crate::plan::demand::{Demand, DemandExtent};
use crate::plan::{Alternative, FlushTarget, Rank, alternatives, demands_at};
use crate::text::list;

const NO_TAGS: TagSelector = TagSelector {
    this: false,
    other: false,
    global: false,
};

/// How many sets of instructions are compared.
const SETS: usize = 6;

/// A flush of a trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct TracedFlush {
    /// Whose instructions: of one CPU, or of a CPU that reaches the others.
    pub reach: Reach,
    /// What is invalidated, at any level.
    pub demand: Demand,
    /// The levels of the leaf entries, and of the entries that pointed at tables.
    pub levels: [Levels; 2],
    /// Whether everything is invalidated because the request exceeds the ceiling.
    pub exceeded_ceiling: bool,
    /// Whether the handler of an IPI issues the same.
    pub is_handled: bool,
}

/// Returns the levels at whose strides leaf entries are flushed, and entries that pointed at tables.
pub(super) fn strides(ranges: &Ranges, levels: &LevelTable) -> [Levels; 2] {
    let passes = SortedPasses::new(ranges, levels, Folding::new(Walks::Level));
    let of = |all: Levels, pass: Pass| all.union(Levels::only(pass.stride));
    [
        passes.leaves().fold(Levels::NONE, of),
        passes.walks().fold(Levels::NONE, of),
    ]
}

/// Returns why these instructions are issued.
pub(super) fn why(
    model: &Model,
    query: &Query,
    trace: &Trace,
    ops: &[Op],
    flushed: &[TracedFlush],
) -> Why {
    let choices = flushed.iter().flat_map(|it| choices(model, query, *it));
    Why {
        // A flush loads a register only for a new tag.
        cost: cost(model, query, trace, ops, !flushed.is_empty()),
        choices: choices.collect(),
    }
}

fn cost(model: &Model, query: &Query, trace: &Trace, ops: &[Op], renews: bool) -> Cost {
    let (operations, barriers) = counted(&trace.here);
    let interrupted = trace.ipis.iter().map(|ipi| {
        let (operations, barriers) = counted(&ipi.steps);
        Interrupted {
            cpus: ipi.targets.iter().map(Target::words).collect(),
            operations,
            barriers,
        }
    });
    Cost {
        operations,
        barriers,
        interrupted: interrupted.collect(),
        lost: lost(model, query, ops, renews),
    }
}

/// Returns the number of instructions that invalidate, and of barriers.
fn counted(steps: &[Step]) -> (usize, usize) {
    let is_barrier = |step: &&Step| matches!(step, Step::Barrier { .. });
    let invalidates = |step: &&Step| matches!(step, Step::Invalidate { .. } | Step::Load { .. });
    let count = |matching: fn(&&Step) -> bool| steps.iter().filter(matching).count();
    (count(invalidates), count(is_barrier))
}

/// Returns the entries that these instructions invalidate at all addresses. Where a load `renews` the tag, none of the old one can be
/// used any more.
fn lost(model: &Model, query: &Query, ops: &[Op], renews: bool) -> Vec<LostEntries> {
    let kinds = [
        ("leaf", CachedKind::Leaf),
        ("walk", CachedKind::Walk),
        ("root", CachedKind::Root),
    ];
    let mut all: Vec<LostEntries> = Vec::new();
    for (kind, cached) in kinds {
        let holding = model.caches.holding(cached, query.config);
        let caches = model.caches.all.iter().enumerate();
        let caches = caches.filter(|(cache, _)| holding.0 & 1 << cache != 0);
        let mut of_kind: Vec<LostEntries> = Vec::new();
        for (cache, named) in caches.clone() {
            let tags = ops.iter().fold(NO_TAGS, |tags, op| {
                let is_renewed = renews && matches!(op.which, Which::Load(_));
                let renewed = TagSelector {
                    this: is_renewed,
                    ..NO_TAGS
                };
                let dropped = tags_of(model, query, op, (cached, CacheSet(1 << cache)));
                tags.union(dropped).union(renewed)
            });
            let classes = classes(tags.bits());
            let name = named.named.name.clone();
            match of_kind.iter_mut().find(|lost| lost.classes == classes) {
                Some(same) => same.caches.push(name),
                None => of_kind.push(LostEntries {
                    kind,
                    caches: vec![name],
                    classes,
                }),
            }
        }
        // Where every cache that holds the kind loses the same, none is named.
        if let [whole] = of_kind.as_mut_slice() {
            whole.caches.clear();
        }
        all.extend(of_kind.into_iter().filter(|lost| !lost.classes.is_empty()));
    }
    all
}

/// Returns the tag classes of which an instruction invalidates the entries of a kind in a cache at all addresses.
fn tags_of(
    model: &Model,
    query: &Query,
    op: &Op,
    (kind, cache): (CachedKind, CacheSet),
) -> TagSelector {
    let config = query.config;
    let from = &op.sources.0;
    let drops: Vec<&Drops> = match op.which {
        Which::Invalidate(index) => {
            let forms = model.invalidates[index].forms.iter();
            let issued = forms.filter(|form| {
                let of_form = form
                    .named
                    .as_ref()
                    .is_none_or(|(_, number)| *number == from.form);
                of_form && form.requires.holds(config)
            });
            issued.flat_map(|form| &form.drops).collect()
        }
        Which::Load(index) => model.loads[index].drops.iter().collect(),
        Which::Barrier(_) | Which::Store => Vec::new(),
    };
    let at_all_addresses = drops.into_iter().filter(|drops| {
        let all = [AddressSelector::Everything, AddressSelector::OneSet];
        let of_kind = match kind {
            CachedKind::Leaf => drops.leaf.is_some(),
            CachedKind::Walk => drops.walk.is_some(),
            CachedKind::Negative => drops.negative.is_some(),
            CachedKind::Root => drops.root,
        };
        let when = drops
            .when
            .holds_with(config, from.hint.is_some(), from.keep);
        let in_cache = drops.caches.is_none_or(|named| named.0 & cache.0 != 0);
        of_kind && in_cache && when && all.contains(&drops.which.value)
    });
    let has_tags = model.tags(config).next().is_some();
    let under = |space: Space| model.space(space).leaf.get(config).map(|at| &at.value);
    let has_global = [Space::User, Space::Kernel]
        .map(under)
        .contains(&Some(&Under::Global));
    at_all_addresses.fold(NO_TAGS, |all, drops| {
        let whose = drops.whose.value;
        all.union(TagSelector {
            this: whose.this || whose.loaded || whose.user,
            other: (whose.other || whose.user) && has_tags,
            global: whose.global && has_global,
        })
    })
}

/// Returns the choices that a flush makes.
fn choices(model: &Model, query: &Query, flushed: TracedFlush) -> Vec<Choice> {
    let request = FlushTarget {
        space: query.space,
        reach: flushed.reach,
        global_tag: query.tag.global || flushed.reach == Reach::Here,
        unlocked: flushed.is_handled && flushed.reach == Reach::Here,
    };
    let (all, levels) = (flushed.demand, flushed.levels);
    let demands = demands_at(model, query.config, request, all, levels).into_iter();
    let choices = demands.filter_map(|it| choice(model, query, flushed, request, it));
    choices.collect()
}

fn choice(
    model: &Model,
    query: &Query,
    flushed: TracedFlush,
    request: FlushTarget,
    demand: Demand,
) -> Option<Choice> {
    let mut sets = alternatives(model, query.config, request, demand, SETS).into_iter();
    let selected = sets.next()?;
    let rejected = sets.map(|it| Rejected {
        reason: reason(&selected.rank, &it.rank),
        set: set(model, &it),
    });
    let walks = model.caches.hold(CachedKind::Walk, query.config);
    let kinds = entries(
        model,
        demand.leaf,
        if walks { demand.walk } else { Levels::NONE },
    );
    let of = match demand.extent {
        DemandExtent::Everything => "of the whole space",
        DemandExtent::One => "of one address",
        DemandExtent::Each | DemandExtent::Runs => "of each address",
    };
    Some(Choice {
        entries: format!("{kinds} {of}"),
        on: match (flushed.reach, query.others) {
            (Reach::Wide, _) => "every CPU",
            (Reach::Given, _) => "the CPUs that a call is given",
            (Reach::Here, false) => "this CPU",
            (Reach::Here, true) => "this CPU and each interrupted CPU",
        },
        exceeded_ceiling: flushed.exceeded_ceiling,
        rejected: rejected.collect(),
        selected: set(model, &selected),
    })
}

/// Returns what is invalidated, in words.
fn entries(model: &Model, leaf: Levels, walk: Levels) -> String {
    if leaf == Levels::ALL && walk == Levels::ALL {
        return "leaf and walk entries".to_owned();
    }
    let kinds = [("leaf entries", leaf), ("walk entries", walk)].into_iter();
    let kinds = kinds.filter(|(_, levels)| !levels.is_empty());
    let named = kinds.map(|(kind, levels)| match levels {
        Levels::ALL => kind.to_owned(),
        levels => format!("{kind} at {}", describe::levels(model, levels)),
    });
    list(&named.collect::<Vec<_>>(), "and")
}

fn set(model: &Model, alternative: &Alternative) -> Set {
    let rank = alternative.rank;
    let name = |how: &How| match *how {
        How::Issue(primitive) => primitive.name(model),
        How::Sets { each, .. } => format!("{} for each set", each.name(model)),
        How::InvalidateOtherTags => "(deferred: other tags)".to_owned(),
        How::DeferView => "(deferred: the user view)".to_owned(),
        How::RenewTag => "(a new tag)".to_owned(),
    };
    Set {
        instructions: alternative.candidates.iter().map(name).collect(),
        loses: classes(rank.lost),
        cost: rank.instructions,
        stages: rank.stages,
        everywhere: rank.addresses,
        beyond: rank.beyond,
    }
}

/// Returns the names of tag classes from their bits: this, other, global.
fn classes(bits: u8) -> Vec<&'static str> {
    let names = ["tag", "other_tags", "global"].into_iter().enumerate();
    let named = names.filter(|(class, _)| bits & 1 << class != 0);
    named.map(|(_, name)| name).collect()
}

/// Returns the first rule of the order of preference by which a set is preferred to another.
fn reason(selected: &Rank, other: &Rank) -> String {
    if (selected.classes, selected.lost) < (other.classes, other.lost) {
        let lost = in_words(&classes(other.lost));
        return format!("all leaf entries {lost} are lost");
    }
    if selected.instructions < other.instructions {
        let (least, cost) = (selected.instructions, other.instructions);
        return format!("costs {cost} instead of {least}");
    }
    if selected.stages < other.stages {
        let (least, stages) = (selected.stages, other.stages);
        return format!("needs {stages} stages instead of {least}");
    }
    if selected.addresses < other.addresses {
        return "invalidates more entries at all addresses".to_owned();
    }
    if selected.beyond < other.beyond {
        return "invalidates more entries that are not required".to_owned();
    }
    "is as good, and comes later in the definition".to_owned()
}
