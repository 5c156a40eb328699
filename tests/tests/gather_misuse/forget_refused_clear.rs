//! An entry that was refused is still mapped: nobody overlooks it.
//@ unused_must_use
use tlbc_runtime::{Mapped, Platform, Section};

pub fn clear<P: Platform, M: Mapped<P>>(section: &mut Section<'_, '_, '_, P>, leaf: M) -> bool {
    #[cfg(misuse)]
    {
        section.clear(leaf);
        true
    }
    #[cfg(not(misuse))]
    section.clear(leaf).is_ok()
}
