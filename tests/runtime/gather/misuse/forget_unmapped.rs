//! An unmapped page that is never redeemed is lost.
//@ unused_must_use
use tlbc_runtime::{Unmapped, Waited};

pub fn redeem<T>(take: impl Fn() -> Unmapped<T>, waited: &Waited) -> Option<T> {
    #[cfg(misuse)]
    {
        take();
        let _ = waited;
        None
    }
    #[cfg(not(misuse))]
    waited.redeem(take()).ok()
}
