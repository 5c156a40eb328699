//! A CPU that sees a deferred flush sees the change that needs it, and a CPU that sees a completed flush is ordered
//! after it.

use std::rc::Rc;

use loom::cell::UnsafeCell;
use loom::thread;
use tlbc_runtime::deferred::PendingFlush;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, RACE, fails, holds};

/// One CPU changes something and defers a flush; the other completes the flush.
fn defer_and_complete() {
    let pending = Rc::new(PendingFlush::default());
    let changed = Rc::new(UnsafeCell::new(()));
    let there = thread::spawn({
        let (pending, changed) = (pending.clone(), changed.clone());
        move || {
            changed.with_mut(|_| ());
            pending.defer();
        }
    });
    if let Some(deferred) = pending.pending() {
        changed.with(|_| ());
        pending.complete(deferred);
        assert_eq!(pending.pending(), None);
    }
    there.join().unwrap();
}

/// One CPU completes a flush; the other finds that no flush is pending, and relies on it.
fn complete_and_rely() {
    let pending = Rc::new(PendingFlush::default());
    let flushed = Rc::new(UnsafeCell::new(()));
    pending.defer();
    // It is read here because the model checker knows only the last access of a word: after a load by the thread that
    // stores it, the model checker would not see that other loads matter.
    let deferred = pending.pending().unwrap();
    let there = thread::spawn({
        let (pending, flushed) = (pending.clone(), flushed.clone());
        move || {
            flushed.with_mut(|_| ());
            pending.complete(deferred);
        }
    });
    if pending.pending().is_none() {
        flushed.with(|_| ());
    }
    there.join().unwrap();
}

#[test]
fn a_deferred_flush_is_seen_with_its_change() {
    holds(Full, defer_and_complete);
}

#[test]
fn a_completed_flush_is_seen_with_its_completion() {
    holds(Full, complete_and_rely);
}

#[test]
fn without_defer() {
    fails(Full, Barrier::Defer, RACE, defer_and_complete);
}

#[test]
fn without_pending() {
    fails(Full, Barrier::Pending, RACE, defer_and_complete);
}

#[test]
fn without_complete() {
    fails(Full, Barrier::Complete, RACE, complete_and_rely);
}
