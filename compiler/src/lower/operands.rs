//! Operands: their fields, and how many pages or entries they name.

use super::instructions::named;
use super::names::{HINTED, KEEP};
use super::scope::{Lower, no_bits, of_kind};
use crate::ast::{self, FieldValue, Ident, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{At, Field, LevelNumbers, Names, Operand, OperandPlace, Source, Value};
use crate::spelling::nearest;
use crate::template;

const SOURCES: [(&str, Source); 16] = [
    ("tag", Source::Tag),
    ("va", Source::Va),
    ("root", Source::Root),
    ("num", Source::Num),
    ("scale", Source::Scale),
    ("hint", Source::Hint),
    ("granule", Source::Granule),
    ("form", Source::Form),
    ("keep", Source::Keep),
    ("set", Source::Set),
    ("end", Source::End),
    ("bytes", Source::Bytes),
    ("table", Source::Table),
    ("entry", Source::Entry),
    ("old", Source::Old),
    ("new", Source::New),
];

impl Lower {
    pub(super) fn lower_operands(&mut self, items: &[Item]) -> Vec<Operand> {
        let mut out = Vec::new();
        for it in of_kind!(items, Operand) {
            let place = match it.place.as_ref() {
                None => OperandPlace::Register,
                Some(place) if place.node == "memory" => {
                    OperandPlace::Memory(it.by.as_ref().map(|class| class.node.clone()))
                }
                // In Rust such a name is a class of registers, and never a register.
                Some(place) if place.node.starts_with("reg") => {
                    OperandPlace::Class(place.node.clone())
                }
                Some(place) => OperandPlace::Fixed(place.node.clone()),
            };
            if it.name.node == template::SCRATCH {
                self.misplaced(
                    it.name.span,
                    "`{scratch}` is the name of the register that an instruction may overwrite"
                        .to_owned(),
                    "give the operand another name",
                );
            }
            let in_memory = matches!(place, OperandPlace::Memory(_));
            if let (Some(by), false) = (&it.by, in_memory) {
                self.misplaced(
                    by.span,
                    "only an operand in memory has an address".to_owned(),
                    "write `in memory by` a class of registers, or the class itself after `in`",
                );
            }
            let most = if in_memory { 128 } else { 64 };
            if it.bits.node == 0 || it.bits.node > most || it.bits.node > 64 && it.bits.node != 128
            {
                self.misplaced(
                    it.bits.span,
                    format!("an operand of {} bits cannot be described", it.bits.node),
                    "registers have up to 64 bits, memory operands up to 64 or 128",
                );
            }
            let fields: Vec<Field> = it.fields.iter().filter_map(|f| self.field(f)).collect();
            let names = it.names.as_ref().map(|n| self.names_of(it, n));
            out.push(Operand {
                named: named(&it.name),
                bits: At {
                    value: it.bits.node,
                    span: it.bits.span,
                },
                place,
                fields,
                names,
                aligned: it.aligned,
                span: it.span,
            });
        }
        out
    }

    fn field(&mut self, it: &ast::Field) -> Option<Field> {
        let when = self.cond_with_geometry(it.when.as_ref(), &[HINTED, KEEP]);
        let (high, low) = (it.high.node, it.low.node);
        if high < low || high >= 128 {
            let (message, help) = no_bits(high, low, 127);
            self.misplaced(it.high.span.to(it.low.span), message, &help);
        }
        // The value that was meant, so that no other diagnostic about these bits follows.
        let (high, low) = (high.max(low).min(127), low.min(high).min(127));
        let value = match &it.value.node {
            FieldValue::Const(number) => Value::Const(*number),
            FieldValue::Source(source) => Value::Source(self.source(source)?),
            FieldValue::Slice {
                source,
                high: from,
                low: to,
            } => {
                let source = self.source(source)?;
                let narrow = |n: u64| u32::try_from(n).ok().filter(|&n| n < 64);
                match (narrow(from.node), narrow(to.node)) {
                    (Some(h), Some(l)) if h >= l => Value::Slice(source, h, l),
                    _ => {
                        let (message, help) = no_bits(from.node, to.node, 63);
                        self.misplaced(from.span.to(to.span), message, &help);
                        return None;
                    }
                }
            }
            FieldValue::PageNumber(source) => Value::PageNumber(self.source(source)?),
            FieldValue::LevelAs { cases, otherwise } => {
                let mut numbers = LevelNumbers {
                    cases: Vec::new(),
                    otherwise: otherwise.as_ref().map(|number| number.node),
                    span: it.value.span,
                };
                for (level, number, when) in cases {
                    let when = self.cond_with_geometry(when.as_ref(), &[]);
                    let level = self.level(level)?;
                    numbers.cases.push((level, number.node, when));
                }
                self.level_numbers.push(numbers);
                Value::LevelAs(self.level_numbers.len() - 1)
            }
        };
        Some(Field {
            high: high as u32,
            low: low as u32,
            value,
            when,
            span: it.span,
        })
    }

    /// Returns the source of that name; for an unknown name, the one that was probably meant.
    pub(super) fn source(&mut self, ident: &Ident) -> Option<Source> {
        let names = SOURCES.map(|(name, _)| name);
        let mut name = ident.node.as_str();
        if !names.contains(&name) {
            self.unknown("source of a field", ident, names.into_iter());
            name = nearest(name, names)?;
        }
        let found = SOURCES.iter().find(|(known, _)| *known == name);
        found.map(|(_, source)| *source)
    }

    /// Turns the formula of a run into units: it must be `(num + 1)` times a power of two that
    /// depends on `scale` alone.
    fn names_of(&mut self, operand: &ast::Operand, it: &ast::Names) -> Names {
        let bits = |source: &str| {
            operand
                .fields
                .iter()
                .find_map(|field| match &field.value.node {
                    FieldValue::Source(name) if name.node == source => {
                        Some(field.high.node.saturating_sub(field.low.node) + 1)
                    }
                    _ => None,
                })
        };
        let any = |span| Names {
            base: 0,
            step: 0,
            scales: 1,
            most_num: u64::MAX - 1,
            any: true,
            pages: it.pages,
            span,
        };
        let Some(formula) = &it.count else {
            return any(it.span);
        };
        let num_bits = bits("num").unwrap_or(0).min(32);
        let scale_bits = bits("scale").unwrap_or(0).min(4);
        let most_num = (1u64 << num_bits) - 1;
        let samples = [0, 1, most_num / 2, most_num];
        let units = (0..1u64 << scale_bits).map(|scale| {
            let count = |num| evaluate(&formula.node, num, scale);
            let unit = count(0).filter(|unit| unit.is_power_of_two())?;
            let linear = (samples.iter()).all(|&num| count(num) == (num + 1).checked_mul(unit));
            linear.then_some(unit.trailing_zeros())
        });
        let shifts: Option<Vec<u32>> = units.collect();
        let base = shifts.as_ref().and_then(|s| s.first().copied());
        let step = shifts
            .as_ref()
            .and_then(|s| s.get(1)?.checked_sub(*s.first()?));
        let even = |s: &[u32]| s.windows(2).all(|w| w[1].checked_sub(w[0]) == step);
        let (Some(base), true) = (base, shifts.as_deref().is_some_and(even)) else {
            // Any count, so that no other diagnostic about it follows.
            let any = any(it.span);
            if !self.is_known(it.span) {
                return any;
            }
            // With `end`, nothing is counted.
            let help = if bits("end").or_else(|| bits("bytes")).is_some() {
                "write `names any pages;` or `names any entries;`: with `end` or `bytes`, an operand names any number of them"
            } else {
                "write it as `(num + 1) << (a * scale + b) pages` or `num + 1 entries`"
            };
            self.report(
                Diagnostic::new(
                    Code::E0304,
                    formula.span,
                    "the count of a run is `num + 1` units, each a power of two",
                )
                .label("not such a formula")
                .note("ranges are divided into the largest units first, so each unit must divide the next larger one")
                .help(help),
            );
            return any;
        };
        Names {
            base,
            step: step.unwrap_or(0),
            scales: 1 << scale_bits,
            most_num,
            any: false,
            pages: it.pages,
            span: it.span,
        }
    }
}

/// Returns the value of a run's formula; `None` where it does not fit 64 bits or uses another source.
fn evaluate(expr: &ast::Expr, num: u64, scale: u64) -> Option<u64> {
    match expr {
        ast::Expr::Const(n) => Some(*n),
        ast::Expr::Source(name) => match name.node.as_str() {
            "num" => Some(num),
            "scale" => Some(scale),
            _ => None,
        },
        ast::Expr::Binary(op, a, b) => {
            let (a, b) = (evaluate(a, num, scale)?, evaluate(b, num, scale)?);
            match op {
                ast::BinaryOp::Add => a.checked_add(b),
                ast::BinaryOp::Mul => a.checked_mul(b),
                ast::BinaryOp::Shl => u32::try_from(b)
                    .ok()
                    .and_then(|b| a.checked_mul(1u64.checked_shl(b)?)),
            }
        }
    }
}
