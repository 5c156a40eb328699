//! A table is given up once.
//@ E0382
use tlbc_runtime::{Linked, Platform, Section};

pub fn unlink<P: Platform, L: Linked<P>>(section: &mut Section<'_, '_, '_, P>, link: L) -> bool {
    let unlinked = section.unlink(link).is_ok();
    #[cfg(misuse)]
    let unlinked = unlinked && section.detach(link).is_ok();
    unlinked
}
