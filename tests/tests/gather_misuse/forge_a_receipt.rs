//! A receipt for flushed pages comes from a flush alone.
//@ E0451
use tlbc_runtime::{Flushed, Platform};

pub fn release<P: Platform>(platform: &P, pages: Flushed<'_, P>) {
    #[cfg(misuse)]
    let pages = Flushed::<P> {
        bundle: &mut [],
        batch: &mut None,
    };
    platform.release_pages(pages);
}
