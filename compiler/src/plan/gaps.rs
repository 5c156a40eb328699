//! Diagnostics for demands that nothing covers.
//!
//! In: the gaps that planning found. Out: one diagnostic for each cell and kind of request, which names the machine
//! with the fewest features and errata that has the gap.

use tlbc_facts::cells::{CachedKind, Cell, Cells, Class};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::passes::Leaves;
use tlbc_runtime::request::{Reach, Space};

use super::builder::Unwritten;
use super::candidates::{Candidate, How};
use super::choose::{Chooser, uncovered, uncovered_any};
use super::context::PlanContext;
use super::demand::{Demand, DemandExtent, LEAF_AND_WALK, negative_too};
use super::ir::Node;
use super::symbolic::{SymbolicMachine, outcomes};
use super::{Gap, Plans};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::flags::Needs;
use crate::model::{At, Config, Invalidate, LevelSel, Model, Shootdown};
use crate::text::list;

/// What separates gaps: the space and reach, whether leaf entries are left, and their tag class.
type GapKind = (Space, Reach, Option<(bool, Class)>);

/// Returns the rank of a machine: machines with the fewest features and errata are named first.
pub fn rank(config: Config) -> (u32, Config) {
    let count = config.features.count_ones() + config.errata.count_ones();
    (count, config)
}

/// A gap, the first cell that it leaves, and the candidate that leaves least.
type UncoveredGap<'g> = (&'g Gap, Option<Cell>, Option<Candidate>);

