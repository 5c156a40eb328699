//! Lockless walkers of tables, which only turn interrupts off: an unlinked table is not reused while a walker is in it.
//!
//! CPUs are threads. A walker finds a table, and stays in it until the CPU that frees the table has done everything
//! that it can do before the walker leaves: it has released the table to the platform, or waits for an acknowledgement.
//! So the result of each round depends on the runtime and the platform, and not on timing. One more walker walks at
//! random times.
//!
//! Released tables are poisoned, at once if the runtime says that they have no walkers, and otherwise by the platform
//! when every CPU has had interrupts on. Two mutants show that the test can fail: a platform that frees at once, and
//! walkers that leave interrupts on.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::{Level, Platform};
use tlbc_tests::hosted::Hosted;
use tlbc_tests::machines;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::Machine;
use tlbc_tests::tables::Entries;

/// The content of a table that no CPU may walk.
const POISON: u64 = u64::MAX;
const TABLES: usize = 4;
const ROUNDS: u64 = 40;
/// CPU 0 frees; these CPUs walk, and stay in the table.
const STAYING: std::ops::Range<u32> = 1..3;
/// This CPU walks at random times.
const PASSING: u32 = 3;

/// The fault that is put in, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The platform frees tables at once that it should keep for walkers.
    FreesAtOnce,
    /// Walkers leave interrupts on.
    InterruptsOn,
}

/// Whether the platform has memory for tables that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    Always,
    Never,
    EveryOtherTime,
}

/// The tables, by number, and the progress of the rounds.
#[derive(Default)]
struct Shared {
    tables: [AtomicU64; TABLES],
    round: AtomicU64,
    /// The number of walkers in the table of this round.
    inside: AtomicUsize,
    /// The number of rounds whose table was released.
    out: AtomicU64,
    /// Tables that wait for walkers.
    waiting: Mutex<Vec<u64>>,
    /// The number of times that a walker read poison.
    poisoned: AtomicUsize,
    /// The number of tables that were freed after a grace period, and at once.
    freed: [AtomicUsize; 2],
}

impl Shared {
    fn free(&self, table: u64) {
        self.tables[table as usize].store(POISON, SeqCst);
    }

    fn read(&self, table: u64) {
        if self.tables[table as usize].load(SeqCst) == POISON {
            self.poisoned.fetch_add(1, SeqCst);
        }
    }
}

fn wait_until(mut done: impl FnMut() -> bool) {
    while !done() {
        thread::yield_now();
    }
}

/// Unlinks and frees tables while other CPUs walk them. Returns how often a walker read a freed table.
fn walked<B: Machine>(backend: B, memory: Memory, wrong: Wrong) -> (usize, [usize; 2]) {
    let cpus = Scheduler::new(backend, 4);
    let (mmu, process) = (cpus.mmu.clone(), cpus.process());
    let hosted = mmu.platform();
    let top = Entries::new(hosted.backend(), &process, Level(1), 0, 1);
    let shared = Arc::new(Shared::default());
    let out = shared.clone();
    hosted.on_tables_out(Box::new(move |tables, at_once| {
        out.freed[usize::from(at_once)].fetch_add(tables.len(), SeqCst);
        if at_once || wrong == Wrong::FreesAtOnce {
            for table in tables {
                out.free(*table);
            }
        } else {
            out.waiting.lock().unwrap().extend(tables);
        }
        out.out.fetch_add(1, SeqCst);
    }));
    let interrupts_off = wrong != Wrong::InterruptsOn;
    let walk = |within: &dyn Fn()| {
        hosted.pin_cpu(interrupts_off, |_| {
            if let Some(table) = top.linked(0) {
                within();
                shared.read(table);
            }
        });
    };
    let stay = |cpu| {
        for round in 1..=ROUNDS {
            wait_until(|| shared.round.load(SeqCst) == round);
            walk(&|| {
                shared.inside.fetch_add(1, SeqCst);
                wait_until(|| shared.out.load(SeqCst) == round || hosted.is_interrupted(cpu));
            });
        }
    };
    let free = || {
        for round in 1..=ROUNDS {
            let table = round % TABLES as u64;
            shared.tables[table as usize].store(round, SeqCst);
            top.link(0, table);
            shared.inside.store(0, SeqCst);
            shared.round.store(round, SeqCst);
            wait_until(|| shared.inside.load(SeqCst) == STAYING.len());
            let batches = match memory {
                Memory::Always => 1,
                Memory::Never => 0,
                Memory::EveryOtherTime => (round % 2) as usize,
            };
            hosted.batches.store(batches, SeqCst);
            cpus.unlink(0, &process, &top, 0);
            let waiting = std::mem::take(&mut *shared.waiting.lock().unwrap());
            if !waiting.is_empty() {
                hosted.wait_for_interrupts_on();
                for table in waiting {
                    shared.free(table);
                }
            }
        }
    };
    thread::scope(|scope| {
        for cpu in STAYING {
            let (mmu, stay) = (&mmu, &stay);
            scope.spawn(move || Hosted::on(mmu, cpu, || stay(cpu)));
        }
        scope.spawn(|| {
            Hosted::on(&mmu, PASSING, || {
                while shared.out.load(SeqCst) < ROUNDS {
                    walk(&|| ());
                    thread::yield_now();
                }
            });
        });
        Hosted::on(&mmu, 0, free);
    });
    let freed = [&shared.freed[0], &shared.freed[1]].map(|freed| freed.load(SeqCst));
    (shared.poisoned.load(SeqCst), freed)
}

/// Runs the same on a machine of each architecture.
fn on_each(memory: Memory, wrong: Wrong) -> [(usize, [usize; 2]); 5] {
    let x86 = |config| walked(machines::x86(config), memory, wrong);
    let power = powerpc64::Config::GTSE.with(powerpc64::Config::BROADCAST);
    [
        x86(x86_64::Config::PGE.with(x86_64::Config::PCID)),
        x86(x86_64::Config::PGE
            .with(x86_64::Config::PCID)
            .with(x86_64::Config::INVPCID)
            .with(x86_64::Config::INVLPGB)),
        walked(machines::arm64(arm64::Config::NONE), memory, wrong),
        walked(machines::powerpc64(power), memory, wrong),
        walked(machines::s390(s390::Config::NONE), memory, wrong),
    ]
}

#[test]
fn no_walker_sees_a_table_that_was_freed() {
    let rounds = ROUNDS as usize;
    for (memory, freed) in [
        (Memory::Always, [rounds, 0]),
        (Memory::Never, [0, rounds]),
        (Memory::EveryOtherTime, [rounds / 2, rounds / 2]),
    ] {
        for walked in on_each(memory, Wrong::Nothing) {
            assert_eq!(walked, (0, freed), "{memory:?}");
        }
    }
}

#[test]
fn a_platform_that_frees_at_once_is_found() {
    for (poisoned, _) in on_each(Memory::EveryOtherTime, Wrong::FreesAtOnce) {
        assert!(
            poisoned >= ROUNDS as usize / 2 * STAYING.len(),
            "{poisoned}"
        );
    }
}

#[test]
fn walkers_that_leave_interrupts_on_are_found() {
    for (poisoned, _) in on_each(Memory::EveryOtherTime, Wrong::InterruptsOn) {
        assert!(
            poisoned >= ROUNDS as usize / 2 * STAYING.len(),
            "{poisoned}"
        );
    }
}
