//! CPUs that go offline: other CPUs do not wait for them, and when they come online again they use no entry that they
//! had.

use std::sync::Arc;
use std::thread;

use tlbc_backends::x86_64::Config;
use tlbc_runtime::{
    CpuId, Level, Mmu, NewSpace, Platform, Record, SpaceFlags, StillLoaded, TagSource,
};
use tlbc_tests::archdefs::kernel_address;
use tlbc_tests::hosted::Hosted;
use tlbc_tests::machines::{Case, Kind, x86};
use tlbc_tests::on_every_machine;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::{Machine, Shown};
use tlbc_tests::tables::Entries;

/// Returns what a CPU issues that flushes everything.
fn forgets<B: Machine>(backend: &B, cpu: u32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut sink = Record(|op: B::Op| lines.push(format!("cpu {cpu}: {}", op.shown())));
    let _ = backend.cpu_online(&mut sink);
    lines
}

#[test]
fn a_cpu_goes_offline_and_comes_online_again() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        for lazily in [false, true] {
            let mut cpus = case.scheduler(3);
            let process = case.process(&cpus);
            (0..3).for_each(|cpu| cpus.run(cpu, &process));
            if lazily {
                cpus.kernel_thread(1);
            }
            let backend = cpus.mmu.platform().backend();
            let upper = Entries::new(backend, &process, Level(1), 1 << 30, 1);
            upper.link(0, 77);
            cpus.forget();
            cpus.cpu_offline(1);
            let root = cpus.lines();
            assert!(!root.is_empty(), "{}: loads the kernel's root", case.name);
            assert!(cpus.current(1).is_none());
            assert_eq!(Arc::strong_count(&process), 3, "{}", case.name);

            // A flush of tables concerns every CPU that is online.
            cpus.unlink(0, &process, &upper, 0);
            let lines = cpus.lines();
            let reached = lines.iter().any(|line| line == "interrupted: cpu 2");
            assert_eq!(reached, case.interrupts_for_tables(), "{}", case.name);
            assert!(!lines.iter().any(|line| line.starts_with("cpu 1: ")));
            cpus.on(0, Mmu::wait_for_walkers);
            assert_eq!(cpus.lines(), ["interrupted: cpu 2"], "{}", case.name);

            cpus.forget();
            cpus.cpu_online(1);
            let lines = cpus.lines();
            let forgets = forgets(cpus.mmu.platform().backend(), 1);
            assert!(lines.ends_with(&forgets), "{}: {lines:?}", case.name);
            let counted = cpus.counted();
            // If that is all that can be done, other tags are invalidated lazily.
            assert!(
                ["", "deferred 1"].contains(&&*counted),
                "{}: {counted}",
                case.name
            );
            cpus.run(1, &process);
            let completed = cpus.counted();
            assert_eq!(
                completed.contains("completed 1"),
                case.interrupts_for_tables(),
                "{}",
                case.name
            );
        }
    }
    on_every_machine!(scenario);
}

#[test]
fn a_cpu_goes_offline_while_another_waits_for_it() {
    let case = Case {
        name: "x86 pcid",
        backend: x86(Config::PGE.with(Config::PCID)),
        kind: Kind::CpuTags,
        space: NewSpace::default(),
    };
    let mut cpus = case.scheduler(2);
    let process = case.process(&cpus);
    (0..2).for_each(|cpu| cpus.run(cpu, &process));
    let mmu = cpus.mmu.clone();
    let hosted = mmu.platform();
    let flush = || Hosted::on(&mmu, 0, || mmu.flush_everything(&process));
    cpus.forget();
    thread::scope(|scope| {
        Hosted::on(&mmu, 1, || {
            hosted.pin_cpu(true, |_| {
                scope.spawn(flush);
                while !hosted.is_interrupted(1) {
                    thread::yield_now();
                }
                cpus.cpu_offline(1);
            });
        });
    });
    // CPU 0 continued without an acknowledgement: the interrupt that arrives late finds nothing to do.
    assert_eq!(cpus.counted(), "by_ipi 1, full_requested 1, sent 1");
    let root = "cpu 1: cr3 cr3=0x800000000000f000";
    assert_eq!(cpus.lines(), ["cpu 0: mov_cr3", "interrupted: cpu 1", root]);
}

