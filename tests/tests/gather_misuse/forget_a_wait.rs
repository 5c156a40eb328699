//! Pages are redeemed against the wait of their round alone: who drops it loses them.
//@ unused_must_use
use tlbc_runtime::{Platform, Reclaim, Unmapped};

pub fn redeem<P: Platform>(reclaim: &mut Reclaim<'_, P>, unmapped: Unmapped<P::Page>) -> bool {
    #[cfg(misuse)]
    reclaim.wait();
    reclaim.wait().redeem(unmapped).is_ok()
}
