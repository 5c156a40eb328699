//! A gather gives no access to its pages.
//@ E0616
use tlbc_runtime::{AddressSpace, Mmu, Platform};

pub fn gather<P: Platform>(mmu: &Mmu<P>, space: &AddressSpace<P::CpuSet>) {
    mmu.gather(space, |gather| {
        #[cfg(misuse)]
        let _ = &gather.pages;
        gather.flush();
    });
}
