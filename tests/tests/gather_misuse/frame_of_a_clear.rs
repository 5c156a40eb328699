//! What is cleared comes with no page: an `if let` that frees it would free it before the flush at the end.
//@ E0308
use tlbc_runtime::{Mapped, Platform, Section};

pub fn clear<P: Platform, M: Mapped<P>>(
    section: &mut Section<'_, '_, '_, P>,
    leaf: M,
    free: impl Fn(P::Page),
) {
    #[cfg(misuse)]
    if let Ok(Some(frame)) = section.clear(leaf) {
        free(frame);
    }
    #[cfg(not(misuse))]
    if let Ok(()) = section.clear(leaf) {
        let _ = free; // what the platform's release does
    }
}