/// Returns one diagnostic for each kind of gap: for its first machine, and the request that requires least there.
pub fn diagnose(model: &Model, needs: &Needs, gaps: &[Gap]) -> Vec<Diagnostic> {
    let mut kinds: Vec<(GapKind, UncoveredGap<'_>)> = Vec::new();
    for gap in gaps {
        let machine = SymbolicMachine::decided(needs, gap.config);
        let context = PlanContext::new(model, &machine, gap.space, gap.reach);
        let (cells, nearest) = uncovered(&context, gap.demand);
        let first = cells.iter().next();
        let kind = first.map(|cell| (matches!(cell.kind, CachedKind::Leaf(_)), cell.class));
        let kind = (gap.space, gap.reach, kind);
        let of_kind = kinds.iter_mut().find(|(known, _)| *known == kind);
        match of_kind {
            None => kinds.push((kind, (gap, first, nearest))),
            Some((_, left)) => {
                let (before, ..) = *left;
                if before.config == gap.config && requires(gap.demand) < requires(before.demand) {
                    *left = (gap, first, nearest);
                }
            }
        }
    }
    let diagnostics = kinds.into_iter().map(|(_, (gap, cell, nearest))| {
        let machine = SymbolicMachine::decided(needs, gap.config);
        let context = PlanContext::new(model, &machine, gap.space, gap.reach);
        gap_at(&context, gap, cell, nearest.as_ref())
    });
    diagnostics.collect()
}

/// Returns how much a demand requires: kinds of entries of one page less than everything of a space.
fn requires(demand: Demand) -> (bool, usize) {
    let kinds = [
        !demand.leaf.is_empty(),
        !demand.walk.is_empty(),
        demand.root,
        !demand.negative.is_empty(),
    ];
    let kinds = kinds.iter().filter(|required| **required).count();
    (demand.extent == DemandExtent::Everything, kinds)
}

fn gap_at(
    context: &PlanContext<'_>,
    gap: &Gap,
    cell: Option<Cell>,
    nearest: Option<&Candidate>,
) -> Diagnostic {
    let model = context.model;
    let Some(cell) = cell else {
        return nothing_drops_all(context, gap.config);
    };
    let space = model.space(gap.space);
    let (owner, request) = (owner(gap.space), request(gap.demand));
    let what = named(cell, &format!("the {owner}"));
    let with = configuration(model, gap.config);
    let nearest = nearest.and_then(|candidate| match candidate.how {
        How::InvalidateOtherTags | How::DeferView | How::RenewTag => None,
        how => how
            .primitive()
            .map(|primitive| &model.invalidates[primitive.invalidate]),
    });
    if let Some(writer) = writer_of(context, cell) {
        return only_writers(context, gap, cell, writer);
    }
    let compares = nearest.is_some_and(|it| {
        let mut drops = it.forms.iter().flat_map(|form| &form.drops);
        drops.any(|d| !d.whose.value.other || !d.whose.value.global)
    });
    let tagged = cell.class != Class::This && compares;
    let code = if tagged { Code::E0502 } else { Code::E0501 };
    let fact = match cell.kind {
        CachedKind::Walk(_) => space.walk.span,
        _ => space.leaf.span,
    };
    let mut diagnostic = Diagnostic::new(code, fact, format!("nothing drops {what}{with}"))
        .label(format!("entries of the {owner} are cached so"));
    if let Some(invalidate) = nearest {
        let short = if tagged {
            "compares the tag, and leaves them"
        } else {
            "comes nearest, and leaves them"
        };
        diagnostic = diagnostic.because(invalidate.named.span, short);
    }
    let store = &model.caches.all[usize::from(cell.cache)];
    if let Some(from) = store.from {
        diagnostic = diagnostic.note(format!(
            "`{}` makes its entries from those of `{}`: what drops them before those are gone does not count",
            store.named.name, model.caches.all[from.value].named.name
        ));
    }
    diagnostic
        .note(format!("{request} needs them gone on {}", place(cell, gap.reach)))
        .help(if tagged {
            "describe an instruction that drops them whatever the tag, or correct under which tags they are cached"
        } else {
            "describe an instruction that drops them, or correct what may be cached"
        })
}

/// Returns the diagnostic for strides that leave out a level, although the instructions with addresses invalidate leaf entries of
/// one level only.
pub fn strides(model: &Model, plans: &Plans) -> Option<Diagnostic> {
    let stated = model.policy.strides?;
    let level = model.merged_levels().iter().next()?;
    let mut exact = false;
    for plan in plans.iter() {
        plan.body.walk(&mut |node| {
            exact |= matches!(node, Node::Fold(folding) if folding.leaves == Leaves::Apart);
        });
    }
    let of_one_level = |it: &&Invalidate| {
        let mut drops = it.forms.iter().flat_map(|form| &form.drops);
        drops.any(|drops| drops.leaf == Some(LevelSel::Given))
    };
    let instruction = model
        .invalidates
        .iter()
        .find(of_one_level)
        .filter(|_| exact)?;
    let name = &model.levels[level.index()].name;
    Some(
        Diagnostic::new(
            Code::E0604,
            stated.span,
            format!("`strides` leaves out `{name}`, whose entries no instruction invalidates at a lower stride"),
        )
        .label("stated here")
        .because(
            instruction.named.span,
            "invalidates leaf entries of the level that it names",
        )
        .note("leaf entries of a level that is left out are flushed at the stride of the next lower one")
        .help(format!("add `{name}`")),
    )
}

/// Returns an instruction that invalidates a cell and writes the entry as well.
fn writer_of<'m>(context: &PlanContext<'m>, cell: Cell) -> Option<&'m Invalidate> {
    let mut writers = context
        .model
        .invalidates
        .iter()
        .filter(|it| it.writes_entry.is_some() && it.requires.holds(context.machine));
    writers.find(|it| {
        let drops = it.forms.iter().flat_map(|form| &form.drops);
        let agents = it.reach(context.machine).and(context.agents());
        let cells = drops.fold(Cells::NONE, |all, d| {
            let this = d.whose.value.this || d.whose.value.loaded;
            all.union(&context.clause(d, this, None, &[], agents))
        });
        cells.iter().any(|dropped| dropped == cell)
    })
}

/// Reports that only an instruction which changes the entry invalidates a cell.
fn only_writers(
    context: &PlanContext<'_>,
    gap: &Gap,
    cell: Cell,
    writer: &Invalidate,
) -> Diagnostic {
    let (owner, request) = (owner(gap.space), request(gap.demand));
    let name = &writer.named.name;
    let span = writer
        .writes_entry
        .map_or(writer.span, |writes| writes.span);
    let space = context.model.space(gap.space);
    Diagnostic::new(
        Code::E0508,
        span,
        format!(
            "only `{name}`, which writes a table entry, drops {}{}",
            named(cell, &format!("the {owner}")),
            configuration(context.model, gap.config)
        ),
    )
    .label("changes the entry as well")
    .because(space.leaf.span, format!("entries of the {owner} are cached so"))
    .note(format!("{request} asks for a flush when entries have been changed already; one more would be"))
    .help("describe an instruction that drops them and writes nothing, such as one for everything of a tag")
}

