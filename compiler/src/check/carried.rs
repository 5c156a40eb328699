//! Sources: an operand carries only values that are known and that the effect depends on.
//!
//! In: the fields of operands, and what instructions drop, write and load. Out: E0306, E0313, E0409. Holds: every value
//! that an operand carries is known where the instruction is issued and has an influence on its effect; an instruction
//! that writes an entry is given that entry. `instructions` and `bits` check that it is given what it drops.

use super::configs::both_hold;
use super::{all_drops, compares_tag, field_of, hinted};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AddressSelector, DefinitionName, Drops, Field, Invalidate, LevelSel, Model, Source, Template,
    Value, Var, Written,
};

fn fields<'m>(model: &'m Model, template: &'m Template) -> impl Iterator<Item = &'m Field> {
    let operands = template.operands.iter();
    operands.flat_map(|&operand| &model.operands[operand].fields)
}

/// Checks E0409: each instruction is given only what is known where it is issued.
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
                "a flush is given addresses and tags; the table is not known",
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
    (named, template): (&DefinitionName, &Template),
    known: impl Fn(Source) -> bool,
    (what, note): (&str, &str),
) -> Option<Diagnostic> {
    let (field, word) = fields(model, template).find_map(|field| {
        let source = field.value.source().filter(|&source| !known(source))?;
        Some((field, source.name()))
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
        .help("remove the field; if the instruction changes an entry, add `writes entry at ...;`"),
    )
}

/// Checks E0409: only an instruction that changes a table entry drops what was made through it, because no other is
/// given the entry.
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
                format!("`{}` drops what is below a table entry, and is not given that entry", named.name),
            )
            .label("of which entry")
            .because(named.span, "changes no entry")
            .note("a flush is given addresses and tags, and a load a root; the entry is not known")
            .help("write `one page` or `everything`, whichever the manual says; if the instruction changes an entry, add `writes entry at ...;`"),
        );
    }
}

/// Checks E0313: what an operand carries has an influence on what the instruction does.
pub fn needless(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        // An instruction that drops nothing is issued for another reason.
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
                format!("`{name}` is given {what}, and its effect does not depend on it"),
            )
            .label(format!("carries `{word}`"))
            .because(first.span, "does not depend on it")
            .note("if the machine uses the value, the instruction drops less than stated, and entries are left")
            .help("correct what it drops, or put a constant into the field"),
        );
    }
}

/// Checks E0313: a load with `keep` keeps entries, and an operand that describes a count carries one.
pub fn needless_facts(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.loads {
        let Some(field) = field_of(model, &it.template.operands, Source::Keep) else {
            continue;
        };
        // A load that drops nothing then is the weaker fact.
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
                format!("`{name}` is given `keep`, and what it drops does not depend on it"),
            )
            .label("carries `keep`")
            .because(fact, "does not depend on it")
            .note("with `keep` the machine keeps entries that the load is said to drop, and a deferred flush relies on that")
            .help("add `unless keep` to what it drops, or put a constant into the field"),
        );
    }
    for (index, operand) in model.operands.iter().enumerate() {
        let takes = |source| field_of(model, &[index], source).is_some();
        let counts = [Source::Num, Source::End, Source::Bytes]
            .into_iter()
            .any(takes);
        let facts = [
            (
                operand.names.as_ref().map(|names| names.span),
                counts,
                "says what a run counts, and carries no count",
                "a field for `num`, `end` or `bytes`",
            ),
            (
                operand.aligned,
                takes(Source::Hint),
                "says how a start is aligned to a hint, and carries no hint",
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
                .label("no such field")
                .because(operand.named.span, "fields of the operand")
                .help(format!("give the operand {help}, or remove the statement")),
            );
        }
    }
}

/// Checks E0306: an instruction that writes an entry is given the entry, and its new value.
pub fn entries_written(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        let Some(writes) = &it.writes_entry else {
            continue;
        };
        let takes = |source| field_of(model, &it.template.operands, source).is_some();
        let level = fields(model, &it.template).any(|f| matches!(f.value, Value::LevelAs(_)));
        // The address of the entry is sufficient; otherwise table and address are, with the level if there are several.
        let by_table = takes(Source::Table) && takes(Source::Va);
        let lacks = if !takes(Source::Entry) && !by_table {
            Some((
                "which entry it writes",
                "`entry`, or fields with `table` and `va`",
            ))
        } else if !takes(Source::Entry) && !level && writes.levels.iter().count() > 1 {
            Some(("the level of the entry that it writes", "`level as ...`"))
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
                format!("`{}` is not given {what}", it.named.name),
            )
            .label(format!("no operand here has a field for {word}"))
            .because(writes.span, "writes an entry")
            .note("the machine would change another entry, or write another value")
            .help(format!(
                "add an operand with a field for {word}, or correct what it writes"
            )),
        );
    }
}

/// Checks E0313: an instruction that writes an entry is given the old one only if it compares them.
pub fn compared(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        let Some(writes) = it.writes_entry.as_ref().filter(|writes| !writes.if_old) else {
            continue;
        };
        let Some(field) = field_of(model, &it.template.operands, Source::Old) else {
            continue;
        };
        let message = format!(
            "`{}` is given the old entry, and does not compare it",
            it.named.name
        );
        found.push(
            Diagnostic::new(Code::E0313, field.span, message)
                .label("carries `old`")
                .because(writes.span, "does not depend on it")
                .note("if the instruction compares them, it changes and drops nothing when the entry differs")
                .help("write `if old` after what the entry becomes, or put a constant into the field"),
        );
    }
}

/// Returns what a field carries, if the effect depends on nothing of the kind.
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
            Source::Num | Source::Scale | Source::End | Source::Bytes => (run, "a count"),
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
    (!decides).then_some((field.value.source()?.name(), what))
}
