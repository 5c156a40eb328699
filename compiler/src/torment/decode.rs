//! What the hardware makes of an instruction: its text and the bits of its operands.
//!
//! In: an instruction of a plan, and the definition of the hardware. Out: the instruction of that definition with the
//! sources of its operands, or why the hardware does not have it. Holds: nothing is taken from the definition that was
//! planned except the text and the bits, so an operand that is encoded wrongly names something else here.

use tlbc_runtime::level::{Level, Levels};

use super::same_instructions::SameInstructions;
use crate::model::{Config, Field, Form, Model, Operand, Source, Template, Value, Which};
use crate::trace::encode::hint;
use crate::trace::interpret::Op;

/// Bits of a source, as far as operands contain them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceBits {
    pub known: u64,
    pub value: u64,
}

impl SourceBits {
    /// Returns the value, with the unknown bits of `other`.
    pub fn or_of(self, other: u64) -> u64 {
        self.value | other & !self.known
    }

    /// Returns whether a value agrees with the known bits.
    pub fn agree(self, value: u64) -> bool {
        value & self.known == self.value
    }
}

/// The sources of the operands of an instruction; `None` for those that no operand contains.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decoded {
    pub tag: Option<SourceBits>,
    pub va: Option<SourceBits>,
    pub end: Option<SourceBits>,
    pub bytes: Option<u64>,
    pub num: u64,
    pub scale: u64,
    pub set: Option<u64>,
    pub form: Option<u64>,
    pub hint: Option<Level>,
    /// The levels of which an operand contains the number.
    pub levels: Option<Levels>,
    /// The operand with the count of a run, by index.
    pub counts: Option<usize>,
    /// The root, where it is not the tag.
    pub root: Option<SourceBits>,
    /// Whether a load keeps the entries of the tag.
    pub keep: bool,
}

/// An instruction of the hardware.
#[derive(Debug, Clone, Copy)]
pub enum Act<'m> {
    Barrier(usize),
    Invalidate {
        index: usize,
        form: &'m Form,
        with: Decoded,
    },
    /// A register is loaded.
    Load {
        index: usize,
        with: Decoded,
    },
}

/// A definition of hardware in one configuration.
#[derive(Clone, Copy)]
pub struct Hardware<'m> {
    pub model: &'m Model,
    pub config: Config,
    /// The limits of the machine, by index.
    pub limits: &'m [u64],
}

