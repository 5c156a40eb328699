//! A device shares the page tables of a process: it is attached before it fills, invalidated with each flush, and
//! detached when it has stopped filling.
//!
//! Both CPUs run the process. Only the device's driver can invalidate what the device has cached.

use std::process::ExitCode;

use tlbc_runtime::{Level, SpaceFlags};
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::{self, Example, Machine};
use tlbc_tests::tables::Entries;

/// A process with a device, on any machine.
pub struct Device;

impl Example for Device {
    fn run<B: Machine>(backend: B) -> Vec<String> {
        let mut cpus = Scheduler::new(backend, 2);
        let process = cpus.process();
        cpus.run(0, &process);
        cpus.run(1, &process);
        let backend = cpus.mmu.platform().backend();
        let table = Entries::new(backend, &process, Level(0), 0x1000, 3);
        (0..3).for_each(|page| table.map(page as usize, 100 + page, 0));
        let unmap = |index| {
            cpus.on(0, |mmu| {
                mmu.gather(&process, |gather| {
                    gather.locked((), |section, ()| {
                        let leaf = table.leaf(index).expect("a mapped page");
                        section.unmap(leaf).expect("an entry of this space");
                    });
                });
            });
        };
        let _ = cpus.lines();

        cpus.note("unmap, before there is a device");
        unmap(0);
        cpus.note("attach");
        let device = cpus.on(0, |mmu| mmu.attach_device(&process, SpaceFlags::NONE));
        let device = device.expect("a space with room for a device");
        cpus.note("unmap: the device is invalidated before the page is free");
        unmap(1);
        cpus.note("detach: entries that the device still has are invalidated");
        let detached = cpus.on(0, |mmu| mmu.detach_device(&process, device));
        detached.expect("the space that it is attached to");
        cpus.note("unmap, without a device");
        unmap(2);
        cpus.lines()
    }
}

#[allow(dead_code, reason = "the tests have a main of their own")]
fn main() -> ExitCode {
    show::main::<Device>()
}
