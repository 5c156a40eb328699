//! Statements that never count.
//!
//! In: all names, alternatives and conditions. Out: E0208. Holds: each name is
//! used, and each alternative is the one that counts somewhere.

use super::configs::{Configs, can_hold};
use super::tables::counts;
use super::user_tags;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AddressSelector, At, CachedKind, Cases, Ceiling, Cond, DefinitionName, Drops, LevelSel, Model,
    Under, Var,
};
use crate::source::Span;
use rustc_hash::FxHashSet;
use tlbc_facts::clause::MaxCount;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::{Reach, Space};

/// Checks E0208: features, limits and tags are used. Any other unused definition is a
/// warning, because other rules report what is missing then.
pub fn names(model: &Model, found: &mut Vec<Diagnostic>) {
    let features = model.features.iter().map(|it| &it.named);
    let limits = model.limits.iter().map(|it| &it.named);
    let tags = model.tags.iter().map(|it| &it.named);
    let of_feature = "name it in a condition or a `requires` of a statement that depends on it; if none does, remove it";
    let of_limit =
        "name it where a number may be a limit, such as `run of 1..limit(...)`, or remove it";
    let of_tag = "state which entries are cached under it: `leaf under ...;` in a space";
    let unused = |what, all: Vec<&DefinitionName>, used: &[usize], help| {
        never_used(Code::E0208, what, &all, used, help)
    };
    found.extend(unused(
        "feature",
        features.collect(),
        &used_features(model),
        of_feature,
    ));
    found.extend(unused(
        "limit",
        limits.collect(),
        &used_limits(model),
        of_limit,
    ));
    found.extend(unused("tag", tags.collect(), &used_tags(model), of_tag));
}

/// Reports the names whose index is not in `used`. The second definition of a name has been
/// reported already.
pub(crate) fn never_used(
    code: Code,
    what: &str,
    all: &[&DefinitionName],
    used: &[usize],
    help: &str,
) -> Vec<Diagnostic> {
    let used: FxHashSet<usize> = used.iter().copied().collect();
    let mut before: FxHashSet<&str> = FxHashSet::default();
    let unused = all.iter().enumerate().filter(|(index, named)| {
        let is_first = before.insert(&named.name);
        is_first && !used.contains(index)
    });
    let report = |(_, named): (usize, &&DefinitionName)| {
        let message = format!("the {what} `{}` is never used", named.name);
        Diagnostic::new(code, named.span, message)
            .label("defined here, and named nowhere else")
            .help(help)
    };
    unused.map(report).collect()
}

fn all_drops(model: &Model) -> impl Iterator<Item = &Drops> {
    let loads = model.loads.iter().flat_map(|load| &load.drops);
    model
        .invalidates
        .iter()
        .flat_map(super::all_drops)
        .chain(loads)
}

