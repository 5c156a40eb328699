//! Instructions: a place for what they need, and a completion that keeps its promise.
//!
//! In: invalidations, loads and barriers. Out: E0306, E0402, E0403, E0404. Holds: what an
//! instruction drops can be named in its operands, and is gone and drained wherever it acts once
//! its barrier is past.

use tlbc_runtime::clause::Holders;

use super::{all_drops, compares_tag, field_of, listed};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Drops, LevelSel, Model, Source, Var, Which};
use crate::source::Span;

/// E0306: an invalidation has a field for the address, the tag, the count, the hint and the form.
pub fn places(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let operands = &invalidate.template.operands;
        let mut lacks = |source, word: &str, because, what: &str| {
            if field_of(model, operands, source).is_none() {
                let name = &invalidate.named.name;
                let template = invalidate.template.span;
                found.push(no_place(name, template, because, word, what));
            }
        };
        for drops in all_drops(invalidate) {
            let which = &drops.which;
            if which.value != Which::Everything {
                lacks(Source::Va, "va", which.span, "the address");
            }
            if compares_tag(drops) {
                lacks(Source::Tag, "tag", drops.whose.span, "the tag");
            }
            if matches!(which.value, Which::Run { .. }) {
                lacks(Source::Num, "num", which.span, "how many");
            }
            if hinted(drops) {
                lacks(Source::Hint, "hint", drops.span, "the level");
            }
        }
        let forms = invalidate.forms.iter();
        for (form, _) in forms.filter_map(|form| form.named.as_ref()) {
            lacks(Source::Form, "form", form.span, "which form is meant");
        }
        let counting = |&operand: &usize| model.operands[operand].names.is_some();
        let run = all_drops(invalidate).find(|d| matches!(d.which.value, Which::Run { .. }));
        let num = field_of(model, operands, Source::Num);
        if let (Some(run), Some(num), false) = (run, num, operands.iter().any(counting)) {
            found.push(
                Diagnostic::new(
                    Code::E0306,
                    num.span,
                    format!(
                        "`{}` drops a run, and no operand says what `num` counts",
                        invalidate.named.name
                    ),
                )
                .label("counts, but what?")
                .because(run.which.span, "a run")
                .help("add, for instance, `names num + 1 pages;` to the operand"),
            );
        }
    }
}

/// Whether it depends on a level given with the instruction.
fn hinted(drops: &Drops) -> bool {
    let by_level = |levels| matches!(levels, Some(LevelSel::Hint | LevelSel::AboveHint));
    by_level(drops.leaf)
        || by_level(drops.walk)
        || drops
            .when
            .terms
            .iter()
            .any(|term| term.value.0 == Var::Hinted)
}

fn no_place(name: &str, template: Span, because: Span, word: &str, what: &str) -> Diagnostic {
    Diagnostic::new(
        Code::E0306,
        template,
        format!("`{name}` has no operand that says {what}"),
    )
    .label(format!("no operand here has a field with `{word}`"))
    .because(because, format!("needs `{word}`"))
    .help(format!(
        "give it an operand with a field for `{word}`, or correct what it drops"
    ))
}

/// E0306: a load loads something, and keeps only what it can be told to keep.
pub fn places_of_loads(model: &Model, found: &mut Vec<Diagnostic>) {
    for load in &model.loads {
        let operands = &load.template.operands;
        let takes = |source| field_of(model, operands, source).is_some();
        if !takes(Source::Root) && !takes(Source::Tag) {
            found.push(
                Diagnostic::new(
                    Code::E0306,
                    load.template.span,
                    format!("`{}` loads neither a root nor a tag", load.named.name),
                )
                .label("no operand here has a field with `root` or `tag`")
                .note("whatever space it is told to enter, the CPU stays in the one it has")
                .help("give it an operand with a field `root[...]` or `tag`"),
            );
        }
        let keeps = |drops: &&Drops| drops.when.terms.iter().any(|t| t.value.0 == Var::Keep);
        if let Some(drops) = load.drops.iter().find(keeps)
            && !takes(Source::Keep)
        {
            found.push(no_place(
                &load.named.name,
                load.template.span,
                drops.span,
                "keep",
                "whether to keep entries",
            ));
        }
    }
}

/// E0402: the barrier that ends an invalidation ends it wherever it acts.
pub fn completion(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let Some(after) = invalidate.after else {
            continue;
        };
        let barrier = &model.barriers[after.value];
        let (name, ends) = (&invalidate.named.name, &barrier.named.name);
        let Some(completes) = barrier.completes else {
            found.push(
                Diagnostic::new(
                    Code::E0402,
                    after.span,
                    format!("`{name}` is done after `{ends}`, which completes nothing"),
                )
                .label("not a completing barrier")
                .because(barrier.named.span, "orders other things")
                .note("the flush would return while entries are still in use")
                .help("name the barrier that waits for invalidations, or add `completes on ...;` to this one"),
            );
            continue;
        };
        let left = invalidate.holders.value.without(completes.value);
        if !left.is_empty() {
            let who: Vec<String> = left.iter().map(|h| Holders::name(h).to_owned()).collect();
            found.push(
                Diagnostic::new(
                    Code::E0402,
                    after.span,
                    format!("`{name}` acts on more holders than `{ends}` waits for"),
                )
                .label("waits for fewer")
                .because(completes.span, "completes here")
                .because(invalidate.holders.span, "acts here")
                .note(format!("nobody waits for {}", listed(&who)))
                .help("name a barrier that completes wherever the instruction acts"),
            );
        }
    }
}

/// E0403: a barrier that completes says that entries are gone and accesses drained.
pub fn promises(model: &Model, found: &mut Vec<Diagnostic>) {
    for barrier in &model.barriers {
        let Some(completes) = barrier.completes else {
            continue;
        };
        let (what, note, help) = match (barrier.gone, barrier.drained) {
            (Some(_), Some(_)) => continue,
            (None, Some(_)) => (
                "that entries are gone",
                "an entry may still be used for a page that has a new owner",
                "add `gone;` if the manual promises it",
            ),
            (Some(_), None) => (
                "that accesses are drained",
                "a store translated before the flush may still land in a page that has a new owner",
                "add `drained;` if the manual promises it",
            ),
            (None, None) => (
                "that entries are gone, nor that accesses are drained",
                "a page would get a new owner while the old one can still reach it",
                "add `gone;` and `drained;` if the manual promises them",
            ),
        };
        found.push(
            Diagnostic::new(
                Code::E0403,
                barrier.named.span,
                format!("`{}` does not promise {what}", barrier.named.name),
            )
            .label("silent on it")
            .because(completes.span, "completes invalidations")
            .note(note)
            .help(help),
        );
    }
}

/// E0404: what drops entries of the loaded tag acts where that tag is loaded.
pub fn loaded_elsewhere(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let loaded = all_drops(invalidate).find(|drops| drops.whose.value.loaded);
        if let (Some(drops), false) = (loaded, Holders::CORE.covers(invalidate.holders.value)) {
            found.push(
                Diagnostic::new(
                    Code::E0404,
                    drops.whose.span,
                    format!("`{}` drops entries of the loaded tag on CPUs that may have another loaded", invalidate.named.name),
                )
                .label("whatever is loaded")
                .because(invalidate.holders.span, "on all of these")
                .note("each CPU runs a space of its own; the one that is flushed need not be loaded there")
                .help("write `this tag` if the instruction compares a tag given to it, or `where self;` if it acts here alone"),
            );
        }
    }
}
