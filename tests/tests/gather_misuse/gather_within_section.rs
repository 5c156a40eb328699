//! Within a section the gather hands nothing out: it is the section's.
//@ E0500 E0501
use tlbc_runtime::{Gather, Mapped, Platform};

pub fn section<P: Platform, M: Mapped<P>>(gather: &mut Gather<'_, '_, P>, leaf: M) {
    gather.locked((), |section, ()| {
        let _ = section.clear(leaf);
        #[cfg(misuse)]
        gather.flush();
    });
    gather.flush();
}