/// Returns all conditions of the definition.
fn conds(model: &Model) -> Vec<&Cond> {
    let mut conds: Vec<&Cond> = Vec::new();
    let levels = model
        .geometries
        .iter()
        .flat_map(|g| g.levels.iter().flatten());
    conds.extend(levels.flat_map(|level| level.shift.conds()));
    conds.extend(model.features.iter().map(|feature| &feature.needs));
    conds.extend(model.tags.iter().map(|tag| &tag.when));
    for space in [&model.user, &model.kernel] {
        conds.extend(space.addresses.conds());
        conds.extend(space.leaf.conds().chain(space.walk.conds()));
        conds.extend(space.views.iter().map(|view| &view.when));
    }
    conds.extend(model.barriers.iter().map(|barrier| &barrier.requires));
    let fields = model.operands.iter().flat_map(|operand| &operand.fields);
    conds.extend(fields.map(|field| &field.when));
    conds.extend(model.loads.iter().map(|load| &load.requires));
    for invalidate in &model.invalidates {
        conds.push(&invalidate.requires);
        conds.extend(invalidate.forms.iter().map(|form| &form.requires));
        conds.extend(invalidate.agents.conds());
        conds.extend(invalidate.after.iter().flat_map(Cases::conds));
    }
    let levels = model
        .geometries
        .iter()
        .flat_map(|g| g.levels.iter().flatten());
    conds.extend(levels.filter_map(|level| level.leaf.as_ref()));
    let numbers = model
        .level_numbers
        .iter()
        .flat_map(|numbers| &numbers.cases);
    conds.extend(numbers.map(|(.., when)| when));
    conds.extend(model.caches.conds());
    let devices = [&model.user, &model.kernel].map(|space| space.devices.as_ref());
    conds.extend(devices.into_iter().flatten().map(|at| &at.value));
    conds.extend(model.resyncs().flat_map(|(_, resync)| resync.conds()));
    conds.extend(model.table_bits.iter().flat_map(Cases::conds));
    conds.extend(model.cpu_online.contents_unknown.iter().map(|at| &at.value));
    conds.extend(model.switch.flushes.iter().map(|at| &at.value));
    let in_place = model.change.in_place.iter();
    conds.extend(in_place.flat_map(|(_, cases)| cases.conds()));
    conds.extend(all_drops(model).map(|drops| &drops.when));
    for event in [&model.switch, &model.return_to_user, &model.cpu_online] {
        conds.extend(event.loads.iter().map(|loads| &loads.when));
    }
    conds.extend(model.errata.iter().map(|erratum| &erratum.needs));
    let weakens = model.errata.iter().flat_map(|erratum| &erratum.weakens);
    conds.extend(weakens.map(|weakens| &weakens.when));
    let policy = &model.policy;
    conds.extend(policy.shootdown.iter().flat_map(Cases::conds));
    conds.extend(policy.ceiling_operations.iter().flat_map(Cases::conds));
    conds.extend(policy.ceiling_pages.iter().flat_map(Cases::conds));
    conds
}

/// Returns when a machine has each feature: if it has the feature and what that needs.
fn features(model: &Model) -> impl Iterator<Item = Cond> {
    let features = model.features.iter().enumerate();
    features.map(|(index, feature)| {
        let term = At {
            value: (Var::Feature(index), true),
            span: feature.named.span,
        };
        Cond { terms: vec![term] }.and(&feature.needs)
    })
}

/// Checks E0208: each condition can hold, and some machine has each feature.
pub fn conditions(model: &Model, found: &mut Vec<Diagnostic>) {
    let forms = model.invalidates.iter();
    let forms = forms.flat_map(|it| {
        it.forms
            .iter()
            .map(move |form| it.requires.and(&form.requires))
    });
    let more: Vec<Cond> = forms.chain(features(model)).collect();
    for cond in conds(model).into_iter().chain(&more) {
        let Some(first) = cond.terms.first() else {
            continue;
        };
        let configs = Configs::of(model, [cond]);
        if configs.iter().any(|config| can_hold(cond, config)) {
            continue;
        }
        let last = cond.terms.last().map_or(first.span, |term| term.span);
        found.push(
            Diagnostic::new(Code::E0208, last, "a condition never holds")
                .label("contradicts another term, or what a feature needs")
                .because(first.span, "begins here")
                .note("what depends on it exists on no machine")
                .help("correct the condition, or remove what depends on it"),
        );
    }
}

/// Checks E0208: some cache holds what an instruction drops.
pub fn kinds(model: &Model, found: &mut Vec<Diagnostic>) {
    type Dropped = fn(&Drops) -> bool;
    let caches = &model.caches;
    let kinds: [(bool, Dropped, &str, &str); 3] = [
        (
            caches.ever_hold(CachedKind::Walk),
            |it| it.walk.is_some(),
            "walk entries",
            "`holds walk`",
        ),
        (
            caches.ever_hold(CachedKind::Root),
            |it| it.root,
            "root entries",
            "`holds root`",
        ),
        (
            caches.ever_hold(CachedKind::Negative),
            |it| it.negative.is_some(),
            "negative entries",
            "`invalid cached`",
        ),
    ];
    for (held, dropped, what, fact) in kinds {
        let Some(drops) = all_drops(model).find(|drops| !held && dropped(drops)) else {
            continue;
        };
        found.push(
            Diagnostic::new(Code::E0208, drops.span, format!("no cache holds {what}"))
                .label("dropped here")
                .because(caches.span, format!("does not say {fact}"))
                .note("if the machine does cache them, required flushes are not issued")
                .help(format!(
                    "state {fact} in `caches`, or remove the kind from what is dropped"
                )),
        );
    }
}

