//! Instructions with the same text: they have the same effect.
//!
//! In: the texts, operands, numbers and effects of instructions. Out: E0410. Holds: of two that may be used on one
//! machine, those with the same text have the same effect for the values that the operands of both can have, and forms of an
//! instruction have different numbers; two loads are two instructions. Two operands of one instruction are in two registers:
//! `fixed` checks it. An instruction that drops nothing, which only workarounds issue, may be one that drops something for
//! other values.

use rustc_hash::FxHashMap;

use super::assembled::Assembled;
use super::configs::{Configs, RecordedConfig};
use super::encodings::{Meaning, Use, meaning};
use crate::codes::Code;
use crate::describe;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AddressSelector, At, Barrier, Cond, Drops, Form, Invalidate, LevelSel, Load, Model, Template,
    Value,
};
use crate::source::Span;

/// An instruction with what it does.
#[derive(Clone, Copy)]
enum Stated<'m> {
    Barrier,
    /// One form of an invalidation.
    Invalidate(&'m Invalidate, &'m Form),
    Load,
}

/// An instruction: what the assembler is given, and its stated effect.
struct StatedInstruction<'m> {
    name: &'m str,
    span: Span,
    requires: Cond,
    template: &'m Template,
    /// What is shown, and what the assembler is given.
    texts: [Assembled; 2],
    /// Its operands.
    contents: Vec<String>,
    stated: Stated<'m>,
    /// Its effect in every case.
    effect: Vec<String>,
}

/// The instructions before one, by the shown text and by the text for the assembler. Of those with the same text, operands,
/// effect and condition the first is kept, because a rule says the same of all of them.
#[derive(Default)]
struct Earlier<'s, 'm> {
    by_text: [FxHashMap<&'s [String], Vec<(usize, &'s StatedInstruction<'m>)>>; 2],
    count: usize,
}

impl<'s, 'm> Earlier<'s, 'm> {
    /// Adds the next instruction.
    fn add(&mut self, it: &'s StatedInstruction<'m>) {
        for (by_text, text) in self.by_text.iter_mut().zip(&it.texts) {
            let same = by_text.entry(&text.lines).or_default();
            if same.iter().all(|(_, other)| !it.is_repeated(other)) {
                same.push((self.count, it));
            }
        }
        self.count += 1;
    }

    /// Returns the first instruction of another name with one of the texts of `it`, and no other constants, for which a
    /// condition holds, given the operands that are at the same place.
    fn find(
        &self,
        model: &Model,
        it: &StatedInstruction<'m>,
        wanted: impl Fn(&StatedInstruction<'m>, &[(usize, usize)]) -> bool,
    ) -> Option<&'s StatedInstruction<'m>> {
        let texts = self.by_text.iter().zip(&it.texts).enumerate();
        let same = texts.flat_map(|(text, (by_text, lines))| {
            let same = by_text.get(lines.lines.as_slice()).into_iter().flatten();
            let same = same.filter(move |(_, other)| !lines.is_apart(&other.texts[text]));
            same.map(move |&(index, other)| (index, text, other))
        });
        let mut same: Vec<_> = same.filter(|(.., other)| it.name != other.name).collect();
        same.sort_unstable_by_key(|&(index, text, _)| (index, text));
        let found = same.into_iter().find(|&(_, text, other)| {
            let pairs = it.texts[text].pairs(&other.texts[text], model);
            wanted(other, &pairs)
        });
        found.map(|(.., other)| other)
    }
}

impl StatedInstruction<'_> {
    /// Returns whether a rule says the same of this instruction as of another one.
    fn is_repeated(&self, other: &Self) -> bool {
        self.effect == other.effect
            && self.contents == other.contents
            && self.form() == other.form()
            && self.requires.terms == other.requires.terms
    }

    /// Returns the number of its form.
    fn form(&self) -> Option<u64> {
        match self.stated {
            Stated::Invalidate(_, form) => form.named.as_ref().map(|(_, number)| *number),
            Stated::Barrier | Stated::Load => None,
        }
    }

    /// Returns a use of it, with a level or without.
    fn given(&self, hinted: bool) -> Use<'_> {
        Use {
            template: self.template,
            form: self.form(),
            hinted,
        }
    }

    /// Returns whether it leaves caches and entries as they are.
    fn does_nothing(&self) -> bool {
        match self.stated {
            Stated::Invalidate(it, form) => form.drops.is_empty() && it.writes_entry.is_none(),
            Stated::Barrier | Stated::Load => false,
        }
    }
}

