//! Barriers, operands, invalidations and loads.

use tlbc_runtime::clause::{Level, Levels, Most, Stride};

use super::{Lower, of_kind};
use crate::ast::{self, BarrierFact, FieldValue, Ident, InvalidateFact, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    At, Barrier, Drops, Field, Form, Invalidate, LevelSel, Load, Named, Names, Operand, Place,
    Source, Template, Value, Var, Which,
};
use crate::source::Span;
use crate::spelling::nearest;

const SOURCES: [(&str, Source); 9] = [
    ("tag", Source::Tag),
    ("va", Source::Va),
    ("root", Source::Root),
    ("num", Source::Num),
    ("scale", Source::Scale),
    ("hint", Source::Hint),
    ("granule", Source::Granule),
    ("form", Source::Form),
    ("keep", Source::Keep),
];

fn named(ident: &Ident) -> Named {
    Named {
        name: ident.node.clone(),
        span: ident.span,
        text: String::new(),
    }
}

impl Lower {
    /// The lines of a template, and the operands in the order in which it names them.
    fn template(&mut self, text: &ast::Text, with: &[Ident]) -> Template {
        let mut operands = Vec::new();
        for name in placeholders(&text.node) {
            if name == "scratch" {
                continue;
            }
            let ident = Ident {
                node: name.to_owned(),
                span: text.span,
            };
            self.place_operand(&ident, &mut operands);
        }
        for ident in with {
            self.place_operand(ident, &mut operands);
        }
        let lines = text.node.split(';').map(|line| line.trim().to_owned());
        Template {
            lines: lines.filter(|line| !line.is_empty()).collect(),
            operands,
            span: text.span,
        }
    }

    fn place_operand(&mut self, ident: &Ident, operands: &mut Vec<usize>) {
        let found = self.with(|s| &mut s.operands, |s, l| s.find("operand", l, ident));
        if let Some(operand) = found.filter(|operand| !operands.contains(operand)) {
            operands.push(operand);
        }
    }

    pub(super) fn lower_barriers(&mut self, items: &[Item]) -> Vec<Barrier> {
        let mut out = Vec::new();
        for it in of_kind!(items, Barrier) {
            let mut barrier = Barrier {
                named: named(&it.name),
                template: self.template(&it.template, &[]),
                requires: self.cond(it.requires.as_ref(), &[]),
                publishes: None,
                completes: None,
                same_cpu: false,
                resyncs: None,
                gone: None,
                drained: None,
                span: it.span,
            };
            for fact in &it.facts {
                match &fact.node {
                    BarrierFact::Publishes(on) => {
                        if let Some(holders) = self.holders(on) {
                            self.once(&mut barrier.publishes, "`publishes`", holders, on.span);
                        }
                    }
                    BarrierFact::Completes { on, same_cpu } => {
                        if let Some(holders) = self.holders(on) {
                            self.once(&mut barrier.completes, "`completes`", holders, on.span);
                            barrier.same_cpu = *same_cpu;
                        }
                    }
                    BarrierFact::Resyncs(_) => barrier.resyncs = Some(fact.span),
                    BarrierFact::Gone => barrier.gone = Some(fact.span),
                    BarrierFact::Drained => barrier.drained = Some(fact.span),
                }
            }
            out.push(barrier);
        }
        out
    }

