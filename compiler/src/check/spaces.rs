//! Spaces: after a switch a CPU does not use entries of the previous space.
//!
//! In: the tags, and what a switch loads. Out: E0503, E0509, E0510, E0511, E0518. Holds: in every
//! configuration a switch loads the root of the space, and for each kind of entry a tag of the space, or it drops what the
//! previous space left; and tags have no values in common. Views are checked in `views`.

use super::configs::{Configs, RecordedConfig};
use super::{fields_of, tags_in, user_tags};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AddressSelector, At, CachedKind, Cond, LevelSel, Load, Loads, Machine, Model, Source, Tag,
    Under,
};

/// Returns what a switch loads in a configuration.
fn loaded(model: &Model, config: impl Machine) -> Vec<&Load> {
    let loads = model.switch.loads.iter();
    let here = loads.filter(|loads: &&Loads| loads.when.holds(config));
    here.flat_map(|loads| loads.loads.iter().map(|&load| &model.loads[load]))
        .collect()
}

/// Returns the kinds of entries that a CPU may keep of a space, with the tag that they are under.
fn kept(model: &Model, config: impl Machine) -> Vec<(CachedKind, &At<Under>)> {
    let kinds = [
        (CachedKind::Leaf, &model.user.leaf, true),
        (
            CachedKind::Walk,
            &model.user.walk,
            model.caches.hold(CachedKind::Walk, config),
        ),
        (
            CachedKind::Negative,
            &model.user.leaf,
            model.caches.hold(CachedKind::Negative, config),
        ),
    ];
    let cached = kinds.into_iter().filter(|(.., cached)| *cached);
    cached
        .filter_map(|(kind, cases, _)| Some((kind, cases.get(config)?)))
        .collect()
}

/// Checks E0503: a switch changes the tag that entries are under, or drops them.
pub fn switches(model: &Model, found: &mut Vec<Diagnostic>) {
    let configs = Configs::of(model, conds(model));
    for config in configs.iter() {
        if model.switch_flushes(config) {
            continue;
        }
        if let Some(shared) = shared_after_loads(model, config) {
            let when = configs.when(config);
            found.push(open_memory(model, &shared, &when));
            return;
        }
    }
}

/// Checks E0518: a switch flushes only where the next space could use entries of the previous one.
pub fn flushes(model: &Model, found: &mut Vec<Diagnostic>) {
    let Some(flushes) = &model.switch.flushes else {
        return;
    };
    let configs = Configs::of(model, conds(model));
    let mut needless = configs.iter().filter(|&config| {
        model.switch_flushes(config) && shared_after_loads(model, config).is_none()
    });
    let Some(config) = needless.next() else {
        return;
    };
    let when = configs.when(config);
    found.push(
        Diagnostic::new(
            Code::E0518,
            flushes.span,
            format!("a switch flushes entries that no other space can use{when}"),
        )
        .label("each switch does this flush")
        .note("the loads change the tag that the entries are under, or invalidate them")
        .help("state on which machines spaces have no tags: `flushes unless ...;`, or remove the statement"),
    );
}

/// Returns which entries of the previous space the next one can use once the loads of a switch are done, if any.
fn shared_after_loads(model: &Model, config: impl Machine) -> Option<SharedEntries> {
    let loads = loaded(model, config);
    let left = |(kind, under): &(CachedKind, &At<Under>)| {
        !(loads.iter()).any(|load| drops(model, load, *kind, &under.value, config))
    };
    let mut left = kept(model, config).into_iter().filter(left);
    left.find_map(|(kind, under)| shared(model, &loads, (kind, under), config))
}

/// Entries of the previous space that the next one can use.
struct SharedEntries {
    why: String,
    fact: crate::source::Span,
    label: &'static str,
}

