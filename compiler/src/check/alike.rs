//! Instructions with the same text: they have the same effect.
//!
//! In: the texts, operands, numbers and effects of instructions. Out: E0410. Holds: of two that may be used on one
//! machine, those with the same text have the same effect for the values that the operands of both can have, and forms of an
//! instruction have different numbers; two loads are two instructions. Two operands of one instruction are in two registers:
//! `fixed` checks it. An instruction that drops nothing, which only workarounds issue, may be one that drops something for
//! other values.

use rustc_hash::FxHashMap;

use super::assembled::Assembled;
use super::configs::{Configs, both_hold};
use super::encodings::{Meaning, meaning};
use super::stated::{StatedInstruction, conds, effect_in, of_barrier, of_invalidate, of_load};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::Model;

/// Instructions with their positions.
type Positioned<'s, 'm> = Vec<(usize, &'s StatedInstruction<'m>)>;

/// Instructions by their texts.
type ByText<'s, 'm> = FxHashMap<&'s [String], SameText<'s, 'm>>;

/// Instructions of one text, by which bits of their operands are constant, and by these bits: most with other constants need not be
/// looked at.
#[derive(Default)]
struct SameText<'s, 'm> {
    by_known: FxHashMap<Vec<u128>, FxHashMap<Vec<u128>, Positioned<'s, 'm>>>,
}

impl<'s, 'm> SameText<'s, 'm> {
    /// Returns those that have the same constants as a text.
    fn alike(&mut self, text: &Assembled) -> &mut Positioned<'s, 'm> {
        let [known, value] = text.constants();
        let of_bits = self.by_known.entry(known).or_default();
        of_bits.entry(value).or_default()
    }

    /// Returns those that may have the same constants as one of the texts of an instruction.
    fn not_apart(&self, text: usize, of: &Assembled) -> Positioned<'s, 'm> {
        let [known, value] = of.constants();
        let of_bits = self.by_known.iter().map(|(bits, by_value)| {
            let alike = by_value.get(&value).filter(|_| *bits == known);
            let others = (*bits != known).then_some(by_value.values());
            alike.into_iter().chain(others.into_iter().flatten())
        });
        let all = of_bits.flatten().flatten().copied();
        all.filter(|(_, other)| !of.is_apart(&other.texts[text]))
            .collect()
    }
}

/// The instructions before one, by the shown text and by the text for the assembler. Of those with the same text, operands,
/// effect and condition the first is kept, because a rule says the same of all of them.
#[derive(Default)]
struct Earlier<'s, 'm> {
    by_text: [ByText<'s, 'm>; 2],
    count: usize,
}

impl<'s, 'm> Earlier<'s, 'm> {
    /// Adds the next instruction.
    fn add(&mut self, it: &'s StatedInstruction<'m>) {
        for (by_text, text) in self.by_text.iter_mut().zip(&it.texts) {
            let same = by_text.entry(&text.lines).or_default().alike(text);
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
            let same = by_text.get(lines.lines.as_slice());
            let same = same.map(|same| same.not_apart(text, lines));
            let same = same.into_iter().flatten();
            same.map(move |(index, other)| (index, text, other))
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
        let other = before.find(model, it, |other, _| {
            let on_machine = both_hold(model, &it.requires, &other.requires).is_some();
            on_machine && it.contents == other.contents
        });
        found.extend(other.map(|other| {
            if it.effect == other.effect {
                same_load(it, other)
            } else {
                alike(it, other)
            }
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
        for it in &all {
            before.add(it);
        }
        let kept = |by_text: &ByText| {
            let same = by_text.values().flat_map(|same| same.by_known.values());
            let same = same.flat_map(FxHashMap::values);
            same.map(Vec::len).sum::<usize>()
        };
        assert_eq!(
            (all.len(), before.by_text.each_ref().map(kept)),
            (4, [2, 2])
        );
        let found = before.find(&model, &all[1], |other, _| other.effect != all[1].effect);
        assert_eq!(found.map(|it| it.name), Some("same3"));
    }

    /// Of instructions of one text, those are compared whose constants agree, also where some bits are constant in one alone.
    #[test]
    fn constants_that_disagree_are_not_compared() {
        let operands = [
            "[63:8] 0; [7:0] 1",
            "[63:8] 0; [7:0] 2",
            "[63:8] va[63:8]; [7:0] 2",
        ];
        let operands = operands.into_iter().enumerate();
        let model = with(operands.map(|(k, fields)| {
            format!(
                "operand o{k} 64 bits {{ {fields}; }}
                 invalidate same{k} \"flush {{o{k}}}\" {{
                    drops leaf of everything, any tag; per \"m\"; where self; at once;
                 }}"
            )
        }));
        let all = model.invalidates.iter();
        let all = all.filter(|it| it.named.name.starts_with("same"));
        let all: Vec<_> = all
            .map(|it| of_invalidate(&model, it, &it.forms[0]))
            .collect();
        let mut before = Earlier::default();
        for it in &all {
            before.add(it);
        }
        let found = |it| before.find(&model, it, |_, _| true).map(|other| other.name);
        let each: Vec<_> = all.iter().map(found).collect();
        assert_eq!(each, [None, Some("same2"), Some("same1")]);
    }
}
