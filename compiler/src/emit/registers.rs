//! Registers: what is read from them, and how they are set up.

use super::context::Emit;
use super::docs::{escaped, paragraphs};
use super::tree::{Expr, Function, Item, Member, Stmt, hex, number};
use crate::describe::registers::{demand, limit_from, read_from, reason};
use crate::model::{Bits, Comparison, LimitFrom, ReadFrom, Setup, Var};
use crate::text::list;

impl Emit<'_> {
    /// Returns the features that are read from a register, and where.
    fn read(&self) -> impl Iterator<Item = (usize, &ReadFrom)> {
        let features = self.model.features.iter().enumerate();
        features.filter_map(|(index, feature)| Some((index, feature.from.as_ref()?)))
    }

    /// Returns the description of a feature's flag: where it is read, and the setup that depends on it.
    pub(super) fn feature_text(&self, index: usize) -> String {
        let feature = &self.model.features[index];
        let from = match &feature.from {
            Some(from) => format!("Read from {}.", read_from(from)),
            None => "Not read from a register: the kernel sets it.".to_owned(),
        };
        let concerns = |setup: &&Setup| {
            let conds = setup.conds();
            let mut vars = conds.iter().flat_map(|cond| &cond.terms);
            vars.any(|term| term.value.0 == Var::Feature(index))
        };
        let demands = self.model.setup.iter().filter(concerns);
        let demands: Vec<String> = demands.map(|setup| demand(self.model, setup)).collect();
        let demands = if demands.is_empty() {
            String::new()
        } else {
            format!("Setup that depends on it: {}.", demands.join("; "))
        };
        let feature = format!("Feature: {}. {from}", feature.named.text);
        escaped(&paragraphs([feature, demands]))
    }

    /// Returns the limits that are read from a register, and where.
    fn read_limits(&self) -> impl Iterator<Item = (usize, &LimitFrom)> {
        let limits = self.model.limits.iter().enumerate();
        limits.filter_map(|(index, limit)| Some((index, limit.from.as_ref()?)))
    }

    /// Returns the registers from which features and limits are read, with the names of these.
    fn sources(&self) -> Vec<(&str, Vec<String>)> {
        let features = self
            .read()
            .map(|(index, from)| (&from.register, &self.model.features[index].named));
        let limits = self.read_limits();
        let limits = limits.map(|(index, from)| (&from.register, &self.model.limits[index].named));
        let mut registers: Vec<(&str, Vec<String>)> = Vec::new();
        for (register, named) in features.chain(limits) {
            let name = format!("`{}`", named.name);
            match registers.iter_mut().find(|(of, _)| of == register) {
                Some((_, names)) => names.push(name),
                None => registers.push((register, vec![name])),
            }
        }
        registers
    }

    /// Returns the structure of register values, if a feature or limit is read from one.
    pub(super) fn registers(&self) -> Vec<Item> {
        let sources = self.sources();
        if sources.is_empty() {
            return Vec::new();
        }
        let members = sources.iter().map(|(register, names)| Member {
            docs: escaped(&format!("`{register}`, which has {}.", list(names, "and"))),
            text: format!("pub {}: u64", self.names.register(register)).into(),
            fields: Vec::new(),
        });
        let values = Item::Type {
            docs: "The values of the registers from which the features and limits of a CPU are read.\n\n\
                   A register that the CPU does not have is 0. A register of fewer than 64 bits is zero-extended."
                .into(),
            attributes: vec!["derive(Debug, Clone, Copy, PartialEq, Eq, Default)".into()],
            head: "pub struct Registers".into(),
            members: members.collect(),
        };
        let limits: Vec<Item> = self
            .read_limits()
            .map(|(limit, from)| self.limit(limit, from))
            .collect();
        let limits = (!limits.is_empty()).then(|| Item::group("impl Registers".into(), limits));
        std::iter::once(values).chain(limits).collect()
    }

    /// Returns bits of a register.
    fn bits_of(&self, registers: &'static str, register: &str, bits: &Bits) -> Expr {
        let value = Expr::from(registers).field(self.names.register(register));
        let value = if bits.low == 0 {
            value
        } else {
            value.binary(">>", number(bits.low))
        };
        value.binary("&", hex(bits.most()))
    }

    /// Returns the function that reads a limit.
    fn limit(&self, limit: usize, from: &LimitFrom) -> Item {
        let value = self.bits_of("self", &from.register, &from.bits).cast("u32");
        let value = match from.plus {
            0 => value,
            plus => value.binary("+", number(plus)),
        };
        let text = format!(
            "Returns the limit from {}: {}.",
            limit_from(from),
            self.model.limits[limit].named.text
        );
        Item::from(Function {
            docs: paragraphs([
                escaped(&text),
                "The limit of a machine is the smallest of its CPUs.".into(),
            ]),
            attributes: vec!["must_use"],
            head: format!("pub const fn {}", self.names.limit(limit)).into(),
            receiver: "&self",
            returns: Some("u32".into()),
            body: Some(vec![Stmt::Value(value)]),
            ..Function::default()
        })
    }

    /// Returns the constructor of a configuration from register values, if a feature is read from one.
    pub(super) fn config_of_registers(&self) -> Option<Item> {
        self.read().next()?;
        let tests = self.read().map(|(index, from)| {
            let sign = match from.comparison {
                Comparison::Equal => "==",
                Comparison::AtLeast => ">=",
            };
            let bits = self.bits_of("registers", &from.register, &from.bits);
            let test = if (from.bits.most(), from.value.value) == (1, 1) {
                let bit = Expr::from("1").binary("<<", number(from.bits.low));
                let register = self.names.register(&from.register);
                let register = Expr::from("registers").field(register);
                register.binary("&", bit).binary("!=", number(0u32))
            } else {
                bits.binary(sign, hex(from.value.value))
            };
            (format!("Self::{}", self.names.flag(index)), test)
        });
        let none = Expr::from("Self::NONE");
        let config = tests.fold(none, |config, (flag, test)| {
            config.method("with_if", [flag.into(), test])
        });
        let left = self.model.features.iter().enumerate();
        let left = left
            .filter(|(_, it)| it.from.is_none())
            .map(|(index, it)| format!("[`{}`](Self::{})", it.named.name, self.names.flag(index)));
        let left: Vec<String> = left.collect();
        let left = match left.as_slice() {
            [] => String::new(),
            left => format!(
                "No register has {}: the kernel adds these with [`with`](Self::with).",
                list(left, "or")
            ),
        };
        Some(Item::from(Function {
            docs: paragraphs([
                "Returns the features of one CPU, read from its registers.".into(),
                "A machine has the features that all its CPUs have: see [`Flags::least`]. When all flags are set, \
                 [`settled`](Self::settled) clears those that cannot be used."
                    .into(),
                left,
            ]),
            attributes: vec!["must_use"],
            head: "pub fn from_registers".into(),
            parameters: vec![("registers".into(), "&Registers".into())],
            returns: Some("Self".into()),
            body: Some(vec![Stmt::Value(config)]),
            ..Function::default()
        }))
    }

    /// Returns the setup of the machine as a section of documentation.
    pub(super) fn setup_text(&self) -> String {
        let setup = self.model.setup.iter().map(|setup| {
            let why = reason(setup).map_or(String::new(), |why| format!(": {why}"));
            escaped(&format!("- {}{why}.", demand(self.model, setup)))
        });
        let setup: Vec<String> = setup.collect();
        if setup.is_empty() {
            return String::new();
        }
        format!(
            "# Setup\nEvery CPU is set up as follows before its first flush and while it runs:\n\n{}",
            setup.join("\n")
        )
    }
}