/// Returns why entries that a switch does not drop cannot be distinguished, if they cannot.
fn shared(
    model: &Model,
    loads: &[&Load],
    (kind, under): (CachedKind, &At<Under>),
    config: impl Machine,
) -> Option<SharedEntries> {
    let entries = match kind {
        CachedKind::Leaf => "leaf entries",
        CachedKind::Walk => "walk entries",
        CachedKind::Root => "root entries",
        CachedKind::Negative => "negative entries",
    };
    match &under.value {
        Under::Global => {
            return Some(SharedEntries {
                why: format!("keeps {entries} that every space uses"),
                fact: under.span,
                label: "match under any loaded tag",
            });
        }
        Under::Fixed(..) => {
            return Some(SharedEntries {
                why: format!("keeps {entries} under a tag that every space has"),
                fact: under.span,
                label: "one value for all spaces",
            });
        }
        Under::Tags(named) => {
            let is_named = |tag: &&Tag| named.iter().any(|&it| model.tags[it].named == tag.named);
            if let Some(tag) = tags_in(model, config).find(|tag| !is_named(tag)) {
                return Some(SharedEntries {
                    why: format!(
                        "keeps {entries} of a space whose tag is `{}`, under which they are not cached",
                        tag.named.name
                    ),
                    fact: under.span,
                    label: "does not name it",
                });
            }
        }
        Under::EveryTag => {}
    }
    let views = model.view_bits(config);
    let own = |tag: &&Tag| tag.values.is_none_or(|_| tag.gives_out_several(views));
    let tags: Vec<&Tag> = tags_in(model, config).collect();
    let (why, fact, label) = match (tags.first(), tags.iter().all(own)) {
        (Some(_), true) if carry_tag(model, loads, config) => return None,
        (Some(tag), true) => ("loads no tag", tag.named.span, "stays what it was"),
        (Some(tag), false) => (
            "loads a tag that all spaces share",
            tag.named.span,
            "has one value",
        ),
        (None, _) => (
            "has no tag to load",
            model.user.leaf.span,
            "entries of spaces are not distinguished",
        ),
    };
    let why = format!("{why} and drops nothing");
    Some(SharedEntries { why, fact, label })
}

fn open_memory(model: &Model, shared: &SharedEntries, when: &str) -> Diagnostic {
    let first = model.switch.loads.first();
    let span = first.map_or(model.switch.span, |loads| loads.span);
    Diagnostic::new(Code::E0503, span, format!("a switch {}{when}", shared.why))
        .label("no tag or flush separates two spaces here")
        .because(shared.fact, shared.label)
        .note("the new space would use translations of the old one, and access its memory")
        .help("load a tag of the space under which its entries are cached, or state what loading drops: `drops leaf, walk of everything, this tag;`; or write `flushes;` in `switch`, for an instruction after the loads")
}

/// Returns the conditions on which a switch can depend.
pub fn conds(model: &Model) -> impl Iterator<Item = &Cond> {
    let tags = user_tags(model)
        .into_iter()
        .map(|tag| &model.tags[tag].when);
    let under = model.user.leaf.conds().chain(model.user.walk.conds());
    let drops = model
        .loads
        .iter()
        .flat_map(|load| load.drops.iter().map(|drops| &drops.when));
    let operands = model.loads.iter().flat_map(|load| &load.template.operands);
    let fields = operands.flat_map(|&operand| model.operands[operand].fields.iter());
    tags.chain(under)
        .chain(model.caches.conds())
        .chain(drops)
        .chain(fields.map(|field| &field.when))
        .chain(model.switch.loads.iter().map(|loads| &loads.when))
        .chain(model.switch.flushes.iter().map(|at| &at.value))
}

/// Returns whether the load is given a value of this source in this configuration.
fn takes(model: &Model, load: &Load, source: Source, config: impl Machine) -> bool {
    let mut fields = fields_of(model, &load.template.operands, source);
    fields.any(|field| field.when.holds(config))
}

/// Returns whether one of them carries the tag; where the tag is the root, the root does.
pub fn carry_tag(model: &Model, loads: &[&Load], config: impl Machine) -> bool {
    let is_root = tags_in(model, config).any(|tag| tag.is_root.is_some());
    loads.iter().any(|load| {
        takes(model, load, Source::Tag, config)
            || is_root && takes(model, load, Source::Root, config)
    })
}

/// Returns whether loading drops the entries of a kind that the previous space left, even with `keep`:
/// without tags no other statement requires that they are dropped.
fn drops(
    model: &Model,
    load: &Load,
    kind: CachedKind,
    under: &Under,
    config: impl Machine,
) -> bool {
    let keep = takes(model, load, Source::Keep, config);
    load.drops.iter().any(|drops| {
        let levels = match kind {
            CachedKind::Leaf => drops.leaf,
            CachedKind::Walk => drops.walk,
            CachedKind::Negative => drops.negative,
            CachedKind::Root => drops.root.then_some(LevelSel::Any),
        };
        let whose = drops.whose.value;
        let of_space = whose.this || whose.loaded;
        let reaches = match under {
            Under::Tags(_) | Under::EveryTag => of_space,
            Under::Fixed(..) => of_space && whose.other,
            Under::Global => whose.global,
        };
        levels == Some(LevelSel::Any)
            && drops.which.value == AddressSelector::Everything
            && reaches
            && drops
                .caches
                .is_none_or(|in_| model.caches.holding(kind, config).0 & !in_.0 == 0)
            && drops.when.holds_with(config, false, keep)
    })
}

