//! The levels: their numbers, and the tables and private functions that tell their properties.

use std::cell::RefCell;

use tlbc_runtime::request::{LevelFacts, LevelTable};

use super::context::Emit;
use super::tree::{
    Case, Expr, Function, Item, Private, Property, Runtime, Stmt, Uses, Var, borrow, number,
};
use crate::model::{Cases, Cond, Config, Geometry, Level, Var as Of};

impl Emit<'_> {
    /// Returns the constants of the levels.
    fn level_constants(&self) -> impl Iterator<Item = Item> {
        let always = |index: usize| {
            let mut geometries = self.model.geometries.iter();
            geometries.all(|geometry| {
                let level = geometry.levels.get(index).and_then(Option::as_ref);
                level.is_some_and(|level| level.shift.conds().any(|when| when.terms.is_empty()))
            })
        };
        let levels = self.model.levels.iter().enumerate();
        levels.map(move |(index, level)| {
            let note = if (0..index).all(always) {
                ""
            } else {
                " It has the same number where levels below it do not exist."
            };
            Item::Const {
                docs: format!("The level `{}`.{note}", level.name),
                head: Runtime::Level.text(format!("pub const {}: Level", self.names.level(index))),
                value: Runtime::Level.of(number(index as u64)),
            }
        })
    }

    /// Returns the constant of a level.
    pub(super) fn level_word(&self, level: usize) -> Expr {
        self.names.level(level).into()
    }

    /// Returns the items of levels, given what the rest of the module uses.
    pub(super) fn levels(&self, rest: &Uses) -> Vec<Item> {
        let mut properties: Vec<Item> = Vec::new();
        let mut uses = rest.clone();
        // One of them may use those before it.
        for property in Property::ALL.into_iter().rev() {
            if uses.private(Private::Function(property)) {
                let items = self.property(property);
                uses.add(&Uses::of_items(&items));
                properties.splice(0..0, items);
            }
        }
        self.level_constants().chain(properties).collect()
    }

    /// Returns the function that returns a property of the geometry or of a level.
    fn property(&self, property: Property) -> Vec<Item> {
        let level = Var::Level.parameter();
        let (docs, parameters, returns, value) = match property {
            Property::LevelTable => return self.level_tables(),
            Property::ShiftOf => (
                "Returns log2 of the bytes that an entry of a level maps; 0 if the level does not exist.",
                vec![level],
                "u32",
                self.by_level(&number(0u32), |level| {
                    Some(self.by_case_of_level(&level.shift))
                }),
            ),
            Property::EndOf => (
                "Returns the first address after the entry of a level at an address.",
                vec![Var::Va.parameter(), level],
                "u64",
                {
                    let shift = Property::ShiftOf.call([Var::Level.expr()]);
                    let size = Expr::from("1u64").method("wrapping_shl", [shift]);
                    Var::Va.method("wrapping_add", [size])
                },
            ),
            Property::HintOf => (
                "Returns the number of a level in operands, if it has one.",
                vec![level],
                "Option<u64>",
                self.by_level(&"None".into(), |level| {
                    let hint = number(level.hint?.value);
                    Some(vec![(None, Expr::from("Some").call([hint]))])
                }),
            ),
            Property::Granule => (
                "Returns the number of the page size in operands.",
                Vec::new(),
                "u64",
                self.granule(),
            ),
            Property::PageShift => (
                "Returns log2 of the page size.",
                Vec::new(),
                "u32",
                self.page_shift(),
            ),
        };
        let config = Var::Config.parameter();
        vec![Item::from(Function {
            docs: docs.into(),
            attributes: vec!["inline(always)"],
            head: format!("const fn {}", property.name()).into(),
            parameters: std::iter::once(config).chain(parameters).collect(),
            returns: Some(returns.into()),
            body: Some(using_config(value)),
            ..Function::default()
        })]
    }

    /// Returns the number of the page size in operands.
    pub(super) fn granule(&self) -> Expr {
        self.by_geometry(|it| number(it.granule.map_or(0, |at| at.value)))
    }

    /// Returns log2 of the page size.
    pub(super) fn page_shift(&self) -> Expr {
        self.by_geometry(|it| number(it.page_shift))
    }

    /// Returns the function that returns the table of a configuration, and the tables. They are constants, because the
    /// compiler uses vector registers for a table on the stack.
    fn level_tables(&self) -> Vec<Item> {
        let tables = RefCell::new(Vec::new());
        let geometries = 0..self.model.geometries.len();
        let geometries = geometries.map(|geometry| {
            let config = Config {
                geometry,
                ..Config::default()
            };
            self.level_table(&self.features_of_levels(geometry), config, &tables)
        });
        let geometries: Vec<Expr> = geometries.collect();
        let table = self.of_geometries(geometries);
        let function = Item::from(Function {
            docs: "Returns the levels of a configuration.".into(),
            attributes: vec!["inline"],
            head: "const fn level_table".into(),
            parameters: vec![Var::Config.parameter()],
            returns: Some(Runtime::LevelTable.text("&'static LevelTable")),
            body: Some(using_config(table)),
            ..Function::default()
        });
        let tables = tables.into_inner().into_iter();
        let tables = tables.map(|(name, table): (String, LevelTable)| Item::Const {
            docs: String::new(),
            head: Runtime::LevelTable.text(format!("const {name}: LevelTable")),
            value: Expr::Array(table.iter().map(level_facts).collect()),
        });
        tables.chain([function]).collect()
    }

    /// Returns the features on which the levels of a geometry depend.
    fn features_of_levels(&self, geometry: usize) -> Vec<usize> {
        let levels = self.model.geometries[geometry].levels.iter().flatten();
        let conds = levels.flat_map(|level| level.shift.conds().chain(&level.leaf));
        let vars = conds.flat_map(|cond| &cond.terms).map(|term| term.value.0);
        let features = vars.filter_map(|var| match var {
            Of::Feature(feature) => Some(feature),
            _ => None,
        });
        let mut features: Vec<usize> = features.collect();
        features.sort_unstable();
        features.dedup();
        features
    }

    /// Returns a reference to the table of a configuration, and of those that have some of `features` as well.
    fn level_table(
        &self,
        features: &[usize],
        config: Config,
        tables: &RefCell<Vec<(String, LevelTable)>>,
    ) -> Expr {
        let Some((&feature, others)) = features.split_first() else {
            let table = self.model.level_table(config);
            let mut tables = tables.borrow_mut();
            if let Some((name, _)) = tables.iter().find(|(_, other)| *other == table) {
                return borrow(name.clone());
            }
            let features = (0..self.model.features.len()).filter(|&it| config.has(it));
            let geometry = (config.geometry > 0).then(|| self.geometry_bit(config.geometry));
            let flags = geometry.into_iter().chain(features);
            let flags: String = flags.flat_map(|bit| ["_", self.names.flag(bit)]).collect();
            let name = self.names.item(&format!("LEVELS{flags}"));
            tables.push((name.clone(), table));
            return borrow(name);
        };
        let mut having = config;
        having.features |= 1 << feature;
        let having = self.level_table(others, having, tables);
        let lacking = self.level_table(others, config, tables);
        if having == lacking {
            return having;
        }
        Expr::choice(self.has(feature), having, lacking)
    }

    /// Returns a match over levels, with cases for values that are not the default. Where the geometries differ in few levels,
    /// these test the geometry; otherwise each geometry has a match of its own.
    fn by_level(
        &self,
        default: &Expr,
        cases: impl Fn(&Level) -> Option<Vec<(Option<Expr>, Expr)>>,
    ) -> Expr {
        let of = |geometry: &Geometry, level: usize| {
            let level = geometry.levels.get(level)?.as_ref()?;
            cases(level)
        };
        let in_all = |level: usize| {
            let mut values: Vec<(Option<Expr>, Expr)> = Vec::new();
            let (first, others) = self.model.geometries.split_first()?;
            let first = of(first, level).unwrap_or_default();
            for (index, geometry) in others.iter().enumerate() {
                let other = of(geometry, level).unwrap_or_default();
                if other == first {
                    continue;
                }
                let [(None, value)] = other.as_slice() else {
                    return None;
                };
                let test = self.has(self.geometry_bit(index + 1));
                values.push((Some(test), value.clone()));
            }
            values.extend(first);
            Some(values)
        };
        let levels = 0..self.model.levels.len();
        let joint: Option<Vec<_>> = levels.map(|level| Some((level, in_all(level)?))).collect();
        let count =
            |levels: &[(usize, Vec<_>)]| levels.iter().map(|(_, values)| values.len()).sum();
        let apart = self.model.geometries.iter().map(|geometry| {
            let levels = geometry.levels.iter().enumerate();
            let levels = levels.filter_map(|(index, level)| Some((index, cases(level.as_ref()?)?)));
            levels.collect::<Vec<_>>()
        });
        let apart: Vec<_> = apart.collect();
        let each: usize = apart.iter().map(|levels| count(levels)).sum();
        let joint = joint.filter(|joint: &Vec<(usize, Vec<_>)>| {
            let joint: usize = count(joint);
            joint < each
        });
        if let Some(joint) = joint {
            return self.match_level(Var::Level, joint.into_iter(), default);
        }
        let apart = apart.into_iter();
        self.of_geometries(apart.map(|it| self.match_level(Var::Level, it.into_iter(), default)))
    }

    fn by_case_of_level(&self, shift: &Cases<u32>) -> Vec<(Option<Expr>, Expr)> {
        let cases = shift.cases.iter().rev();
        let value = |(shift, cond): &(u32, Cond)| (self.condition(cond), number(*shift));
        cases.map(value).collect()
    }

    /// Returns a match over levels. Each level has values with their conditions, of which the first that holds counts.
    pub(super) fn match_level(
        &self,
        of: Var,
        levels: impl Iterator<Item = (usize, Vec<(Option<Expr>, Expr)>)>,
        default: &Expr,
    ) -> Expr {
        let mut cases = Vec::new();
        for (level, values) in levels {
            let mut values: Vec<_> = values;
            if let Some(last) = values.iter().position(|(guard, _)| guard.is_none()) {
                values.truncate(last + 1);
            }
            // What the default says as well is left out.
            while values.last().is_some_and(|(_, value)| value == default) {
                values.pop();
            }
            cases.extend(values.into_iter().map(|(guard, value)| Case {
                pattern: self.level_word(level),
                guard,
                value,
            }));
        }
        if cases.is_empty() {
            return default.clone();
        }
        cases.push(Case::new("_", default.clone()));
        of.expr().matched(cases)
    }
}

/// Returns the facts of a level in a table.
fn level_facts(level: &LevelFacts) -> Expr {
    let call = |name: &str, arguments: &[u32]| {
        let arguments = arguments.iter().map(|&argument| number(argument));
        Runtime::LevelFacts.item(name).call(arguments)
    };
    let leaf = match *level {
        LevelFacts::NONE => return Runtime::LevelFacts.item("NONE"),
        LevelFacts { leaf: false, .. } => return call("table", &[level.shift]),
        LevelFacts { joined: 0, .. } => call("leaf", &[level.shift]),
        _ => call("joined", &[level.shift, level.joined]),
    };
    if level.merged {
        leaf.method("merged", [])
    } else {
        leaf
    }
}

/// Returns a body that uses the parameter `c`, to avoid a warning.
pub(super) fn using_config(value: Expr) -> Vec<Stmt> {
    let unused = !Uses::of_expr(&value).var(Var::Config);
    let unused = unused.then(|| Stmt::Let("_".into(), Var::Config.expr()));
    unused.into_iter().chain([Stmt::Value(value)]).collect()
}