    pub(super) fn lower_operands(&mut self, items: &[Item]) -> Vec<Operand> {
        let mut out = Vec::new();
        for it in of_kind!(items, Operand) {
            let place = match it.place.as_ref() {
                None => Place::Register,
                Some(place) if place.node == "memory" => Place::Memory,
                Some(place) => Place::Fixed(place.node.clone()),
            };
            let most = if place == Place::Memory { 128 } else { 64 };
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
        let when = self.cond_with_geometry(
            it.when.as_ref(),
            &[("hinted", Var::Hinted), ("keep", Var::Keep)],
        );
        let (high, low) = (it.high.node, it.low.node);
        if high < low || high >= 128 {
            self.misplaced(
                it.high.span.to(it.low.span),
                format!("there are no bits [{high}:{low}]"),
                "write the highest bit first: `[47:44]`",
            );
        }
        // What was meant, so that nothing else is said about the bits or what should stand there.
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
                        self.misplaced(
                            from.span.to(to.span),
                            format!("there are no bits [{}:{}]", from.node, to.node),
                            "sources have bits 63 to 0; write the highest first",
                        );
                        // As many bits as there is room for, as above.
                        let width = (high - low + 1).min(64) as u32;
                        Value::Slice(source, 63, 64 - width)
                    }
                }
            }
            FieldValue::PageNumber(source) => Value::PageNumber(self.source(source)?),
            FieldValue::LevelIs(level) => Value::LevelIs(self.level(level)?),
        };
        Some(Field {
            high: high as u32,
            low: low as u32,
            value,
            when,
            span: it.span,
        })
    }

    /// The source of that name; for a name that is not known, the one that was likely meant.
    fn source(&mut self, ident: &Ident) -> Option<Source> {
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
        let num_bits = bits("num").unwrap_or(0).min(32);
        let scale_bits = bits("scale").unwrap_or(0).min(4);
        let most_num = (1u64 << num_bits) - 1;
        let samples = [0, 1, most_num / 2, most_num];
        let units = (0..1u64 << scale_bits).map(|scale| {
            let count = |num| evaluate(&it.count.node, num, scale);
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
            self.report(
                Diagnostic::new(
                    Code::E0304,
                    it.count.span,
                    "a run must name `num + 1` units, each a power of two",
                )
                .label("this formula does not")
                .note("ranges are cut into the largest units first, which needs units that divide each other")
                .help("write it as `(num + 1) << (a * scale + b) pages` or `num + 1 entries`"),
            );
            // Any count, so that nothing else is said about it.
            return Names {
                base: 0,
                step: 0,
                scales: 1,
                most_num: u64::from(u32::MAX),
                pages: it.pages,
                span: it.span,
            };
        };
        Names {
            base,
            step: step.unwrap_or(0),
            scales: 1 << scale_bits,
            most_num,
            pages: it.pages,
            span: it.span,
        }
    }

    pub(super) fn lower_invalidates(&mut self, items: &[Item]) -> Vec<Invalidate> {
        let all: Vec<&ast::Invalidate> = of_kind!(items, Invalidate).collect();
        all.into_iter().map(|it| self.invalidate(it)).collect()
    }

    fn invalidate(&mut self, it: &ast::Invalidate) -> Invalidate {
        let template = self.template(&it.template, &it.with);
        let requires = self.cond(it.requires.as_ref(), &[]);
        let (mut per, mut holders, mut after) = (None, None, None);
        let (mut needs, mut cost) = (Vec::new(), None);
        let (mut clobbers, mut writes) = (None, None);
        let mut drops = Vec::new();
        let mut forms: Vec<Form> = Vec::new();
        for fact in &it.facts {
            match &fact.node {
                InvalidateFact::Per(text) => {
                    self.once(&mut per, "`per`", text.node.clone(), text.span);
                }
                InvalidateFact::Drops(d) => drops.extend(self.drops(d, fact.span)),
                InvalidateFact::Where(name) => {
                    if let Some(found) = self.holders(name) {
                        self.once(&mut holders, "`where`", found, name.span);
                    }
                }
                InvalidateFact::AtOnce => self.once(&mut after, "when it is done", None, fact.span),
                InvalidateFact::After(name) => {
                    let barrier = self.barrier(name);
                    if barrier.is_some() {
                        self.once(&mut after, "when it is done", barrier, name.span);
                    }
                }
                InvalidateFact::Needs(need) => needs.push(At {
                    value: need.node,
                    span: need.span,
                }),
                InvalidateFact::ClobbersFlags => {
                    self.once(&mut clobbers, "`clobbers flags`", (), fact.span);
                }
                InvalidateFact::WritesEntry => {
                    self.once(&mut writes, "`writes entry`", (), fact.span);
                }
                InvalidateFact::Cost(n) => {
                    if n.node == 0 {
                        self.misplaced(
                            n.span,
                            "an instruction that costs nothing would always win".to_owned(),
                            "costs begin at 1, which needs not be said",
                        );
                    }
                    self.once(&mut cost, "`cost`", n.node, fact.span);
                }
                InvalidateFact::Form(form) => {
                    if let Some(form) = self.form(form, &forms) {
                        forms.push(form);
                    }
                }
            }
        }
        self.silences(it, per.is_some(), holders.is_some(), after.is_some());
        if !drops.is_empty() {
            forms.insert(
                0,
                Form {
                    named: None,
                    requires: crate::model::Cond::default(),
                    drops,
                },
            );
        }
        Invalidate {
            named: Named {
                text: it.doc.join("\n"),
                ..named(&it.name)
            },
            template,
            requires,
            per,
            holders: holders.unwrap_or(At {
                value: tlbc_runtime::clause::Holders::NONE,
                span: it.name.span,
            }),
            after: after.and_then(|at| {
                at.value.map(|value| At {
                    value,
                    span: at.span,
                })
            }),
            needs,
            clobbers_flags: clobbers.is_some(),
            writes_entry: writes.map(|at| at.span),
            cost: cost.map_or(1, |at| at.value),
            forms,
            span: it.span,
        }
    }

    /// A primitive that is silent on a question is an error.
    fn silences(&mut self, it: &ast::Invalidate, per: bool, holders: bool, after: bool) {
        let drops = (it.facts.iter())
            .any(|f| matches!(f.node, InvalidateFact::Drops(_) | InvalidateFact::Form(_)));
        let questions = [
            (
                drops,
                "what it drops",
                "add, for instance, `drops leaf of one page, this tag;`",
            ),
            (
                holders,
                "where it acts",
                "add `where self;`, `where cpus;` or `where` a domain",
            ),
            (
                after,
                "when it is done",
                "add `at once;` or `after` a barrier",
            ),
            (
                per,
                "where that is documented",
                "add `per \"manual, section\";`",
            ),
        ];
        for (said, what, help) in questions {
            if !said {
                self.report(
                    Diagnostic::new(
                        Code::E0401,
                        it.name.span,
                        format!("`{}` does not say {what}", it.name.node),
                    )
                    .label("silent on it")
                    .note("a flush rests on every one of these answers; none has a default")
                    .help(help),
                );
            }
        }
    }

    fn form(&mut self, it: &ast::Form, before: &[Form]) -> Option<Form> {
        let twice = before.iter().filter_map(|form| form.named.as_ref());
        if let Some((first, _)) = twice.clone().find(|(n, _)| n.name == it.name.node) {
            let first = first.span;
            self.said_twice(&format!("the form `{}`", it.name.node), it.name.span, first);
            return None;
        }
        let mut drops = Vec::new();
        for d in &it.drops {
            drops.extend(self.drops(&d.node, d.span));
        }
        Some(Form {
            named: Some((named(&it.name), it.value.node)),
            requires: self.cond(it.requires.as_ref(), &[]),
            drops,
        })
    }

    fn drops(&mut self, it: &ast::Drops, span: Span) -> Option<Drops> {
        let when = self.cond(
            it.when.as_ref(),
            &[("hinted", Var::Hinted), ("keep", Var::Keep)],
        );
        let (mut leaf, mut walk) = (None, None);
        for (kind, levels) in &it.what {
            let levels = match levels {
                ast::Levels::Any => LevelSel::Any,
                ast::Levels::AtHint => LevelSel::Hint,
                ast::Levels::AboveHint => LevelSel::AboveHint,
                ast::Levels::At(name) => {
                    LevelSel::Only(Levels::only(Level(self.level(name)? as u8)))
                }
            };
            match kind.node {
                ast::Kind::Leaf => leaf = Some(levels),
                ast::Kind::Walk => walk = Some(levels),
                ast::Kind::Root => self.misplaced(
                    kind.span,
                    "root bindings cannot be described yet".to_owned(),
                    "leave `root` out",
                ),
            }
        }
        let which = match &it.which.node {
            ast::Which::OnePage => Which::OnePage,
            ast::Which::Everything => Which::Everything,
            ast::Which::Run {
                least,
                most,
                entries_at,
            } => self.run(least.node, most, entries_at.as_deref())?,
        };
        Some(Drops {
            leaf,
            walk,
            which: At {
                value: which,
                span: it.which.span,
            },
            whose: At {
                value: it.whose.node,
                span: it.whose.span,
            },
            when,
            span,
        })
    }

    fn run(&mut self, least: u64, most: &ast::Most, at: Option<&[Ident]>) -> Option<Which> {
        let most = match most {
            ast::Most::Const(n) => Most::Count(u32::try_from(n.node).unwrap_or(u32::MAX)),
            ast::Most::Limit(name) => {
                Most::Limit(self.with(|s| &mut s.limits, |s, l| s.find("limit", l, name))? as u8)
            }
        };
        let stride = match at {
            None => Stride::Pages,
            Some(levels) => {
                let mut set = Levels::NONE;
                for level in levels {
                    set = set.union(Levels::only(Level(self.level(level)? as u8)));
                }
                Stride::Entries(set)
            }
        };
        Some(Which::Run {
            least,
            most,
            stride,
        })
    }

    pub(super) fn lower_loads(&mut self, items: &[Item]) -> Vec<Load> {
        let mut out = Vec::new();
        for it in of_kind!(items, Load) {
            let template = self.template(&it.template, &[]);
            let mut drops = Vec::new();
            for d in &it.drops {
                drops.extend(self.drops(&d.node, d.span));
            }
            if it.per.is_empty() {
                self.report(
                    Diagnostic::new(
                        Code::E0401,
                        it.name.span,
                        format!("`{}` does not say where that is documented", it.name.node),
                    )
                    .label("silent on it")
                    .help("add `per \"manual, section\";`"),
                );
            }
            out.push(Load {
                named: named(&it.name),
                template,
                drops,
                span: it.span,
            });
        }
        out
    }
}

/// The `{name}`s of a template.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
}

/// The value of a run's formula; `None` where it does not fit 64 bits or uses another source.
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
