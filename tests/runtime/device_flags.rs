//! Space flags that devices need: they are set while any device needs them. A change of an entry reads them when no
//! device can fill the old entry any more.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use tlbc_backends::powerpc64::{Config, Tlb};
use tlbc_runtime::{Attached, Flags, Level, NewSpace, SpaceFlags};
use tlbc_tests::hosted::{Handle, Host, Hosted};
use tlbc_tests::machines::powerpc64;
use tlbc_tests::moments::{self, Moment};
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::{Entries, WRITE};

/// The flags that a coprocessor needs: instructions of a CPU reach it, but only those that reach every CPU.
fn wants() -> SpaceFlags {
    Config::COPROCESSORS.space_flags()
}

fn attach(mmu: &Host<Tlb>, process: &Handle<Tlb>) -> Attached {
    let device = mmu.attach_device(process, wants());
    device.expect("a space with room for a device")
}

/// Creates a machine of two CPUs that run a process.
fn machine(new: NewSpace) -> (Scheduler<Tlb>, Handle<Tlb>) {
    let mut cpus = Scheduler::new(powerpc64(Config::GTSE), 2);
    let process = cpus.process_with(new);
    (0..2).for_each(|cpu| cpus.run(cpu, &process));
    cpus.forget();
    (cpus, process)
}

/// Returns whether a flush of a page reaches coprocessors.
fn reaches_coprocessors(cpus: &Scheduler<Tlb>, process: &Handle<Tlb>) -> bool {
    let table = Entries::new(cpus.mmu.platform().backend(), process, Level(0), 0, 1);
    table.map(0, 100, 0);
    let _before = cpus.lines();
    cpus.unmap(0, process, &table, 0);
    let lines = cpus.lines();
    lines.iter().any(|line| line.starts_with("cpu 0: tlbie_"))
}

#[test]
fn a_flag_is_set_while_a_device_needs_it() {
    let (cpus, process) = machine(NewSpace::default());
    assert!(!reaches_coprocessors(&cpus, &process));
    let devices = [(); 2].map(|()| cpus.on(0, |mmu| attach(mmu, &process)));
    for device in devices {
        assert!(reaches_coprocessors(&cpus, &process));
        let detached = cpus.on(1, |mmu| mmu.detach_device(&process, device));
        detached.expect("its space");
    }
    assert!(!reaches_coprocessors(&cpus, &process), "none is left");
}

/// Devices may need several flags, and different ones.
#[test]
fn the_flags_of_a_space_are_those_of_its_devices() {
    let (cpus, process) = machine(NewSpace::default());
    let needs = [0b0011, 0b0110, 1 << 31, 0].map(SpaceFlags);
    let union = |flags: &[SpaceFlags]| flags.iter().fold(0, |all, flags| all | flags.0);
    let mut attached = Vec::new();
    for (nth, wants) in needs.into_iter().enumerate() {
        attached.extend(cpus.on(0, |mmu| mmu.attach_device(&process, wants)));
        assert_eq!(process.flags(), SpaceFlags(union(&needs[..=nth])));
    }
    for (nth, device) in attached.into_iter().enumerate() {
        let detached = cpus.on(0, |mmu| mmu.detach_device(&process, device));
        detached.expect("its space");
        assert_eq!(process.flags(), SpaceFlags(union(&needs[nth + 1..])));
    }
}

#[test]
fn a_flag_of_the_space_itself_stays() {
    let (cpus, process) = machine(NewSpace {
        flags: wants(),
        ..NewSpace::default()
    });
    let device = cpus.on(0, |mmu| attach(mmu, &process));
    let detached = cpus.on(0, |mmu| mmu.detach_device(&process, device));
    detached.expect("its space");
    assert!(reaches_coprocessors(&cpus, &process));
}

