//! Conditions over the configuration, and values that depend on it.

use super::context::Emit;
use super::tree::{CodeWord, Expr, Use, Var};
use crate::model::{Cases, Cond, Geometry, Var as Of};

impl Emit<'_> {
    /// Returns the constant of a flag.
    pub(super) fn flag(&self, bit: usize) -> CodeWord {
        CodeWord {
            text: format!("Config::{}", self.names.flag(bit)).into(),
            uses: Some(Use::Flag(bit)),
        }
    }

    /// Returns the bit of an erratum.
    pub(super) fn erratum_bit(&self, erratum: usize) -> usize {
        self.model.features.len() + erratum
    }

    /// Returns the bit of a geometry other than the first.
    pub(super) fn geometry_bit(&self, geometry: usize) -> usize {
        self.erratum_bit(self.model.errata.len()) + geometry - 1
    }

    /// Returns whether the configuration `c` has a flag.
    pub(super) fn has(&self, bit: usize) -> Expr {
        Var::Config.expr().method("has", [self.flag(bit).into()])
    }

    /// Returns a condition over the configuration `c`; `None` if it always holds.
    pub(super) fn condition(&self, cond: &Cond) -> Option<Expr> {
        let terms = cond.terms.iter().filter_map(|term| {
            let (of, wanted) = term.value;
            let is = match of {
                Of::Feature(feature) => self.has(feature),
                Of::Geometry(0) => return self.first_geometry(wanted),
                Of::Geometry(geometry) => self.has(self.geometry_bit(geometry)),
                Of::Hinted => {
                    let is = if wanted { "is_some" } else { "is_none" };
                    return Some(Var::Hint.expr().method(is, []));
                }
                Of::Keep => Var::Keep.expr(),
            };
            Some(if wanted { is } else { is.not() })
        });
        terms.reduce(Expr::and)
    }

    /// Returns whether the page size is, or is not, the first of the definition, which has no flag.
    fn first_geometry(&self, wanted: bool) -> Option<Expr> {
        let others = 1..self.model.geometries.len();
        let mut others = others.map(|geometry| self.flag(self.geometry_bit(geometry)));
        let Some(first) = others.next() else {
            return (!wanted).then(|| false.into());
        };
        let any = others.fold(Expr::from(first), |any, other| {
            any.method("with", [other.into()])
        });
        let is = Var::Config.expr().method("has", [any]);
        Some(if wanted { is.not() } else { is })
    }

    /// Returns the value of the case that holds, as an expression; `otherwise` if none does.
    pub(super) fn by_case<T>(
        &self,
        cases: &Cases<T>,
        otherwise: Expr,
        value: impl Fn(&T) -> Expr,
    ) -> Expr {
        let cases = cases.cases.iter();
        cases.fold(otherwise, |rest, (case, cond)| match self.condition(cond) {
            None => value(case),
            Some(cond) => Expr::choice(cond, value(case), rest),
        })
    }

    /// Returns a value that depends on the geometry.
    pub(super) fn by_geometry(&self, value: impl Fn(&Geometry) -> Expr) -> Expr {
        self.of_geometries(self.model.geometries.iter().map(value))
    }

    /// Returns the value of the geometry, given those of all, with as few tests as possible.
    pub(super) fn of_geometries(&self, values: impl IntoIterator<Item = Expr>) -> Expr {
        let mut values = values.into_iter();
        let Some(first) = values.next() else {
            return false.into();
        };
        let mut others: Vec<(Expr, Expr)> = Vec::new();
        for (index, value) in values.enumerate().filter(|(_, value)| *value != first) {
            let test = self.has(self.geometry_bit(index + 1));
            match others.iter_mut().find(|(_, other)| *other == value) {
                Some((tests, _)) => *tests = tests.clone().or(test),
                None => others.push((test, value)),
            }
        }
        let others = others.into_iter().rev();
        others.fold(first, |rest, (test, value)| Expr::choice(test, value, rest))
    }
}
