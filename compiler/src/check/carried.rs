//! Sources: an operand carries what is at hand, and what the effect depends on.
//!
//! In: the fields of operands, and what instructions drop and write. Out: E0313, E0409. Holds: whatever an
//! operand carries is known where the instruction is issued, and decides what the instruction does. That
//! whatever decides is carried is E0306.

use super::{all_drops, compares_tag, hinted};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Field, Invalidate, LevelSel, Model, Named, Source, Template, Value, Which};
use crate::trace::encode::source_name;

fn fields<'m>(model: &'m Model, template: &'m Template) -> impl Iterator<Item = &'m Field> {
    let operands = template.operands.iter();
    operands.flat_map(|&operand| &model.operands[operand].fields)
}

/// E0409: each instruction is told what is known where it is issued.
pub fn at_hand(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        let writes = it.writes_entry.is_some();
        let known = |source: Source| match source {
            Source::Root | Source::Keep => false,
            other => writes || !other.is_of_change(),
        };
        let (what, note) = if writes {
            (
                "what changes an entry",
                "no root is loaded when an entry is changed",
            )
        } else {
            (
                "what flushes",
                "a flush names addresses and tags; no table is at hand when it is asked for",
            )
        };
        found.extend(unknown(
            model,
            (&it.named, &it.template),
            known,
            (what, note),
        ));
    }
    for it in &model.loads {
        let known = |source| {
            matches!(
                source,
                Source::Root | Source::Tag | Source::Keep | Source::Granule
            )
        };
        let said = (
            "what loads",
            "a load is given a root and a tag, and whether entries are kept",
        );
        found.extend(unknown(model, (&it.named, &it.template), known, said));
    }
    for it in &model.barriers {
        let said = (
            "a barrier",
            "a barrier waits for all that was issued before it",
        );
        found.extend(unknown(model, (&it.named, &it.template), |_| false, said));
    }
}

fn unknown(
    model: &Model,
    (named, template): (&Named, &Template),
    known: impl Fn(Source) -> bool,
    (what, note): (&str, &str),
) -> Option<Diagnostic> {
    let (field, word) = fields(model, template).find_map(|field| {
        let source = field.value.source().filter(|&source| !known(source))?;
        Some((field, source_name(source)))
    })?;
    Some(
        Diagnostic::new(
            Code::E0409,
            field.span,
            format!("`{}` needs `{word}`, and {what} has none", named.name),
        )
        .label("not known there")
        .because(template.span, "issued where it is not known")
        .note(note)
        .help(
            "take the field out; if the instruction changes an entry, add `writes entry at ...;`",
        ),
    )
}

/// E0313: what an operand carries decides what the instruction does.
pub fn needless(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        // What drops nothing is issued for something else than its effect.
        let Some(first) = all_drops(it).next() else {
            continue;
        };
        let needless = fields(model, &it.template).find_map(|field| {
            let (word, what) = carried(it, field)?;
            Some((field, word, what))
        });
        let Some((field, word, what)) = needless else {
            continue;
        };
        let name = &it.named.name;
        found.push(
            Diagnostic::new(
                Code::E0313,
                field.span,
                format!("`{name}` is given {what}, and what it drops does not depend on it"),
            )
            .label(format!("carries `{word}`"))
            .because(first.span, "is the same whatever that is")
            .note("if the machine looks at it, the instruction drops less than stated: entries would survive")
            .help("correct what it drops, or put a constant into the field"),
        );
    }
}

/// What a field carries, if the effect depends on nothing of the kind.
fn carried(it: &Invalidate, field: &Field) -> Option<(&'static str, &'static str)> {
    let any = |of: &dyn Fn(&crate::model::Drops) -> bool| all_drops(it).any(of);
    let writes = it.writes_entry.is_some();
    let given = any(&|d| [d.leaf, d.walk, d.absent].contains(&Some(LevelSel::Given)));
    let run = any(&|d| matches!(d.which.value, Which::Run { .. }));
    let table = any(&|d| d.whose.value.table);
    let (decides, what) = match field.value {
        Value::LevelAs(_) => return (!(writes || given || run)).then_some(("level", "a level")),
        value => match value.source()? {
            Source::Va => (
                writes || any(&|d| !matches!(d.which.value, Which::Everything | Which::OneSet)),
                "an address",
            ),
            Source::Tag => (writes || table || any(&compares_tag), "a tag"),
            Source::Hint => (any(&hinted), "a level hint"),
            Source::Num | Source::Scale | Source::End => (run, "a count"),
            Source::Set => (any(&|d| d.which.value == Which::OneSet), "a set"),
            Source::Form => (it.forms.iter().any(|form| form.named.is_some()), "a form"),
            Source::Table
            | Source::Root
            | Source::Granule
            | Source::Keep
            | Source::Entry
            | Source::Old
            | Source::New => (true, ""),
        },
    };
    (!decides).then_some((source_name(field.value.source()?), what))
}