impl<'m> Hardware<'m> {
    /// Returns the instruction of this hardware that an instruction of a plan is.
    ///
    /// # Errors
    /// Why this hardware does not have it.
    pub fn decode(
        &self,
        same_instructions: &SameInstructions<'_>,
        op: &Op,
    ) -> Result<Act<'m>, String> {
        match op.which {
            Which::Barrier(index) => self.barrier(same_instructions, index),
            Which::Invalidate(index) => self.invalidate(same_instructions, index, op),
            Which::Load(index) => self.loaded(same_instructions, index, op),
            Which::Store => Err("a flush stores nothing".to_owned()),
        }
    }

    fn loaded(
        &self,
        same_instructions: &SameInstructions<'_>,
        load: usize,
        op: &Op,
    ) -> Result<Act<'m>, String> {
        let found = same_instructions.loads(load).iter().find_map(|&index| {
            let it = &self.model.loads[index];
            let is_there = it.requires.holds(self.config);
            let with = is_there
                .then(|| self.operands(&it.template, op))
                .flatten()?;
            Some(Act::Load { index, with })
        });
        let planned = same_instructions.planned;
        let text = || text(planned, &planned.loads[load].template);
        found.ok_or_else(|| format!("the hardware has no load `{}`", text()))
    }

    fn barrier(
        &self,
        same_instructions: &SameInstructions<'_>,
        barrier: usize,
    ) -> Result<Act<'m>, String> {
        let mut all = same_instructions.barriers(barrier).iter();
        let found = all.find(|&&index| self.model.barriers[index].requires.holds(self.config));
        let text = || {
            same_instructions.planned.barriers[barrier]
                .template
                .lines
                .join("; ")
        };
        found
            .map(|&index| Act::Barrier(index))
            .ok_or_else(|| format!("the hardware has no barrier `{}`", text()))
    }

    fn invalidate(
        &self,
        same_instructions: &SameInstructions<'_>,
        invalidate: usize,
        op: &Op,
    ) -> Result<Act<'m>, String> {
        let mut reason = None;
        let mut found = None;
        for &index in same_instructions.invalidates(invalidate) {
            let it = &self.model.invalidates[index];
            if !it.requires.holds(self.config) {
                reason = Some(format!("`{}` is not on this machine", it.named.name));
                continue;
            }
            let Some(with) = self.operands(&it.template, op) else {
                reason = Some(format!("no `{}` has these operands", it.named.name));
                continue;
            };
            let is = |form: &&Form| match (&form.named, with.form) {
                (Some((_, number)), Some(value)) => *number == value,
                (named, _) => named.is_none(),
            };
            match it.forms.iter().find(is) {
                Some(form) if form.requires.holds(self.config) => {
                    let fixed = self.fixed_bits(&it.template);
                    // Several with these bits have one effect, except that one of them may drop nothing (E0410). That is the
                    // workaround whose operands are fixed, and it has the weaker effect.
                    if found.is_none_or(|(most, _)| fixed > most) {
                        found = Some((fixed, Act::Invalidate { index, form, with }));
                    }
                }
                _ => reason = Some(format!("no form of `{}` has this number", it.named.name)),
            }
        }
        let act = found.map(|(_, act)| act);
        let planned = same_instructions.planned;
        let text = || text(planned, &planned.invalidates[invalidate].template);
        let unknown = || format!("the hardware has no instruction `{}`", text());
        act.ok_or_else(|| reason.unwrap_or_else(unknown))
    }

    /// Decodes the operands of a load. Returns none if no load of this hardware has such operands.
    #[cfg(feature = "torment")]
    pub fn load(&self, load: usize, op: &Op) -> Option<Decoded> {
        self.operands(&self.model.loads[load].template, op)
    }

    /// Returns how many bits of operands are constant.
    fn fixed_bits(&self, template: &Template) -> u32 {
        let operands = template.operands.iter();
        let fields = operands.flat_map(|&operand| &self.model.operands[operand].fields);
        let fixed = fields.filter(|field| matches!(field.value, Value::Const(_)));
        fixed.map(Field::width).sum()
    }

    /// Decodes operands, by their position. An instruction with a hint may have other fields than one without.
    fn operands(&self, template: &Template, op: &Op) -> Option<Decoded> {
        if template.operands.len() != op.operands.len() {
            return None;
        }
        [true, false].into_iter().find_map(|hinted| {
            let mut with = Decoded::default();
            for (&operand, &(_, bits)) in template.operands.iter().zip(&op.operands) {
                let it = &self.model.operands[operand];
                self.operand(it, bits, hinted, &mut with)?;
                if it.names.is_some() {
                    with.counts = Some(operand);
                }
            }
            (with.hint.is_some() == hinted).then_some(with)
        })
    }

    fn operand(
        &self,
        operand: &Operand,
        bits: u128,
        hinted: bool,
        with: &mut Decoded,
    ) -> Option<()> {
        let mut rest = bits;
        for field in &operand.fields {
            if !field.when.holds_with(self.config, hinted, false) {
                continue;
            }
            let mask = if field.width() >= 64 {
                u64::MAX
            } else {
                (1 << field.width()) - 1
            };
            let value = (bits >> field.low) as u64 & mask;
            rest &= !(u128::from(mask) << field.low);
            self.field(field, value, mask, with)?;
        }
        (rest == 0).then_some(())
    }

    /// Adds the value of a field. Returns `None` if the field cannot have it.
    fn field(&self, field: &Field, value: u64, mask: u64, with: &mut Decoded) -> Option<()> {
        let geometry = &self.model.geometries[self.config.geometry];
        let (source, bits) = match field.value {
            Value::Const(wanted) => return (wanted & mask == value).then_some(()),
            Value::LevelAs(numbers) => {
                let numbers = &self.model.level_numbers[numbers];
                let there = (0..self.model.levels.len())
                    .filter(|&level| geometry.levels[level].is_some())
                    .filter(|&level| {
                        numbers.get(level, self.config).map(|number| number & mask) == Some(value)
                    })
                    .fold(Levels::NONE, |all, level| {
                        all.union(Levels::only(Level(level as u8)))
                    });
                with.levels = Some(there);
                return (!there.is_empty()).then_some(());
            }
            Value::Source(source) => (source, SourceBits { known: mask, value }),
            Value::PageNumber(source) => {
                let known = mask << geometry.page_shift;
                let value = value << geometry.page_shift;
                (source, SourceBits { known, value })
            }
            Value::Slice(source, high, low) => {
                let wide = 2u64.checked_shl(high - low).map_or(u64::MAX, |bit| bit - 1) & mask;
                let (known, value) = (wide << low, (value & wide) << low);
                (source, SourceBits { known, value })
            }
        };
        let merged = |to: &mut Option<SourceBits>| {
            let before = to.unwrap_or_default();
            let agree = (before.value ^ bits.value) & before.known & bits.known == 0;
            *to = Some(SourceBits {
                known: before.known | bits.known,
                value: before.value | bits.value,
            });
            agree.then_some(())
        };
        match source {
            Source::Tag => return merged(&mut with.tag),
            Source::Root => {
                merged(&mut with.root)?;
                let is_tag = self
                    .model
                    .tags(self.config)
                    .any(|tag| tag.is_root.is_some());
                if is_tag {
                    return merged(&mut with.tag);
                }
            }
            Source::Keep => with.keep = value != 0,
            Source::Va => return merged(&mut with.va),
            Source::End => return merged(&mut with.end),
            Source::Bytes => with.bytes = Some(bits.value),
            Source::Num => with.num = bits.value,
            Source::Scale => with.scale = bits.value,
            Source::Set => with.set = Some(bits.value),
            Source::Form => with.form = Some(bits.value),
            Source::Granule => {
                let expected = geometry.granule.map_or(0, |at| at.value) & mask;
                return (expected == value).then_some(());
            }
            Source::Hint => {
                let levels = (0..self.model.levels.len()).map(|level| Level(level as u8));
                let number = |level| hint(self.model, self.config, level);
                with.hint = { levels }
                    .filter(|level| geometry.levels[level.index()].is_some())
                    .find(|level| number(*level) == Some(value));
                return with.hint.map(|_| ());
            }
            Source::Table | Source::Entry | Source::Old | Source::New => {}
        }
        Some(())
    }
}

/// Returns the text of an instruction as the definition has it.
fn text(model: &Model, template: &Template) -> String {
    let places = template.operands.iter();
    let places = places.map(|&operand| format!("{:?}", model.operands[operand].place));
    let lines = template.lines.iter().cloned();
    lines.chain(places).collect::<Vec<_>>().join("; ")
}
