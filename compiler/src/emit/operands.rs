//! Encoders: a function for each operand that is not just a value, and a constant for one that does not vary.

use super::context::{Emit, Encoder};
use super::docs::escaped;
use super::tree::{Expr, Function, Item, Private, Property, Stmt, Uses, Var, hex, number};
use crate::model::{Field, Source, Value};

/// Returns the parameter that has the value of a source.
fn var_of(source: Source) -> Var {
    match source {
        Source::Tag => Var::Tag,
        Source::Va => Var::Va,
        Source::Root => Var::Root,
        Source::Num => Var::Num,
        Source::Scale => Var::Scale,
        Source::Hint => Var::Hint,
        Source::Granule => Var::Config,
        Source::Form => Var::Form,
        Source::Keep => Var::Keep,
        Source::Set => Var::Set,
        Source::End => Var::End,
        Source::Bytes => Var::Bytes,
        Source::Table => Var::Table,
        Source::Entry => Var::Entry,
        Source::Old => Var::Old,
        Source::New => Var::New,
    }
}

/// Returns the source whose value a field is, without a change.
fn unchanged(field: &Field) -> Option<Source> {
    let Value::Source(source) = field.value else {
        return None;
    };
    let is_whole = match source {
        Source::Num | Source::Form | Source::Set => true,
        Source::Hint | Source::Granule | Source::Keep | Source::Scale => false,
        _ => field.width() == 64,
    };
    (is_whole && field.low == 0 && field.when.terms.is_empty()).then_some(source)
}

/// Returns the bits of a field, at its place in a word.
fn mask(high: u32, low: u32) -> u64 {
    u64::MAX >> (63 - high + low) << low
}

/// Returns a value with other bits, if there are any.
fn or(before: Option<Expr>, value: Expr) -> Expr {
    match before {
        None => value,
        Some(before) => before.binary("|", value),
    }
}

