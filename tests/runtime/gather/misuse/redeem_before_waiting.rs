//! An unmapped page is redeemed against a wait only.
//@ E0599
use tlbc_runtime::{Platform, UnmapBatch, Unmapped};

pub fn redeem<P: Platform>(
    batch: &mut UnmapBatch<'_, P>,
    unmapped: Unmapped<P::Page>,
) -> Option<P::Page> {
    #[cfg(misuse)]
    return batch.redeem(unmapped).ok();
    #[cfg(not(misuse))]
    batch.wait().redeem(unmapped).ok()
}