/// Reports changes that no instruction makes, where plain stores are excluded. Levels with the same gap share a
/// diagnostic.
pub fn unwritten(model: &Model, gaps: &[(Unwritten, Config)]) -> Vec<Diagnostic> {
    let mut levels: Vec<(Level, Config)> = Vec::new();
    for (gap, config) in gaps {
        if levels.iter().all(|(level, _)| *level != gap.level) {
            levels.push((gap.level, *config));
        }
    }
    levels.sort();
    let Some((_, config)) = levels.first().copied() else {
        return Vec::new();
    };
    levels.retain(|(_, other)| *other == config);
    let named = |level: &(Level, Config)| &model.levels[level.0.index()];
    let names: Vec<String> = levels
        .iter()
        .map(|l| format!("`{}`", named(l).name))
        .collect();
    let diagnostic = Diagnostic::new(
        Code::E0505,
        model.change.plain_store.span,
        format!(
            "no instruction makes entries of {} invalid and drops what was made of them{}",
            list(&names, "and"),
            configuration(model, config)
        ),
    )
    .label("rules plain stores out");
    let diagnostic = levels.iter().fold(diagnostic, |diagnostic, level| {
        diagnostic.because(named(level).span, "entries of this level")
    });
    vec![
        diagnostic
            .note("what remains is a plain store under a walker that must not see one")
            .help("add `writes entry at ...: invalid;` to the instruction that does, with all that it drops: leaf and walk entries of `subtree` or `everything` where an entry points at a table"),
    ]
}

/// Reports that nothing invalidates entries of all tags: those that software before this kernel left, or those of
/// the last generation of tags.
fn nothing_drops_all(context: &PlanContext<'_>, config: Config) -> Diagnostic {
    let model = context.model;
    let unknown = &model.cpu_online.contents_unknown;
    let clean = unknown.as_ref().is_some_and(|at| !at.value.holds(config));
    let generations = model.tags.iter().find_map(|tag| {
        let source = tag.source.filter(|_| tag.when.holds(config))?;
        tag.has_generations().then_some((source, tag.per_cpu.value))
    });
    let diagnostic = match generations {
        Some((at, per_cpu)) if clean => {
            let instead = if per_cpu { "slots" } else { "life" };
            Diagnostic::new(
                Code::E0501,
                at.span,
                format!(
                    "nothing drops everything when tags are given out anew{}",
                    configuration(model, config)
                ),
            )
            .label("a tag may have meant another space before a rollover")
            .note("entries of every tag of the last generation may be left")
            .help(format!(
                "describe an instruction that drops everything, of any tag, or write `from {instead};`"
            ))
        }
        _ => Diagnostic::new(
            Code::E0501,
            unknown.as_ref().map_or(model.cpu_online.span, |at| at.span),
            format!(
                "nothing drops everything that a CPU may hold when it comes up{}",
                configuration(model, config)
            ),
        )
        .label("so everything has to be invalidated")
        .note("entries of every tag, and global ones, may be left by software that ran before")
        .help("describe an instruction that drops everything, of any tag"),
    };
    // No lock is taken then.
    let unlocked = PlanContext {
        unlocked: true,
        ..*context
    };
    let (left, nearest) = uncovered_any(&unlocked);
    let nearest = nearest.and_then(|it| Some(&model.invalidates[it.how.primitive()?.invalidate]));
    let (Some(cell), Some(nearest)) = (left.iter().next(), nearest) else {
        return diagnostic;
    };
    let cache = &model.caches.all[usize::from(cell.cache)].named.name;
    let what = named(cell, &format!("`{cache}`"));
    diagnostic.because(
        nearest.named.span,
        format!("comes nearest, and leaves {what}"),
    )
}

