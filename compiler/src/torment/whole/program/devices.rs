//! Devices that share the tables of a space.
//!
//! In: a CPU, which starts and stops its device. Out: calls of the runtime. Holds: a device walks the tables of a space from
//! after it is attached until before it is detached.

use fastrand::Rng;
use tlbc_runtime::Backend;
use tlbc_runtime::request::SpaceFlags;

use super::super::cores::DeviceKind;
use super::super::process::Process;
use super::World;
use crate::interpreted::Interpreted;

impl World<'_> {
    /// Attaches a device to a space, lets it run and detaches it.
    pub(super) fn run_device(&self, cpu: usize, rng: &mut Rng) {
        let Some(process) = self.any_process(rng) else {
            return;
        };
        let kernel = self.kernel();
        let flags = Interpreted::sender_only();
        let top = process.tables.top().number;
        let tag = kernel.cores.borrow().tags.get(&top).copied();
        // A device that uses the tag of a space gets it from its driver, when the space has one.
        let by_driver = flags == SpaceFlags::NONE || tag.is_none() || rng.bool();
        let always = self.flags_of_spaces();
        // A device needs no flag that the space has without it.
        let wants = if by_driver || always != SpaceFlags::NONE && rng.bool() {
            SpaceFlags::NONE
        } else {
            flags
        };
        let attached = match self.mmu.attach_device(&process.space, wants) {
            Ok(attached) => attached,
            Err(why) => return kernel.refused(&why.to_string()),
        };
        process.keeps.set(process.keeps.get() + 1);
        let space = process.space.id();
        let kind = if by_driver {
            DeviceKind::Driver(space)
        } else {
            DeviceKind::Device
        };
        // The space may be torn down while a device shares its tables.
        let may_end = self.mix.has_more && rng.bool();
        if may_end {
            self.leave(process.clone());
        }
        self.drive((cpu, kind), &process, tag.unwrap_or_default(), rng);
        if let Err(attached) = self.mmu.detach_device(&process.space, attached) {
            kernel.refused(&format!("{attached:?}"));
        }
        if always.without(process.space.flags()) != SpaceFlags::NONE {
            let text = format!("space {} has lost a flag", process.tables.number);
            kernel.cores.borrow_mut().complain(text);
        }
        self.remove(cpu);
        process.keeps.set(process.keeps.get() - 1);
        if !may_end {
            self.leave(process);
        }
    }

    /// Lets a device run, and stops it.
    pub(super) fn drive(
        &self,
        (cpu, kind): (usize, DeviceKind),
        process: &Process,
        tag: u64,
        rng: &mut Rng,
    ) {
        let (kernel, number) = (self.kernel(), process.tables.number);
        let top = process.tables.top().number;
        kernel.note(format!("starts its device in space {number}"));
        let of = (number, top, tag);
        kernel.cores.borrow_mut().start_device(cpu, kind, of);
        if (self.mix.has_more || self.mix.releases_early) && rng.bool() {
            self.exit(rng);
        }
        for _ in 0..rng.usize(1..200) {
            kernel.point();
        }
        kernel.note("stops its device".to_owned());
        kernel.cores.borrow_mut().stop_device(cpu);
    }

    /// Removes a device that is detached.
    pub(super) fn remove(&self, cpu: usize) {
        let mut cores = self.kernel().cores.borrow_mut();
        cores.check_detached(cpu);
        cores.remove_device(cpu);
    }
}
