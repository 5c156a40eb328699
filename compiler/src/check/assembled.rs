//! Texts of instructions as an assembler reads them.
//!
//! In: the lines of a text, and the operands of the instruction. Out: the text without the names of operands, and the operands
//! in the order in which it takes them. Holds: blanks, upper and lower case, how a number is written, the order of the terms
//! of an encoding and directives that emit nothing make no difference.

use crate::model::{Model, OperandPlace, Template};

use super::fixed::is_same;
use super::intervals::FixedBits;

/// The place of an operand in a text.
const PLACE: &str = "{}";

/// A text without the names of its operands.
pub struct Assembled {
    pub lines: Vec<String>,
    /// The operands that it names, once for each time.
    named: Vec<usize>,
    /// The bits of these that are constant.
    constants: Vec<FixedBits>,
    /// The operands that it does not name.
    others: Vec<usize>,
}

impl Assembled {
    /// Reads the lines of an instruction.
    pub fn new(model: &Model, template: &Template, lines: &[String]) -> Self {
        let operand = |name: &str| {
            let mut operands = template.operands.iter().copied();
            operands.find(|&operand| model.operands[operand].named.name == name)
        };
        let mut named = Vec::new();
        let lines = lines.iter().filter_map(|line| {
            let line = written(line, &operand)?;
            named.extend(line.operands);
            Some(line.text)
        });
        let lines: Vec<String> = lines.collect();
        let others = template.operands.iter().copied();
        let others = others.filter(|operand| !named.contains(operand)).collect();
        let constants = named.iter();
        let constants = constants.map(|&operand| FixedBits::constant_in(&model.operands[operand]));
        let constants = constants.collect();
        Self {
            lines,
            named,
            constants,
            others,
        }
    }

    /// Returns which bits of the operands that it names are constant, and these bits.
    pub fn constants(&self) -> [Vec<u128>; 2] {
        let bits = |of: fn(&FixedBits) -> u128| self.constants.iter().map(of).collect();
        [bits(|it| it.known), bits(|it| it.value)]
    }

    /// Returns whether constants keep operands of two instructions of the same text apart.
    pub fn is_apart(&self, other: &Self) -> bool {
        let mut pairs = self.constants.iter().zip(&other.constants);
        pairs.any(|(a, b)| !a.agree(*b))
    }

    /// Returns the operands of two instructions of the same text that are at the same place, or in the same register. What
    /// only one of them is given may be there for the other as well.
    pub fn pairs(&self, other: &Self, model: &Model) -> Vec<(usize, usize)> {
        let place = |operand: usize| &model.operands[operand].place;
        let target = &model.target_arch.value;
        let is_together = |a: usize, b: usize| match (place(a), place(b)) {
            (OperandPlace::Fixed(a), OperandPlace::Fixed(b)) => is_same(target, a, b),
            (OperandPlace::Fixed(_), _) | (_, OperandPlace::Fixed(_)) => false,
            _ => true,
        };
        let named = self.named.iter().copied().zip(other.named.iter().copied());
        let mut left = other.others.clone();
        let others = self.others.iter().filter_map(|&a| {
            let same = left.iter().position(|&b| is_together(a, b))?;
            Some((a, left.remove(same)))
        });
        named.chain(others).collect()
    }
}

/// A part of a text: without the names of operands, and these operands.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct LinePart {
    text: String,
    operands: Vec<usize>,
}

/// Returns a line as an assembler reads it; none where it is a directive that emits nothing.
fn written(line: &str, operand: &impl Fn(&str) -> Option<usize>) -> Option<LinePart> {
    const DATA: &[&str] = &[".long", ".int", ".4byte", ".inst"];
    const MORE_DATA: &[&str] = &[
        ".byte", ".short", ".2byte", ".hword", ".word", ".quad", ".8byte", ".octa", ".insn",
    ];
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = word.to_lowercase();
    if DATA.contains(&word.as_str()) {
        // The terms of an encoding may be in any order.
        let terms = rest.split('|').map(|term| part(term, operand));
        let mut terms: Vec<LinePart> = terms.collect();
        terms.sort();
        let texts: Vec<&str> = terms.iter().map(|term| term.text.as_str()).collect();
        let text = format!("data {}", texts.join(" | "));
        let operands = terms.into_iter().flat_map(|term| term.operands).collect();
        return Some(LinePart { text, operands });
    }
    let emits = !word.starts_with('.') || MORE_DATA.contains(&word.as_str());
    emits.then(|| part(line, operand))
}

/// Returns the words, numbers and signs of a text, with one blank in between.
fn part(text: &str, operand: &impl Fn(&str) -> Option<usize>) -> LinePart {
    let mut words: Vec<String> = Vec::new();
    let mut operands = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_brace = rest.starts_with("{{") || rest.starts_with("}}");
        let name = rest.strip_prefix('{').filter(|_| !is_brace);
        let name = name.and_then(|name| Some(name.split_once('}')?.0));
        let in_word = |c: char| c.is_alphanumeric() || "_.%".contains(c);
        let word = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let end = name.map_or(word.max(first.len_utf8()), |name| name.len() + 2);
        let (word, after) = rest.split_at(end);
        let word = word.to_lowercase();
        rest = after.trim_start();
        if let Some(operand) = name.and_then(operand) {
            operands.push(operand);
            words.push(PLACE.to_owned());
        } else {
            words.push(number(&word).map_or(word, |n| n.to_string()));
        }
    }
    LinePart {
        text: words.join(" "),
        operands,
    }
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
