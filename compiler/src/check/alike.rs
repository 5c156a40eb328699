//! Instructions with the same text: they have the same effect.
//!
//! In: the texts, operands, numbers and effects of instructions. Out: E0410. Holds: of two that may be used on one
//! machine, those with the same text and operands have the same effect, and so have forms with the same number; two
//! loads are two instructions, and two operands of one instruction are in two registers. Texts are compared as an
//! assembler reads them: blanks, upper and lower case, and how a number is written make no difference.

use rustc_hash::FxHashMap;

use super::configs::Configs;
use crate::codes::Code;
use crate::describe;
use crate::diagnostic::Diagnostic;
use crate::model::{Barrier, Cond, Form, Invalidate, Load, Model, Template, Value};
use crate::source::Span;

/// An instruction: what the assembler is given, and its stated effect.
struct StatedInstruction<'m> {
    name: &'m str,
    span: Span,
    requires: &'m Cond,
    /// What is shown, and what the assembler is given.
    texts: [Vec<String>; 2],
    effect: Vec<String>,
}

/// Instructions with their positions, by their texts.
type ByText<'s, 'm> = FxHashMap<&'s [String], Vec<(usize, &'s StatedInstruction<'m>)>>;

/// The instructions before one, by the shown text and by the text for the assembler. Of those with the same text, effect
/// and condition the first is kept, because a rule says the same of all of them.
#[derive(Default)]
struct Earlier<'s, 'm> {
    by_text: [ByText<'s, 'm>; 2],
    count: usize,
}

impl<'s, 'm> Earlier<'s, 'm> {
    /// Adds the next instruction.
    fn add(&mut self, it: &'s StatedInstruction<'m>) {
        for (by_text, text) in self.by_text.iter_mut().zip(&it.texts) {
            let same = by_text.entry(text).or_default();
            if same.iter().all(|(_, other)| {
                other.effect != it.effect || other.requires.terms != it.requires.terms
            }) {
                same.push((self.count, it));
            }
        }
        self.count += 1;
    }

