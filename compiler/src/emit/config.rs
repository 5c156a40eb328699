//! The configuration word: its flags, and what is known of a machine with these flags.

use super::context::Emit;
use super::docs::escaped;
use super::tree::{Expr, Function, Item, Runtime, Stmt, hex, number, string};
use crate::model::{Cond, Known, Var};

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

const SPACE_FLAGS: &str = "\
/// Returns the flags that each space has for itself.
#[must_use]
pub const fn space_flags(self) -> SpaceFlags {
    SpaceFlags(self.0).and(Self::OF_SPACE)
}
";

/// The trait by which a configuration is also a type.
const TRAIT: &str = "\
#[inline(always)]
fn bits(self) -> u32 {
    self.0
}

#[inline(always)]
fn from_bits(bits: u32) -> Self {
    Self::from_bits(bits)
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
        let features = self.model.features.iter().enumerate();
        let of_space = features.filter(|(_, feature)| feature.known == Known::Space);
        let mask = of_space.fold(0, |mask, (index, _)| mask | 1 << index);
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
        if let Some(mask) = self.of_space() {
            items.push(Item::Const {
                docs: "The flags that each space has for itself.".into(),
                head: Runtime::SpaceFlags.text("pub const OF_SPACE: SpaceFlags"),
                value: Runtime::SpaceFlags.of(hex(mask)),
            });
        }
        if !self.model.features.is_empty() {
            let all = (1u64 << self.model.features.len()) - 1;
            items.push(constant("", "const FEATURES: u32".into(), hex(all)));
        }
        items.push(Item::Text(FLAGS.into()));
        items.push(word_of_bits(flags.len()));
        if self.of_space().is_some() {
            items.push(Item::Text(SPACE_FLAGS.into()));
        }
        items.push(self.least());
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
        config.push(self.flags_trait());
        config
    }

    fn least(&self) -> Item {
        let (both, either) = ("self.0 & other.0", "self.0 | other.0");
        let body = if self.model.features.is_empty() {
            format!("    Self({either})")
        } else {
            format!(
                "    let (both, either) = ({both}, {either});\n    \
                 Self((both & Self::FEATURES) | (either & !Self::FEATURES))"
            )
        };
        let text = format!(
            "/// Returns the configuration for two CPUs together: the features of both, the errata of either.\n\
             #[must_use]\n\
             pub const fn least(self, other: Self) -> Self {{\n{body}\n}}"
        );
        Item::Text(text.into())
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

    fn flags_trait(&self) -> Item {
        let of_space = self.of_space().map(|_| Item::Const {
            docs: String::new(),
            head: Runtime::SpaceFlags.text("const OF_SPACE: SpaceFlags"),
            value: "Self::OF_SPACE".into(),
        });
        let functions = Item::Text(TRAIT.into());
        let items = of_space.into_iter().chain([functions]).collect();
        Item::group(Runtime::Flags.text("impl Flags for Config"), items)
    }
}

/// Returns the constructor of a configuration from a word, which has so many flags.
fn word_of_bits(flags: usize) -> Item {
    let all = hex((1u64 << flags) - 1);
    let bits = Expr::from("bits").binary("&", all);
    Item::from(Function {
        docs: "Returns the configuration of a word of flags. Unknown bits are ignored.".into(),
        attributes: vec!["must_use", "inline(always)"],
        head: "pub const fn from_bits".into(),
        parameters: vec![("bits".into(), "u32".into())],
        returns: Some("Self".into()),
        body: Some(vec![Stmt::Value(Expr::from("Self").call([bits]))]),
        ..Function::default()
    })
}
