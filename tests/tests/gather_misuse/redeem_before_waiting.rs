//! A page that is unmapped is to be had from a wait alone.
//@ E0599
use tlbc_runtime::{Platform, Reclaim, Unmapped};

pub fn redeem<P: Platform>(
    reclaim: &mut Reclaim<'_, P>,
    unmapped: Unmapped<P::Page>,
) -> Option<P::Page> {
    #[cfg(misuse)]
    return reclaim.redeem(unmapped).ok();
    #[cfg(not(misuse))]
    reclaim.wait().redeem(unmapped).ok()
}
