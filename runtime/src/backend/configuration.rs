//! Configurations: the features and errata of a machine, in a value or in a type.
//!
//! A backend has a configuration of a type `M: Configuration<Config>`. A kernel that finds the features at boot uses the generated
//! `Config` itself. One that is compiled for a machine uses [`Constant`]: the compiler then removes every test of a feature, also
//! in functions that are not inlined.

use crate::request::SpaceFlags;

/// A word of flags. Each backend generates one: its `Config`.
pub trait Flags: Copy {
    /// The flags of features. The others are errata and page sizes.
    const FEATURES: u32;
    /// The flags that each space has for itself.
    const OF_SPACE: SpaceFlags = SpaceFlags::NONE;

    /// Returns the flags as a word.
    #[must_use]
    fn bits(self) -> u32;

    /// Returns the flags of a word. Unknown bits are ignored.
    #[must_use]
    fn from_bits(bits: u32) -> Self;

    /// Returns the configuration with another flag set if a condition holds.
    #[must_use]
    #[inline]
    fn with_if(self, flag: Self, holds: bool) -> Self {
        Self::from_bits(self.bits() | if holds { flag.bits() } else { 0 })
    }

    /// Returns the configuration for two CPUs together: the features of both, the errata of either.
    #[must_use]
    #[inline]
    fn least(self, other: Self) -> Self {
        let (both, either) = (self.bits() & other.bits(), self.bits() | other.bits());
        Self::from_bits((both & Self::FEATURES) | (either & !Self::FEATURES))
    }

    /// Returns the flags that each space has for itself.
    #[must_use]
    #[inline]
    fn space_flags(self) -> SpaceFlags {
        SpaceFlags(self.bits()).and(Self::OF_SPACE)
    }
}

/// A source of flags: a value, or a type.
pub trait Configuration<F>: Copy {
    /// Returns the flags.
    fn flags(self) -> F;
}

impl<F: Flags> Configuration<F> for F {
    #[inline]
    fn flags(self) -> F {
        self
    }
}

/// A configuration that is known when the kernel is compiled.
///
/// # Examples
///
#[doc = include_str!("../../doc/constant.md")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Constant<const BITS: u32>;

impl<F: Flags, const BITS: u32> Configuration<F> for Constant<BITS> {
    #[inline]
    fn flags(self) -> F {
        F::from_bits(BITS)
    }
}

/// A configuration with the flags of a space. It is used by generated code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfSpace<M> {
    /// The configuration of the machine.
    pub machine: M,
    /// The flags of the space.
    pub flags: SpaceFlags,
}

impl<F: Flags, M: Configuration<F>> Configuration<F> for OfSpace<M> {
    #[inline]
    fn flags(self) -> F {
        F::from_bits(self.machine.flags().bits() | self.flags.and(F::OF_SPACE).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags of which the low two bits are features, and the third and fourth errata. The second feature is one of spaces.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Word(u32);

    impl Flags for Word {
        const FEATURES: u32 = 0b0011;
        const OF_SPACE: SpaceFlags = SpaceFlags(0b0010);

        fn bits(self) -> u32 {
            self.0
        }

        fn from_bits(bits: u32) -> Self {
            Self(bits & 0b1111)
        }
    }

    #[test]
    fn two_cpus_have_the_features_of_both_and_the_errata_of_either() {
        for (a, b) in (0..16).flat_map(|a| (0..16).map(move |b| (a, b))) {
            let least = a & b & 0b0011 | (a | b) & 0b1100;
            assert_eq!(Word(a).least(Word(b)), Word(least));
            assert_eq!(Word(a).with_if(Word(b), true), Word(a | b));
            assert_eq!(Word(a).with_if(Word(b), false), Word(a));
        }
    }

    #[test]
    fn a_space_has_its_own_flags_and_those_of_the_machine() {
        for (machine, flags) in (0..16).flat_map(|a| (0..16).map(move |b| (Word(a), b))) {
            let flags = SpaceFlags(flags);
            assert_eq!(machine.space_flags(), SpaceFlags(machine.0 & 0b0010));
            let of_space: Word = OfSpace { machine, flags }.flags();
            assert_eq!(of_space, Word(machine.0 | flags.0 & 0b0010));
        }
        assert_eq!(
            Configuration::<Word>::flags(Constant::<0b11_0101>),
            Word(0b0101)
        );
    }
}
