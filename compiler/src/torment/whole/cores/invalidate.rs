//! Invalidations in progress.
//!
//! In: an instruction that invalidates, or a barrier. Out: the entries that it removes, now or when it is complete. Holds: an
//! entry goes when the barrier completes what removes it, unless it could be filled again since; an instruction that should
//! follow a barrier has no effect without it, because it may act before the change.

use tlbc_runtime::agents::Agents;

use super::device::reaches;
use super::weak::Weakness;
use super::{Core, Cores, Held, PendingInvalidation, Way, cached};
use crate::model::Form;
use crate::torment::decode::Decoded;

impl<'m> Cores<'m> {
    /// Notes that what a CPU did is not ordered before the instructions that follow, until it executes a barrier.
    pub fn forget_order(&mut self, cpu: usize) {
        self.all[cpu].orders = 0;
    }

    /// Executes a barrier. Returns whether it changes anything.
    pub(super) fn barrier(&mut self, cpu: usize, barrier: usize) -> bool {
        let it = &self.hardware.model.barriers[barrier];
        if it.completes.is_some() {
            self.forget_order(cpu);
        }
        self.all[cpu].orders |= 1 << barrier;
        self.all[cpu].before_load |= 1 << barrier;
        let publishes = it.publishes.is_some() && self.memory.publish();
        let Some(completes) = it.completes.filter(|_| it.gone.is_some()) else {
            return publishes;
        };
        let mut done: Way = 0;
        for (nth, pending) in self.pending.iter_mut().enumerate() {
            if pending
                .as_ref()
                .is_some_and(|it| it.cpu == cpu && it.barrier == barrier)
            {
                *pending = None;
                done |= 1 << nth;
            }
        }
        for (number, core) in self.all.iter_mut().enumerate() {
            let covered = reaches(completes.value, cpu, (number, core.device));
            for held in &mut core.held {
                if covered {
                    held.ways.retain(|way| way & done == 0);
                } else {
                    held.ways.iter_mut().for_each(|way| *way &= !done);
                }
            }
            core.held.retain(|held| !held.ways.is_empty());
        }
        publishes || done != 0
    }

    /// Starts an invalidation, which does not reach `lost`. Returns whether it changes anything.
    pub(super) fn invalidate(
        &mut self,
        cpu: usize,
        (index, lost): (usize, Agents),
        form: &'m Form,
        with: Decoded,
    ) -> bool {
        let it = &self.hardware.model.invalidates[index];
        self.all[cpu].before_load = 0;
        let orders = self.all[cpu].orders;
        let is_ordered = it.follows.is_none_or(|at| orders & 1 << at.value != 0);
        if !is_ordered && !self.is_weak(Weakness::OrdersItself) {
            return false; // it may have acted when the old entries could still be filled
        }
        let config = self.hardware.config;
        let (reach, after) = (it.reach(config).without(lost), it.done_after(config));
        let hardware = self.hardware;
        let hits = |core: &Core, held: &Held| {
            let cached = cached(&hardware, &held.key, core.tag);
            hardware.drops(&form.drops, &with, &cached, &[])
        };
        let any = |(number, core): (usize, &Core)| {
            reaches(reach, cpu, (number, core.device))
                && core.held.iter().any(|held| hits(core, held))
        };
        if !self.all.iter().enumerate().any(any) {
            return false; // what is filled later is filled from memory, or from entries that it does not remove
        }
        let free = self.pending.iter().position(Option::is_none);
        let free = free.filter(|_| !self.is_weak(Weakness::InvalidatesAtOnce));
        // If more are in progress than are counted, this one acts at once, as it may.
        let bit = after.zip(free).map(|(barrier, free)| {
            self.pending[free] = Some(PendingInvalidation {
                cpu,
                barrier,
                form,
                with,
            });
            1 << free
        });
        for (number, core) in self.all.iter_mut().enumerate() {
            if !reaches(reach, cpu, (number, core.device)) {
                continue;
            }
            let loaded = core.tag;
            for held in &mut core.held {
                if hardware.drops(
                    &form.drops,
                    &with,
                    &cached(&hardware, &held.key, loaded),
                    &[],
                ) {
                    match bit {
                        Some(bit) => held.ways.iter_mut().for_each(|way| *way |= bit),
                        None => held.ways.clear(),
                    }
                }
            }
            core.held.retain(|held| !held.ways.is_empty());
        }
        true
    }
}