/// The kernel's space has the flags of the kernel's root from when the first CPU is online.
#[test]
fn the_flags_of_the_kernels_root_stay() {
    let mmu = Hosted::machine_offline(powerpc64(Config::GTSE), 1);
    mmu.platform().kernel_flags.store(wants().0, SeqCst);
    let kernel = mmu.kernel();
    assert_eq!(kernel.flags(), SpaceFlags::NONE);
    let _ = Hosted::cpu_online(&mmu, 0).expect("a usable machine");
    assert_eq!(kernel.flags(), wants());
    let more = SpaceFlags(wants().0 | 1 << 31);
    Hosted::on(&mmu, 0, || {
        let device = mmu.attach_device(kernel, more).expect("few devices");
        assert_eq!(kernel.flags(), more);
        mmu.detach_device(kernel, device).expect("its space");
    });
    assert_eq!(kernel.flags(), wants());
}

#[test]
fn a_device_is_detached_from_its_own_space() {
    let (cpus, process) = machine(NewSpace::default());
    let other = cpus.process();
    let device = cpus.on(0, |mmu| attach(mmu, &process));
    let device = cpus.on(0, |mmu| mmu.detach_device(&other, device));
    let device = device.expect_err("another space");
    assert!(
        reaches_coprocessors(&cpus, &process),
        "it is still attached"
    );
    let detached = cpus.on(0, |mmu| mmu.detach_device(&process, device));
    detached.expect("its space");
}

/// A device that is attached while another one is detached keeps its flag, at whatever moment.
#[test]
fn a_device_is_attached_while_another_is_detached() {
    let attaches = |nth: &usize| {
        let (cpus, process) = machine(NewSpace::default());
        let device = cpus.on(0, |mmu| attach(mmu, &process));
        let second = Arc::new(Mutex::new(None));
        let (space, comes) = (process.clone(), second.clone());
        let act = move |mmu: &Arc<Host<Tlb>>| {
            let device = on_other(mmu, || attach(mmu, &space));
            *comes.lock().unwrap() = Some(device);
        };
        let moment = Moment::new(&cpus.mmu, Box::new(act));
        moment.arm(0, *nth);
        let detached = cpus.on(0, |mmu| mmu.detach_device(&process, device));
        detached.expect("its space");
        let happened = moment.happened();
        assert_eq!(reaches_coprocessors(&cpus, &process), happened);
        if let Some(device) = second.lock().unwrap().take() {
            let detached = cpus.on(1, |mmu| mmu.detach_device(&process, device));
            detached.expect("its space");
            assert!(!reaches_coprocessors(&cpus, &process));
        }
        happened
    };
    let moments = moments::each(attaches);
    assert!(moments > 2, "{moments}");
}

/// A device that is attached while an entry gets more rights may have filled the old entry: it is flushed.
#[test]
fn a_device_is_attached_while_an_entry_gets_more_rights() {
    let attaches = |nth: &usize| {
        let (cpus, process) = machine(NewSpace::default());
        let backend = cpus.mmu.platform().backend();
        let table = Entries::new(backend, &process, Level(0), 0x1000, 1);
        table.map(0, 100, 0);
        let space = process.clone();
        let act = move |mmu: &Arc<Host<Tlb>>| {
            let _device = on_other(mmu, || attach(mmu, &space));
        };
        let moment = Moment::new(&cpus.mmu, Box::new(act));
        moment.arm(0, *nth);
        cpus.on(0, |mmu| {
            mmu.gather(&process, |gather| {
                gather.locked((), |section, ()| {
                    let protected = section.protect(&table.at(0), |bits| bits | WRITE);
                    protected.expect("more rights");
                });
            });
        });
        let happened = moment.happened();
        let lines = cpus.lines();
        let flushed = lines.iter().any(|line| line.starts_with("cpu 0: tlbie_"));
        let reached = lines
            .iter()
            .any(|line| line.starts_with("devices invalidated"));
        assert_eq!(
            (flushed, reached),
            (happened, happened),
            "moment {nth}: {lines:?}"
        );
        happened
    };
    let moments = moments::each(attaches);
    assert!(moments >= 1, "{moments}");
}

/// Runs on CPU 1.
fn on_other<R>(mmu: &Arc<Host<Tlb>>, run: impl FnOnce() -> R) -> R {
    tlbc_tests::hosted::Hosted::on(mmu, 1, run)
}