/// Checks E0208: a statement about entries of a level is about entries that the level can have.
pub fn levels(model: &Model, found: &mut Vec<Diagnostic>) {
    let none = |span, level: usize, what: &str, because: &str, note: &str| {
        let name = &model.levels[level].name;
        let levels = (model.geometries.iter()).filter_map(|it| it.levels[level].as_ref());
        let levels = levels.map(|level| level.span);
        let message = format!("entries of `{name}` never {what}");
        levels
            .take(1)
            .fold(
                Diagnostic::new(Code::E0208, span, message).label("stated here"),
                |diagnostic, level| diagnostic.because(level, because),
            )
            .note(note)
            .help("correct the level, here or in `levels`")
    };
    let maps = model.leaf_levels();
    let points = |level: usize| {
        let mut geometries = model.geometries.iter();
        geometries.any(|it| {
            let (below, rest) = it.levels.split_at(level);
            rest[0].is_some() && below.iter().any(Option::is_some)
        })
    };
    let leaf = |span, level: usize, note: &str| {
        none(span, level, "map pages", "does not say `leaf`", note)
    };
    for (level, covers) in model.caches.joined.iter().enumerate() {
        if let (Some(at), false) = (covers, maps.contains(Level(level as u8))) {
            found.push(leaf(at.span, level, "no translation is made from them"));
        }
    }
    for drops in all_drops(model) {
        let note =
            "the machine has no such entries, so the statement was probably meant for others";
        found.extend(of_no_negative_entry(model, drops).map(|it| it.note(note)));
        if let Some(LevelSel::Only(only)) = drops.leaf {
            let wrong = only.iter().find(|level| !maps.contains(*level));
            found.extend(wrong.map(|level| leaf(drops.span, level.index(), note)));
        }
        if let Some(LevelSel::Only(only)) = drops.walk {
            let wrong = only.iter().find(|level| !points(level.index()));
            found.extend(wrong.map(|level| {
                none(
                    drops.span,
                    level.index(),
                    "point at a table",
                    "the lowest level",
                    note,
                )
            }));
        }
    }
}

/// Returns a finding if a clause drops negative entries of a level that none is of.
fn of_no_negative_entry(model: &Model, drops: &Drops) -> Option<Diagnostic> {
    let cases = model.caches.negative.cases.iter();
    let made = cases.flat_map(|(kept, _)| Level::all().map(|invalid| kept.levels(invalid)));
    let made = made.fold(Levels::NONE, Levels::union);
    let Some(LevelSel::Only(only)) = drops.negative else {
        return None;
    };
    let wrong = only.iter().find(|level| !made.contains(*level))?;
    let message = format!(
        "no negative entry is of `{}`",
        model.levels[wrong.index()].name
    );
    let found = Diagnostic::new(Code::E0208, drops.span, message)
        .label("stated here")
        .because(model.caches.negative.span, "each is of a single page");
    (!made.is_empty()).then(|| found.help("correct the level, or remove `as pages`"))
}

fn used_features(model: &Model) -> Vec<usize> {
    conds(model).into_iter().flat_map(Cond::features).collect()
}

/// Returns the tags under which entries of the user space or of the kernel are stated to be.
fn used_tags(model: &Model) -> Vec<usize> {
    let cases = (model.kernel.leaf.cases.iter()).chain(&model.kernel.walk.cases);
    let named = cases.flat_map(|(under, _)| match &under.value {
        Under::Tags(tags) => tags.clone(),
        Under::Fixed(tag, _) => vec![*tag],
        Under::EveryTag | Under::Global => Vec::new(),
    });
    named.chain(user_tags(model)).collect()
}

