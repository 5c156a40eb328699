//! What is on the books is seen with what it is about, and what is paid with what paid it.

use std::rc::Rc;

use loom::cell::UnsafeCell;
use loom::thread;
use tlbc_runtime::deferred::PendingFlush;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, RACE, fails, holds};

/// One CPU changes something and owes a flush for it; the other pays.
fn owe_and_pay() {
    let due = Rc::new(PendingFlush::default());
    let changed = Rc::new(UnsafeCell::new(()));
    let there = thread::spawn({
        let (due, changed) = (due.clone(), changed.clone());
        move || {
            changed.with_mut(|_| ());
            due.defer();
        }
    });
    if let Some(deferred) = due.pending() {
        changed.with(|_| ());
        due.complete(deferred);
        assert_eq!(due.pending(), None);
    }
    there.join().unwrap();
}

/// One CPU pays by a flush; the other finds that nothing is deferred, and relies on it.
fn pay_and_rely() {
    let due = Rc::new(PendingFlush::default());
    let flushed = Rc::new(UnsafeCell::new(()));
    due.defer();
    // Looked at here, for the model checker knows only the last access of a word: behind a load of the thread that
    // stores it would not see that other loads matter.
    let deferred = due.pending().unwrap();
    let there = thread::spawn({
        let (due, flushed) = (due.clone(), flushed.clone());
        move || {
            flushed.with_mut(|_| ());
            due.complete(deferred);
        }
    });
    if due.pending().is_none() {
        flushed.with(|_| ());
    }
    there.join().unwrap();
}

#[test]
fn a_debt_comes_with_what_it_is_about() {
    holds(Full, owe_and_pay);
}

#[test]
fn a_paid_debt_comes_with_what_paid_it() {
    holds(Full, pay_and_rely);
}

#[test]
fn without_owe() {
    fails(Full, Barrier::Defer, RACE, owe_and_pay);
}

#[test]
fn without_due() {
    fails(Full, Barrier::Pending, RACE, owe_and_pay);
}

#[test]
fn without_pay() {
    fails(Full, Barrier::Complete, RACE, pay_and_rely);
}
