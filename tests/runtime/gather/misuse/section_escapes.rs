//! A section ends with its closure, and with it the lock.
//@ lifetime
use tlbc_runtime::{Gather, Platform, Pte, Section};

pub fn section<P: Platform, E: Pte<P>>(gather: &mut Gather<'_, P>, leaf: E) -> bool {
    #[cfg(misuse)]
    {
        let section: &mut Section<'_, '_, P> = gather.locked((), |section, ()| section);
        section.unmap(leaf).is_ok()
    }
    #[cfg(not(misuse))]
    gather.locked((), |section: &mut Section<'_, '_, P>, ()| {
        section.unmap(leaf).is_ok()
    })
}
