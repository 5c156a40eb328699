//! A receipt ends with the call that it is passed to, because the gather's memory is reused. Its pages may be kept.
//@ lifetime
use std::cell::RefCell;
use tlbc_runtime::{Flushed, Platform};

pub struct Kept<'k, P: Platform> {
    pub receipts: RefCell<Vec<Flushed<'k, P>>>,
    pub pages: RefCell<Vec<P::Page>>,
}

pub fn release<P: Platform>(kept: &Kept<'_, P>, pages: Flushed<'_, P>) {
    #[cfg(misuse)]
    kept.receipts.borrow_mut().push(pages);
    #[cfg(not(misuse))]
    kept.pages.borrow_mut().extend(pages);
}
