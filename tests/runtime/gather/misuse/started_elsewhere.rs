//! The CPU that started a flush finishes it: no other CPU can.
//@ E0277
use tlbc_runtime::{Backend, Issue, Started};

pub fn finish<B: Backend>(backend: &B, cpu: &mut impl Issue<B::Op>, started: Started) {
    #[cfg(misuse)]
    fn elsewhere<T: Send>(thing: T) -> T {
        thing
    }
    #[cfg(misuse)]
    let started = elsewhere(started);
    let _ = backend.finish(cpu, started);
}