fn used_limits(model: &Model) -> Vec<usize> {
    let limit = |drops: &Drops| match drops.which.value {
        AddressSelector::Run {
            most: MaxCount::Limit(limit),
            ..
        } => Some(usize::from(limit)),
        _ => None,
    };
    let runs = all_drops(model).filter_map(limit);
    let widths = model.tags.iter().filter_map(|tag| tag.bits.value.limit());
    let sets = model.caches.all.iter().flat_map(|cache| &cache.sets);
    let sets = sets.flat_map(|sets| &sets.cases);
    let sets = sets.filter_map(|(count, _)| count.limit());
    let policy = &model.policy;
    let ceilings = policy
        .ceiling_operations
        .iter()
        .chain(&policy.ceiling_pages);
    let ceilings = ceilings.flat_map(|cases| &cases.cases);
    let ceilings = ceilings.filter_map(|(ceiling, _)| ceiling.count.limit());
    runs.chain(widths).chain(sets).chain(ceilings).collect()
}

/// Checks E0208: each alternative is the last whose condition holds in some configuration.
pub fn alternatives(model: &Model, found: &mut Vec<Diagnostic>) {
    if let Some(widths) = &model.table_bits {
        shadowed(model, widths, found);
    }
    let caches = &model.caches;
    shadowed(model, &caches.negative, found);
    shadowed(model, &caches.fills, found);
    shadowed(model, &caches.stricter, found);
    for space in [&model.user, &model.kernel] {
        shadowed(model, &space.addresses, found);
        shadowed(model, &space.leaf, found);
        shadowed(model, &space.walk, found);
    }
    for (_, cases) in &model.change.in_place {
        shadowed(model, cases, found);
    }
    for numbers in &model.level_numbers {
        for level in 0..model.levels.len() {
            let of_level = numbers.cases.iter().filter(|(of, ..)| *of == level);
            let cases = of_level.map(|(_, number, when)| (*number, when.clone()));
            let (cases, span) = (cases.collect(), numbers.span);
            shadowed(model, &Cases { cases, span }, found);
        }
    }
    let policy = &model.policy;
    policy
        .shootdown
        .iter()
        .for_each(|cases| shadowed(model, cases, found));
    let ceilings = [&policy.ceiling_operations, &policy.ceiling_pages];
    for cases in ceilings.into_iter().flatten() {
        shadowed_ceilings(model, cases, found);
    }
}

/// Checks E0208 for ceilings: one counts if it is the last for some space and reach.
fn shadowed_ceilings(model: &Model, cases: &Cases<Ceiling>, found: &mut Vec<Diagnostic>) {
    let of_all = [Space::User, Space::Kernel]
        .into_iter()
        .flat_map(|space| [Reach::Here, Reach::Wide].map(|reach| (space, reach)));
    let configs = Configs::of(model, cases.conds());
    let mut counting = vec![false; cases.cases.len()];
    for (space, reach) in of_all {
        for config in configs.iter() {
            let last = cases
                .cases
                .iter()
                .rposition(|(ceiling, when)| ceiling.is_for(space, reach) && when.holds(config));
            if let Some(last) = last {
                counting[last] = true;
            }
        }
    }
    if let Some(case) = counting.iter().position(|counts| !counts) {
        found.push(never_counts(cases.span, case, cases.cases.len()));
    }
}

fn shadowed<T>(model: &Model, cases: &Cases<T>, found: &mut Vec<Diagnostic>) {
    let configs = Configs::of(model, cases.conds());
    let lost = (0..cases.cases.len()).find(|&case| !configs.iter().any(|c| counts(cases, case, c)));
    let Some(case) = lost else { return };
    found.push(never_counts(cases.span, case, cases.cases.len()));
}

fn never_counts(span: Span, case: usize, of: usize) -> Diagnostic {
    Diagnostic::new(
        Code::E0208,
        span,
        format!("alternative {} of {of} never counts", case + 1),
    )
    .label("the alternatives")
    .note("the last alternative whose condition holds is the one that counts")
    .help("put the alternative without a condition first, or correct the conditions")
}
