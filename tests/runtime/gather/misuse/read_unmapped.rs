//! An unmapped page cannot be accessed before it is redeemed.
//@ E0616
use tlbc_runtime::{Unmapped, Waited};

pub fn redeem<T>(unmapped: Unmapped<T>, waited: &Waited) -> Option<T> {
    #[cfg(misuse)]
    {
        let _ = waited;
        Some(unmapped.page)
    }
    #[cfg(not(misuse))]
    waited.redeem(unmapped).ok()
}
