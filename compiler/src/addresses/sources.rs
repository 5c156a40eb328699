//! The variables of encoders, and what the definition says of their values.
//!
//! In: a definition. Out: terms for conditions, and for the sources of fields. Holds: a variable has no more bits than the
//! definition permits its source, and the machines that the definition excludes are excluded.

use super::term::{Truth, Word};
use crate::model::{Cond, Model, Source, SpaceAddresses, Var};

/// The variables of the encoders of one operand.
pub struct Sources<'a> {
    model: &'a Model,
    flags: &'a [String],
    operand: usize,
    /// The addresses to which `va` is restricted.
    within: Option<SpaceAddresses>,
}

/// Returns how many bits a number has.
fn bits_of(number: u64) -> u32 {
    64 - number.leading_zeros()
}

impl<'a> Sources<'a> {
    pub fn new(model: &'a Model, flags: &'a [String], operand: usize) -> Self {
        Self {
            model,
            flags,
            operand,
            within: None,
        }
    }

    /// Returns the same with `va` in the bits of a range.
    pub fn within(&self, addresses: SpaceAddresses) -> Self {
        Self {
            within: Some(addresses),
            ..*self
        }
    }

    /// Returns whether the configuration has the flag of a bit.
    pub fn flag(&self, bit: usize) -> Truth {
        Truth::var(&self.flags[bit])
    }

    /// Returns whether a load keeps the entries of the tag.
    pub fn keep() -> Truth {
        Truth::var("keep")
    }

    /// Returns whether there is a hint, and its number.
    pub fn hint(&self) -> (Truth, Word) {
        let levels = self.model.geometries.iter().flat_map(|it| &it.levels);
        let hints = levels.flatten().filter_map(|level| level.hint);
        let most = hints.map(|at| at.value).max().unwrap_or(0);
        (Truth::var("hinted"), Word::var("hint", bits_of(most)))
    }

    /// Returns the index of the level of the entries.
    pub fn stride(&self) -> Word {
        Word::var("stride", bits_of(self.model.levels.len() as u64))
    }

    /// Returns the largest value of a source, if the definition states one.
    pub fn most(&self, source: Source) -> Option<u64> {
        let model = self.model;
        let names = model.operands[self.operand].names.as_ref();
        match source {
            Source::Num => names.map(|names| names.most_num),
            Source::Scale => names.map(|names| u64::from(names.scales.saturating_sub(1))),
            Source::Form => {
                let mut uses = model.invalidates.iter();
                let uses = uses
                    .by_ref()
                    .filter(|it| it.template.operands.contains(&self.operand));
                let forms = uses.flat_map(|it| &it.forms);
                forms.filter_map(|form| Some(form.named.as_ref()?.1)).max()
            }
            Source::Set => {
                let sets = model.caches.all.iter().flat_map(|cache| &cache.sets);
                let counts = sets.flat_map(|sets| &sets.cases);
                let counts = counts.map(|(amount, _)| amount.range(&model.limits).1);
                counts.max().map(|most| most.saturating_sub(1))
            }
            Source::Tag => {
                if model.tags.iter().any(|tag| tag.is_root.is_some()) {
                    return None;
                }
                let widths = model.tags.iter().map(|tag| tag.widths.1).max()?;
                let views = model.user.views.iter().chain(&model.kernel.views);
                let set = views.fold(0, |set, view| set | view.or);
                Some(
                    u64::MAX
                        .checked_shl(u32::try_from(widths).ok()?)
                        .map_or(u64::MAX, |it| !it)
                        | set,
                )
            }
            Source::Root => {
                let stated = model.table_bits.as_ref()?.cases.iter();
                let bits = stated.map(|(at, _)| at.value).max()?;
                Some(
                    u64::MAX
                        .checked_shl(u32::try_from(bits).ok()?)
                        .map_or(u64::MAX, |it| !it),
                )
            }
            _ => None,
        }
    }

    /// Returns the variable of a source that is a number.
    pub fn source(&self, source: Source) -> Word {
        match source {
            Source::Hint => {
                let (is, number) = self.hint();
                Word::choice(is, number, Word::Number(0))
            }
            Source::Va => match self.within {
                Some(within) => Word::var("va", within.bits) | within.base,
                None => Word::var("va", 64),
            },
            Source::Keep => Word::choice(Self::keep(), Word::Number(1), Word::Number(0)),
            Source::Granule => self.by_geometry(|index| {
                let granule = self.model.geometries[index].granule;
                granule.map_or(0, |at| at.value)
            }),
            _ => Word::var(
                source.name(),
                bits_of(self.most(source).unwrap_or(u64::MAX)),
            ),
        }
    }

    /// Returns the variable of this name in generated code.
    pub fn of_var(&self, name: &str) -> Option<Word> {
        const ALL: [Source; 13] = [
            Source::Tag,
            Source::Va,
            Source::Root,
            Source::Num,
            Source::Scale,
            Source::Form,
            Source::Set,
            Source::End,
            Source::Bytes,
            Source::Table,
            Source::Entry,
            Source::Old,
            Source::New,
        ];
        let source = ALL.into_iter().find(|source| source.name() == name)?;
        Some(self.source(source))
    }

    /// Returns a number of the geometry.
    pub fn by_geometry(&self, number: impl Fn(usize) -> u64) -> Word {
        let others = 1..self.model.geometries.len();
        others.fold(Word::Number(number(0)), |rest, geometry| {
            Word::choice(self.is_geometry(geometry), number(geometry).into(), rest)
        })
    }

    /// Returns whether the machine has a geometry. The first one has no flag.
    pub fn is_geometry(&self, geometry: usize) -> Truth {
        let first = self.model.features.len() + self.model.errata.len();
        if geometry > 0 {
            return self.flag(first + geometry - 1);
        }
        let others = 1..self.model.geometries.len();
        !Truth::Or(others.map(|other| self.is_geometry(other)).collect())
    }

    /// Returns whether a condition holds.
    pub fn condition(&self, cond: &Cond) -> Truth {
        let terms = cond.terms.iter().map(|term| {
            let (of, wanted) = term.value;
            let is = match of {
                Var::Feature(feature) => self.flag(feature),
                Var::Geometry(geometry) => self.is_geometry(geometry),
                Var::Hinted => self.hint().0,
                Var::Keep => Self::keep(),
            };
            if wanted { is } else { !is }
        });
        Truth::And(terms.collect())
    }

    /// Returns what holds of the variables on every machine.
    pub fn given(&self) -> Vec<Truth> {
        let mut given = Vec::new();
        let geometries = 1..self.model.geometries.len();
        for one in geometries.clone() {
            for other in geometries.clone().filter(|other| *other < one) {
                let both = vec![self.is_geometry(one), self.is_geometry(other)];
                given.push(!Truth::And(both));
            }
        }
        for (index, feature) in self.model.features.iter().enumerate() {
            given.push(self.flag(index).implies(self.condition(&feature.needs)));
        }
        let fields = self.model.operands[self.operand].fields.iter();
        for source in fields.filter_map(|field| field.value.source()) {
            if let Some(most) = self.most(source) {
                given.push(self.source(source).at_most(most.into()));
            }
        }
        given
    }
}
