//! Pages are redeemed against the wait of their batch only: dropping that wait loses them.
//@ unused_must_use
use tlbc_runtime::{Platform, UnmapBatch, Unmapped};

pub fn redeem<P: Platform>(batch: &mut UnmapBatch<'_, P>, unmapped: Unmapped<P::Page>) -> bool {
    #[cfg(misuse)]
    batch.wait();
    batch.wait().redeem(unmapped).is_ok()
}
