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
