//! Memory for the pages and tables of a large gather: a frame each.
//!
//! A gather holds a few pages by itself, and this is optional: a kernel that has none to give returns `None` and the gather
//! flushes more often.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use tlbc_runtime::Batch;

use crate::boot;
use crate::frames::{FRAME, Frame};

/// A batch that lives in a frame.
pub struct FrameBatch<T> {
    batch: NonNull<Batch<T, Self>>,
    frame: Frame,
    owns: PhantomData<T>,
}

impl<T> FrameBatch<T> {
    /// Returns an empty batch, if there is a frame for it.
    pub fn new() -> Option<Self> {
        const { assert!(size_of::<Batch<T, Self>>() <= FRAME as usize) };
        let frame = Frame::zeroed()?;
        let batch = NonNull::new((boot::OFFSET + frame.address()) as *mut Batch<T, Self>)?;
        // SAFETY: the frame is this batch's alone, large enough, and aligned for anything.
        unsafe { batch.write(Batch::new()) };
        Some(Self {
            batch,
            frame,
            owns: PhantomData,
        })
    }
}

impl<T> Deref for FrameBatch<T> {
    type Target = Batch<T, Self>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: the batch was written in `new`, and nobody else has it.
        unsafe { self.batch.as_ref() }
    }
}

impl<T> DerefMut for FrameBatch<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: as in `deref`.
        unsafe { self.batch.as_mut() }
    }
}

impl<T> Drop for FrameBatch<T> {
    fn drop(&mut self) {
        let _ = &self.frame; // is freed after this
        // SAFETY: the batch was written in `new`, and is not used any more.
        unsafe { self.batch.drop_in_place() };
    }
}
