//! Memory for many pages or tables, a page of memory each.

/// How many there are in one: with the two words beside them they fill 4 KiB.
pub const BATCH: usize = 510;

/// A list of up to [`BATCH`] things, and what was full before it. `B` is the kernel's owned reference to one.
#[derive(Debug)]
pub struct Batch<T, B> {
    pub(crate) next: Option<B>,
    pub(crate) used: usize,
    pub(crate) slots: [Option<T>; BATCH],
}

impl<T, B> Default for Batch<T, B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, B> Batch<T, B> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: None,
            used: 0,
            slots: [const { None }; BATCH],
        }
    }

    /// Adds one, if there is room; otherwise gives it back.
    #[inline]
    pub(crate) fn push(&mut self, thing: T) -> Option<T> {
        let Some(room) = self.slots.get_mut(self.used) else {
            return Some(thing);
        };
        *room = Some(thing);
        self.used += 1;
        None
    }

    /// Takes out the last one of this batch.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.used = self.used.checked_sub(1)?;
        self.slots.get_mut(self.used)?.take()
    }

    /// Takes out all of this batch.
    #[inline]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        let used = core::mem::take(&mut self.used);
        self.slots.iter_mut().take(used).filter_map(Option::take)
    }

    /// What it holds, this batch alone.
    pub(crate) fn held(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().take(self.used).flatten()
    }
}

/// A batch on the heap.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct Boxed<T>(alloc::boxed::Box<Batch<T, Boxed<T>>>);

#[cfg(feature = "alloc")]
impl<T> Boxed<T> {
    /// An empty one; a kernel whose allocator may fail has an owned reference of its own.
    #[must_use]
    pub fn new() -> Self {
        Self(alloc::boxed::Box::default())
    }
}

#[cfg(feature = "alloc")]
impl<T> Default for Boxed<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "alloc")]
impl<T> core::ops::Deref for Boxed<T> {
    type Target = Batch<T, Boxed<T>>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[cfg(feature = "alloc")]
impl<T> core::ops::DerefMut for Boxed<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
