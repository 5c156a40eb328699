//! CPUs for unit tests, without a kernel.

use crate::cpu::{CpuTlb, Cpus};
use crate::mask::{CpuId, CpuMask, CpuSet, SharedCpuMask, no_cpus};
use crate::sync::Barrier;

/// A set of the CPUs.
pub(crate) type Set = CpuSet<1>;

/// Some CPUs, all online.
pub(crate) struct Several<const N: usize> {
    pub cpus: [CpuTlb<Set>; N],
    online: <Set as CpuMask>::Shared,
}

impl<const N: usize> Several<N> {
    pub fn new() -> Self {
        let online: <Set as CpuMask>::Shared = no_cpus();
        (0..N).for_each(|cpu| online.insert(CpuId(cpu as u32), Barrier::Unload));
        Self {
            cpus: [const { CpuTlb::new() }; N],
            online,
        }
    }
}

impl<const N: usize> Cpus for Several<N> {
    type Set = Set;

    fn tlb(&self, cpu: CpuId) -> &CpuTlb<Set> {
        &self.cpus[cpu.index()]
    }

    fn count(&self) -> usize {
        N
    }

    fn tlbs(&self) -> impl Iterator<Item = &CpuTlb<Set>> {
        self.cpus.iter()
    }

    fn online(&self) -> &<Set as CpuMask>::Shared {
        &self.online
    }
}

/// Returns a set of CPUs.
pub(crate) fn set<const N: usize>(cpus: [u32; N]) -> Set {
    let mut set = Set::NONE;
    for cpu in cpus {
        set.insert(CpuId(cpu));
    }
    set
}
