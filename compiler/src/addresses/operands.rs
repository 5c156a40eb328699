//! Claims of operands.
//!
//! In: a definition, and the code that is printed for it. Out: claims. Holds, where they do: the printed code encodes each
//! operand as the definition states, for all values of its sources; no value overflows its field or reaches the next
//! one; and the bits of an address that the instruction gets determine the page, or the entry that it writes.

use super::claim::Claim;
use super::printed;
use super::sources::Sources;
use super::term::{Truth, Word};
use crate::check::configs::Configs;
use crate::check::wanted::{conds_of_clauses, conds_of_own_tag, has_own_tag, joined};
use crate::emit::Arithmetic;
use crate::model::{
    Cond, Field, Geometry, Invalidate, Machine, Model, Operand, Source, Value, Var,
};

/// Returns the claims of every operand.
pub fn claims(model: &Model, code: &Arithmetic) -> Vec<Claim> {
    let operands = 0..model.operands.len();
    let all = operands.flat_map(|operand| {
        let of = Of::new(model, code, operand);
        let mut all = vec![of.printed()];
        all.extend(of.fitting());
        all.extend(of.addresses());
        all
    });
    all.collect()
}

/// An operand.
pub struct Of<'a> {
    model: &'a Model,
    code: &'a Arithmetic,
    index: usize,
    /// Its variables.
    pub sources: Sources<'a>,
}

impl<'a> Of<'a> {
    pub fn new(model: &'a Model, code: &'a Arithmetic, index: usize) -> Self {
        Self {
            model,
            code,
            index,
            sources: Sources::new(model, &code.flags, index),
        }
    }

