//! A page is redeemed once.
//@ E0382
use tlbc_runtime::{Unmapped, Waited};

pub fn redeem<T>(unmapped: Unmapped<T>, waited: &Waited) -> (Option<T>, Option<T>) {
    let first = waited.redeem(unmapped).ok();
    #[cfg(misuse)]
    let second = waited.redeem(unmapped).ok();
    #[cfg(not(misuse))]
    let second = None;
    (first, second)
}
