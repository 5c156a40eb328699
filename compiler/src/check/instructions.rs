//! Instructions: fields for what they need, and barriers that complete them.
//!
//! In: invalidations, loads and barriers. Out: E0306, E0402, E0403, E0404, E0412. Holds: the operands of an
//! instruction can name what it drops, and its barrier makes this gone and drained wherever the
//! instruction acts.

use tlbc_runtime::agents::Agents;

use super::configs::Configs;
use super::{all_drops, compares_tag, field_of, hinted, run_end_of};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{AddressSelector, Drops, Invalidate, Model, Source, Var};
use crate::source::Span;
use crate::text::list;

/// Checks E0306: an invalidation has a field for the address, the tag, the count, the hint and the form.
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
            if !matches!(
                which.value,
                AddressSelector::Everything | AddressSelector::OneSet
            ) {
                lacks(Source::Va, "va", which.span, "the address");
            }
            if compares_tag(drops) {
                lacks(Source::Tag, "tag", drops.whose.span, "the tag");
            }
            let ends = run_end_of(model, operands).is_some();
            if matches!(which.value, AddressSelector::Run { .. }) && !ends {
                lacks(Source::Num, "num", which.span, "the count");
            }
            if which.value == AddressSelector::OneSet && counted_sets(model, drops) {
                lacks(Source::Set, "set", which.span, "the set");
            }
            if drops.whose.value.table {
                lacks(Source::Table, "table", drops.whose.span, "the table");
            }
            if hinted(drops) {
                lacks(Source::Hint, "hint", drops.span, "the level");
            }
        }
        let forms = invalidate.forms.iter();
        for (form, _) in forms.filter_map(|form| form.named.as_ref()) {
            lacks(Source::Form, "form", form.span, "the form");
        }
        let counting = |&operand: &usize| model.operands[operand].names.is_some();
        let run =
            all_drops(invalidate).find(|d| matches!(d.which.value, AddressSelector::Run { .. }));
        let num = field_of(model, operands, Source::Num).or_else(|| run_end_of(model, operands));
        if let (Some(run), Some(num), false) = (run, num, operands.iter().any(counting)) {
            found.push(
                Diagnostic::new(
                    Code::E0306,
                    num.span,
                    format!(
                        "`{}` drops a run, and its operands do not say what `num` counts",
                        invalidate.named.name
                    ),
                )
                .label("counts pages or entries?")
                .because(run.which.span, "a run")
                .help("add, for instance, `names num + 1 pages;` to the operand, or `names any entries;`"),
            );
        }
    }
}

/// Returns whether a clause drops entries of a cache with more than one set.
fn counted_sets(model: &Model, drops: &Drops) -> bool {
    let sets = model
        .caches_of(drops)
        .filter_map(|cache| cache.sets.as_ref());
    let mut counts = sets.flat_map(|sets| &sets.cases);
    counts.any(|(count, _)| count.range(&model.limits).1 > 1)
}

/// Checks E0207: a function of the platform has the same operands and answers in all calls.
pub fn calls(model: &Model, found: &mut Vec<Diagnostic>) {
    let calls: Vec<_> = (model.invalidates.iter())
        .filter_map(|it| Some((it, it.call.as_ref()?)))
        .collect();
    for (index, (it, call)) in calls.iter().enumerate() {
        let mut before = calls[..index].iter();
        let alike = |other: &Invalidate| {
            let widths = |it: &Invalidate| -> Vec<u64> {
                let operands = it.template.operands.iter();
                operands.map(|&o| model.operands[o].bits.value).collect()
            };
            widths(it) == widths(other) && it.retry_while_busy == other.retry_while_busy
        };
        let other = before.find(|(other, first)| first.value == call.value && !alike(other));
        let Some((_, first)) = other else { continue };
        found.push(
            Diagnostic::new(
                Code::E0207,
                call.span,
                format!("`{}` is called with other operands than before", call.value),
            )
            .label("here")
            .because(first.span, "called first here")
            .note("the platform provides one function of that name, with the same operands and the same `retry while busy`")
            .help("give both calls the same operands, or two names"),
        );
    }
}

fn no_place(name: &str, template: Span, because: Span, word: &str, what: &str) -> Diagnostic {
    Diagnostic::new(
        Code::E0306,
        template,
        format!("`{name}` has no operand for {what}"),
    )
    .label(format!("no operand here has a field with `{word}`"))
    .because(because, format!("needs `{word}`"))
    .help(format!(
        "give it an operand with a field for `{word}`, or correct what it drops"
    ))
}

/// Checks E0306: a load loads a root or a tag, and has a field for `keep` if it can keep entries.
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
                .note("the CPU would stay in the space that it has")
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

