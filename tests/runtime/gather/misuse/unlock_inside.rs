//! A section does not release its lock itself: a flush may have to come first.
//@ E0507
use std::sync::Mutex;
use tlbc_runtime::{Gather, Platform};

pub fn section<P: Platform>(gather: &mut Gather<'_, P>, lock: &Mutex<u64>) {
    gather.locked(lock.lock().unwrap(), |_, guard| {
        #[cfg(misuse)]
        drop(*guard);
        #[cfg(not(misuse))]
        {
            **guard += 1;
        }
    });
}
