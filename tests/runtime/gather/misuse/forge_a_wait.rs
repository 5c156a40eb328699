//! Only a wait creates the proof of the wait.
//@ E0451
use tlbc_runtime::{Unmapped, Waited};

pub fn redeem<T>(unmapped: Unmapped<T>, waited: &Waited) -> Option<T> {
    #[cfg(misuse)]
    let waited = &{
        let _ = waited;
        Waited { nth_wait: 1 }
    };
    waited.redeem(unmapped).ok()
}
