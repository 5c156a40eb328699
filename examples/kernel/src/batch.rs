//! Memory for the pages and tables of a large gather: a frame each.
//!
//! A gather holds a few pages by itself, so this is optional: a kernel without it leaves out `page_batch` and `table_batch`,
//! and its gathers flush more often.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::boot;
use crate::frames::{FRAME, Frame};

/// A value that is alone in a frame, which it keeps. It is one word, so that a batch fills the frame.
pub struct FrameBox<T> {
    value: NonNull<T>,
    owns: PhantomData<T>,
}

impl<T> FrameBox<T> {
    /// Puts a value into a frame, if there is one.
    pub fn new(value: T) -> Option<Self> {
        const { assert!(size_of::<T>() <= FRAME as usize) };
        let frame = Frame::table(|_| 0)?;
        let at = NonNull::new((boot::OFFSET + frame.into_address()) as *mut T)?;
        // SAFETY: the frame is this value's alone, large enough, and aligned for anything.
        unsafe { at.write(value) };
        Some(Self {
            value: at,
            owns: PhantomData,
        })
    }
}

impl<T> Deref for FrameBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value was written in `new`, and no other code has it.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for FrameBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for FrameBox<T> {
    fn drop(&mut self) {
        // SAFETY: the value was written in `new`, and is not used any more.
        unsafe { self.value.drop_in_place() };
        let address = self.value.addr().get() as u64 - boot::OFFSET;
        drop(Frame::from_address(address));
    }
}
