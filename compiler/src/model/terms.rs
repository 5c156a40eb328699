//! What every fact consists of: values with their places, names, and conditions of machines.

use crate::source::Span;

/// A value and the place of the words that state it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub span: Span,
}

/// A configuration: the features and errata of a machine, and its geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Config {
    /// A bit for each feature.
    pub features: u32,
    /// A bit for each erratum.
    pub errata: u32,
    /// The index of the geometry.
    pub geometry: usize,
}

impl Config {
    /// Returns whether a feature is on.
    #[must_use]
    pub fn has(self, feature: usize) -> bool {
        self.features & (1 << feature) != 0
    }

    /// Returns whether an erratum is present.
    #[must_use]
    pub fn suffers(self, erratum: usize) -> bool {
        self.errata & (1 << erratum) != 0
    }
}

/// A machine for which conditions are evaluated: a configuration, or a partly known one during planning.
pub trait Machine: Copy {
    /// Returns whether a feature is on.
    fn has(self, feature: usize) -> bool;

    /// Returns whether an erratum is present.
    fn suffers(self, erratum: usize) -> bool;

    /// Returns the index of the geometry.
    fn geometry(self) -> usize;
}

impl Machine for Config {
    fn has(self, feature: usize) -> bool {
        self.has(feature)
    }

    fn suffers(self, erratum: usize) -> bool {
        self.suffers(erratum)
    }

    fn geometry(self) -> usize {
        self.geometry
    }
}

/// What a term of a condition names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Var {
    Feature(usize),
    Geometry(usize),
    /// `hinted`: the instruction is given a level.
    Hinted,
    /// `keep`: the load keeps what is cached under the tag.
    Keep,
}

/// Terms that must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cond {
    /// The terms, each with whether it must hold or must not.
    pub terms: Vec<At<(Var, bool)>>,
}

impl Cond {
    /// Returns whether the condition holds for a machine, with the given values of `hinted` and `keep`.
    #[must_use]
    pub fn holds_with(&self, machine: impl Machine, hinted: bool, keep: bool) -> bool {
        self.terms.iter().all(|term| {
            let (var, wanted) = term.value;
            let is = match var {
                Var::Feature(feature) => machine.has(feature),
                Var::Geometry(geometry) => machine.geometry() == geometry,
                Var::Hinted => hinted,
                Var::Keep => keep,
            };
            is == wanted
        })
    }

    /// Returns whether the condition holds for a machine, without a hint and keeping nothing.
    #[must_use]
    pub fn holds(&self, machine: impl Machine) -> bool {
        self.holds_with(machine, false, false)
    }

    /// Returns the condition that holds where this one and another do.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            terms: [self.terms.as_slice(), other.terms.as_slice()].concat(),
        }
    }

    /// Returns the features that must be on.
    pub fn features_wanted(&self) -> impl Iterator<Item = usize> + '_ {
        let wanted = self.terms.iter().filter(|term| term.value.1);
        wanted.filter_map(|term| match term.value.0 {
            Var::Feature(feature) => Some(feature),
            _ => None,
        })
    }

    /// Returns the features that it names.
    pub fn features(&self) -> impl Iterator<Item = usize> + '_ {
        self.terms.iter().filter_map(|term| match term.value.0 {
            Var::Feature(feature) => Some(feature),
            _ => None,
        })
    }
}

/// Alternatives, of which the last whose condition holds counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases<T> {
    pub cases: Vec<(T, Cond)>,
    pub span: Span,
}

impl<T> Cases<T> {
    /// Returns a statement with one alternative, which always counts.
    #[must_use]
    pub fn always(value: T, span: Span) -> Self {
        Self {
            cases: vec![(value, Cond::default())],
            span,
        }
    }

    /// Returns the alternative that counts.
    #[must_use]
    pub fn get(&self, machine: impl Machine) -> Option<&T> {
        let holding = self.cases.iter().rev().find(|(_, c)| c.holds(machine));
        holding.map(|(value, _)| value)
    }

    /// Returns the conditions.
    pub fn conds(&self) -> impl Iterator<Item = &Cond> {
        self.cases.iter().map(|(_, cond)| cond)
    }
}

/// The name of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionName {
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The text that describes it; may be empty.
    pub text: String,
}

/// The barrier after which this CPU fetches anew, if any.
pub type Resync = Cases<At<Option<usize>>>;

impl Resync {
    /// Returns the barrier in a configuration.
    #[must_use]
    pub fn barrier(&self, machine: impl Machine) -> Option<usize> {
        self.get(machine)?.value
    }

    /// Returns the barriers, each with where it is named and when.
    pub fn barriers(&self) -> impl Iterator<Item = (At<usize>, &Cond)> {
        self.cases.iter().filter_map(|(at, when)| {
            let span = at.span;
            Some((
                At {
                    value: at.value?,
                    span,
                },
                when,
            ))
        })
    }
}
