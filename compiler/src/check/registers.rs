//! Registers: the fields that are read and the required values do not contradict each other.
//!
//! In: the features and limits that registers report, and the setup of the machine. Out: E0204, E0208 and E0701 to
//! E0704. Holds: each field has one place and a value that fits it, no two features are read in the same way, and in
//! every configuration there are register values that agree with all statements.

use super::configs::{Configs, RecordedConfig};
use super::tables::counts;
use crate::codes::Code;
use crate::describe::registers::{bits_of, compared};
use crate::diagnostic::Diagnostic;
use crate::model::{
    At, Bits, Cases, Comparison, Cond, Feature, Limit, Machine, Model, ReadFrom, Requirement, Var,
};
use crate::source::Span;

/// A register field that the setup requires to have a value.
struct SetupField<'m> {
    register: &'m str,
    field: &'m str,
    named: Span,
    bits: Option<&'m Bits>,
    comparison: Comparison,
    values: &'m Cases<At<u64>>,
}

impl SetupField<'_> {
    fn is_same_field(&self, other: &SetupField) -> bool {
        self.register == other.register && self.field == other.field
    }

    fn path(&self) -> String {
        format!("{}.{}", self.register, self.field)
    }
}

fn sets(model: &Model) -> Vec<SetupField<'_>> {
    let fields = model.setup.iter().filter_map(|setup| match &setup.what {
        Requirement::Field {
            register,
            field,
            named,
            bits,
            comparison,
            values,
        } => Some(SetupField {
            register,
            field,
            named: *named,
            bits: bits.as_ref(),
            comparison: *comparison,
            values,
        }),
        Requirement::Text(_) => None,
    });
    fields.collect()
}

fn read(model: &Model) -> impl Iterator<Item = (&Feature, &ReadFrom)> {
    let features = model.features.iter();
    features.filter_map(|feature| Some((feature, feature.from.as_ref()?)))
}

/// Checks E0701: a value fits its bits, and is not one that every register value reaches. A limit can have each value
/// that its bits give.
pub fn values(model: &Model, found: &mut Vec<Diagnostic>) {
    for (_, from) in read(model) {
        found.extend(unfit(Some(&from.bits), from.comparison, from.value));
    }
    for limit in &model.limits {
        found.extend(beyond(limit));
    }
    for set in sets(model) {
        for (value, _) in &set.values.cases {
            found.extend(unfit(set.bits, set.comparison, *value));
        }
    }
}

fn unfit(bits: Option<&Bits>, comparison: Comparison, value: At<u64>) -> Option<Diagnostic> {
    let finding = |message: String| Diagnostic::new(Code::E0701, value.span, message);
    if comparison == Comparison::AtLeast && value.value == 0 {
        return Some(
            finding("every value is at least 0".to_owned())
                .label("true on every machine")
                .help("write the least value that the manual gives, or `= 0`"),
        );
    }
    let bits = bits.filter(|bits| value.value > bits.most())?;
    Some(
        finding(format!(
            "{} is more than {} can hold",
            value.value,
            bits_of(bits)
        ))
        .label("does not fit")
        .because(bits.span, format!("at most {}", bits.most()))
        .note("no register has this value, so it would never hold")
        .help("correct the value, or the bits"),
    )
}

fn beyond(limit: &Limit) -> Option<Diagnostic> {
    let from = limit.from.as_ref()?;
    let name = &limit.named.name;
    let (least, most) = (from.plus, from.bits.most().saturating_add(from.plus));
    if least >= limit.least && most <= limit.most {
        return None;
    }
    let range = format!("{} to {}", limit.least, limit.most);
    let message = format!("`{name}` is {range}, and its bits give {least} to {most}");
    Some(
        Diagnostic::new(Code::E0701, from.span, message)
            .label(format!("{least} to {most} after the addition"))
            .because(limit.named.span, format!("the range is {range}"))
            .note("a kernel that reads this register would have a limit for which there is no plan")
            .help("correct the bits, the number that is added, or the range"),
    )
}

/// Checks E0702: a field of a register has one place, and shares its bits with no other.
pub fn fields(model: &Model, found: &mut Vec<Diagnostic>) {
    let sets = sets(model);
    for (index, set) in sets.iter().enumerate() {
        let Some(bits) = set.bits else { continue };
        let before = sets[..index].iter().filter_map(|it| Some((it, it.bits?)));
        let same = before.clone().find(|(it, _)| it.is_same_field(set));
        if let Some((_, first)) = same.filter(|(_, first)| !first.are(bits)) {
            let message = format!("`{}` is in two places", set.path());
            found.push(overlap(message, bits, first));
            continue;
        }
        let mut others = before.filter(|(it, _)| it.register == set.register);
        let shared = others.find(|(it, other)| !it.is_same_field(set) && other.meet(bits));
        if let Some((other, first)) = shared {
            let message = format!("`{}` and `{}` share bits", other.path(), set.path());
            found.push(overlap(message, bits, first));
        }
    }
    let of_features = read(model).map(|(_, from)| (from.register.as_str(), &from.bits));
    let of_sets = sets
        .iter()
        .filter_map(|set| Some((set.register, set.bits?)));
    let of_limits = model.limits.iter().filter_map(|limit| limit.from.as_ref());
    let of_limits = of_limits.map(|from| (from.register.as_str(), &from.bits));
    let all: Vec<(&str, &Bits)> = of_features.chain(of_limits).chain(of_sets).collect();
    for (index, (register, bits)) in all.iter().enumerate() {
        let mut before = all[..index].iter();
        let across =
            before.find(|(other, first)| other == register && first.meet(bits) && !first.are(bits));
        if let Some((_, first)) = across {
            let message = format!("two fields of `{register}` overlap");
            found.push(overlap(message, bits, first));
        }
    }
}