    fn operand(&self) -> &'a Operand {
        &self.model.operands[self.index]
    }

    /// Returns a claim.
    pub fn claim(&self, words: String, given: Vec<Truth>, holds: Truth) -> Claim {
        let mut all = self.sources.given();
        all.extend(given);
        Claim {
            about: format!("operand `{}`", self.operand().named.name),
            words,
            span: self.operand().span,
            given: all,
            holds,
        }
    }

    /// Returns the claim that the printed code and the definition agree.
    fn printed(&self) -> Claim {
        let claim = "the printed code has the bits that the definition states";
        match printed::encoded(self.code, &self.sources, self.index) {
            Ok((low, high)) => {
                let (stated_low, stated_high) = (self.stated(0), self.stated(1));
                let same = vec![low.equals(stated_low), high.equals(stated_high)];
                self.claim(claim.to_owned(), Vec::new(), Truth::And(same))
            }
            Err(unclear) => {
                let claim = format!("{claim}, but it contains {unclear}");
                self.claim(claim, Vec::new(), Truth::Is(false))
            }
        }
    }

    /// Returns one of the two words that the definition states.
    pub fn stated(&self, word: u32) -> Word {
        let fields = self.operand().fields.iter();
        let fields = fields.filter(|field| field.low / 64 == word);
        fields.fold(Word::Number(0), |bits, field| {
            let value = (self.value(field) & Word::ones(field.width())) << (field.low % 64);
            let there = self.sources.condition(&field.when);
            bits | Word::choice(there, value, Word::Number(0))
        })
    }

    /// Returns the value of a field, which may be wider than the field.
    fn value(&self, field: &Field) -> Word {
        match field.value {
            Value::Const(bits) => bits.into(),
            Value::Source(source) => self.sources.source(source),
            Value::Slice(source, high, low) => {
                (self.sources.source(source) >> low) & Word::ones(high - low + 1)
            }
            Value::PageNumber(source) => {
                let shift = |geometry: usize| self.model.geometries[geometry].page_shift.into();
                self.sources.source(source) >> self.sources.by_geometry(shift)
            }
            Value::LevelAs(table) => {
                let numbers = &self.model.level_numbers[table];
                let otherwise = Word::Number(numbers.otherwise.unwrap_or(0));
                numbers
                    .cases
                    .iter()
                    .fold(otherwise, |rest, (level, number, when)| {
                        let is = self.sources.stride().equals((*level as u64).into());
                        let is = Truth::And(vec![is, self.sources.condition(when)]);
                        Word::choice(is, (*number).into(), rest)
                    })
            }
        }
    }

    /// Values that are not slices fit their fields.
    fn fitting(&self) -> Vec<Claim> {
        let fields = self.operand().fields.iter();
        let whole = fields.filter(|field| match field.value {
            Value::Source(source) => self.sources.most(source).is_some() || is_listed(source),
            Value::LevelAs(_) | Value::Const(_) => true,
            Value::Slice(..) | Value::PageNumber(_) => false,
        });
        let claims = whole.map(|field| {
            let value = self.value(field);
            let fits = value.at_most(Word::ones(field.width()));
            let claim = format!(
                "{} fits bits {} to {}",
                field.value.text(),
                field.high,
                field.low
            );
            self.claim(claim, vec![self.sources.condition(&field.when)], fits)
        });
        claims.collect()
    }

    /// Returns the claims that the bits of an address determine the page, for the instructions whose first operand with bits
    /// of an address this one is.
    fn addresses(&self) -> Vec<Claim> {
        let invalidates = self.model.invalidates.iter();
        let sets = invalidates.map(|it| with_address(self.model, it));
        let mut sets: Vec<Vec<usize>> = sets
            .filter(|set| set.first() == Some(&self.index))
            .collect();
        sets.sort();
        sets.dedup();
        sets.iter().flat_map(|set| self.read_back(set)).collect()
    }

    /// Returns the claims for instructions that get an address in these operands.
    fn read_back(&self, operands: &[usize]) -> Vec<Claim> {
        let given_these = |it: &&Invalidate| with_address(self.model, it) == operands;
        let uses: Vec<&Invalidate> = self.model.invalidates.iter().filter(given_these).collect();
        let mut all = Vec::new();
        let (user, kernel) = (&self.model.user, &self.model.kernel);
        for (name, space, other) in [("user", user, kernel), ("kernel", kernel, user)] {
            for (geometry, pages) in self.model.geometries.iter().enumerate() {
                let cases = space.addresses.cases.iter();
                for (addresses, when) in cases.filter(|(_, when)| is_of(when, geometry)) {
                    let parts = operands.iter().map(|&operand| {
                        let of = Of::new(self.model, self.code, operand);
                        let sources = of.sources.within(*addresses);
                        Of { sources, ..of }
                    });
                    let parts: Vec<Of<'_>> = parts.collect();
                    let sources = &parts[0].sources;
                    let mut given = vec![sources.is_geometry(geometry)];
                    given.push(sources.condition(when));
                    let fields = parts.iter().flat_map(Of::address_fields);
                    given.extend(fields.map(|it| sources.condition(&it.when)));
                    let unit = unit(self.model, &uses, pages);
                    let (read, carried) = read(&parts, pages.page_shift);
                    // The bits that no operand has are those of the space: the same in both, or a bit that is there tells which.
                    let others = other.addresses.cases.iter();
                    let mut others = others.filter(|(_, there)| can_both(self.model, when, there));
                    let is_known = others.all(|(other, _)| {
                        let shared = !(addresses.base ^ addresses.last | other.base ^ other.last);
                        let differ = addresses.base ^ other.base;
                        differ & !carried == 0 || differ & shared & carried != 0
                    });
                    let read = read | Word::Number(addresses.base & !carried);
                    let claim = format!(
                        "an instruction reads the {name} address back, of {} bits, for entries of {} bytes",
                        addresses.bits,
                        1u64 << unit
                    );
                    // A tag of its own tells the kernel's addresses from others.
                    let has_own_tag = has_own_tags(self.model, &uses, geometry, when);
                    let bits = Word::ones(if has_own_tag {
                        addresses.bits
                    } else if addresses.are_narrow() {
                        32
                    } else {
                        64
                    });
                    let page = |address: Word| (address & bits.clone()) >> unit;
                    let same = page(read).equals(page(sources.source(Source::Va)));
                    let is_known = Truth::Is(is_known || has_own_tag);
                    all.push(parts[0].claim(claim, given, Truth::And(vec![is_known, same])));
                }
            }
        }
        all
    }

    /// Returns the fields with bits of a virtual address.
    fn address_fields(&self) -> impl Iterator<Item = &'a Field> {
        let fields = self.operand().fields.iter();
        fields.filter(|field| field.value.source() == Some(Source::Va))
    }
}

