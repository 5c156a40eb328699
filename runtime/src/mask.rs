//! CPUs, and sets of them: as values, and shared between CPUs.
//!
//! Holds: what is done with a set depends on the CPUs that the machine has, not on how many its type can hold. A set as a value is
//! built only to send an IPI.

use crate::sync::{Barrier, Word, const_fn};

/// A CPU, by the number that the kernel gave it, which is less than the capacity of its sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CpuId(pub u32);

impl CpuId {
    /// Returns the number as an index.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of CPUs as a value, such as [`CpuSet`].
pub trait CpuMask: Clone {
    /// How many CPUs the set can hold.
    const CAPACITY: usize;
    /// The same set, shared between CPUs.
    type Shared: SharedCpuMask<Set = Self>;

    /// The empty set.
    const NONE: Self;
    /// Adds a CPU. Does nothing if its number is beyond the capacity.
    fn insert(&mut self, cpu: CpuId);
    /// Removes a CPU.
    fn remove(&mut self, cpu: CpuId);
    /// Adds all CPUs of another set.
    fn extend(&mut self, other: &Self);
    /// Returns whether a CPU is in the set.
    fn contains(&self, cpu: CpuId) -> bool;
    /// Returns whether no CPU is in the set.
    fn is_empty(&self) -> bool;
    /// Returns the CPUs of the set in the order of their numbers.
    fn iter(&self) -> impl Iterator<Item = CpuId>;

    /// Removes the CPUs for which a function returns false.
    fn retain(&mut self, mut keep: impl FnMut(CpuId) -> bool) {
        for cpu in self.clone().iter() {
            if !keep(cpu) {
                self.remove(cpu);
            }
        }
    }

    /// Returns how many CPUs are in the set.
    fn count(&self) -> usize {
        self.iter().count()
    }
}

/// A set of CPUs that several CPUs read and change.
pub trait SharedCpuMask: Sized {
    /// The set as a value.
    type Set: CpuMask<Shared = Self>;

    /// The empty set.
    #[cfg(not(loom))]
    const NONE: Self;
    /// Returns the empty set.
    #[cfg(loom)]
    fn none() -> Self;
    /// Adds a CPU, after all that this CPU did before (release).
    fn insert(&self, cpu: CpuId, barrier: Barrier);
    /// Removes a CPU, after all that this CPU did before (release).
    fn remove(&self, cpu: CpuId, barrier: Barrier);
    /// Returns whether a CPU is in the set. If it is, this CPU sees all that was done before it was added (acquire).
    fn contains(&self, cpu: CpuId, barrier: Barrier) -> bool;
    /// Returns those of the set whose numbers are less than `cpus`, in the order of their numbers. The words of the set are read
    /// one after the other (acquire), each when the iterator gets there.
    fn iter(&self, cpus: usize, barrier: Barrier) -> impl Iterator<Item = CpuId>;
    /// Returns whether a function returns true for some CPU of the set, each read as by [`iter`](Self::iter).
    fn any(&self, cpus: usize, barrier: Barrier, is: impl FnMut(CpuId) -> bool) -> bool {
        self.iter(cpus, barrier).any(is)
    }
    /// Returns whether the set has a CPU other than `cpu` whose number is less than `cpus` (acquire).
    fn has_others(&self, cpu: CpuId, cpus: usize, barrier: Barrier) -> bool {
        self.any(cpus, barrier, |other| other != cpu)
    }
}

const_fn! {
    /// Returns the empty set.
    pub(crate) const fn no_cpus<S: SharedCpuMask>() -> S {
        #[cfg(not(loom))]
        return S::NONE;
        #[cfg(loom)]
        S::none()
    }
}

/// Returns the set of some CPUs.
pub(crate) fn set_of<S: CpuMask>(cpus: impl Iterator<Item = CpuId>) -> S {
    let mut set = S::NONE;
    cpus.for_each(|cpu| set.insert(cpu));
    set
}

/// A set of up to `64 * W` CPUs.
#[derive(Debug, Clone, Copy)]
pub struct CpuSet<const W: usize> {
    words: [u64; W],
    /// The words after the first `used` are 0.
    used: usize,
}

impl<const W: usize> PartialEq for CpuSet<W> {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl<const W: usize> Eq for CpuSet<W> {}

/// A set of up to `64 * W` CPUs, shared between CPUs.
#[derive(Debug)]
pub struct SharedCpuSet<const W: usize>([Word; W]);

/// Returns the index of the word that has a CPU's bit, and the bit.
#[inline]
const fn place(cpu: CpuId) -> (usize, u64) {
    (cpu.index() / 64, 1 << (cpu.0 % 64))
}

impl<const W: usize> CpuMask for CpuSet<W> {
    const CAPACITY: usize = 64 * W;
    type Shared = SharedCpuSet<W>;

