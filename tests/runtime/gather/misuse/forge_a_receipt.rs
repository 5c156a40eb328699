//! Only a flush creates a receipt for flushed pages.
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
