//! The rule for the locks of the runtime: interrupts are off, one lock at a time, for a bounded time; a CPU that waits
//! for a lock handles messages while it waits. The host checks the rule at every acquisition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use tlbc_tests::overridden;

use tlbc_backends::x86_64::{self, Config};
use tlbc_backends::{arm64, powerpc64};
use tlbc_runtime::{CpuId, LockEvent, NewSpace, Platform, SpaceFlags};
use tlbc_tests::hosted::{Host, HostBackend, Hosted};
use tlbc_tests::machines::{arm64, powerpc64, x86};
use tlbc_tests::rules::Rule;
use tlbc_tests::scheduler::Scheduler;

fn machine() -> Arc<Host<x86_64::Tlb>> {
    Hosted::machine(x86(Config::PGE.with(Config::PCID)), 2)
}

#[test]
fn locks_are_taken_one_at_a_time_with_interrupts_off_and_for_a_bounded_time() {
    use LockEvent::{Acquired, Releasing};
    let mmu = machine();
    Rule::LockInterruptsOff.is_violated_by(&mmu, || {
        mmu.platform().lock_event(CpuId(0), Acquired);
    });
    let mmu = machine();
    Rule::OneLockAtATime.is_violated_by(&mmu, || {
        mmu.platform().interrupts_off(|| {
            mmu.platform().lock_event(CpuId(0), Acquired);
            mmu.platform().lock_event(CpuId(0), Acquired);
        });
    });
    let mmu = machine();
    Rule::OneLockAtATime.is_violated_by(&mmu, || {
        mmu.platform()
            .interrupts_off(|| mmu.platform().lock_event(CpuId(0), Releasing));
    });
    let mmu = machine();
    Rule::LocksAreShort.is_violated_by(&mmu, || {
        mmu.platform().interrupts_off(|| {
            mmu.platform().lock_event(CpuId(0), Acquired);
            mmu.flush_everything(mmu.kernel());
        });
    });
    let mmu = machine();
    Rule::LocksAreShort.is_violated_by(&mmu, || {
        mmu.platform().interrupts_off(|| {
            mmu.platform().lock_event(CpuId(0), Acquired);
            let _ = mmu.platform().page_batch();
        });
    });
}

/// Returns how often a lock was taken, and checks that it was released as often.
fn locks<B: HostBackend>(cpus: &mut Scheduler<B>) -> impl FnMut() -> usize + use<B> {
    let events: Arc<[AtomicUsize; 2]> = Arc::default();
    let of_hook = events.clone();
    cpus.mmu.platform().on_lock(Box::new(move |_, event| {
        of_hook[usize::from(event == LockEvent::Releasing)].fetch_add(1, SeqCst);
    }));
    move || {
        let [taken, released] = [0, 1].map(|which| events[which].swap(0, SeqCst));
        assert_eq!(taken, released);
        taken
    }
}

#[test]
fn every_lock_is_recorded() {
    let mut cpus = Scheduler::new(arm64(arm64::Config::NONE), 2);
    let mut taken = locks(&mut cpus);
    let process = cpus.process();
    assert_eq!(taken(), 0);
    cpus.run(1, &process);
    assert_eq!(taken(), 1, "a tag of the present generation");
    cpus.on(0, |mmu| mmu.pin_tag(&process)).expect("a tag");
    cpus.on(0, |mmu| mmu.unpin_tag(&process)).expect("a pin");
    assert_eq!(taken(), 2);
    let device = cpus.on(0, |mmu| mmu.attach_device(&process, SpaceFlags::NONE));
    let device = device.expect("room for a device");
    let detached = cpus.on(0, |mmu| mmu.detach_device(&process, device));
    assert!(detached.is_ok());
    assert_eq!(taken(), 2);
    cpus.cpu_offline(1);
    assert_eq!(taken(), 1, "the tag is reserved no longer");
    cpus.teardown(0, &process);
    assert_eq!(taken(), 0);
    cpus.on(0, |mmu| mmu.release(&process))
        .expect("loaded nowhere");
    assert_eq!(taken(), 1, "pins end");

    let mut cpus = Scheduler::new(powerpc64(powerpc64::Config::GTSE), 2);
    let mut taken = locks(&mut cpus);
    let process = cpus.process();
    assert_eq!(taken(), 1, "a tag for life");
    cpus.teardown(0, &process);
    cpus.on(0, |mmu| mmu.release(&process))
        .expect("loaded nowhere");
    assert_eq!(taken(), 1);

    let one =
        overridden::Overridden::<_, { overridden::ONE }>::new(x86(Config::PGE.with(Config::PCID)));
    let mut cpus = Scheduler::new(one, 2);
    let mut taken = locks(&mut cpus);
    cpus.on(0, |mmu| mmu.flush_everything(mmu.kernel()));
    assert_eq!(taken(), 1, "one flush at a time");
}

/// A CPU that waits for a lock of the runtime handles messages while it waits: the CPU that has the lock may be waiting
/// for that.
#[test]
fn a_cpu_that_waits_for_a_lock_handles_messages() {
    let mut cpus = Scheduler::new(
        x86(Config::PGE
            .with(Config::PCID)
            .with(Config::INVPCID)
            .with(Config::INVLPGB)),
        3,
    );
    let tagged = cpus.process();
    let process = cpus.process_with(NewSpace {
        per_cpu_tag: true,
        ..NewSpace::default()
    });
    cpus.run(1, &process);
    cpus.run(2, &process);
    let (mmu, hosted) = (cpus.mmu.clone(), cpus.mmu.platform());
    // Whether CPU 0 has the lock, whether the flush of CPU 2 is done, and whether it was late.
    let happened: Arc<[AtomicBool; 3]> = Arc::default();
    let of_hook = happened.clone();
    hosted.on_lock(Box::new(move |cpu, event| {
        let [locked, flushed, late] = &*of_hook;
        if cpu == 0 && event == LockEvent::Acquired {
            locked.store(true, SeqCst);
            let end = Instant::now() + Duration::from_secs(5);
            while !flushed.load(SeqCst) && !late.load(SeqCst) {
                late.store(Instant::now() > end, SeqCst);
                thread::yield_now();
            }
        }
    }));
    let [locked, flushed, late] = &*happened;
    thread::scope(|scope| {
        let pin = |cpu| Hosted::on(&mmu, cpu, || mmu.pin_tag(&tagged).is_ok());
        let first = scope.spawn(move || pin(0));
        while !locked.load(SeqCst) {
            assert!(!first.is_finished(), "it takes the lock");
            thread::yield_now();
        }
        let second = scope.spawn(move || pin(1));
        while !hosted.are_interrupts_off(1) {
            thread::yield_now();
        }
        Hosted::on(&mmu, 2, || mmu.flush_everything(&process));
        assert!(hosted.is_interrupted(1) || late.load(SeqCst), "it waits");
        flushed.store(true, SeqCst);
        assert!(first.join().unwrap() && second.join().unwrap());
    });
    assert!(
        !late.load(SeqCst),
        "CPU 1 does not handle messages while it waits for the lock"
    );
}