    const NONE: Self = Self {
        words: [0; W],
        used: 0,
    };

    #[inline]
    fn insert(&mut self, cpu: CpuId) {
        let (at, bit) = place(cpu);
        if let Some(word) = self.words.get_mut(at) {
            *word |= bit;
            self.used = self.used.max(at + 1);
        }
    }

    #[inline]
    fn remove(&mut self, cpu: CpuId) {
        let (at, bit) = place(cpu);
        if let Some(word) = self.words.get_mut(at) {
            *word &= !bit;
        }
    }

    #[inline]
    fn extend(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(other.used()) {
            *word |= more;
        }
        self.used = self.used.max(other.used);
    }

    #[inline]
    fn contains(&self, cpu: CpuId) -> bool {
        let (at, bit) = place(cpu);
        self.words.get(at).is_some_and(|word| word & bit != 0)
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.used().all(|word| *word == 0)
    }

    #[inline]
    fn iter(&self) -> impl Iterator<Item = CpuId> {
        let words = self.used().zip(0u32..);
        words.flat_map(|(word, at)| cpus_of(*word, at))
    }

    #[inline]
    fn retain(&mut self, mut keep: impl FnMut(CpuId) -> bool) {
        for (word, at) in self.words.iter_mut().take(self.used).zip(0u32..) {
            for cpu in cpus_of(*word, at) {
                if !keep(cpu) {
                    *word &= !place(cpu).1;
                }
            }
        }
    }

    #[inline]
    fn count(&self) -> usize {
        self.used().map(|word| word.count_ones() as usize).sum()
    }
}

impl<const W: usize> CpuSet<W> {
    /// Returns the words that may have a CPU.
    #[inline]
    fn used(&self) -> impl Iterator<Item = &u64> {
        self.words.iter().take(self.used)
    }
}

/// Returns the CPUs of one word of a set.
#[inline]
fn cpus_of(mut word: u64, at: u32) -> impl Iterator<Item = CpuId> {
    core::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word.wrapping_sub(1);
        Some(CpuId(at * 64 + bit))
    })
}

impl<const W: usize> SharedCpuMask for SharedCpuSet<W> {
    type Set = CpuSet<W>;

    #[cfg(not(loom))]
    const NONE: Self = Self([const { Word::new(0) }; W]);

    #[cfg(loom)]
    fn none() -> Self {
        Self(core::array::from_fn(|_| Word::new(0)))
    }

    #[inline]
    fn insert(&self, cpu: CpuId, barrier: Barrier) {
        let (word, bit) = place(cpu);
        if let Some(word) = self.0.get(word) {
            word.or(bit, barrier);
        }
    }

    #[inline]
    fn remove(&self, cpu: CpuId, barrier: Barrier) {
        let (word, bit) = place(cpu);
        if let Some(word) = self.0.get(word) {
            word.and(!bit, barrier);
        }
    }

    #[inline]
    fn contains(&self, cpu: CpuId, barrier: Barrier) -> bool {
        let (word, bit) = place(cpu);
        let word = self.0.get(word);
        word.is_some_and(|word| word.acquire(barrier) & bit != 0)
    }

    #[inline]
    fn iter(&self, cpus: usize, barrier: Barrier) -> impl Iterator<Item = CpuId> {
        let words = self.0.iter().take(cpus.div_ceil(64)).zip(0u32..);
        words.flat_map(move |(word, at)| cpus_of(word.acquire(barrier), at))
    }

    // Loops, since each flush calls this, and the compiler does not inline the search of a flattened iterator.
    #[inline]
    fn any(&self, cpus: usize, barrier: Barrier, mut is: impl FnMut(CpuId) -> bool) -> bool {
        for (word, at) in self.0.iter().take(cpus.div_ceil(64)).zip(0u32..) {
            for cpu in cpus_of(word.acquire(barrier), at) {
                if is(cpu) {
                    return true;
                }
            }
        }
        false
    }

    #[inline]
    fn has_others(&self, cpu: CpuId, cpus: usize, barrier: Barrier) -> bool {
        match self.0.split_first() {
            Some((first, _)) if cpus <= 64 && cpu.index() < 64 => {
                first.acquire(barrier) & !place(cpu).1 != 0
            }
            _ => self.any(cpus, barrier, |other| other != cpu),
        }
    }
}

#[cfg(test)]
mod tests;
