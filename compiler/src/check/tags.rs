//! Tags: their values can be given out.
//!
//! In: the tags, and the views that set bits in them. Out: E0207, E0510. Holds: a tag has values, which the runtime
//! can give out in the stated way; on one machine there is at most one tag `of machine` and one `of cpu`; and no two
//! views of a space have the same tag.

use super::configs::{Configs, RecordedConfig};
use super::user_tags;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Cond, Model, Tag, TagSource};

/// Checks E0207: the first of the values of a tag is not larger than the last.
pub fn values(model: &Model, found: &mut Vec<Diagnostic>) {
    for tag in &model.tags {
        let Some(values) = tag.values.filter(|at| at.value.0 > at.value.1) else {
            continue;
        };
        let (first, last) = values.value;
        found.push(
            Diagnostic::new(
                Code::E0207,
                values.span,
                format!("the range of values {first} to {last} is empty"),
            )
            .label("the first is larger")
            .help("write the least value that a space gets, then the largest"),
        );
    }
}

/// Checks E0207: values are given out in a way that suits the tag.
pub fn sources(model: &Model, found: &mut Vec<Diagnostic>) {
    for tag in &model.tags {
        let Some(source) = tag.source.filter(|_| tag.is_root.is_none()) else {
            continue;
        };
        let (message, help) = match (tag.per_cpu.value, source.value) {
            (true, TagSource::Life) => (
                "a space has another tag `of cpu` on each CPU, and gets it anew",
                "write `from slots;` or `from generations;`, or `of machine;` if a value means the same space on every CPU",
            ),
            (false, TagSource::Slots) => (
                "a tag `of machine` is not given out from the slots of a CPU",
                "write `from generations;` or `from life;`, or `of cpu;` if each CPU gives out its own",
            ),
            _ => continue,
        };
        found.push(
            Diagnostic::new(Code::E0207, source.span, message)
                .label("not such a tag")
                .because(tag.per_cpu.span, "stated here")
                .help(help),
        );
    }
}

/// Checks E0207: no machine has two tags `of machine`, or two `of cpu`.
pub fn one_of_each_kind(model: &Model, found: &mut Vec<Diagnostic>) {
    for per_cpu in [true, false] {
        let tags = user_tags(model).into_iter().map(|tag| &model.tags[tag]);
        let alike: Vec<&Tag> = tags.filter(|tag| tag.per_cpu.value == per_cpu).collect();
        for (index, tag) in alike.iter().enumerate() {
            for first in &alike[..index] {
                let configs = Configs::of(model, [&first.when, &tag.when]);
                let both = |&config: &RecordedConfig<'_>| {
                    first.when.holds(config) && tag.when.holds(config)
                };
                let Some(config) = configs.iter().find(both) else {
                    continue;
                };
                let (one, other) = (&first.named.name, &tag.named.name);
                let whose = if per_cpu { "a CPU" } else { "the machine" };
                found.push(
                    Diagnostic::new(
                        Code::E0207,
                        tag.per_cpu.span,
                        format!(
                            "`{one}` and `{other}` are both tags of {whose}{}",
                            configs.when(config)
                        ),
                    )
                    .label("a second one")
                    .because(first.per_cpu.span, "the first")
                    .note("one of the two would never be given out")
                    .help("make them one tag, or give them conditions that exclude each other"),
                );
            }
        }
    }
}

/// Checks E0510: no two views of a space have the same tag.
pub fn views(model: &Model, found: &mut Vec<Diagnostic>) {
    let views = &model.user.views;
    for (index, view) in views.iter().enumerate() {
        for first in &views[..index] {
            let tags = model.tags.iter().map(|tag| &tag.when);
            let whens: Vec<&Cond> = tags.chain([&first.when, &view.when]).collect();
            let configs = Configs::of(model, whens);
            let both = configs.iter().find(|&config| {
                let tagged = super::tags_in(model, config).any(|tag| tag.is_root.is_none());
                tagged && first.when.holds(config) && view.when.holds(config)
            });
            let Some(config) = both.filter(|_| first.or == view.or) else {
                continue;
            };
            let (one, other) = (&first.named.name, &view.named.name);
            found.push(
                Diagnostic::new(
                    Code::E0510,
                    view.named.span,
                    format!(
                        "the views `{one}` and `{other}` have the same tag{}",
                        configs.when(config)
                    ),
                )
                .label("the same bits are set")
                .because(first.named.span, "as here")
                .note("entries of one view would be used while the other is loaded")
                .help("let one of them set a bit: `tag | 1`"),
            );
        }
    }
}
