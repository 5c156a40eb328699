//! A leaf entry is unmapped once: a second unmap of it does not compile.
//@ E0382
use tlbc_runtime::{Platform, Pte, Section};

pub fn unmap<P: Platform, E: Pte<P>>(section: &mut Section<'_, '_, P>, leaf: E) -> bool {
    let unmapped = section.unmap(leaf).is_ok();
    #[cfg(misuse)]
    let unmapped = unmapped && section.unmap(leaf).is_ok();
    unmapped
}
