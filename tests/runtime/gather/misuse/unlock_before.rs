//! A released lock is no guard of a section.
//@ E0382
use std::sync::Mutex;
use tlbc_runtime::{Gather, Platform};

pub fn section<P: Platform>(gather: &mut Gather<'_, P>, lock: &Mutex<u64>) {
    let guard = lock.lock().unwrap();
    #[cfg(misuse)]
    drop(guard);
    gather.locked(guard, |_, guard| **guard += 1);
}
