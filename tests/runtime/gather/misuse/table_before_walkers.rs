//! Unlinked tables may still have walkers: they are available only after a grace period.
//@ E0616
use tlbc_runtime::{Platform, Unlinked};

pub fn defer<P: Platform>(unlinked: Unlinked<P>, free: impl Fn(P::Table)) {
    #[cfg(misuse)]
    let tables = unlinked.0;
    #[cfg(not(misuse))]
    let tables = unlinked.after_grace_period();
    tables.for_each(free);
}