    /// Returns the first instruction of another name with one of the texts of `it` for which a condition holds.
    fn find(
        &self,
        it: &StatedInstruction<'m>,
        wanted: impl Fn(&StatedInstruction<'m>) -> bool,
    ) -> Option<&'s StatedInstruction<'m>> {
        let texts = self.by_text.iter().zip(&it.texts);
        let same =
            texts.flat_map(|(by_text, text)| by_text.get(text.as_slice()).into_iter().flatten());
        let mut same: Vec<(usize, &StatedInstruction<'m>)> = same.copied().collect();
        same.sort_unstable_by_key(|(index, _)| *index);
        let mut others = same.into_iter().map(|(_, other)| other);
        others.find(|other| it.name != other.name && wanted(other))
    }
}

/// Checks E0410: two instructions of one text have one effect.
pub fn instructions(model: &Model, found: &mut Vec<Diagnostic>) {
    let barriers = model.barriers.iter().map(|it| of_barrier(model, it));
    let invalidates = model.invalidates.iter().map(|it| of_invalidate(model, it));
    let issued: Vec<StatedInstruction> = barriers.chain(invalidates).collect();
    let always = Cond::default();
    let loads: Vec<StatedInstruction> = (model.loads.iter())
        .map(|it| of_load(model, it, &always))
        .collect();
    same_loads(&loads, found);
    for all in [issued, loads] {
        let mut before = Earlier::default();
        for it in &all {
            let other = before.find(it, |other| {
                it.effect != other.effect && both_on_one_machine(model, it.requires, other.requires)
            });
            found.extend(other.map(|other| alike(it, other)));
            before.add(it);
        }
    }
}

/// Reports two loads that are the same instruction, of which one cannot load what was meant.
fn same_loads(loads: &[StatedInstruction], found: &mut Vec<Diagnostic>) {
    let mut before = Earlier::default();
    for it in loads {
        let other = before.find(it, |other| it.effect == other.effect);
        before.add(it);
        let Some(other) = other else { continue };
        found.push(
            Diagnostic::new(
                Code::E0410,
                it.span,
                format!("`{}` and `{}` are the same load", other.name, it.name),
            )
            .label("the same text and operands")
            .because(other.span, "as here")
            .note("one of them leaves the value of the previous space in place")
            .help("write the instruction that the manual gives for each, or remove one"),
        );
    }
}

fn both_on_one_machine(model: &Model, a: &Cond, b: &Cond) -> bool {
    let configs = Configs::of(model, [a, b]);
    configs
        .iter()
        .any(|config| a.holds(config) && b.holds(config))
}

fn alike(it: &StatedInstruction, other: &StatedInstruction) -> Diagnostic {
    let differs = (it.effect.iter().zip(&other.effect)).find(|(mine, its)| mine != its);
    let mut diagnostic = Diagnostic::new(
        Code::E0410,
        it.span,
        format!(
            "`{}` and `{}` are the same instruction, and differ in effect",
            other.name, it.name
        ),
    )
    .label("the same text and operands")
    .because(other.span, "as here");
    if let Some((mine, its)) = differs {
        diagnostic = diagnostic.note(format!("`{}` {its}; `{}` {mine}", other.name, it.name));
    }
    diagnostic
        .note("the machine does the same for both, so an effect that only one of them states does not happen")
        .help("write the instruction that the manual gives for each, or state the same effect")
}

/// Returns the text with the contents of each operand in place of its name.
fn text(model: &Model, template: &Template, lines: &[String]) -> Vec<String> {
    let operands = template.operands.iter();
    let contents: Vec<(String, String)> = operands
        .map(|&index| {
            let name = format!("{{{}}}", model.operands[index].named.name);
            (name, content(model, index))
        })
        .collect();
    let filled = |line: String| {
        let all = contents.iter();
        all.fold(line, |line, (name, content)| line.replace(name, content))
    };
    // Operands in fixed registers are not named.
    let given = contents.iter().map(|(_, content)| content.clone());
    let lines = lines.iter().filter_map(|line| written(line));
    lines.map(filled).chain(given).collect()
}

/// Returns a line as an assembler reads it; none where it is a directive that emits nothing.
fn written(line: &str) -> Option<String> {
    const DATA: &[&str] = &[".long", ".int", ".4byte", ".inst"];
    const MORE_DATA: &[&str] = &[
        ".byte", ".short", ".2byte", ".hword", ".word", ".quad", ".8byte", ".octa", ".insn",
    ];
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = word.to_lowercase();
    if DATA.contains(&word.as_str()) {
        // The terms of an encoding may be in any order.
        let mut terms: Vec<String> = rest.split('|').map(tokens).collect();
        terms.sort();
        return Some(format!("data {}", terms.join(" | ")));
    }
    let emits = !word.starts_with('.') || MORE_DATA.contains(&word.as_str());
    emits.then(|| tokens(line))
}

/// Returns the words, numbers and signs of a text, with one blank in between.
fn tokens(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        // The name of an operand is one word.
        let named = rest.find('}').filter(|_| first == '{');
        let in_word = |c: char| c.is_alphanumeric() || "_.%".contains(c);
        let word = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let end = named.map_or(word.max(first.len_utf8()), |end| end + 1);
        let (word, after) = rest.split_at(end);
        out.push(
            number(&word.to_lowercase()).map_or_else(|| word.to_lowercase(), |n| n.to_string()),
        );
        rest = after.trim_start();
    }
    out.join(" ")
}

fn number(word: &str) -> Option<u64> {
    let (digits, radix) = if let Some(hex) = word.strip_prefix("0x") {
        (hex, 16)
    } else if let Some(binary) = word.strip_prefix("0b") {
        (binary, 2)
    } else {
        (word, 10)
    };
    u64::from_str_radix(digits, radix).ok()
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

fn of_barrier<'m>(model: &'m Model, it: &'m Barrier) -> StatedInstruction<'m> {
    let role = |what: &str, on: Option<String>| {
        on.map_or(format!("{what} nothing"), |on| format!("{what} {on}"))
    };
    let same = if it.same_cpu { " by the same CPU" } else { "" };
    let completes = it
        .completes
        .map(|at| format!("{}{same}", describe::agents(at.value)));
    StatedInstruction {
        name: &it.named.name,
        span: it.template.span,
        requires: &it.requires,
        texts: [(); 2].map(|()| text(model, &it.template, &it.template.lines)),
        effect: vec![
            "is a barrier".to_owned(),
            role(
                "publishes to",
                it.publishes.map(|at| describe::agents(at.value)),
            ),
            role("completes on", completes),
            role("resyncs", it.resyncs.map(|_| "this CPU".to_owned())),
        ],
    }
}

fn of_invalidate<'m>(model: &'m Model, it: &'m Invalidate) -> StatedInstruction<'m> {
    let lines = it.assembled();
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
    let forms = it.forms.iter().map(|form| drops(model, form));
    let forms: Vec<String> = forms.collect();
    StatedInstruction {
        name: &it.named.name,
        span: it.template.span,
        requires: &it.requires,
        texts: [&it.template.lines, lines].map(|lines| text(model, &it.template, lines)),
        effect: vec![
            "drops entries".to_owned(),
            format!("acts on {reach}"),
            format!("drops {}", forms.join("; ")),
            format!("is finished {done}"),
            writes,
        ],
    }
}

fn of_load<'m>(model: &'m Model, it: &'m Load, always: &'m Cond) -> StatedInstruction<'m> {
    let drops = it.drops.iter().map(|drops| describe::drops(model, drops));
    let drops: Vec<String> = drops.collect();
    StatedInstruction {
        name: &it.named.name,
        span: it.template.span,
        requires: always,
        texts: [(); 2].map(|()| text(model, &it.template, &it.template.lines)),
        effect: vec![format!("drops {}", drops.join("; "))],
    }
}