/// Returns barriers and the forms of invalidations.
fn issued(model: &Model) -> Vec<StatedInstruction<'_>> {
    let barriers = model.barriers.iter().map(|it| of_barrier(model, it));
    let invalidates = model.invalidates.iter().flat_map(|it| {
        let forms = it.forms.iter();
        forms.map(move |form| of_invalidate(model, it, form))
    });
    barriers.chain(invalidates).collect()
}

/// Checks E0410: two instructions of the same text and operands have one effect.
pub fn instructions(model: &Model, found: &mut Vec<Diagnostic>) {
    let issued = issued(model);
    let mut before = Earlier::default();
    for it in &issued {
        let other = before.find(model, it, |other, _| {
            let is_same = it.contents == other.contents && it.form() == other.form();
            is_same && differ(model, it, other)
        });
        found.extend(other.map(|other| alike(it, other)));
        before.add(it);
    }
    let loads: Vec<StatedInstruction> = model.loads.iter().map(|it| of_load(model, it)).collect();
    let mut before = Earlier::default();
    for it in &loads {
        let other = before.find(model, it, |other, _| it.contents == other.contents);
        found.extend(other.map(|other| match it.effect == other.effect {
            true => same_load(it, other),
            false => alike(it, other),
        }));
        before.add(it);
    }
}

/// Checks E0410: two instructions of the same text and other operands have one effect for the values that both can be given.
pub fn overlapping(model: &Model, found: &mut Vec<Diagnostic>) {
    let issued = issued(model);
    let mut before = Earlier::default();
    for it in &issued {
        let other = before.find(model, it, |other, pairs| {
            let is_apart =
                it.contents == other.contents || it.does_nothing() || other.does_nothing();
            !is_apart && differ_where_equal(model, (it, other), pairs)
        });
        found.extend(other.map(|other| alike(it, other)));
        before.add(it);
    }
}

/// Returns whether two instructions differ on a machine in what they do.
fn differ(model: &Model, it: &StatedInstruction, other: &StatedInstruction) -> bool {
    let configs = Configs::of(model, conds(model, it).chain(conds(model, other)));
    configs.iter().any(|config| {
        let on_machine = it.requires.holds(config) && other.requires.holds(config);
        let effect = |of, hinted| effect_in(model, of, config, (hinted, false));
        on_machine
            && [false, true]
                .iter()
                .any(|&hinted| effect(it, hinted) != effect(other, hinted))
    })
}

/// Returns whether two instructions of one text can be given the same values on one machine, and then differ in what they do.
fn differ_where_equal(
    model: &Model,
    (it, other): (&StatedInstruction, &StatedInstruction),
    pairs: &[(usize, usize)],
) -> bool {
    let configs = Configs::of(model, conds(model, it).chain(conds(model, other)));
    let cases = [(false, false), (false, true), (true, false), (true, true)];
    configs.iter().any(|config| {
        let on_machine = it.requires.holds(config) && other.requires.holds(config);
        let differ = |&(a, b): &(bool, bool)| {
            let meaning = meaning(model, config, (it.given(a), other.given(b)), pairs);
            meaning.is_some_and(|Meaning { is_same, is_one }| {
                let [one, its_one] = is_one;
                let mine = effect_in(model, it, config, (a, one));
                !is_same || mine != effect_in(model, other, config, (b, its_one))
            })
        };
        on_machine && cases.iter().any(differ)
    })
}

/// Returns the conditions on which depends what an instruction does, and which values it can be given.
fn conds<'m>(model: &'m Model, it: &'m StatedInstruction<'m>) -> impl Iterator<Item = &'m Cond> {
    let operands = it.template.operands.iter();
    let fields = operands.flat_map(|&operand| &model.operands[operand].fields);
    let spaces = [&model.user, &model.kernel].into_iter();
    let addresses = spaces.flat_map(|space| space.addresses.conds());
    let tags = model.tags.iter().map(|tag| &tag.when);
    let views = model.user.views.iter().map(|view| &view.when);
    let of_effect: Vec<&Cond> = match it.stated {
        Stated::Invalidate(of, form) => {
            let after = of.after.iter().flat_map(|after| after.conds());
            let drops = form.drops.iter().map(|drops| &drops.when);
            of.agents.conds().chain(after).chain(drops).collect()
        }
        Stated::Barrier | Stated::Load => Vec::new(),
    };
    let values = fields.map(|field| &field.when).chain(addresses).chain(tags);
    values.chain(views).chain(of_effect).chain([&it.requires])
}