fn overlap(message: String, bits: &Bits, first: &Bits) -> Diagnostic {
    Diagnostic::new(Code::E0702, bits.span, message)
        .label(bits_of(bits))
        .because(first.span, bits_of(first))
        .note("a bit belongs to one field, so the bits of one of the two differ from the manual")
        .help("correct the bits of one of them")
}

/// Checks E0703: two features are not read from the same bits by the same comparison.
pub fn features(model: &Model, found: &mut Vec<Diagnostic>) {
    let all: Vec<(&Feature, &ReadFrom)> = read(model).collect();
    for (index, (feature, from)) in all.iter().enumerate() {
        let mut before = all[..index].iter();
        let Some((other, first)) = before.find(|(_, other)| is_same(from, other)) else {
            continue;
        };
        let (a, b) = (&other.named.name, &feature.named.name);
        found.push(
            Diagnostic::new(
                Code::E0703,
                from.span,
                format!("`{a}` and `{b}` are read from the same bits"),
            )
            .label("read here as well")
            .because(first.span, format!("`{a}` is read here"))
            .note("every machine has both or neither, although plans are made for one without the other")
            .help("correct the bits of one of them, or make them one feature"),
        );
    }
}

fn is_same(a: &ReadFrom, b: &ReadFrom) -> bool {
    let (first, second) = (a.value.value, b.value.value);
    // `>=` the largest value is `=` that value.
    let alike = a.comparison == b.comparison || first == a.bits.most();
    a.register == b.register && a.bits.are(&b.bits) && first == second && alike
}

/// Returns whether a value passes a comparison.
fn holds(comparison: Comparison, value: u64, with: u64) -> bool {
    match comparison {
        Comparison::Equal => value == with,
        Comparison::AtLeast => value >= with,
    }
}

/// Checks E0704, E0204: two statements about a field agree, and are not the same.
pub fn settings(model: &Model, found: &mut Vec<Diagnostic>) {
    let sets = sets(model);
    for (index, set) in sets.iter().enumerate() {
        for first in sets[..index].iter().filter(|it| it.is_same_field(set)) {
            let configs = Configs::of(model, set.values.conds().chain(first.values.conds()));
            let both = configs.iter().filter_map(|config| {
                Some((config, first.values.get(config)?, set.values.get(config)?))
            });
            let both: Vec<_> = both.collect();
            let agree = |a: &At<u64>, b: &At<u64>| {
                holds(first.comparison, b.value, a.value) || holds(set.comparison, a.value, b.value)
            };
            let Some((config, a, b)) = both.iter().find(|(_, a, b)| !agree(a, b)) else {
                if !both.is_empty() {
                    found.push(
                        Diagnostic::new(
                            Code::E0204,
                            set.named,
                            format!("`{}` is stated twice", set.path()),
                        )
                        .label("again here")
                        .because(first.named, "first here")
                        .help("keep one of the two"),
                    );
                }
                continue;
            };
            let message = format!(
                "`{}` must be {} and {}{}",
                set.path(),
                compared(first.comparison, a.value),
                compared(set.comparison, b.value),
                configs.when(*config)
            );
            found.push(contradiction(b.span, message, a.span));
        }
    }
}

/// Checks E0704: the value that the setup requires of the bits that report a feature agrees with the feature.
pub fn features_as_set(model: &Model, found: &mut Vec<Diagnostic>) {
    for (index, feature) in model.features.iter().enumerate() {
        let Some(from) = &feature.from else { continue };
        for set in sets(model) {
            let same = set.bits.is_some_and(|bits| bits.are(&from.bits));
            if set.register != from.register || !same || set.comparison != Comparison::Equal {
                continue;
            }
            let on = Cond {
                terms: vec![At {
                    value: (Var::Feature(index), true),
                    span: feature.named.span,
                }],
            };
            let configs = Configs::of(model, set.values.conds().chain([&on]));
            let wrong = configs.iter().find_map(|config: RecordedConfig<'_>| {
                let value = set.values.get(config)?;
                let there = holds(from.comparison, value.value, from.value.value);
                (there != Machine::has(config, index)).then_some((config, value))
            });
            let Some((config, value)) = wrong else {
                continue;
            };
            let message = format!(
                "`{}` must be {}{}, which contradicts the value that reports `{}`",
                set.path(),
                value.value,
                configs.when(config),
                feature.named.name
            );
            found.push(contradiction(value.span, message, from.span));
        }
    }
}

fn contradiction(span: Span, message: String, first: Span) -> Diagnostic {
    Diagnostic::new(Code::E0704, span, message)
        .label("required here")
        .because(first, "contradicts this")
        .note("no kernel can configure a machine so")
        .help("correct one of the two, or give each a condition: `= 0, 1 when feature`")
}

/// Checks E0208: each value of a field counts in some configuration.
pub fn alternatives(model: &Model, found: &mut Vec<Diagnostic>) {
    for set in sets(model) {
        let configs = Configs::of(model, set.values.conds());
        let lost = (0..set.values.cases.len()).find(|&case| {
            !configs
                .iter()
                .any(|config| counts(set.values, case, config))
        });
        if let Some(case) = lost {
            let (value, _) = &set.values.cases[case];
            found.push(
                Diagnostic::new(
                    Code::E0208,
                    value.span,
                    format!("`{}` is never required to be {}", set.path(), value.value),
                )
                .label("never counts")
                .note("the last alternative whose condition holds is the one that counts")
                .help("put the alternative without a condition first, or correct the conditions"),
            );
        }
    }
}