fn owner(space: Space) -> &'static str {
    match space {
        Space::User => "user space",
        Space::Kernel => "kernel",
    }
}

fn place(cell: Cell, reach: Reach) -> &'static str {
    if Agents::DEVICE.0 == 1 << cell.agent {
        return "devices that share the tables";
    }
    match reach {
        Reach::Here => "this CPU",
        Reach::Wide => "every CPU that runs the space",
        Reach::Given => "the CPUs that a call is given",
    }
}

fn request(demand: Demand) -> &'static str {
    match (
        demand.extent,
        !demand.leaf.is_empty(),
        !demand.walk.is_empty(),
    ) {
        _ if demand.root => "the teardown of a space",
        (DemandExtent::Everything, _, true) => "a change of a whole space with its tables",
        (DemandExtent::Everything, ..) => "a change of a whole space",
        (_, true, true) => "freeing a table with the pages below it",
        (_, false, _) => "freeing a table",
        _ if !demand.negative.is_empty() => "mapping a page where none was",
        _ => "unmapping a page",
    }
}

/// Names the entries of a cell: those of a space, or of a cache.
fn named(cell: Cell, of: &str) -> String {
    let kind = match cell.kind {
        CachedKind::Leaf(_) => "leaf entries",
        CachedKind::Walk(_) => "walk entries",
        CachedKind::Negative(_) => "negative entries",
        CachedKind::Root => "root entries",
    };
    match cell.class {
        Class::This => format!("{kind} of {of}"),
        Class::Other => format!("{kind} of {of} under other tags"),
        Class::Global => format!("global {kind} of {of}"),
    }
}

/// Returns ` when the machine has a, b`, the end of a sentence; nothing if machines do not differ.
pub fn configuration(model: &Model, config: Config) -> String {
    let features = (0..model.features.len()).filter(|&f| config.has(f));
    let errata = (0..model.errata.len()).filter(|&e| config.suffers(e));
    let names: Vec<String> = features
        .map(|f| &model.features[f].named)
        .chain(errata.map(|e| &model.errata[e].named))
        .map(|named| format!("`{}`", named.name))
        .collect();
    if !names.is_empty() {
        format!(" when the machine has {}", names.join(", "))
    } else if model.features.is_empty() {
        String::new()
    } else {
        " when no feature is on".to_owned()
    }
}

/// Reports that the policy states a broadcast and no instruction reaches other CPUs.
pub fn shootdown(model: &Model, needs: &Needs, chooser: &mut Chooser) -> Vec<Diagnostic> {
    let Some(stated) = &model.policy.shootdown else {
        return Vec::new();
    };
    let demand = Demand {
        extent: DemandExtent::Everything,
        ..negative_too(LEAF_AND_WALK)
    };
    let mut found: Vec<(Config, Space, At<Shootdown>)> = Vec::new();
    for space in [Space::User, Space::Kernel] {
        let missing = outcomes(needs, |machine| {
            let at = stated.get(machine)?;
            let context = PlanContext::new(model, machine, space, Reach::Wide);
            let missing =
                at.value == Shootdown::Broadcast && chooser.choose(&context, demand).is_none();
            missing.then_some((machine.known().config(), space, *at))
        });
        found.extend(missing.into_iter().filter_map(|(_, missing)| missing));
    }
    let Some((config, space, at)) = found.into_iter().min_by_key(|(config, ..)| rank(*config))
    else {
        return Vec::new();
    };
    let local = (model.invalidates.iter()).find(|i| Agents::CORE.covers(i.reach(config)));
    let mut diagnostic = Diagnostic::new(
        Code::E0601,
        at.span,
        format!(
            "no broadcast drops everything of the {}{}",
            owner(space),
            configuration(model, config)
        ),
    )
    .label("stated here");
    if let Some(local) = local {
        diagnostic = diagnostic.because(local.agents.span, "acts on the CPU that issues it alone");
    }
    vec![
        diagnostic
            .note(
                "other CPUs are reached in one way for all flushes of a space: without a broadcast \
                 for everything, flushes of pages need an IPI as well",
            )
            .help("state `shootdown ipi`, or say under which features there is a broadcast"),
    ]
}