/// Checks E0402: the barrier after an invalidation completes it wherever it acts.
pub fn completion(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let Some(cases) = &invalidate.after else {
            continue;
        };
        let name = &invalidate.named.name;
        let nothing = cases.cases.iter().find_map(|(after, _)| {
            let barrier = &model.barriers[after.value];
            barrier.completes.is_none().then_some((after, barrier))
        });
        if let Some((after, barrier)) = nothing {
            let ends = &barrier.named.name;
            found.push(
                Diagnostic::new(
                    Code::E0402,
                    after.span,
                    format!("`{name}` is finished after `{ends}`, which completes nothing"),
                )
                .label("not a completing barrier")
                .because(barrier.named.span, "does not say `completes on`")
                .note("the flush would return while entries are still in use")
                .help("name the barrier that waits for invalidations, or add `completes on ...;` to this one"),
            );
            continue;
        }
        let conds = cases.conds().chain(invalidate.agents.conds());
        let configs = Configs::of(model, conds.chain([&invalidate.requires]));
        let mut used = configs.iter().filter(|&c| invalidate.requires.holds(c));
        let short = used.find_map(|config| {
            let (after, acts) = (cases.get(config)?, invalidate.agents.get(config)?);
            let barrier = &model.barriers[after.value];
            let left = acts.value.without(barrier.completes?.value);
            (!left.is_empty()).then_some((after, acts, barrier, left))
        });
        if let Some((after, acts, barrier, left)) = short {
            let ends = &barrier.named.name;
            let completes = barrier.completes.map_or(barrier.span, |at| at.span);
            let agents: Vec<String> = left.iter().map(|h| Agents::name(h).to_owned()).collect();
            found.push(
                Diagnostic::new(
                    Code::E0402,
                    after.span,
                    format!("`{name}` acts on more agents than `{ends}` waits for"),
                )
                .label("waits for fewer")
                .because(completes, "completes here")
                .because(acts.span, "acts here")
                .note(format!("no barrier waits for {}", list(&agents, "and")))
                .help("name a barrier that completes wherever the instruction acts"),
            );
        }
    }
}

/// Checks E0402: the barrier that a `resync` names resyncs.
pub fn resyncs(model: &Model, found: &mut Vec<Diagnostic>) {
    for (at, _) in model.resyncs().flat_map(|(_, resync)| resync.barriers()) {
        let barrier = &model.barriers[at.value];
        if barrier.resyncs.is_some() {
            continue;
        }
        let name = &barrier.named.name;
        found.push(
            Diagnostic::new(Code::E0402, at.span, format!("`{name}` does not resync"))
                .label("not a barrier that resyncs")
                .because(barrier.named.span, "does not say `resyncs on self`")
                .note("this CPU would continue with what it fetched through the old tables")
                .help("name the barrier that resyncs, add `resyncs on self;` to this one if the manual says so, or write `resync nothing`"),
        );
    }
}

/// Checks E0403: a barrier that completes makes entries gone and accesses drained.
pub fn promises(model: &Model, found: &mut Vec<Diagnostic>) {
    for barrier in &model.barriers {
        let Some(completes) = barrier.completes else {
            continue;
        };
        let (what, note, help) = match (barrier.gone, barrier.drained) {
            (Some(_), Some(_)) => continue,
            (None, Some(_)) => (
                "`gone`",
                "an entry may still be used for a page that has a new owner",
                "add `gone;` if the manual says so",
            ),
            (Some(_), None) => (
                "`drained`",
                "a store that was translated before the flush may still reach a page that has a new owner",
                "add `drained;` if the manual says so",
            ),
            (None, None) => (
                "`gone` or `drained`",
                "a page would get a new owner while the old one can still reach it",
                "add `gone;` and `drained;` if the manual says so",
            ),
        };
        found.push(
            Diagnostic::new(
                Code::E0403,
                barrier.named.span,
                format!(
                    "`{}` completes, and does not say {what}",
                    barrier.named.name
                ),
            )
            .label("not stated here")
            .because(completes.span, "completes invalidations")
            .note(note)
            .help(help),
        );
    }
}

/// Checks E0412: what acts on CPUs that it is given is a call, is finished when it returns, and writes no entry.
pub fn given_cpus(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        let Some(given) = it.given() else { continue };
        let name = &it.named.name;
        let mut report =
            |because: Option<(Span, &str)>, message: String, note: &str, help: &str| {
                let found_here =
                    Diagnostic::new(Code::E0412, given, message).label("CPUs that are given");
                let found_here = match because {
                    Some((span, label)) => found_here.because(span, label),
                    None => found_here,
                };
                found.push(found_here.note(note).help(help));
            };
        if it.call.is_none() {
            report(
                Some((it.template.span, "an instruction")),
                format!("the instruction `{name}` cannot be given CPUs"),
                "no operand has a set of CPUs, and an instruction cannot say which CPUs it did not reach",
                "`call` a function of the platform in place of the text",
            );
        }
        let after = it.after.as_ref().and_then(|cases| cases.cases.first());
        if let Some((after, _)) = after {
            report(
                Some((after.span, "finished later")),
                format!("`{name}` is given CPUs, and is not finished when it returns"),
                "the barrier would be issued when it is known no more which CPUs were reached",
                "state `at once`, and let the function return when the entries are gone on the CPUs that it reaches",
            );
        }
        if let Some(writes) = &it.writes_entry {
            report(
                Some((writes.span, "writes entries")),
                format!("`{name}` is given CPUs, and writes entries"),
                "an entry is changed once, for all CPUs",
                "use another instruction to change entries",
            );
        }
    }
}

/// Checks E0404: an instruction on the loaded tag acts where that tag is loaded.
pub fn loaded_elsewhere(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let loaded = all_drops(invalidate).find(|drops| drops.whose.value.loaded);
        let mut cases = invalidate.agents.cases.iter();
        let wide = cases.any(|(at, _)| !Agents::CORE.covers(at.value));
        if let (Some(drops), true) = (loaded, wide) {
            found.push(
                Diagnostic::new(
                    Code::E0404,
                    drops.whose.span,
                    format!("`{}` drops entries of the loaded tag on CPUs that may have another tag loaded", invalidate.named.name),
                )
                .label("the tag that is loaded there")
                .because(invalidate.agents.span, "on all of these")
                .note("each CPU runs a space of its own, which need not be the one that is flushed")
                .help("write `this tag` if the instruction compares a tag given to it, or `where self;` if it acts here alone"),
            );
        }
    }
}
