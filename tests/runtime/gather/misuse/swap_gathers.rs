//! The pages of an inner gather cannot move to an outer one, whose flush would not cover them.
//@ E0521
use tlbc_runtime::{AddressSpace, Mmu, Platform};

pub fn gather<P: Platform>(mmu: &Mmu<P>, one: &AddressSpace<P::CpuSet>, other: &AddressSpace<P::CpuSet>) {
    mmu.gather(one, |outer| {
        mmu.gather(other, |inner| {
            #[cfg(misuse)]
            core::mem::swap(outer, inner);
            inner.flush();
        });
        outer.flush();
    });
}