/// Returns what an instruction does on a machine, given a level or not, and where its runs are of one page or not.
fn effect_in(
    model: &Model,
    of: &StatedInstruction,
    config: RecordedConfig<'_>,
    (hinted, is_one): (bool, bool),
) -> Vec<String> {
    let Stated::Invalidate(it, form) = of.stated else {
        return of.effect.clone();
    };
    let resolved = |levels: Option<LevelSel>| match levels {
        Some(LevelSel::Hint | LevelSel::AboveHint) if !hinted => Some(LevelSel::Any),
        levels => levels,
    };
    let drops = form.drops.iter();
    let counted = drops.filter(|drops| drops.when.holds_with(config, hinted, false));
    let mut clauses: Vec<String> = Vec::new();
    for drops in counted {
        let clause = Drops {
            leaf: resolved(drops.leaf),
            walk: resolved(drops.walk),
            negative: resolved(drops.negative),
            which: At {
                value: match &drops.which.value {
                    AddressSelector::Run { .. } if is_one => AddressSelector::OnePage,
                    which => which.clone(),
                },
                span: drops.which.span,
            },
            when: Cond::default(),
            ..drops.clone()
        };
        // One clause for each kind, however they are joined in statements.
        let all = describe::drops(model, &clause);
        let kinds = describe::kinds(model, &clause);
        let (_, entries) = all.split_once(" of ").unwrap_or_default();
        clauses.extend(kinds.iter().map(|kind| format!("{kind} of {entries}")));
    }
    clauses.sort_unstable();
    clauses.dedup();
    let reach = describe::agents(it.reach(config));
    let done = it.done_after(config);
    let done = done.map_or("at once", |barrier| &model.barriers[barrier].named.name);
    let mut effect = of.effect.clone();
    effect[1..4].clone_from_slice(&[reach, clauses.join("; "), done.to_owned()]);
    effect
}

/// Reports two loads that are the same instruction, of which one cannot load what was meant.
fn same_load(it: &StatedInstruction, other: &StatedInstruction) -> Diagnostic {
    Diagnostic::new(
        Code::E0410,
        it.span,
        format!("`{}` and `{}` are the same load", other.name, it.name),
    )
    .label("the same text and operands")
    .because(other.span, "as here")
    .note("one of them leaves the value of the previous space in place")
    .help("write the instruction that the manual gives for each, or remove one")
}

fn alike(it: &StatedInstruction, other: &StatedInstruction) -> Diagnostic {
    let is_same = it.contents == other.contents;
    let differs = (it.effect.iter().zip(&other.effect)).find(|(mine, its)| mine != its);
    let names = format!("`{}` and `{}`", other.name, it.name);
    let (message, label, help) = if is_same {
        (
            format!("{names} are the same instruction, and differ in effect"),
            "the same text and operands",
            "write the instruction that the manual gives for each, or state the same effect",
        )
    } else {
        (
            format!("{names} can be the same instruction, and differ in effect"),
            "the same text, and operands that can have the same values",
            "write the instruction that the manual gives for each, give their operands different constants in one field, or state the same effect",
        )
    };
    let diagnostic = Diagnostic::new(Code::E0410, it.span, message)
        .label(label)
        .because(other.span, "as here");
    let diagnostic = diagnostic.note(match differs {
        Some((mine, its)) => format!("`{}` {its}; `{}` {mine}", other.name, it.name),
        None => "a bit of their operands is of one source here and of another one there, so one value stands for different entries".to_owned(),
    });
    diagnostic
        .note("the machine does the same for both, so an effect that only one of them states does not happen")
        .help(help)
}

fn content(model: &Model, operand: usize) -> String {
    let it = &model.operands[operand];
    let fields = it.fields.iter().map(|field| {
        let value = match field.value {
            Value::LevelAs(table) => {
                let numbers = &model.level_numbers[table];
                let cases = numbers.cases.iter();
                let cases = cases.map(|(level, number, when)| {
                    format!("{level} {number}{}", describe::when(model, when))
                });
                format!("{:?} {:?}", cases.collect::<Vec<_>>(), numbers.otherwise)
            }
            other => format!("{other:?}"),
        };
        let when = describe::when(model, &field.when);
        format!("[{}:{}] {value}{when}", field.high, field.low)
    });
    let fields: Vec<String> = fields.collect();
    format!("<{:?} {}>", it.place, fields.join("; "))
}

