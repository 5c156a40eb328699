//! The configuration word: its flags, and what is known of a machine with these flags.

use super::context::Emit;
use super::docs::escaped;
use super::tree::{CodeText, CodeWord, Expr, Function, Item, Runtime, Stmt, hex, number, string};
use crate::model::{Cond, Var};

/// Functions that are the same in every configuration.
const FLAGS: &str = "\
/// Returns the configuration with another flag set.
#[must_use]
pub const fn with(self, flag: Self) -> Self {
    Self(self.0 | flag.0)
}

/// Returns the configuration with a flag cleared.
#[must_use]
pub const fn without(self, flag: Self) -> Self {
    Self(self.0 & !flag.0)
}

/// Returns whether a flag is set.
#[must_use]
#[inline(always)]
pub const fn has(self, flag: Self) -> bool {
    self.0 & flag.0 != 0
}

/// Returns the flags as a word.
#[must_use]
pub const fn bits(self) -> u32 {
    self.0
}
";

impl Emit<'_> {
    /// Returns the names and descriptions of the flags, in the order of their bits: features, errata, and all geometries
    /// except the first.
    fn flag_docs(&self) -> Vec<(&str, String)> {
        let model = self.model;
        let features = (model.features.iter().enumerate())
            .map(|(index, it)| (it.named.name.as_str(), self.feature_text(index)));
        let errata = model.errata.iter().map(|it| {
            let text = format!("Erratum: {}.", escaped(&it.named.text));
            (it.named.name.as_str(), text)
        });
        let geometries = model.geometries.iter().skip(1).map(|it| {
            let page = 1u64 << it.page_shift >> 10;
            let text = format!("Pages of {page} KiB; at most one page size may be named.");
            (it.named.name.as_str(), text)
        });
        features.chain(errata).chain(geometries).collect()
    }

    /// Returns the flags that each space has for itself, if there are any.
    pub(super) fn of_space(&self) -> Option<u32> {
        let mask = self.model.features_of_space();
        (mask != 0).then_some(mask)
    }

    /// Returns the configuration, and what it is read from.
    pub(super) fn config(&self) -> Vec<Item> {
        let flags = self.flag_docs();
        let constant = |docs: &str, head: String, value| Item::Const {
            docs: docs.to_owned(),
            head: head.into(),
            value,
        };
        let of_bits = |bits: Expr| Expr::from("Self").call([bits]);
        let none = "No feature, no erratum, and the first page size of the definition.";
        let mut items = vec![constant(
            none,
            "pub const NONE: Self".into(),
            of_bits(number(0u32)),
        )];
        items.extend(flags.iter().enumerate().map(|(bit, (_, docs))| {
            let head = format!("pub const {}: Self", self.names.flag(bit));
            constant(docs, head, of_bits(format!("1 << {bit}").into()))
        }));
        let names = flags.iter().enumerate().map(|(bit, (name, _))| {
            let flag = format!("Self::{}", self.names.flag(bit));
            Expr::Tuple(vec![string(name), flag.into()])
        });
        items.push(constant(
            "Every flag by its name in the definition.",
            format!("pub const NAMES: [(&'static str, Self); {}]", flags.len()),
            Expr::Array(names.collect()),
        ));
        items.push(Item::Text(FLAGS.into()));
        items.extend(self.config_of_registers());
        items.push(self.settled());
        items.push(self.is_possible());
        let mut config = self.registers();
        config.push(Item::Type {
            docs: "The features, errata and page size of a machine, in one word.".into(),
            attributes: vec![
                "derive(Debug, Clone, Copy, PartialEq, Eq)".into(),
                "repr(transparent)".into(),
            ],
            head: "pub struct Config(u32)".into(),
            members: Vec::new(),
        });
        config.push(Item::group("impl Config".into(), items));
        config.push(self.flags_trait(flags.len()));
        config
    }

    /// Returns the function that clears flags whose needs are not met.
    fn settled(&self) -> Item {
        let features = self.in_order_of_needs().into_iter();
        let features = features.map(|index| (index, &self.model.features[index].needs));
        let errata = self.model.errata.iter().enumerate();
        let errata = errata.map(|(index, it)| (self.erratum_bit(index), &it.needs));
        // Flags in a row that need the same are cleared together: none of them is needed by another.
        let mut steps: Vec<(Expr, Vec<Stmt>)> = Vec::new();
        for (bit, needs) in features.chain(errata) {
            let Some(unmet) = self.unmet(needs) else {
                continue;
            };
            let flag = format!("Self::{}", self.names.flag(bit));
            let without = Expr::from("config").method("without", [flag.into()]);
            let clear = Stmt::Do(Expr::from("config").binary("=", without));
            match steps.last_mut() {
                Some((other, clears)) if *other == unmet => clears.push(clear),
                _ => steps.push((unmet, vec![clear])),
            }
        }
        let steps = steps.into_iter();
        let steps = steps.map(|step| Stmt::Do(Expr::If(vec![step], Vec::new())));
        let mut body: Vec<Stmt> = steps.collect();
        if body.is_empty() {
            body.push(Stmt::Value("self".into()));
        } else {
            body.insert(0, Stmt::Let("mut config".into(), "self".into()));
            body.push(Stmt::Value("config".into()));
        }
        Item::from(Function {
            docs: "Returns the configuration without features and errata whose needs are not met."
                .into(),
            attributes: vec!["must_use"],
            head: "pub const fn settled".into(),
            receiver: "self",
            returns: Some("Self".into()),
            body: Some(body),
            ..Function::default()
        })
    }

    /// Returns whether the variable `config` lacks something; `None` if nothing is needed.
    fn unmet(&self, needs: &Cond) -> Option<Expr> {
        let unmet = needs.terms.iter().filter_map(|term| {
            let (Var::Feature(other), wanted) = term.value else {
                return None;
            };
            let other = format!("Self::{}", self.names.flag(other));
            let has = Expr::from("config").method("has", [other.into()]);
            Some(if wanted { has.not() } else { has })
        });
        unmet.reduce(Expr::or)
    }

    /// Returns the features, each after those that it needs. `lower` rejects circular needs.
    fn in_order_of_needs(&self) -> Vec<usize> {
        let features = &self.model.features;
        let mut order: Vec<usize> = Vec::new();
        while order.len() < features.len() {
            let ready = |index: &usize| {
                let mut needed = features[*index].needs.features_wanted();
                !order.contains(index) && needed.all(|needed| order.contains(&needed))
            };
            let ready: Vec<usize> = (0..features.len()).filter(ready).collect();
            order.extend(ready);
        }
        order
    }

    fn is_possible(&self) -> Item {
        let settled = Expr::from("self.settled().0").binary("==", "self.0");
        let geometries = 1..self.model.geometries.len();
        let sizes = geometries
            .map(|geometry| format!("Self::{}", self.names.flag(self.geometry_bit(geometry))));
        let sizes: Vec<Expr> = sizes.map(Expr::from).collect();
        let possible = if sizes.len() < 2 {
            settled
        } else {
            let mask = sizes.into_iter().map(|size| size.field("0"));
            let mask = mask.reduce(|all, size| all.binary("|", size));
            let named = Expr::from("self.0").binary("&", mask.unwrap_or(number(0u32)));
            let count = named.method("count_ones", []);
            settled.and(count.binary("<=", number(1u32)))
        };
        Item::from(Function {
            docs: "Returns whether such a machine exists: every feature and erratum has what it needs."
                .into(),
            attributes: vec!["must_use"],
            head: "pub const fn is_possible".into(),
            receiver: "self",
            returns: Some("bool".into()),
            body: Some(vec![Stmt::Value(possible)]),
            ..Function::default()
        })
    }

    /// Returns the implementation of the trait by which a configuration is also a type, given the number of flags.
    fn flags_trait(&self, flags: usize) -> Item {
        let all = |flags: usize| hex((1u64 << flags) - 1);
        let constant = |head, value| Item::Const {
            docs: String::new(),
            head,
            value,
        };
        let features = all(self.model.features.len());
        let features = constant("const FEATURES: u32".into(), features);
        let of_space = self.of_space().map(|mask| {
            let head = Runtime::SpaceFlags.text("const OF_SPACE: SpaceFlags");
            constant(head, Runtime::SpaceFlags.of(hex(mask)))
        });
        let function =
            |head: &'static str, parameter: Option<(CodeText, CodeWord)>, returns, value| {
                Item::from(Function {
                    attributes: vec!["inline(always)"],
                    head: head.into(),
                    receiver: if parameter.is_some() { "" } else { "self" },
                    parameters: parameter.into_iter().collect(),
                    returns: Some(CodeWord::from(returns)),
                    body: Some(vec![Stmt::Value(value)]),
                    ..Function::default()
                })
            };
        let known = Expr::from("bits").binary("&", all(flags));
        let functions = [
            function("fn bits", None, "u32", "self.0".into()),
            function(
                "fn from_bits",
                Some(("bits".into(), "u32".into())),
                "Self",
                Expr::from("Self").call([known]),
            ),
        ];
        let items = std::iter::once(features).chain(of_space).chain(functions);
        Item::group(
            Runtime::Flags.text("impl Flags for Config"),
            items.collect(),
        )
    }
}
