//! What one step of a flush leaves for the next.
//!
//! In: the instructions that a backend has issued. Out: what is left: the IPIs to send, the steps of the finish, and the
//! deferred flushes. Holds: a started flush is finished on the CPU that started it.

use core::marker::PhantomData;
use core::ops::{BitOr, BitOrAssign};

use crate::agents::Agents;
use crate::deferred::Deferred;
use crate::request::{Reach, Request, Space, SpaceFlags};

/// What a started flush requires of [`Backend::finish`](crate::Backend::finish), one bit for each step. Each backend defines what a bit means: a barrier,
/// or entries that are invalidated after others are gone. A backend whose flushes all require the same steps uses no bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[must_use = "entries are not gone before the steps are done"]
pub struct FinishSteps(pub u8);

impl FinishSteps {
    /// No step.
    pub const NONE: Self = Self(0);
    /// The greatest number of steps.
    pub const MOST: usize = 8;

    /// Returns whether one of `steps` is required.
    #[must_use]
    #[inline]
    pub const fn requires(self, steps: Self) -> bool {
        self.0 & steps.0 != 0
    }
}

impl BitOr for FinishSteps {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for FinishSteps {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// The result of issuing the instructions of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "entries that are still cached stay stale"]
pub struct Outcome {
    /// The flushes that are deferred.
    pub deferred: Deferred,
    /// The steps that [`Backend::finish`](crate::Backend::finish) has to take.
    pub steps: FinishSteps,
    /// Whether everything of the space was invalidated because the request exceeds the [ceiling](crate::Backend::ceiling).
    pub exceeded_ceiling: bool,
}

impl Outcome {
    /// No flush is deferred, no step is left, and the ceiling was not exceeded.
    pub const NOTHING: Self = Self {
        deferred: Deferred::NOTHING,
        steps: FinishSteps::NONE,
        exceeded_ceiling: false,
    };

    /// Returns the outcome of a flush that exceeds the [ceiling](crate::Backend::ceiling), given that of the flush of everything which
    /// was issued instead.
    #[inline]
    pub const fn over_ceiling(everything: Self) -> Self {
        Self {
            exceeded_ceiling: true,
            ..everything
        }
    }
}

impl BitOrAssign for Outcome {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.deferred |= other.deferred;
        self.steps |= other.steps;
        self.exceeded_ceiling |= other.exceeded_ceiling;
    }
}

/// CPUs to send an IPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpiTargets {
    /// The CPUs of these classes.
    pub agents: Agents,
    /// The CPUs of these [erratum sets](crate::Platform::erratum_set), one bit for each set, in the order of the definition.
    pub sets: u8,
    /// Whether [`Backend::start`](crate::Backend::start) with the reach [`Reach::Given`] flushes them in place of the IPI, as far as the sink reaches
    /// them.
    pub by_call: bool,
}

impl IpiTargets {
    /// No CPU.
    pub const NONE: Self = Self {
        agents: Agents::NONE,
        sets: 0,
        by_call: false,
    };

    /// Returns the CPUs of these classes.
    #[must_use]
    #[inline]
    pub const fn of(agents: Agents) -> Self {
        Self {
            agents,
            ..Self::NONE
        }
    }

    /// Returns the targets together with the CPUs of these erratum sets.
    #[must_use]
    #[inline]
    pub const fn and_sets(self, sets: u8) -> Self {
        Self {
            sets: self.sets | sets,
            ..self
        }
    }

    /// Returns the targets for a machine on which a call may flush them in place of the IPI.
    #[must_use]
    #[inline]
    pub const fn or_by_call(self) -> Self {
        Self {
            by_call: true,
            ..self
        }
    }

    /// Returns whether there is no CPU to send an IPI.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.agents.is_empty() && self.sets == 0
    }
}

/// A flush that was started on this CPU. It must be finished on the same CPU, so this is not `Send`.
#[derive(Debug)]
#[must_use = "entries are not gone before the flush is finished"]
pub struct Started {
    /// The kind of the space whose entries are flushed.
    pub space: Space,
    /// Which agents may have cached them.
    pub reach: Reach,
    /// Whether the tag means the same space on every CPU.
    pub global: bool,
    /// The flags of the space.
    pub flags: SpaceFlags,
    /// CPUs to send an IPI before the finish: each runs [`Backend::handle`](crate::Backend::handle) with the same request and acknowledges.
    pub flush_ipis: IpiTargets,
    /// The result of the instructions.
    pub outcome: Outcome,
    here: PhantomData<*const ()>,
}

impl Started {
    /// Returns a started flush whose instructions have been issued with this outcome.
    #[inline]
    pub const fn new(request: &Request<'_>, flush_ipis: IpiTargets, outcome: Outcome) -> Self {
        Self {
            space: request.space,
            reach: request.reach,
            global: request.tag.global,
            flags: request.flags,
            flush_ipis,
            outcome,
            here: PhantomData,
        }
    }

    /// Joins another flush to this one, so that one [`Backend::finish`](crate::Backend::finish) completes both. The other one has the same space kind,
    /// reach, kind of tag and flags.
    pub fn join(&mut self, other: &Self) {
        self.outcome |= other.outcome;
    }

    /// Returns the flush after its completion on this CPU, with the CPUs that still need an IPI.
    #[inline]
    pub const fn finished(self, sync_ipis: IpiTargets) -> Finished {
        Finished {
            sync_ipis,
            deferred: self.outcome.deferred,
        }
    }
}

/// A flush that is complete on this CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "no page may get a new owner before the IPIs are acknowledged"]
pub struct Finished {
    /// CPUs that still need an IPI. They have nothing to do in it: taking the interrupt drains their accesses.
    pub sync_ipis: IpiTargets,
    /// The flushes that are deferred.
    pub deferred: Deferred,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of two bits each, which may have bits in common.
    const WORDS: [u8; 3] = [0b011, 0b110, 0b101];

    #[test]
    fn what_two_parts_leave_is_what_either_leaves() {
        let steps = |bits| FinishSteps(bits);
        let each = [
            Deferred::OTHERS_UNTIL_LOAD,
            Deferred::VIEW_UNTIL_RETURN,
            Deferred::TAG_UNTIL_RENEWAL,
        ];
        for (a, b) in WORDS.into_iter().flat_map(|a| WORDS.map(|b| (a, b))) {
            assert_eq!(steps(a) | steps(b), steps(a | b));
            for step in 0..3 {
                let is_set = (a | b) & 1 << step != 0;
                assert_eq!((steps(a) | steps(b)).requires(steps(1 << step)), is_set);
            }
            let targets = IpiTargets::of(Agents(a));
            assert_eq!(targets.and_sets(a).and_sets(b).sets, a | b);
            let deferred = |bits: u8| {
                let set = (0..3).filter(|nth| bits & 1 << nth != 0);
                set.fold(Deferred::NOTHING, |all, nth| all.and(each[nth]))
            };
            assert_eq!(deferred(a) | deferred(b), deferred(a | b));
            let outcome = |bits, exceeded_ceiling| Outcome {
                deferred: deferred(bits),
                steps: steps(bits),
                exceeded_ceiling,
            };
            for (over, also_over) in [(false, false), (false, true), (true, false), (true, true)] {
                let mut all = outcome(a, over);
                all |= outcome(b, also_over);
                assert_eq!(all, outcome(a | b, over || also_over));
            }
        }
    }
}
