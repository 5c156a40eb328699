//! Sources: an operand carries what is at hand, and what the effect depends on.
//!
//! In: the fields of operands, and what instructions drop, write and load. Out: E0306, E0313, E0409. Holds: whatever an
//! operand carries is known where the instruction is issued, and decides what the instruction does; what writes an
//! entry is told which. That it is told what it drops is `instructions`' and `bits`' business.

use super::configs::both_hold;
use super::{all_drops, compares_tag, field_of, hinted};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AddressSelector, Drops, Field, Invalidate, LevelSel, Model, Named, Source, Template, Value,
    Var, Written,
};
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

/// E0409: what was made through one table entry is dropped by what changes that entry, since nothing else is told which.
pub fn entry_at_hand(model: &Model, found: &mut Vec<Diagnostic>) {
    let flushes = (model.invalidates.iter()).filter(|it| it.writes_entry.is_none());
    let dropped = flushes.flat_map(|it| all_drops(it).map(|drops| (&it.named, drops)));
    let loaded = (model.loads.iter()).flat_map(|it| it.drops.iter().map(|d| (&it.named, d)));
    let below = dropped.chain(loaded);
    for (named, drops) in below.filter(|(_, drops)| drops.which.value == AddressSelector::Subtree) {
        found.push(
            Diagnostic::new(
                Code::E0409,
                drops.which.span,
                format!("`{}` drops what is below a table entry, and is not told which", named.name),
            )
            .label("of which entry")
            .because(named.span, "changes no entry")
            .note("a flush names addresses and tags, and a load a root; no entry is at hand")
            .help("write `one page` or `everything`, whichever the manual says; if the instruction changes an entry, add `writes entry at ...;`"),
        );
    }
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

/// E0313: a load that is told to keep entries keeps some, and what an operand says about a count is about one.
pub fn needless_facts(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.loads {
        let Some(field) = field_of(model, &it.template.operands, Source::Keep) else {
            continue;
        };
        // That nothing is said to be dropped then is the weaker fact.
        let keeps = |drops: &Drops| drops.when.terms.iter().any(|t| t.value.0 == Var::Keep);
        let kept = |drops: &&Drops| both_hold(model, &drops.when, &field.when).is_some();
        let Some(first) = it.drops.iter().find(|drops| kept(drops) && !keeps(drops)) else {
            continue;
        };
        let fact = first.span;
        let name = &it.named.name;
        found.push(
            Diagnostic::new(
                Code::E0313,
                field.span,
                format!("`{name}` is told whether to keep entries, and what it drops does not depend on it"),
            )
            .label("carries `keep`")
            .because(fact, "is the same whatever that is")
            .note("a load that is told to keep entries and is said to drop them leaves entries that a flush relies on being gone")
            .help("add `unless keep` to what it drops, or put a constant into the field"),
        );
    }
    for (index, operand) in model.operands.iter().enumerate() {
        let takes = |source| field_of(model, &[index], source).is_some();
        let counts = takes(Source::Num) || takes(Source::End);
        let facts = [
            (
                operand.names.as_ref().map(|names| names.span),
                counts,
                "says what is counted, and carries no count",
                "a field for `num` or `end`",
            ),
            (
                operand.aligned,
                takes(Source::Hint),
                "says how a start is aligned to a hint, and carries none",
                "a field for `hint`",
            ),
        ];
        for (span, there, what, help) in facts {
            let Some(span) = span.filter(|_| !there) else {
                continue;
            };
            found.push(
                Diagnostic::new(
                    Code::E0313,
                    span,
                    format!("the operand `{}` {what}", operand.named.name),
                )
                .label("about nothing")
                .because(operand.named.span, "has no such field")
                .help(format!("give the operand {help}, or remove the statement")),
            );
        }
    }
}

/// E0306: what writes an entry is told which, and what it becomes.
pub fn entries_written(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        let Some(writes) = &it.writes_entry else {
            continue;
        };
        let takes = |source| field_of(model, &it.template.operands, source).is_some();
        let level = fields(model, &it.template).any(|f| matches!(f.value, Value::LevelAs(_)));
        // The address of the entry says all; otherwise the table and the address do, and the level if there are several.
        let by_table = takes(Source::Table) && takes(Source::Va);
        let lacks = if !takes(Source::Entry) && !by_table {
            Some((
                "which entry it writes",
                "`entry`, or fields with `table` and `va`",
            ))
        } else if !takes(Source::Entry) && !level && writes.levels.iter().count() > 1 {
            Some((
                "of which level the entry is that it writes",
                "`level as ...`",
            ))
        } else if writes.to == Written::Replaced && !takes(Source::New) {
            Some(("what the entry becomes", "`new`"))
        } else if writes.if_old && !takes(Source::Old) {
            Some(("what the entry was", "`old`"))
        } else {
            None
        };
        let Some((what, word)) = lacks else { continue };
        found.push(
            Diagnostic::new(
                Code::E0306,
                it.template.span,
                format!("`{}` is not told {what}", it.named.name),
            )
            .label(format!("no operand here has a field with {word}"))
            .because(writes.span, "writes an entry")
            .note("the machine would change another entry, or into something else")
            .help(format!(
                "give it an operand with a field with {word}, or correct what it writes"
            )),
        );
    }
}

/// E0313: what writes an entry is given the old one only if it compares them.
pub fn compared(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        let Some(writes) = it.writes_entry.as_ref().filter(|writes| !writes.if_old) else {
            continue;
        };
        let Some(field) = field_of(model, &it.template.operands, Source::Old) else {
            continue;
        };
        let message = format!(
            "`{}` is given the entry as it was, and writes whatever that is",
            it.named.name
        );
        found.push(
            Diagnostic::new(Code::E0313, field.span, message)
                .label("carries `old`")
                .because(writes.span, "does not depend on it")
                .note("an instruction that compares them leaves another entry as it is, and drops nothing")
                .help("write `if old` behind what the entry becomes, or put a constant into the field"),
        );
    }
}

/// What a field carries, if the effect depends on nothing of the kind.
fn carried(it: &Invalidate, field: &Field) -> Option<(&'static str, &'static str)> {
    let any = |of: &dyn Fn(&Drops) -> bool| all_drops(it).any(of);
    let writes = it.writes_entry.is_some();
    let given = any(&|d| [d.leaf, d.walk, d.negative].contains(&Some(LevelSel::Given)));
    let run = any(&|d| matches!(d.which.value, AddressSelector::Run { .. }));
    let table = any(&|d| d.whose.value.table);
    let (decides, what) = match field.value {
        Value::LevelAs(_) => return (!(writes || given || run)).then_some(("level", "a level")),
        value => match value.source()? {
            Source::Va => (
                writes
                    || any(&|d| {
                        !matches!(
                            d.which.value,
                            AddressSelector::Everything | AddressSelector::OneSet
                        )
                    }),
                "an address",
            ),
            Source::Tag => (writes || table || any(&compares_tag), "a tag"),
            Source::Hint => (any(&hinted), "a level hint"),
            Source::Num | Source::Scale | Source::End => (run, "a count"),
            Source::Set => (any(&|d| d.which.value == AddressSelector::OneSet), "a set"),
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
