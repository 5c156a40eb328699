//! Features and errata that are known to be on or off.
//!
//! In: a definition, and answers to questions about single flags. Out: [`KnownFlags`] with everything that follows
//! from them. Holds: at least one machine agrees with them, because each feature and erratum that is on has what it
//! needs.

use super::{Cond, Config, Model, Var};

/// A feature or an erratum. Features come before errata, each in the order of the definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    Feature(u8),
    Erratum(u8),
}

impl Flag {
    /// The maximum number of features, and of errata: the bits of a [`Config`].
    const EACH: u32 = u32::BITS;

    /// Returns the flag of a feature, by index.
    pub fn feature(index: usize) -> Self {
        Self::Feature(index as u8)
    }

    /// Returns the flag of an erratum, by index.
    pub fn erratum(index: usize) -> Self {
        Self::Erratum(index as u8)
    }

    fn bit(self) -> u64 {
        match self {
            Flag::Feature(index) => 1 << index,
            Flag::Erratum(index) => 1 << Self::EACH << index,
        }
    }
}

/// Flags that are on, and flags that are off. Other flags are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KnownFlags {
    on: u64,
    off: u64,
}

impl KnownFlags {
    /// Returns all flags of a machine.
    pub fn of(config: Config) -> Self {
        let on = u64::from(config.errata) << Flag::EACH | u64::from(config.features);
        Self { on, off: !on }
    }

    /// Returns the machine that has the flags which are known to be on, and no others.
    pub fn config(self) -> Config {
        Config {
            features: self.on as u32,
            errata: (self.on >> Flag::EACH) as u32,
            geometry: 0,
        }
    }

    /// Returns whether a flag is on, if that is known.
    pub fn get(self, flag: Flag) -> Option<bool> {
        ((self.on | self.off) & flag.bit() != 0).then_some(self.on & flag.bit() != 0)
    }

    /// Returns the flags with one more known.
    pub fn with(self, flag: Flag, on: bool) -> Self {
        if on {
            Self {
                on: self.on | flag.bit(),
                ..self
            }
        } else {
            Self {
                off: self.off | flag.bit(),
                ..self
            }
        }
    }

    /// Returns the flags with one of them unknown.
    pub fn without(self, flag: Flag) -> Self {
        Self {
            on: self.on & !flag.bit(),
            off: self.off & !flag.bit(),
        }
    }

    /// Returns what either knows; nothing if they contradict each other.
    pub fn and(self, other: Self) -> Option<Self> {
        let both = Self {
            on: self.on | other.on,
            off: self.off | other.off,
        };
        (both.on & both.off == 0).then_some(both)
    }

    /// Returns whether everything that the other knows is known.
    pub fn implies(self, other: Self) -> bool {
        other.on & !self.on == 0 && other.off & !self.off == 0
    }

    /// Returns the known flags, in order.
    pub fn flags(self) -> impl Iterator<Item = Flag> {
        let known = self.on | self.off;
        let each = 0..Flag::EACH as u8;
        let features = each.clone().map(Flag::Feature);
        features
            .chain(each.map(Flag::Erratum))
            .filter(move |flag| known & flag.bit() != 0)
    }

    /// Returns the number of flags that are on.
    pub fn count(self) -> u32 {
        self.on.count_ones()
    }
}

/// What features and errata need of each other.
#[derive(Debug, Default)]
pub struct Needs(Vec<(Flag, KnownFlags)>);

impl Needs {
    /// Returns the needs of a definition.
    pub fn of(model: &Model) -> Self {
        let features = model.features.iter().map(|feature| &feature.needs);
        let errata = model.errata.iter().map(|erratum| &erratum.needs);
        let features = features
            .enumerate()
            .map(|(i, needs)| (Flag::feature(i), needs));
        let errata = errata
            .enumerate()
            .map(|(i, needs)| (Flag::erratum(i), needs));
        let all = features
            .chain(errata)
            .map(|(flag, needs)| (flag, wanted(needs)));
        Self(
            all.filter(|(_, needs)| *needs != KnownFlags::default())
                .collect(),
        )
    }

    /// Returns the flags with everything that follows from them; nothing if no machine agrees with them.
    pub fn follow(&self, mut answers: KnownFlags) -> Option<KnownFlags> {
        loop {
            let before = answers;
            for (flag, needs) in &self.0 {
                answers = match answers.get(*flag) {
                    Some(true) => answers.and(*needs)?,
                    None if answers.and(*needs).is_none() => answers.with(*flag, false),
                    _ => answers,
                };
            }
            // Unknown flags can be off, which needs nothing.
            if answers == before {
                return (answers.on & answers.off == 0).then_some(answers);
            }
        }
    }
}

/// Returns the flags that a condition needs on and off.
fn wanted(cond: &Cond) -> KnownFlags {
    let terms = cond.terms.iter().map(|term| term.value);
    terms.fold(KnownFlags::default(), |all, (var, on)| match var {
        Var::Feature(feature) => all.with(Flag::feature(feature), on),
        Var::Geometry(_) | Var::Hinted | Var::Keep => all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Flag = Flag::Feature(0);
    const B: Flag = Flag::Feature(1);
    const C: Flag = Flag::Erratum(0);

    /// `b` needs `a`, and `c` needs `b` to be off.
    fn needs() -> Needs {
        let nothing = KnownFlags::default();
        Needs(vec![
            (B, nothing.with(A, true)),
            (C, nothing.with(B, false)),
        ])
    }

    fn follow(answers: &[(Flag, bool)]) -> Option<KnownFlags> {
        let all = answers.iter();
        let answers = all.fold(KnownFlags::default(), |all, (flag, on)| {
            all.with(*flag, *on)
        });
        needs().follow(answers)
    }

    #[test]
    fn what_is_on_has_what_it_needs() {
        let known = follow(&[(B, true)]).unwrap();
        assert_eq!(known.get(A), Some(true));
        assert_eq!(known.get(C), Some(false));
    }

    #[test]
    fn what_cannot_have_what_it_needs_is_off() {
        let known = follow(&[(A, false)]).unwrap();
        assert_eq!(known.get(B), Some(false));
        assert_eq!(known.get(C), None);
    }

    #[test]
    fn no_machine_agrees_with_a_contradiction() {
        assert_eq!(follow(&[(A, false), (B, true)]), None);
        assert_eq!(follow(&[(B, true), (C, true)]), None);
    }
}