fn drops(model: &Model, form: &Form) -> String {
    let clauses = form.drops.iter().map(|drops| describe::drops(model, drops));
    let clauses: Vec<String> = clauses.collect();
    let name = form
        .named
        .as_ref()
        .map(|(named, _)| format!("{}: ", named.name));
    let clauses = if clauses.is_empty() {
        "nothing".to_owned()
    } else {
        clauses.join(", ")
    };
    format!("{}{clauses}", name.unwrap_or_default())
}

/// Checks E0410: forms of an instruction have numbers of their own.
pub fn forms(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        for (index, form) in it.forms.iter().enumerate() {
            let Some((named, number)) = &form.named else {
                continue;
            };
            let other = it.forms[..index].iter().find_map(|other| {
                let (first, same) = other.named.as_ref()?;
                let both = both_on_one_machine(model, &form.requires, &other.requires);
                (same == number && both).then_some(first)
            });
            let Some(first) = other else { continue };
            found.push(
                Diagnostic::new(
                    Code::E0410,
                    named.span,
                    format!(
                        "the forms `{}` and `{}` are both {number}",
                        first.name, named.name
                    ),
                )
                .label("again here")
                .because(first.span, "first here")
                .note("the machine does the same for both, so an effect that only one of them states does not happen")
                .help("give each form the number that the manual gives it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    /// However many instructions are alike, each is compared with one.
    #[test]
    fn one_of_many_alike_is_kept() {
        let always = Cond::default();
        let seen = |name, effect: &str| StatedInstruction {
            name,
            span: Span::new(FileId(0), 0..1),
            requires: &always,
            texts: [(); 2].map(|()| vec!["flush".to_owned()]),
            effect: vec![effect.to_owned()],
        };
        let all = ["a", "b", "c", "d"].map(|name| seen(name, "drops all"));
        let other = seen("e", "drops nothing");
        let mut before = Earlier::default();
        all.iter().chain([&other]).for_each(|it| before.add(it));
        let kept = |by_text: &FxHashMap<_, Vec<_>>| by_text.values().map(Vec::len).sum::<usize>();
        assert_eq!(before.by_text.each_ref().map(kept), [2, 2]);
        let found = before.find(&seen("f", "drops one"), |it| it.effect != ["drops all"]);
        assert_eq!(found.map(|it| it.name), Some("e"));
    }
}
