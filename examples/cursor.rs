//! A page-table cursor as the guard of a section, and two of them at once: fork with copy on write.
//!
//! Many kernels hand out a cursor over a range of a page table, which keeps the tables of that range locked while it
//! exists. [`Gather::locked`] takes any value as its guard and drops it at the end of the section, so the cursor is the
//! guard. A pair of cursors is the guard of a section that copies from one space to another. The gather belongs to the
//! space whose entries change. The entries of the other space are new, in tables that no CPU has loaded yet, so they
//! need no flush.
//!
//! CPUs 0 and 1 run the parent. The child runs on CPU 2 when it has been copied.
//!
//! [`Gather::locked`]: tlbc_runtime::Gather::locked

use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard};

use tlbc_runtime::{Level, Misuse};
use tlbc_tests::hosted::{Handle, Host};
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::{self, Example, Machine};
use tlbc_tests::tables::{DIRTY, Entries, EntryAt, WRITE, leaf_bits};

const PTE: Level = Level(0);
const VA: u64 = 0x1000;
const PAGES: usize = 2;

/// A fork and the faults after it, on any machine.
pub struct Fork;

/// A process: its address space, its table, and the lock for the table's entries.
struct Process<B: Machine> {
    space: Handle<B>,
    table: Entries,
    lock: Mutex<()>,
}

impl<B: Machine> Process<B> {
    fn new(backend: &B, space: Handle<B>) -> Self {
        let table = Entries::new(backend, &space, PTE, VA, PAGES);
        Self {
            space,
            table,
            lock: Mutex::new(()),
        }
    }

    /// Locks the tables of a range, and returns a cursor at its first entry.
    fn cursor(&self, range: Range<usize>) -> Cursor<'_> {
        Cursor {
            table: &self.table,
            range,
            _lock: self.lock.lock().unwrap(),
        }
    }
}

/// A position in a range of entries, whose tables are locked until the cursor is dropped.
struct Cursor<'t> {
    table: &'t Entries,
    /// The current entry, and the end of the range.
    range: Range<usize>,
    _lock: MutexGuard<'t, ()>,
}

impl<'t> Cursor<'t> {
    /// Moves to the next entry that maps a page, starting with the current one.
    fn find(&mut self) -> Option<EntryAt<'t>> {
        let table = self.table;
        let at = self.range.clone().find(|at| table.leaf(*at).is_some());
        self.range.start = at.unwrap_or(self.range.end);
        at.and_then(|at| table.leaf(at))
    }

    /// Moves to an entry of the range.
    fn jump(&mut self, index: usize) {
        self.range.start = index;
    }

    /// Moves to the next entry.
    fn advance(&mut self) {
        self.range.start += 1;
    }
}

/// Lets a child share the pages of its parent. Neither can write to them afterwards.
fn fork<B: Machine>(mmu: &Host<B>, parent: &Process<B>, child: &Process<B>) -> Result<(), Misuse> {
    mmu.gather(&parent.space, |gather| {
        // The parent's locks are always taken first.
        let cursors = (parent.cursor(0..PAGES), child.cursor(0..PAGES));
        gather.locked(cursors, |section, (from, to)| {
            while let Some(entry) = from.find() {
                // Accessed and dirty bits that the machine sets at the same time are in `was`, and in the new entry.
                let was = section.protect(&entry, |bits| bits & !WRITE)?;
                // The page has one more reference. A page that is dirty in the parent is dirty in the child as well.
                to.jump(from.range.start);
                to.table.set(to.range.start, was & !WRITE);
                from.advance();
            }
            Ok(())
        })
    })
    // From here on no CPU can write to the pages.
}

/// Handles a write to a page that is protected for copy on write: if others share it, the writer gets its `copy`.
fn write_fault<B: Machine>(
    mmu: &Host<B>,
    process: &Process<B>,
    index: usize,
    copy: Option<u64>,
) -> Result<(), Misuse> {
    mmu.gather(&process.space, |gather| {
        gather.locked(process.cursor(index..index + 1), |section, cursor| {
            let Some(leaf) = cursor.find() else {
                return Ok(()); // another thread has unmapped it since the fault
            };
            if let Some(page) = copy {
                // The gather keeps the old page until no CPU reads it through this entry any more; then it has one
                // reference less.
                let replaced = section.replace(leaf, leaf_bits(page, WRITE | DIRTY));
                return replaced.map_err(|refused| refused.why);
            }
            section.protect(&leaf, |bits| bits | WRITE)?;
            Ok(())
        })
    })
}

impl Example for Fork {
    fn run<B: Machine>(backend: B) -> Vec<String> {
        let mut cpus = Scheduler::new(backend, 3);
        let new = |cpus: &Scheduler<B>| Process::new(cpus.mmu.platform().backend(), cpus.process());
        let (parent, child) = (new(&cpus), new(&cpus));
        cpus.run(0, &parent.space);
        cpus.run(1, &parent.space);
        parent.table.map(0, 100, WRITE | DIRTY);
        parent.table.map(1, 101, WRITE);
        let _ = cpus.lines();

        cpus.note("fork: both pages become read-only");
        let forked = cpus.on(0, |mmu| fork(mmu, &parent, &child));
        forked.expect("rights that the machine takes in one step");
        for index in 0..PAGES {
            assert_eq!(parent.table.bits(index), child.table.bits(index));
            assert_eq!(parent.table.bits(index) & WRITE, 0);
        }
        assert_ne!(child.table.bits(0) & DIRTY, 0);

        cpus.note("the child writes to the first page: it gets a copy, and drops its reference to page 100");
        cpus.run(2, &child.space);
        let handled = cpus.on(2, |mmu| write_fault(mmu, &child, 0, Some(200)));
        handled.expect("a leaf entry of the child");

        cpus.note("the parent writes to it: no other process has it any more, so it may");
        let handled = cpus.on(0, |mmu| write_fault(mmu, &parent, 0, None));
        handled.expect("rights that the machine gives in one step");
        assert_eq!(parent.table.bits(0), leaf_bits(100, WRITE | DIRTY));

        cpus.note(
            "CPU 1 writes to it: it may have the stricter entry cached, and faults once more",
        );
        let fixed = cpus.on(1, |mmu| mmu.fix_spurious(&parent.space, VA, PTE));
        fixed.expect("a level of leaf entries");
        cpus.lines()
    }
}

#[allow(dead_code, reason = "the tests have a main of their own")]
fn main() -> ExitCode {
    show::main::<Fork>()
}
