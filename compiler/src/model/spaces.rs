//! Tags, spaces and views.

use super::machine::{Amount, CachedKind};
use super::terms::{At, Cases, Cond, DefinitionName, Machine, Resync};
use crate::ast::TagSource;
use crate::source::Span;

/// A kind of tag.
#[derive(Debug, Clone)]
pub struct Tag {
    pub named: DefinitionName,
    /// The machines on which the tag exists.
    pub when: Cond,
    pub bits: At<Amount>,
    /// The least and the greatest width.
    pub widths: (u64, u64),
    /// Whether a value means another space on another CPU (`of cpu`).
    pub per_cpu: At<bool>,
    /// Whether other tags of this CPU can be invalidated lazily: each is flushed when it is next loaded.
    pub invalidated_lazily: Option<Span>,
    /// How a space that is loaded gets a new value in place of a flush, if it may.
    pub renewal: Option<At<Renewal>>,
    /// Whether it is read only after changes are published.
    pub read_after_publish: Option<Span>,
    /// The values that spaces get, both ends included.
    pub values: Option<At<(u64, u64)>>,
    /// Whether the address of the top table is the tag.
    pub is_root: Option<Span>,
    /// How its values are given out, if that is stated.
    pub source: Option<At<TagSource>>,
}

/// How a space that is loaded gets a new value of its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// The load that loads the new value, by index.
    pub load: usize,
    /// Its price relative to instructions, for the values that it uses up and the load.
    pub cost: u64,
}

impl Tag {
    /// Returns whether its values are given out in generations.
    #[must_use]
    pub fn has_generations(&self) -> bool {
        self.source
            .is_some_and(|at| at.value == TagSource::Generations)
    }

    /// Returns whether each slot of a CPU has one of its values.
    #[must_use]
    pub fn has_slots(&self) -> bool {
        self.per_cpu.value && !self.has_generations()
    }

    /// Returns the least and the largest value that a space gets, where the tag has its greatest width.
    #[must_use]
    pub fn range(&self) -> (u64, u64) {
        self.within(self.widths.1)
    }

    /// Returns the tag of a machine with these limits.
    #[must_use]
    pub fn on(&self, limits: &[u64]) -> Self {
        let bits = self.bits.value.on(limits);
        Self {
            bits: At {
                value: Amount::Stated(bits),
                span: self.bits.span,
            },
            widths: (bits, bits),
            ..self.clone()
        }
    }

    /// Returns the least and the largest value that a space gets, where the tag has this width.
    #[must_use]
    pub fn within(&self, bits: u64) -> (u64, u64) {
        let most = 1u64.checked_shl(bits as u32).map_or(u64::MAX, |n| n - 1);
        let (first, last) = self.values.map_or((0, most), |at| at.value);
        (first, last.min(most))
    }

    /// Returns whether more than one value can be given out with the bits that views set left clear, whatever width the
    /// tag has.
    #[must_use]
    pub fn gives_out_several(&self, views: u64) -> bool {
        let (first, last) = self.within(self.widths.0);
        // The least value from `from` on without those bits: a bit that is in the way is carried over.
        let next = |from: u64| {
            let mut value = from;
            while value & views != 0 {
                let above = 64 - (value & views).leading_zeros();
                let carried = value.checked_shr(above)?.checked_add(1)?;
                value = carried
                    .checked_shl(above)
                    .filter(|it| it >> above == carried)?;
            }
            (value <= last).then_some(value)
        };
        let second = next(first).and_then(|least| next(least.checked_add(1)?));
        second.is_some()
    }
}

/// The tags under which entries are cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// One of these tags, by their index.
    Tags(Vec<usize>),
    /// This value of the tag of that index.
    Fixed(usize, u64),
    EveryTag,
    Global,
}

/// A space.
#[derive(Debug, Clone)]
pub struct Space {
    /// The addresses of the space.
    pub addresses: Cases<SpaceAddresses>,
    pub leaf: Cases<At<Under>>,
    /// Its pointers to tables.
    pub walk: Cases<At<Under>>,
    pub views: Vec<View>,
    /// The barrier that this CPU needs after a flush to fetch anew.
    pub resync: Option<Resync>,
    /// The condition under which devices walk its tables as well.
    pub devices: Option<At<Cond>>,
    pub span: Span,
}

impl Space {
    /// Returns the tags under which entries of a kind are cached.
    pub fn under(&self, kind: CachedKind) -> &Cases<At<Under>> {
        match kind {
            CachedKind::Leaf | CachedKind::Negative => &self.leaf,
            CachedKind::Walk | CachedKind::Root => &self.walk,
        }
    }

    /// Returns whether devices walk its tables in a configuration.
    #[must_use]
    pub fn has_devices(&self, machine: impl Machine) -> bool {
        (self.devices.as_ref()).is_some_and(|when| when.value.holds(machine))
    }

    /// Returns the value of its tag, if that is always the same.
    #[must_use]
    pub fn fixed_tag(&self, machine: impl Machine) -> Option<u64> {
        match self.leaf.get(machine)?.value {
            Under::Fixed(_, value) => Some(value),
            _ => None,
        }
    }
}

/// The addresses of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceAddresses {
    pub base: u64,
    /// The number of bits in which they differ.
    pub bits: u32,
    /// The last of them.
    pub last: u64,
}

impl SpaceAddresses {
    /// Returns all addresses that differ from the first one in its lowest bits alone.
    #[must_use]
    pub fn new(base: u64, bits: u32) -> Self {
        let last = base | u64::MAX >> (64 - bits.clamp(1, 64));
        Self { base, bits, last }
    }

    /// Returns the addresses from 0 to an end, which is not one of them, if there are at least two.
    #[must_use]
    pub fn below(end: u64) -> Option<Self> {
        let last = end.checked_sub(1).filter(|&last| last != 0)?;
        Some(Self {
            base: 0,
            bits: u64::BITS - last.leading_zeros(),
            last,
        })
    }

    /// Returns whether an address is one of them.
    #[must_use]
    pub fn contain(self, va: u64) -> bool {
        (self.base..=self.last).contains(&va)
    }

    /// Returns whether all of them fit 32 bits.
    #[must_use]
    pub fn are_narrow(self) -> bool {
        self.last >> 32 == 0
    }
}

/// A loadable view of a space.
#[derive(Debug, Clone)]
pub struct View {
    pub named: DefinitionName,
    /// The bits that are or-ed to the tag.
    pub or: u64,
    /// Whether it is loaded while the kernel runs.
    pub loaded: bool,
    /// The machines on which the view exists.
    pub when: Cond,
}