/// Makes an instruction from its texts, its condition and its effect.
fn stated_instruction<'m>(
    model: &'m Model,
    (name, template, requires): (&'m str, &'m Template, Cond),
    assembled: &[String],
    stated: Stated<'m>,
    effect: Vec<String>,
) -> StatedInstruction<'m> {
    let lines = [template.lines.as_slice(), assembled];
    let operands = template.operands.iter();
    StatedInstruction {
        name,
        span: template.span,
        requires,
        template,
        texts: lines.map(|lines| Assembled::new(model, template, lines)),
        contents: operands.map(|&operand| content(model, operand)).collect(),
        stated,
        effect,
    }
}

fn of_barrier<'m>(model: &'m Model, it: &'m Barrier) -> StatedInstruction<'m> {
    let role = |what: &str, on: Option<String>| {
        on.map_or(format!("{what} nothing"), |on| format!("{what} {on}"))
    };
    let same = if it.same_cpu { " by the same CPU" } else { "" };
    let completes = it
        .completes
        .map(|at| format!("{}{same}", describe::agents(at.value)));
    let publishes = it.publishes.map(|at| describe::agents(at.value));
    let effect = vec![
        "is a barrier".to_owned(),
        role("publishes to", publishes),
        role("completes on", completes),
        role("resyncs", it.resyncs.map(|_| "this CPU".to_owned())),
    ];
    let head = (it.named.name.as_str(), &it.template, it.requires.clone());
    stated_instruction(model, head, &it.template.lines, Stated::Barrier, effect)
}

fn of_invalidate<'m>(
    model: &'m Model,
    it: &'m Invalidate,
    form: &'m Form,
) -> StatedInstruction<'m> {
    let reach = describe::cases(model, &it.agents, |at| describe::agents(at.value));
    let done = it.after.as_ref().map_or("at once".to_owned(), |after| {
        let barriers = describe::cases(model, after, |at| {
            describe::code(&model.barriers[at.value].named.name)
        });
        format!("after {barriers}")
    });
    let writes = it.writes_entry.as_ref();
    let writes = writes.map_or("writes no entry".to_owned(), |of| {
        describe::writes(model, of)
    });
    let effect = vec![
        "drops entries".to_owned(),
        format!("acts on {reach}"),
        format!("drops {}", drops(model, form)),
        format!("is finished {done}"),
        writes,
    ];
    let requires = it.requires.and(&form.requires);
    let head = (it.named.name.as_str(), &it.template, requires);
    let stated = Stated::Invalidate(it, form);
    stated_instruction(model, head, it.assembled(), stated, effect)
}

fn of_load<'m>(model: &'m Model, it: &'m Load) -> StatedInstruction<'m> {
    let drops = it.drops.iter().map(|drops| describe::drops(model, drops));
    let drops: Vec<String> = drops.collect();
    let effect = vec![format!("drops {}", drops.join("; "))];
    let head = (it.named.name.as_str(), &it.template, Cond::default());
    stated_instruction(model, head, &it.template.lines, Stated::Load, effect)
}

fn drops(model: &Model, form: &Form) -> String {
    if form.drops.is_empty() {
        return "nothing".to_owned();
    }
    let clauses = form.drops.iter().map(|drops| describe::drops(model, drops));
    clauses.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::scaling::with;

    /// However many instructions are alike, each is compared with one.
    #[test]
    fn one_of_many_alike_is_kept() {
        let facts = "per \"m\"; where self; at once;";
        let drops = ["leaf", "leaf", "leaf", "walk"].into_iter().enumerate();
        let model = with(drops.map(|(k, kind)| {
            format!("invalidate same{k} \"flush.same\" {{ drops {kind} of everything, any tag; {facts} }}")
        }));
        let all = model.invalidates.iter();
        let all = all.filter(|it| it.named.name.starts_with("same"));
        let all: Vec<_> = all
            .map(|it| of_invalidate(&model, it, &it.forms[0]))
            .collect();
        let mut before = Earlier::default();
        all.iter().for_each(|it| before.add(it));
        let kept = |by_text: &FxHashMap<_, Vec<_>>| by_text.values().map(Vec::len).sum::<usize>();
        assert_eq!(
            (all.len(), before.by_text.each_ref().map(kept)),
            (4, [2, 2])
        );
        let found = before.find(&model, &all[1], |other, _| other.effect != all[1].effect);
        assert_eq!(found.map(|it| it.name), Some("same3"));
    }
}
