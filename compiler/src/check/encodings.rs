//! Values of operands: whether two instructions can be given the same ones.
//!
//! In: two instructions on one machine, and their operands in pairs. Out: whether all pairs can have the same values, and then
//! whether the same values mean the same. Holds: where the answer is that they cannot, they cannot. The values of a source are
//! known as intervals and bits, and those of two sources of one instruction are independent.

use super::configs::RecordedConfig;
use super::intervals::{FixedBits, Interval};
use super::physical::{root_bits, table_bits};
use super::tags_in;
use super::wanted::low;
use crate::model::{Field, Machine, Model, Names, Source, Template, Value};

/// One use of an instruction.
#[derive(Clone, Copy)]
pub struct InstructionUse<'m> {
    pub template: &'m Template,
    /// The number of its form, if it has forms.
    pub form: Option<u64>,
    /// Whether it is given a level.
    pub hinted: bool,
}

/// What values that two instructions can both be given mean to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// Whether each bit is of the same source, where it is of one for both.
    pub is_same: bool,
    /// Whether a run of the first, and of the second, is one page or entry then.
    pub is_one: [bool; 2],
}

/// What the value of a field is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldOrigin {
    Source(Source),
    Level(usize),
}

/// The machine on which two instructions are compared.
#[derive(Clone, Copy)]
struct On<'m, 'c> {
    model: &'m Model,
    config: RecordedConfig<'c>,
}

/// Returns what equal values of all pairs of operands mean to two instructions; none if they cannot be equal, or if one of
/// them cannot be given a level.
pub fn meaning(
    model: &Model,
    config: RecordedConfig<'_>,
    (a, b): (InstructionUse<'_>, InstructionUse<'_>),
    pairs: &[(usize, usize)],
) -> Option<Meaning> {
    let on = On { model, config };
    if !on.is_possible(a) || !on.is_possible(b) {
        return None;
    }
    let reversed: Vec<(usize, usize)> = pairs.iter().map(|&(a, b)| (b, a)).collect();
    let wanted = [on.wanted(a, b, pairs)?, on.wanted(b, a, &reversed)?];
    Some(Meaning {
        is_same: pairs.iter().all(|&pair| on.is_same((a, b), pair)),
        is_one: [on.is_one_unit(a, &wanted[0]), on.is_one_unit(b, &wanted[1])],
    })
}

