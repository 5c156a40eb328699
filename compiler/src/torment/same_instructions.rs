//! Which instructions of the hardware have the text of a planned one.
//!
//! In: the definition of the hardware, and the planned one. Out: [`SameInstructions`]. Holds: operands are at the same
//! places and of the same kinds; their names may differ. Nothing depends on the machine, so an instruction is compared once
//! for all machines.

use std::cell::OnceCell;

use crate::model::{Invalidate, Model, Template};

/// The instructions of the hardware with the text of each planned instruction, by its index.
pub struct SameInstructions<'m> {
    hardware: &'m Model,
    /// The definition whose plans run.
    pub planned: &'m Model,
    barriers: Vec<OnceCell<Vec<usize>>>,
    invalidates: Vec<OnceCell<Vec<usize>>>,
    loads: Vec<OnceCell<Vec<usize>>>,
}

impl<'m> SameInstructions<'m> {
    /// Creates the table of two definitions. An instruction is compared when it is first issued.
    pub fn new(hardware: &'m Model, planned: &'m Model) -> Self {
        Self {
            hardware,
            planned,
            barriers: vec![OnceCell::new(); planned.barriers.len()],
            invalidates: vec![OnceCell::new(); planned.invalidates.len()],
            loads: vec![OnceCell::new(); planned.loads.len()],
        }
    }

    /// Returns the barriers with the text of a planned one.
    pub fn barriers(&self, barrier: usize) -> &[usize] {
        self.barriers[barrier].get_or_init(|| {
            let lines = &self.planned.barriers[barrier].template.lines;
            indices(&self.hardware.barriers, |it| it.template.lines == *lines)
        })
    }

    /// Returns the invalidations with the text of a planned one, and the name of its call.
    pub fn invalidates(&self, invalidate: usize) -> &[usize] {
        self.invalidates[invalidate].get_or_init(|| {
            let planned = &self.planned.invalidates[invalidate];
            let call = |it: &Invalidate| it.call.as_ref().map(|at| at.value.clone());
            indices(&self.hardware.invalidates, |it| {
                call(it) == call(planned) && self.is_same(&it.template, &planned.template)
            })
        })
    }

    /// Returns the loads with the text of a planned one.
    pub fn loads(&self, load: usize) -> &[usize] {
        self.loads[load].get_or_init(|| {
            let planned = &self.planned.loads[load].template;
            indices(&self.hardware.loads, |it| {
                self.is_same(&it.template, planned)
            })
        })
    }

    fn is_same(&self, it: &Template, planned: &Template) -> bool {
        has_same_text((self.hardware, it), (self.planned, planned))
    }
}

/// Returns the indices of some elements.
fn indices<T>(all: &[T], are: impl Fn(&T) -> bool) -> Vec<usize> {
    let some = all.iter().enumerate().filter(|(_, it)| are(it));
    some.map(|(index, _)| index).collect()
}

/// Returns whether two instructions have the same text, with operands of the same kinds at the same places. Their names may
/// differ.
fn has_same_text<'m>(
    (model, it): (&'m Model, &Template),
    (planned, other): (&'m Model, &Template),
) -> bool {
    let place = |model: &'m Model, operand: usize| &model.operands[operand].place;
    it.lines.len() == other.lines.len()
        && it.operands.len() == other.operands.len()
        && { it.operands.iter().zip(&other.operands) }
            .all(|(&operand, &with)| place(model, operand) == place(planned, with))
        && { it.lines.iter().zip(&other.lines) }
            .all(|(line, with)| parts(model, it, line).eq(parts(planned, other, with)))
}

/// A part of a line: its text, or the position of an operand.
#[derive(PartialEq)]
enum TextPart<'t> {
    Text(&'t str),
    Operand(usize),
}

/// Returns the parts of a line of an instruction.
fn parts<'t>(
    model: &'t Model,
    template: &'t Template,
    line: &'t str,
) -> impl Iterator<Item = TextPart<'t>> {
    line.split(['{', '}']).enumerate().map(|(nth, text)| {
        let mut operands = template.operands.iter();
        let is = |operand: &usize| nth % 2 == 1 && model.operands[*operand].named.name == text;
        let position = operands.position(is);
        position.map_or(TextPart::Text(text), TextPart::Operand)
    })
}