/// Checks E0509: a switch loads the root of the space.
pub fn roots(model: &Model, found: &mut Vec<Diagnostic>) {
    let configs = Configs::of(model, conds(model));
    // Where the machine finds the top table by the tag, no root is loaded.
    let mut by_root = configs
        .iter()
        .filter(|&config| !model.caches.hold(CachedKind::Root, config));
    let rootless = by_root.find(|&config| {
        let of_root = tags_in(model, config).any(|tag| tag.is_root.is_some());
        !loaded(model, config).iter().any(|load| {
            takes(model, load, Source::Root, config)
                || of_root && takes(model, load, Source::Tag, config)
        })
    });
    let Some(config) = rootless else { return };
    let first = model.switch.loads.first();
    let mut diagnostic = Diagnostic::new(
        Code::E0509,
        first.map_or(model.switch.span, |loads| loads.span),
        format!("a switch loads no root{}", configs.when(config)),
    )
    .label("the CPU continues to walk the tables of the previous space");
    if let Some(load) = loaded(model, config).first() {
        diagnostic = diagnostic.because(load.template.span, "no operand here has bits of `root`");
    }
    found.push(
        diagnostic
            .note("a CPU would translate by the tables of the previous space")
            .help("give a load an operand with a field `root[...]`, or state in `caches` which cache `holds root`, if the machine finds the table by the tag"),
    );
}

/// Checks E0510: tags of one machine have no value in common.
pub fn values(model: &Model, found: &mut Vec<Diagnostic>) {
    let tags: Vec<&Tag> = user_tags(model)
        .into_iter()
        .map(|tag| &model.tags[tag])
        .collect();
    let span = |tag: &Tag| tag.values.map_or(tag.named.span, |at| at.span);
    for (index, tag) in tags.iter().enumerate() {
        for first in &tags[..index] {
            let ((a, b), (c, d)) = (first.range(), tag.range());
            let configs = Configs::of(model, [&first.when, &tag.when]);
            let both =
                |&config: &RecordedConfig<'_>| first.when.holds(config) && tag.when.holds(config);
            let Some(config) = configs.iter().find(both).filter(|_| a <= d && c <= b) else {
                continue;
            };
            let (one, other) = (&first.named.name, &tag.named.name);
            found.push(
                Diagnostic::new(
                    Code::E0510,
                    span(tag),
                    format!(
                        "the tags `{one}` and `{other}` have values in common{}",
                        configs.when(config)
                    ),
                )
                .label(format!("{c} to {d}"))
                .because(span(first), format!("{a} to {b}"))
                .note("both are in the same field: two spaces with one value would use each other's entries")
                .help("give each its own values: `values 1..6;` and `values 7..4094;`"),
            );
        }
    }
}

/// Checks E0511: where there is a tag, a switch loads it.
pub fn tags_loaded(model: &Model, found: &mut Vec<Diagnostic>) {
    let configs = Configs::of(model, conds(model));
    for config in configs.iter() {
        let loads = loaded(model, config);
        let Some(tag) = tags_in(model, config).next() else {
            continue;
        };
        // A switch that loads no tag and drops nothing has been reported by E0503.
        let dropped = model.switch_flushes(config)
            || kept(model, config).iter().all(|(kind, under)| {
                (loads.iter()).any(|load| drops(model, load, *kind, &under.value, config))
            });
        if carry_tag(model, &loads, config) || !dropped {
            continue;
        }
        let first = model.switch.loads.first();
        found.push(
            Diagnostic::new(
                Code::E0511,
                tag.named.span,
                format!(
                    "there is a tag `{}`, and a switch loads none{}",
                    tag.named.name,
                    configs.when(config)
                ),
            )
            .label("given to instructions that compare it")
            .because(
                first.map_or(model.switch.span, |loads| loads.span),
                "loads no tag then",
            )
            .note("entries are made under the loaded tag, so an instruction that compares another tag drops none of them")
            .help("give the field of the load the condition of the tag, or the tag that of the load"),
        );
        return;
    }
}