impl<'m> On<'m, '_> {
    /// Returns whether the instruction can be given a level, if it is.
    fn is_possible(self, of: InstructionUse<'m>) -> bool {
        let mut operands = of.template.operands.iter();
        let is_hint = |field: &Field| field.value.source() == Some(Source::Hint);
        !of.hinted || operands.any(|&operand| self.fields(of, operand).any(is_hint))
    }

    /// Returns the fields of an operand that count.
    fn fields(self, of: InstructionUse<'m>, operand: usize) -> impl Iterator<Item = &'m Field> {
        let fields = self.model.operands[operand].fields.iter();
        fields.filter(move |it| it.when.holds_with(self.config, of.hinted, false))
    }

    /// Returns the bits of sources that an instruction is given where its operands have the bits that another one always has
    /// there; none if its sources cannot have them.
    fn wanted(
        self,
        of: InstructionUse<'m>,
        other: InstructionUse<'m>,
        pairs: &[(usize, usize)],
    ) -> Option<Vec<(FieldOrigin, FixedBits)>> {
        let mut wanted: Vec<(FieldOrigin, FixedBits)> = Vec::new();
        for &(mine, its) in pairs {
            let its = self.known(other, its);
            if !self.known(of, mine).agree(its) {
                return None;
            }
            for field in self.fields(of, mine) {
                let Some((origin, shift)) = self.origin(field) else {
                    continue;
                };
                let mask = u128::from(low(field.width()));
                let bits = |of: u128| (of >> field.low & mask) << shift;
                let bits = FixedBits {
                    known: bits(its.known),
                    value: bits(its.value),
                };
                match wanted.iter_mut().find(|(it, _)| *it == origin) {
                    Some((_, before)) if !before.agree(bits) => return None,
                    Some((_, before)) => *before = before.and(bits),
                    None => wanted.push((origin, bits)),
                }
            }
        }
        let has = |&(origin, bits): &(FieldOrigin, FixedBits)| {
            let mut values = self.values(of, origin).into_iter();
            values.any(|values| values.has(bits))
        };
        wanted.iter().all(has).then_some(wanted)
    }

    /// Returns whether these bits make a run of one page or entry.
    fn is_one_unit(self, of: InstructionUse<'m>, wanted: &[(FieldOrigin, FixedBits)]) -> bool {
        let is = |source: Source, number: u64| {
            let mut wanted = wanted.iter();
            let bits = wanted.find(|(origin, _)| *origin == FieldOrigin::Source(source));
            // The bits above the field are zero.
            bits.is_some_and(|(_, bits)| {
                let counted = u128::from(u64::MAX);
                let values = self.values(of, FieldOrigin::Source(source)).into_iter();
                let above = values.map(Interval::common).reduce(FixedBits::common);
                let known = bits.and(above.unwrap_or_default());
                known.known & counted == counted && known.value == number.into()
            })
        };
        let page = self.model.geometries[self.config.geometry()].page_shift;
        let names = self.names(of);
        names.is_some_and(|names| {
            if names.any {
                return is(Source::Bytes, 1 << page);
            }
            let is_unscaled = names.scales == 1 || is(Source::Scale, 0);
            names.base == 0 && is(Source::Num, 0) && is_unscaled
        })
    }

    /// Returns what a run counts.
    fn names(self, of: InstructionUse<'m>) -> Option<&'m Names> {
        let mut operands = of.template.operands.iter();
        operands.find_map(|&operand| self.model.operands[operand].names.as_ref())
    }

    /// Returns the bits of an operand that are always the same.
    fn known(self, of: InstructionUse<'m>, operand: usize) -> FixedBits {
        let mut bits = FixedBits::number(0);
        for field in self.fields(of, operand) {
            let mask = u128::from(low(field.width())) << field.low;
            let of_field = match (self.origin(field), field.value) {
                (Some((origin, shift)), _) => {
                    let values = self.values(of, origin).into_iter().map(Interval::common);
                    let common = values.reduce(FixedBits::common).unwrap_or_default();
                    FixedBits {
                        known: common.known >> shift,
                        value: common.value >> shift,
                    }
                }
                (None, Value::Const(value)) => FixedBits::number(value),
                (None, _) => FixedBits::default(),
            };
            bits.known = bits.known & !mask | of_field.known << field.low & mask;
            bits.value = bits.value & !mask | of_field.value << field.low & mask & bits.known;
        }
        bits
    }

    /// Returns what the value of a field is made of, and which bit of that its lowest bit is.
    fn origin(self, field: &Field) -> Option<(FieldOrigin, u32)> {
        let page = self.model.geometries[self.config.geometry()].page_shift;
        match field.value {
            Value::Const(_) => None,
            Value::Source(source) => Some((FieldOrigin::Source(source), 0)),
            Value::Slice(source, _, least) => Some((FieldOrigin::Source(source), least)),
            Value::PageNumber(source) => Some((FieldOrigin::Source(source), page)),
            Value::LevelAs(table) => Some((FieldOrigin::Level(table), 0)),
        }
    }

    /// Returns the values that a source can have.
    fn values(self, of: InstructionUse<'m>, origin: FieldOrigin) -> Vec<Interval> {
        let Self { model, config } = self;
        let geometry = &model.geometries[config.geometry()];
        let one = |value: u64| Interval::new(value, value);
        let all = Interval::new(0, u64::MAX);
        let levels = (0..model.levels.len()).filter(|&level| geometry.levels[level].is_some());
        let source = match origin {
            FieldOrigin::Level(table) => {
                let numbers = &model.level_numbers[table];
                let numbers = levels.filter_map(|level| numbers.get(level, config));
                return numbers.map(one).collect();
            }
            FieldOrigin::Source(source) => source,
        };
        match source {
            Source::Tag => self.tags(of),
            Source::Va => {
                let spaces = [&model.user, &model.kernel].into_iter();
                let addresses = spaces.filter_map(|space| space.addresses.get(config));
                let within = addresses.map(|of| Interval::new(of.base, of.last));
                within.map(|it| it.aligned(geometry.page_shift)).collect()
            }
            Source::End => vec![all.aligned(geometry.page_shift)],
            Source::Bytes => vec![Interval::new(1, u64::MAX).aligned(geometry.page_shift)],
            Source::Num => vec![Interval::new(
                0,
                self.names(of).map_or(u64::MAX, |it| it.most_num),
            )],
            Source::Scale => {
                let scales = self.names(of).map_or(u64::MAX, |it| u64::from(it.scales));
                vec![Interval::new(0, scales.saturating_sub(1))]
            }
            Source::Hint if of.hinted => {
                let hints = levels.filter_map(|level| geometry.levels[level].as_ref()?.hint);
                hints.map(|at| one(at.value)).collect()
            }
            Source::Hint => vec![one(0)],
            Source::Granule => vec![one(geometry.granule.map_or(0, |at| at.value))],
            Source::Form => vec![of.form.map_or(all, one)],
            Source::Keep => vec![Interval::new(0, 1)],
            Source::Root => {
                let aligned = geometry
                    .root_shift
                    .map_or(geometry.page_shift, |at| at.value);
                let last = low(root_bits(model, config).bits);
                vec![Interval::new(0, last).aligned(aligned)]
            }
            Source::Table | Source::Entry => {
                let last = low(table_bits(model, config).bits);
                vec![Interval::new(0, last).aligned(model.entry_size().ilog2())]
            }
            Source::Set | Source::Old | Source::New => vec![all],
        }
    }

    /// Returns the tags that spaces can have.
    fn tags(self, of: InstructionUse<'m>) -> Vec<Interval> {
        let Self { model, config } = self;
        let views = || {
            model
                .user
                .views
                .iter()
                .filter(|view| view.when.holds(config))
        };
        let of_views = views().fold(0, |bits, view| bits | view.or);
        let mut values: Vec<Interval> = Vec::new();
        for tag in tags_in(model, config) {
            if tag.is_root.is_some() {
                values.extend(self.values(of, FieldOrigin::Source(Source::Root)));
                continue;
            }
            let (first, last) = tag.range();
            let with = |or: u64| Interval {
                first: first | or,
                last: last | or,
                bits: FixedBits {
                    known: of_views.into(),
                    value: or.into(),
                },
            };
            values.extend(views().map(|view| with(view.or)));
            if model.user.views.is_empty() {
                values.push(with(0));
            }
        }
        let of_kernel = model.kernel.fixed_tag(config);
        values.extend(of_kernel.map(|value| Interval::new(value, value)));
        values
    }

    /// Returns whether each bit of two operands is of the same source, where it is of one in both, and means the same.
    fn is_same(
        self,
        (a, b): (InstructionUse<'m>, InstructionUse<'m>),
        (mine, its): (usize, usize),
    ) -> bool {
        let counts = |operand: usize| self.model.operands[operand].names.as_ref();
        let counts_alike = match (counts(mine), counts(its)) {
            (Some(a), Some(b)) => {
                (a.base, a.step, a.any, a.pages) == (b.base, b.step, b.any, b.pages)
            }
            _ => true,
        };
        let of_bit = |of: InstructionUse<'m>, operand: usize, bit: u32| {
            let mut fields = self.fields(of, operand);
            let field = fields.find(|field| (field.low..=field.high).contains(&bit))?;
            let (origin, least) = self.origin(field)?;
            Some((origin, bit - field.low + least))
        };
        counts_alike
            && (0..u128::BITS).all(|bit| match (of_bit(a, mine, bit), of_bit(b, its, bit)) {
                (Some((a, mine)), Some((b, its))) => mine == its && self.is_one(a, b),
                _ => true,
            })
    }

    /// Returns whether two sources are the same, or number levels alike.
    fn is_one(self, a: FieldOrigin, b: FieldOrigin) -> bool {
        let (FieldOrigin::Level(first), FieldOrigin::Level(second)) = (a, b) else {
            return a == b;
        };
        let numbers = |table: usize| &self.model.level_numbers[table];
        let mut levels = 0..self.model.levels.len();
        levels.all(|level| {
            numbers(first).get(level, self.config) == numbers(second).get(level, self.config)
        })
    }
}
