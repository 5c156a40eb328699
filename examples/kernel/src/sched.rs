//! Which CPU does what: one of them directs, the others take jobs.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::boot::{self, UserState};
use crate::lock::SpinLock;
use crate::process::Process;
use crate::user::{self, Cpu};
use crate::{program, report, turns};

/// What a CPU is given to do.
pub enum Job {
    /// To run a user program until it must stop.
    User(Process, UserState),
    /// To run code of the kernel until it must stop, as a kernel thread: it gets the CPU's number.
    Kernel(fn(usize)),
    /// To go offline and come back.
    Restart,
}

struct Worker {
    job: SpinLock<Option<Job>>,
    is_busy: AtomicBool,
    stops: AtomicBool,
    /// How often its programs were done.
    rounds: AtomicU64,
}

static WORKERS: [Worker; boot::CPUS] = [const {
    Worker {
        job: SpinLock::new(None),
        is_busy: AtomicBool::new(false),
        stops: AtomicBool::new(false),
        rounds: AtomicU64::new(0),
    }
}; boot::CPUS];

/// Gives a CPU something to do. It has nothing to do yet.
pub fn start(cpu: usize, job: Job) {
    let worker = &WORKERS[cpu];
    worker.stops.store(false, Ordering::Relaxed);
    worker.is_busy.store(true, Ordering::Relaxed);
    *worker.job.lock() = Some(job);
}

/// Makes a CPU end its job, and waits until it has.
pub fn stop(cpu: usize) {
    let worker = &WORKERS[cpu];
    worker.stops.store(true, Ordering::Relaxed);
    while worker.is_busy.load(Ordering::Acquire) {
        turns::hand_over();
    }
}

/// Waits until the programs of CPUs have begun and are done at least once from now on: all of them have accessed memory.
pub fn wait_for_round(cpus: Range<usize>) {
    let rounds = |cpu: usize| WORKERS[cpu].rounds.load(Ordering::Relaxed);
    let before: [u64; boot::CPUS] = core::array::from_fn(rounds);
    // They go on at the same time. The first round that is done may have begun before.
    for cpu in cpus {
        while rounds(cpu) < before[cpu] + 2 {
            turns::hand_over();
        }
    }
}

pub fn must_stop(cpu: usize) -> bool {
    WORKERS[cpu].stops.load(Ordering::Relaxed)
}

/// Does the jobs of a CPU. Interrupts are on, so that other CPUs can shoot down.
pub fn work(number: usize, mut cpu: Cpu) -> ! {
    let worker = &WORKERS[number];
    loop {
        let job = worker.job.lock().take();
        match job {
            None => {
                turns::hand_over();
                continue;
            }
            Some(Job::User(process, mut state)) => {
                cpu.switch(Some(process.clone()));
                while !must_stop(number) {
                    run_once(&process, &mut state);
                    worker.rounds.fetch_add(1, Ordering::Relaxed);
                    turns::hand_over();
                }
                cpu.switch(None); // what was loaded stays loaded, lazily
            }
            Some(Job::Kernel(run)) => run(number),
            Some(Job::Restart) => cpu.restart(),
        }
        worker.is_busy.store(false, Ordering::Release);
    }
}

/// Runs a program until it is done once.
pub fn run_once(process: &Process, state: &mut UserState) {
    loop {
        match user::run(process, state).expect("memory for a fault") {
            (program::DONE, [count, _]) => return report::ran(count),
            (program::WRONG, [address, value]) => report::stale(address, value),
            (number, values) => panic!("a program calls {number} with {values:x?}"),
        }
    }
}