impl Emit<'_> {
    /// Returns how each operand is encoded.
    pub(super) fn encoders_of_operands(&self) -> Vec<Encoder> {
        let operands = 0..self.model.operands.len();
        let encoders = operands.map(|operand| {
            let body = self.encoder_body(operand);
            let parameters = Uses::of(&body).free_vars().collect();
            Encoder { body, parameters }
        });
        encoders.collect()
    }

    /// Returns the value of an operand; `argument` returns the value of a parameter. An operand that is a value, or a constant,
    /// needs no encoder.
    pub(super) fn encoded(&self, operand: usize, argument: &dyn Fn(Var) -> Expr) -> Expr {
        let it = &self.model.operands[operand];
        let mut fields = it.fields.iter().filter(|it| it.value != Value::Const(0));
        match (fields.next(), fields.next()) {
            (None, _) if it.bits.value <= 64 => return number(0u32),
            (Some(field), None) if (33..=64).contains(&it.bits.value) => {
                if let Some(source) = unchanged(field) {
                    return argument(var_of(source));
                }
            }
            _ => {}
        }
        let encoder = self.private(Private::Encoder(operand));
        if it.is_constant() {
            return encoder;
        }
        let parameters = self.encoders[operand].parameters.iter();
        encoder.call(parameters.map(|&parameter| argument(parameter)))
    }

    /// Returns the encoders and constants that the rest of the module uses.
    pub(super) fn operands(&self, rest: &Uses) -> Vec<Item> {
        let all = 0..self.model.operands.len();
        let encoders = all.filter(|it| rest.private(Private::Encoder(*it)));
        let (constants, encoders): (Vec<usize>, Vec<usize>) =
            encoders.partition(|&operand| self.model.operands[operand].is_constant());
        let encoders = constants.into_iter().chain(encoders);
        let encoders: Vec<Item> = encoders.map(|operand| self.encoder(operand)).collect();
        self.constants(rest).into_iter().chain(encoders).collect()
    }

    fn encoder(&self, operand: usize) -> Item {
        let encoder = &self.encoders[operand];
        let name = &self.model.operands[operand].named.name;
        let fields = escaped(&self.fields_text(operand));
        let encoder_name = self.names.private(Private::Encoder(operand));
        if let (true, [Stmt::Value(value)]) = (
            self.model.operands[operand].is_constant(),
            encoder.body.as_slice(),
        ) {
            let of = self.operand_of(operand);
            return Item::Const {
                docs: format!("Operand `{name}`: {fields}."),
                head: format!("const {encoder_name}: {of}").into(),
                value: value.clone(),
            };
        }
        let parameters = encoder.parameters.iter().map(|it| it.parameter());
        Item::from(Function {
            docs: format!("Encodes operand `{name}`: {fields}."),
            attributes: vec!["inline(always)"],
            head: format!("fn {encoder_name}").into(),
            parameters: parameters.collect(),
            returns: Some(self.operand_of(operand).into()),
            body: Some(encoder.body.clone()),
            ..Function::default()
        })
    }

    /// Returns the statements of an encoder: the fields that are always there, and then those under each condition.
    fn encoder_body(&self, operand: usize) -> Vec<Stmt> {
        let it = &self.model.operands[operand];
        let wide = it.bits.value > 64;
        let mut fields: Vec<&Field> = it.fields.iter().collect();
        fields.sort_by_key(|field| std::cmp::Reverse(field.high));
        fields.retain(|field| field.value != Value::Const(0));
        let mut body = Vec::new();
        let mut always: [Option<Expr>; 2] = [None, None];
        let mut conditional: Vec<(Expr, usize, Expr)> = Vec::new();
        for field in fields {
            let value = self.placed(field, it.bits.value, &mut body);
            let word = (field.low / 64) as usize;
            let Some(when) = self.condition(&field.when) else {
                always[word] = Some(or(always[word].take(), value));
                continue;
            };
            let same = |(of, at, _): &&mut (Expr, usize, Expr)| *of == when && *at == word;
            match conditional.iter_mut().find(same) {
                Some((_, _, others)) => *others = others.clone().binary("|", value),
                None => conditional.push((when, word, value)),
            }
        }
        let [low, high] = always.map(|value| value.unwrap_or(number(0u32)));
        let mut bits = if wide {
            Expr::Array(vec![low, high])
        } else {
            low
        };
        if !conditional.is_empty() {
            body.push(Stmt::Let("mut bits".into(), bits));
            bits = "bits".into();
        }
        for (when, word, value) in conditional {
            let place = if wide {
                bits.clone().index(word as u32)
            } else {
                bits.clone()
            };
            let set = Stmt::Do(place.binary("|=", value));
            body.push(Stmt::Do(Expr::If(vec![(when, vec![set])], Vec::new())));
        }
        let bits = if it.bits.value <= 32 {
            bits.cast("u32")
        } else {
            bits
        };
        // A variable that is the whole value needs no name.
        match body.as_slice() {
            [Stmt::Let(name, value)] if bits == Expr::Word(name.clone()) => {
                vec![Stmt::Value(value.clone())]
            }
            _ => {
                body.push(Stmt::Value(bits));
                body
            }
        }
    }

    /// Returns the value of a field at its place in a word. A value that depends on the level gets a variable.
    fn placed(&self, field: &Field, bits: u64, body: &mut Vec<Stmt>) -> Expr {
        let mut value = self.value(field, bits);
        if let Expr::Match(..) | Expr::If(..) = value {
            let name = match body.len() {
                0 => "number".to_owned(),
                others => format!("number{}", others + 1),
            };
            body.push(Stmt::Let(name.clone().into(), value));
            value = name.into();
        }
        let low = field.low % 64;
        let in_place = matches!(field.value, Value::Slice(_, _, from) if from == low);
        if low == 0 || in_place {
            value
        } else {
            value.binary("<<", number(low))
        }
    }

    /// Returns the value of a field, as its own bits, or at its place if it is a slice that has the same place in its source.
    /// Bits beyond the word need no mask, because they are shifted out.
    fn value(&self, field: &Field, bits: u64) -> Expr {
        let width = field.width();
        let topmost = (field.high + 1).is_multiple_of(if bits <= 32 { 32 } else { 64 });
        let masked = |value: Expr, bits: u32| {
            if bits <= width || topmost {
                value
            } else {
                value.binary("&", hex(mask(width - 1, 0)))
            }
        };
        match field.value {
            Value::Const(bits) => hex(bits),
            Value::Source(source) => {
                let value = var_of(source).expr();
                match source {
                    Source::Granule => Property::Granule.call([]),
                    Source::Hint => value.method("unwrap_or", [number(0u32)]),
                    Source::Keep | Source::Scale => Expr::from("u64::from").call([value]),
                    Source::Num | Source::Form | Source::Set => value,
                    _ => masked(value, 64),
                }
            }
            Value::Slice(source, high, low) if low == field.low % 64 => {
                let value = var_of(source).expr();
                match (high, low) {
                    (63, 0) => value,
                    (63, low) => value.binary("&", hex(mask(low - 1, 0)).not()),
                    _ => value.binary("&", hex(mask(high, low))),
                }
            }
            Value::Slice(source, _, 0) => masked(var_of(source).expr(), 64),
            Value::Slice(source, _, low) => {
                masked(var_of(source).expr().binary(">>", number(low)), 64 - low)
            }
            Value::PageNumber(source) => {
                let shift = Property::PageShift.call([]);
                masked(var_of(source).expr().binary(">>", shift), 64)
            }
            Value::LevelAs(table) => self.level_number(table),
        }
    }

    /// Returns the number of the level in a table of the definition.
    fn level_number(&self, table: usize) -> Expr {
        let numbers = &self.model.level_numbers[table];
        let levels = (0..self.model.levels.len()).map(|level| {
            let cases = numbers.cases.iter().rev().filter(|(of, _, _)| *of == level);
            let values = cases.map(|(_, value, when)| (self.condition(when), number(*value)));
            (level, values.collect())
        });
        let otherwise = number(numbers.otherwise.unwrap_or(0));
        self.match_level(Var::Stride, levels, &otherwise)
    }
}
