//! Unlinked tables that are dropped are lost.
//@ unused_must_use
use tlbc_runtime::{Platform, Unlinked};

pub fn defer<P: Platform>(take: impl Fn() -> Unlinked<P>, free: impl Fn(P::Table)) {
    #[cfg(misuse)]
    take();
    #[cfg(not(misuse))]
    take().after_grace_period().for_each(free);
    #[cfg(misuse)]
    let _ = free;
}