/// Returns the operands of an instruction that have bits of a virtual address, each once and in order.
fn with_address(model: &Model, it: &Invalidate) -> Vec<usize> {
    let operands = it.template.operands.iter().copied();
    let has = |operand: &usize| {
        let mut fields = model.operands[*operand].fields.iter();
        fields.any(|field| field.value.source() == Some(Source::Va))
    };
    let mut all: Vec<usize> = operands.filter(has).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns whether the tag beside an address tells the kernel's entries from those of user spaces, for each of some
/// instructions, on each machine of a geometry where a condition holds.
fn has_own_tags(model: &Model, uses: &[&Invalidate], geometry: usize, when: &Cond) -> bool {
    uses.iter().all(|it| {
        let of_tags = conds_of_own_tag(model, &it.template.operands);
        let conds = conds_of_clauses(it).chain(of_tags).chain([when]);
        let configs = Configs::of(model, conds);
        let mut of_geometry = configs.iter().filter(|config| {
            config.geometry() == geometry && when.holds(*config) && it.requires.holds(*config)
        });
        of_geometry.all(|config| has_own_tag(model, it, config))
    })
}

/// Returns log2 of the bytes of the smallest entry, or neighbours that share a translation, which some instructions must
/// distinguish from others.
fn unit(model: &Model, uses: &[&Invalidate], pages: &Geometry) -> u32 {
    let levels = pages.levels.iter().enumerate();
    let levels = levels.filter_map(|(index, level)| Some((index, level.as_ref()?)));
    let units = levels.flat_map(|(index, level)| {
        let joined = { uses.iter() }.filter_map(move |it| joined(model, it, index));
        let shift = level.shift.cases.iter().map(|(shift, _)| *shift).min();
        joined.filter_map(move |joined| Some(shift? + joined))
    });
    units.min().unwrap_or(pages.page_shift)
}

/// Returns the address that an instruction reads from the bits of its operands, and the bits that they have.
fn read(parts: &[Of<'_>], page_shift: u32) -> (Word, u64) {
    let (mut address, mut carried) = (Word::Number(0), 0);
    for part in parts {
        for field in part.address_fields() {
            let lowest = match field.value {
                Value::Slice(_, _, low) => low,
                Value::PageNumber(_) => page_shift,
                _ => 0,
            };
            let word = part.stated(field.low / 64) >> (field.low % 64);
            let width = Word::ones(field.width());
            carried |= (u64::MAX >> (64 - field.width().clamp(1, 64))) << lowest;
            address = address | ((word & width) << lowest);
        }
    }
    (address, carried)
}

/// Returns whether two conditions can hold on one machine.
fn can_both(model: &Model, one: &Cond, other: &Cond) -> bool {
    let configs = Configs::of(model, [one, other]);
    let mut both = configs.iter();
    both.any(|config| one.holds(config) && other.holds(config))
}

/// Returns whether the definition lists the values of a source.
fn is_listed(source: Source) -> bool {
    matches!(source, Source::Hint | Source::Granule | Source::Keep)
}

/// Returns whether a condition can hold with a geometry.
fn is_of(when: &Cond, geometry: usize) -> bool {
    when.terms.iter().all(|term| match term.value {
        (Var::Geometry(of), wanted) => (of == geometry) == wanted,
        _ => true,
    })
}
