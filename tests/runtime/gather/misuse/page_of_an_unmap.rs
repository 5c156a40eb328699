//! An unmap returns no page: an `if let` that frees it would free it before the flush at the end.
//@ E0308
use tlbc_runtime::{Platform, Pte, Section};

pub fn unmap<P: Platform, E: Pte<P>>(
    section: &mut Section<'_, '_, P>,
    leaf: E,
    free: impl Fn(P::Page),
) {
    #[cfg(misuse)]
    if let Ok(Some(frame)) = section.unmap(leaf) {
        free(frame);
    }
    #[cfg(not(misuse))]
    if let Ok(()) = section.unmap(leaf) {
        let _ = free; // what the platform's release does
    }
}
