//! A section ends with its closure, and with it the lock.
//@ lifetime
use tlbc_runtime::{Gather, Mapped, Platform, Section};

pub fn section<P: Platform, M: Mapped<P>>(gather: &mut Gather<'_, '_, P>, leaf: M) -> bool {
    #[cfg(misuse)]
    {
        let section: &mut Section<'_, '_, '_, P> = gather.locked((), |section, ()| section);
        section.clear(leaf).is_ok()
    }
    #[cfg(not(misuse))]
    gather.locked((), |section: &mut Section<'_, '_, '_, P>, ()| {
        section.clear(leaf).is_ok()
    })
}
