//! Within a section the gather cannot be used: the section borrows it.
//@ E0500 E0501
use tlbc_runtime::{Gather, Platform, Pte};

pub fn section<P: Platform, E: Pte<P>>(gather: &mut Gather<'_, P>, leaf: E) {
    gather.locked((), |section, ()| {
        let _ = section.unmap(leaf);
        #[cfg(misuse)]
        gather.flush();
    });
    gather.flush();
}
