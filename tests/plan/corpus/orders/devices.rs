//! Orders in which a device shares the tables of a space.

use std::sync::Arc;

use tlbc_backends::powerpc64;
use tlbc_runtime::{Flags, Level};
use tlbc_tests::hosted::{Host, Hosted};
use tlbc_tests::machines;
use tlbc_tests::moments::Moment;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::{Entries, WRITE};

use super::{at_each_moment, broadcasting, first, is_broadcast, require, unmap};

/// A device walks the tables of a process under its tag.
pub fn unmaps_a_pinned_space() -> Result<(), String> {
    let (cpus, process, table) = broadcasting();
    let pin = cpus.on(0, |mmu| mmu.pin_tag(&process));
    pin.map_err(|_| "no tag can be pinned")?;
    cpus.mmu.platform().events();
    unmap(&cpus.mmu, &process, &table);
    let lines = cpus.lines();
    require(is_broadcast(&lines), "the device is not flushed", &lines)
}

/// Two devices share the tables of a process, and one of them is detached.
pub fn detaches_one_of_two_devices() -> Result<(), String> {
    let mut cpus = Scheduler::new(machines::powerpc64(powerpc64::Config::GTSE), 2);
    let process = cpus.process();
    cpus.run(0, &process);
    let wants = powerpc64::Config::COPROCESSORS.space_flags();
    let attach = || cpus.on(0, |mmu| mmu.attach_device(&process, wants));
    let (Ok(first_device), Ok(_stays)) = (attach(), attach()) else {
        return Err("no device can be attached".to_owned());
    };
    let detached = cpus.on(0, |mmu| mmu.detach_device(&process, first_device));
    detached.map_err(|_| "the device cannot be detached")?;
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0, 1);
    table.map(0, 100, 0);
    cpus.mmu.platform().events();
    cpus.unmap(0, &process, &table, 0);
    let lines = cpus.lines();
    let reached = first(&lines, "cpu 0: tlbie_").is_some();
    require(reached, "the other device is not flushed", &lines)
}

/// A device is attached to a process while an entry of it gets more rights: the device may have cached the old entry, and does
/// not look again when it faults.
pub fn attaches_a_device_within_a_change() -> Result<(), String> {
    at_each_moment(1, attaches_at)
}

/// Attaches a device at a moment. Returns whether there is such a moment.
fn attaches_at(nth: usize) -> Result<bool, String> {
    let mut cpus = Scheduler::new(machines::powerpc64(powerpc64::Config::GTSE), 2);
    let process = cpus.process();
    cpus.run(0, &process);
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0x1000, 1);
    table.map(0, 100, 0);
    let space = process.clone();
    let act = move |mmu: &Arc<Host<powerpc64::Tlb>>| {
        let wants = powerpc64::Config::COPROCESSORS.space_flags();
        let attached = Hosted::on(mmu, 1, || mmu.attach_device(&space, wants));
        assert!(attached.is_ok(), "a device is attached");
    };
    let moment = Moment::new(&cpus.mmu, Box::new(act));
    cpus.forget();
    moment.arm(0, nth);
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
    if happened {
        let flushed = first(&lines, "cpu 0: tlbie_").is_some();
        require(flushed, "the device keeps the old rights", &lines)?;
    }
    Ok(happened)
}
