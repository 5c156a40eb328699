//! A table is unlinked once.
//@ E0382
use tlbc_runtime::{Platform, Pte, Section};

pub fn unlink<P: Platform, E: Pte<P>>(section: &mut Section<'_, '_, P>, link: E) -> bool {
    let unlinked = section.unlink(link).is_ok();
    #[cfg(misuse)]
    let unlinked = unlinked && section.detach(link).is_ok();
    unlinked
}
