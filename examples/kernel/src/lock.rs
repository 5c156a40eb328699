//! A spin lock, and a cell that is filled once.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// A lock whose waiters spin. It leaves interrupts as they are: a CPU that waits for one that is held over a flush must have
/// them on, since the flush may wait for that CPU.
pub struct SpinLock<T> {
    is_held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: one CPU at a time has the value.
unsafe impl<T: Send> Sync for SpinLock<T> {}

pub struct SpinGuard<'l, T> {
    lock: &'l SpinLock<T>,
}

impl<T> SpinLock<T> {
    pub const fn new(value: T) -> Self {
        Self {
            is_held: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    pub fn lock(&self) -> SpinGuard<'_, T> {
        while self.is_held.swap(true, Ordering::Acquire) {
            while self.is_held.load(Ordering::Relaxed) {
                core::hint::spin_loop();
            }
        }
        SpinGuard { lock: self }
    }
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.is_held.store(false, Ordering::Release);
    }
}

/// A value that is found at boot, before other CPUs start.
pub struct Once<T> {
    is_set: AtomicBool,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: after it is set the value is only read.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    pub const fn new() -> Self {
        Self {
            is_set: AtomicBool::new(false),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Sets the value. Called once, while no other CPU runs.
    pub fn set(&self, value: T) {
        assert!(!self.is_set.load(Ordering::Relaxed), "set twice");
        // SAFETY: nobody reads the value before it is set, and no other CPU runs.
        unsafe { (*self.value.get()).write(value) };
        self.is_set.store(true, Ordering::Release);
    }

    /// Returns the value.
    ///
    /// # Panics
    /// When it is not set yet.
    pub fn get(&self) -> &T {
        assert!(self.is_set.load(Ordering::Acquire), "not set yet");
        // SAFETY: the value is set and does not change any more.
        unsafe { (*self.value.get()).assume_init_ref() }
    }
}
