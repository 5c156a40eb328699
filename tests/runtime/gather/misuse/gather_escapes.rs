//! A gather ends with its closure.
//@ E0521
use tlbc_runtime::{AddressSpace, Gather, Mmu, Platform};

pub fn gather<P: Platform + 'static>(mmu: &Mmu<P>, space: &AddressSpace<P::CpuSet>) -> bool {
    let mut kept: Option<&mut Gather<'_, P>> = None;
    mmu.gather(space, |gather| {
        gather.flush();
        #[cfg(misuse)]
        {
            kept = Some(gather);
        }
        #[cfg(not(misuse))]
        {
            kept = None;
        }
    });
    kept.is_some()
}
