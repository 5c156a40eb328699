//! Work that is done at the same time.
//!
//! In: items, and a function. Out: the results, in the order of the items. Holds: as many threads work as the machine runs at
//! a time, each on the next item that is left.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Applies a function to each item in parallel and returns the results in order.
///
/// # Panics
///
/// If the function panics, with what it says.
pub fn at_once<T: Send, R: Send>(all: Vec<T>, each: impl Fn(T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let workers = workers.min(all.len());
    let left = Mutex::new(all.into_iter().enumerate());
    let next = || {
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        left.next()
    };
    let work = || {
        let items = std::iter::from_fn(next);
        let done = items.map(|(index, item)| (index, each(item)));
        done.collect::<Vec<_>>()
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter().map(thread::ScopedJoinHandle::join);
        let results =
            results.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        results.flatten().collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn results_are_in_order() {
        // Two threads do two items at a time, so each has results between those of the other.
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let both = Barrier::new(threads.min(2));
        let squares = at_once(vec![3, 1, 2, 4], |it| {
            both.wait();
            it * it
        });
        assert_eq!(squares, [9, 1, 4, 16]);
        assert!(at_once(Vec::<u8>::new(), |it| it).is_empty());
    }

    #[test]
    #[should_panic(expected = "this one")]
    fn a_panic_is_passed_on() {
        at_once(vec![1, 2], |it| assert!(it < 2, "this one"));
    }
}