#[test]
fn the_last_cpu_that_has_a_space_loaded_goes_offline() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let mut cpus = case.scheduler(2);
        let process = case.process(&cpus);
        cpus.run(1, &process);
        cpus.forget();
        let release = |cpus: &Scheduler<B>| cpus.on(0, |mmu| mmu.release(&process));
        assert_eq!(release(&cpus), Err(StillLoaded), "{}", case.name);
        cpus.cpu_offline(1);
        cpus.forget();
        cpus.teardown(0, &process);
        let lines = cpus.lines();
        let interrupted = lines.iter().filter(|line| line.starts_with("interrupted"));
        assert_eq!(interrupted.count(), 0, "{}", case.name);
        let counted = cpus.counted();
        let tags = cpus.mmu.platform().backend().tags();
        let until_rollover = matches!(tags.global, Some((_, TagSource::Generations)));
        let expected = match case.kind {
            Kind::Broadcast if !until_rollover => "broadcast 1, full_requested 1",
            // CPU 1 flushes the entries that it has left when it comes online, or before another space gets their tag.
            Kind::Broadcast | Kind::LifeTags | Kind::NoTags | Kind::CpuTags => {
                "unneeded 1, full_requested 1"
            }
        };
        assert_eq!(counted, expected, "{}", case.name);
        assert_eq!(release(&cpus), Ok(()), "{}", case.name);
    }
    on_every_machine!(scenario);
}

#[test]
fn flushes_of_the_kernel_reach_all_online_cpus_and_its_devices() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let mut cpus = case.scheduler(4);
        let process = case.process(&cpus);
        cpus.run(1, &process);
        cpus.run(2, &process);
        cpus.kernel_thread(2);
        cpus.cpu_offline(3);
        // A flush of the kernel uses IPIs unless an instruction of this machine reaches all CPUs.
        let interrupts = case.interrupts() && !case.space.per_cpu_tag;
        let kernel_at = kernel_address(B::FACTS.name);
        let hosted = cpus.mmu.platform();
        let kernel = cpus.mmu.kernel();
        let table = Entries::new(hosted.backend(), kernel, Level(0), kernel_at, 2);
        let upper = Entries::new(hosted.backend(), kernel, Level(1), kernel_at, 1);
        (0..2).for_each(|page| table.map(page as usize, 100 + page, 0));
        upper.link(0, 77);
        cpus.forget();
        let clear = || {
            cpus.on(0, |mmu| {
                mmu.gather(mmu.kernel(), |gather| {
                    gather.locked((), |section, ()| {
                        section.unmap_all(table.leaves()).expect("kernel entries");
                        let link = upper.pointer(0).expect("a linked table");
                        section.unlink(link).expect("a kernel entry");
                    });
                });
            });
        };
        clear();
        let lines = cpus.lines();
        let position = |text: &str| lines.iter().position(|line| line.starts_with(text));
        assert_eq!(
            position("interrupted: cpu 1, 2").is_some(),
            interrupts,
            "{}: {lines:?}",
            case.name
        );
        for cpu in ["cpu 1: ", "cpu 2: "] {
            assert_eq!(position(cpu).is_some(), interrupts, "{}", case.name);
        }
        assert_eq!(
            lines.last().unwrap(),
            "table 77 is free after a grace period"
        );
        assert!(position("page 101").unwrap() < lines.len() - 1);
        let counts = cpus.mmu.stats_of(CpuId(0));
        assert_eq!(counts.sent, if interrupts { 2 } else { 0 }, "{}", case.name);
        assert_eq!(counts.by_ipi, u64::from(interrupts), "{}", case.name);
        // If the change itself invalidates the entries nothing is left to flush.
        let broadcast = !interrupts && B::FACTS.pte_update.batches_pages();
        assert_eq!(counts.broadcast, u64::from(broadcast), "{}", case.name);

        // The same with a device: it is invalidated before anything is released, once.
        let device = cpus.on(0, |mmu| mmu.attach_device(mmu.kernel(), SpaceFlags::NONE));
        assert!(device.is_ok());
        (0..2).for_each(|page| table.map(page as usize, 100 + page, 0));
        upper.link(0, 78);
        clear();
        let lines = cpus.lines();
        let reached = lines
            .iter()
            .filter(|line| line.starts_with("devices invalidated"));
        assert_eq!(reached.count(), 1, "{}: {lines:?}", case.name);
        let position = |text: &str| lines.iter().position(|line| line.starts_with(text));
        assert!(
            position("devices invalidated") < position("page 100"),
            "{}",
            case.name
        );
        assert!(
            position("devices invalidated") < position("table 78"),
            "{}",
            case.name
        );
    }
    on_every_machine!(scenario);
}
