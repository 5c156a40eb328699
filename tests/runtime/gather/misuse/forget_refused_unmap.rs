//! An entry that was refused is still mapped, and the refusal must be handled.
//@ unused_must_use
use tlbc_runtime::{Platform, Pte, Section};

pub fn unmap<P: Platform, E: Pte<P>>(section: &mut Section<'_, '_, P>, leaf: E) -> bool {
    #[cfg(misuse)]
    {
        section.unmap(leaf);
        true
    }
    #[cfg(not(misuse))]
    section.unmap(leaf).is_ok()
}
