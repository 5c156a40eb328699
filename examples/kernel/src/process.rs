//! A process: its address space, its page tables, and the references that keep both.
//!
//! There are two counts, as in most kernels. Threads run in the process; after the last of them has switched to something
//! else, [`exit`](crate::exit::exit) ends it. References keep the memory of the process and its top table: a CPU that has
//! the process loaded without using it holds one. When the last of those is gone, in the middle of a context switch with
//! interrupts off, nothing can be waited for, so the process is put on a list and [`reap`] does the rest.

use core::ops::{Deref, Range};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};

use tlbc_runtime::{AddressSpace, Misuse, NewSpace, Refused, Section};

use crate::boot;
use crate::frames::{FRAME, Frame};
use crate::lock::{SpinGuard, SpinLock};
use crate::platform::{Cpus, Kernel, MMU, config};
use crate::program;
use crate::pte::Rights;
use crate::tables::Tables;

/// Why something could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    NoMemory,
    /// The machine has no tag left.
    NoTag,
    /// The process has no room for another area.
    NoRoom,
    /// Nothing is at these addresses.
    NoArea,
    /// The runtime refused a change of an entry: a mistake of the kernel.
    Refused(Misuse),
}

impl From<Misuse> for Error {
    fn from(why: Misuse) -> Self {
        Self::Refused(why)
    }
}

impl<E> From<Refused<E>> for Error {
    fn from(refused: Refused<E>) -> Self {
        Self::Refused(refused.why)
    }
}

/// Where the contents of an area's pages come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// The part of the kernel's image that has user programs.
    Programs,
    /// Each word says where it is (see [`program::pattern`]).
    Pattern,
    Zeros,
}

impl Contents {
    /// Returns the word that belongs at an address, unless it is one of the image.
    pub fn word(self, va: u64) -> Option<u64> {
        match self {
            Self::Programs => None,
            Self::Pattern => Some(program::pattern(va)),
            Self::Zeros => Some(0),
        }
    }
}

/// Addresses that user code may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub start: u64,
    pub pages: u64,
    pub rights: Rights,
    pub contents: Contents,
}

impl Area {
    pub fn range(&self) -> Range<u64> {
        self.start..self.start + self.pages * FRAME
    }
}

/// The areas of a process.
#[derive(Clone, Copy, Default)]
pub struct Areas([Option<Area>; 4]);

impl Areas {
    pub fn add(&mut self, area: Area) -> Result<(), Error> {
        let room = self.0.iter_mut().find(|area| area.is_none());
        *room.ok_or(Error::NoRoom)? = Some(area);
        Ok(())
    }

    /// Takes the area away that begins at an address.
    pub fn remove(&mut self, start: u64) -> Result<Area, Error> {
        let begins = |area: &&mut Option<Area>| area.is_some_and(|area| area.start == start);
        let found = self.0.iter_mut().find(begins);
        found.and_then(Option::take).ok_or(Error::NoArea)
    }

    pub fn find(&self, va: u64) -> Option<&Area> {
        self.iter().find(|area| area.range().contains(&va))
    }

    pub fn find_mut(&mut self, va: u64) -> Option<&mut Area> {
        let mut areas = self.0.iter_mut().flatten();
        areas.find(|area| area.range().contains(&va))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Area> {
        self.0.iter().flatten()
    }
}

/// What a process consists of.
pub struct Body {
    pub space: AddressSpace<Cpus>,
    tables: SpinLock<Tables>,
    references: AtomicU32,
    /// The next one on the list of those that wait for [`reap`].
    next: *mut Body,
    /// Where this is.
    frame: Frame,
}

impl Body {
    /// Locks the tables. Interrupts are on: the lock is held over flushes.
    pub fn lock(&self) -> SpinGuard<'_, Tables> {
        self.tables.lock()
    }

    /// Changes entries of the process, whose tables are locked, and flushes what that leaves in TLBs. When this returns no
    /// CPU uses an entry that is not there any more.
    pub fn change<R>(
        &self,
        tables: SpinGuard<'_, Tables>,
        body: impl FnOnce(&mut Section<'_, '_, Kernel>, &mut Tables) -> Result<R, Error>,
    ) -> Result<R, Error> {
        MMU.gather(&self.space, |gather| {
            gather.locked(tables, |section, tables| body(section, tables))
        })
    }
}

/// A counted reference to a process.
pub struct Process(NonNull<Body>);

// SAFETY: a process may be used from any CPU: entries and counts are atomic, tables have a lock.
unsafe impl Send for Process {}

impl Process {
    /// Returns a new process, in which nothing is mapped.
    pub fn new() -> Result<Self, Error> {
        let frame = Frame::table(|_| 0).ok_or(Error::NoMemory)?;
        let has_views = config().has(boot::SEPARATE_VIEWS);
        let tables = Tables::new(has_views).ok_or(Error::NoMemory)?;
        let new = NewSpace {
            table: tables.top(),
            user_table: tables.user_top(),
            ..NewSpace::default()
        };
        let space = MMU.address_space(new).map_err(|_| Error::NoTag)?;
        const { assert!(size_of::<Body>() <= FRAME as usize) };
        let at = (boot::OFFSET + frame.address()) as *mut Body;
        let at = NonNull::new(at).ok_or(Error::NoMemory)?;
        let body = Body {
            space,
            tables: SpinLock::new(tables),
            references: AtomicU32::new(1),
            next: core::ptr::null_mut(),
            frame,
        };
        // SAFETY: the frame is the process's alone, large enough, and aligned for anything.
        unsafe { at.write(body) };
        Ok(Self(at))
    }
}

impl Deref for Process {
    type Target = Body;

    fn deref(&self) -> &Body {
        // SAFETY: there is a reference, so the body is there.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for Process {
    fn clone(&self) -> Self {
        self.references.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

/// A reference to the process that a CPU has loaded is one to its space.
impl AsRef<AddressSpace<Cpus>> for Process {
    fn as_ref(&self) -> &AddressSpace<Cpus> {
        &self.space
    }
}

/// Processes to which there is no reference any more.
static DEAD: AtomicPtr<Body> = AtomicPtr::new(core::ptr::null_mut());

impl Drop for Process {
    /// Runs wherever a reference is dropped, in [`Mmu::switch`](tlbc_runtime::Mmu::switch) too: it must not wait or flush.
    fn drop(&mut self) {
        if self.references.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let process = self.0.as_ptr();
        let mut next = DEAD.load(Ordering::Relaxed);
        loop {
            // SAFETY: no other code has the process until it is on the list.
            unsafe { (*process).next = next };
            match DEAD.compare_exchange(next, process, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => next = now,
            }
        }
    }
}

/// Gives back what is left of processes that [exited](crate::exit::exit) and that no CPU has loaded any more: their tags,
/// top tables and memory. Returns how many there were. Interrupts are on.
pub fn reap() -> usize {
    let mut reaped = 0;
    let mut process = DEAD.swap(core::ptr::null_mut(), Ordering::Acquire);
    while let Some(dead) = NonNull::new(process) {
        // SAFETY: what is on the list is there until it is reaped, and this took it off.
        let (next, frame) = unsafe {
            MMU.release(&dead.as_ref().space)
                .expect("no CPU has it loaded without a reference");
            let Body {
                tables,
                next,
                frame,
                ..
            } = dead.read();
            drop(tables);
            (next, frame)
        };
        drop(frame);
        process = next;
        reaped += 1;
    }
    reaped
}
