//! A leaf entry is given up once.
//@ E0382
use tlbc_runtime::{Mapped, Platform, Section};

pub fn clear<P: Platform, M: Mapped<P>>(section: &mut Section<'_, '_, '_, P>, leaf: M) -> bool {
    let cleared = section.clear(leaf).is_ok();
    #[cfg(misuse)]
    let cleared = cleared && section.clear(leaf).is_ok();
    cleared
}
