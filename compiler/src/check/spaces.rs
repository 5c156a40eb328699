//! Spaces: a CPU that enters one leaves the entries of the other behind.
//!
//! In: the tags, and what a switch loads. Out: E0503. Holds: in every configuration a switch loads
//! a tag of the space's own, or drops what the space before it left.

use super::configs::Configs;
use super::{field_of, tags_in, user_tags};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Cond, Config, LevelSel, Load, Model, Source, Tag, Which};

/// E0503: a switch changes the tag, or drops everything.
pub fn switches(model: &Model, found: &mut Vec<Diagnostic>) {
    let configs = Configs::of(model, conds(model));
    for config in configs.iter() {
        let loads: Vec<&Load> = (model.switch.loads.iter())
            .filter(|loads| loads.when.holds(config))
            .flat_map(|loads| loads.loads.iter().map(|&load| &model.loads[load]))
            .collect();
        if loads
            .iter()
            .any(|load| drops_everything(model, load, config))
        {
            continue;
        }
        let when = configs.when(config);
        let takes_tag = loads
            .iter()
            .any(|load| takes(model, load, Source::Tag, config));
        let own = |tag: &&Tag| tag.values.is_none_or(|at| at.value.0 != at.value.1);
        let tags: Vec<&Tag> = tags_in(model, config).collect();
        let (why, fact, label) = match (tags.first(), tags.iter().all(own)) {
            (Some(_), true) if takes_tag => continue,
            (Some(tag), true) => ("loads no tag", tag.named.span, "stays what it was"),
            (Some(tag), false) => (
                "loads a tag that all spaces share",
                tag.named.span,
                "has one value",
            ),
            (None, _) => (
                "has no tag to load",
                model.user.leaf.span,
                "entries of spaces are not told apart",
            ),
        };
        let span = model
            .switch
            .loads
            .first()
            .map_or(model.switch.span, |loads| loads.span);
        found.push(
            Diagnostic::new(
                Code::E0503,
                span,
                format!("a switch {why} and drops nothing{when}"),
            )
            .label("nothing here keeps two spaces apart")
            .because(fact, label)
            .note("the new space would use translations of the old one: its memory is open to whoever runs next")
            .help("load a tag of the space's own, or say what loading drops: `drops leaf, walk of everything, this tag;`"),
        );
        return;
    }
}

/// Everything on which a switch can depend.
fn conds(model: &Model) -> impl Iterator<Item = &Cond> {
    let tags = user_tags(model)
        .into_iter()
        .map(|tag| &model.tags[tag].when);
    let drops = model
        .loads
        .iter()
        .flat_map(|load| load.drops.iter().map(|drops| &drops.when));
    let operands = model.loads.iter().flat_map(|load| &load.template.operands);
    let fields = operands.flat_map(|&operand| model.operands[operand].fields.iter());
    tags.chain(drops)
        .chain(fields.map(|field| &field.when))
        .chain(model.switch.loads.iter().map(|loads| &loads.when))
}

/// Whether the load is given something from a source in this configuration.
fn takes(model: &Model, load: &Load, source: Source, config: Config) -> bool {
    let operands = &load.template.operands;
    field_of(model, operands, source).is_some_and(|field| field.when.holds(config))
}

/// Whether loading drops what the space before it left, even where it is asked to keep entries:
/// without tags nothing else would ever ask it to drop them.
fn drops_everything(model: &Model, load: &Load, config: Config) -> bool {
    let keep = takes(model, load, Source::Keep, config);
    let walk = model.caches.walk.is_some();
    load.drops.iter().any(|drops| {
        drops.leaf == Some(LevelSel::Any)
            && (!walk || drops.walk == Some(LevelSel::Any))
            && (!model.caches.invalid_cached || drops.absent == Some(LevelSel::Any))
            && drops.which.value == Which::Everything
            && (drops.whose.value.this || drops.whose.value.loaded)
            && drops.when.holds_with(config, false, keep)
    })
}
