//! Devices that share the tables of a space.
//!
//! In: a CPU, which starts and stops its device. Out: calls of the runtime. Holds: a device walks the tables of a space from
//! after it is attached until before it is detached.

use fastrand::Rng;
use tlbc_runtime::request::SpaceFlags;
use tlbc_runtime::{Backend, Platform};

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
        if !may_end {
            self.leave(process);
        }
    }

    /// Pins the tag of a space, lets a device use it, and unpins it.
    pub(super) fn run_pinned(&self, cpu: usize, rng: &mut Rng) {
        let Some(process) = self.any_process(rng) else {
            return;
        };
        if let Ok(tag) = self.mmu.pin_tag(&process.space) {
            // Only instructions reach a device that nothing but the tag attaches, and no IPI does.
            if !self.kernel().backend().sends_ipis() {
                self.drive((cpu, DeviceKind::Pinned), &process, tag.value, rng);
            }
            self.mmu.flush_everything(&process.space);
            if let Err(why) = self.mmu.unpin_tag(&process.space) {
                self.kernel().refused(&why.to_string());
            }
            self.remove(cpu);
        }
        self.leave(process);
    }

    /// Pins the tag of a space and unpins it again, as an interrupt handler may.
    pub(super) fn pin_from_interrupt(&self) {
        let process = {
            let processes = self.processes.borrow();
            processes.iter().flatten().next().cloned()
        };
        let Some(process) = process else {
            return;
        };
        if self.mmu.pin_tag(&process.space).is_ok() {
            self.kernel()
                .note("pins a tag from an interrupt".to_owned());
            if let Err(why) = self.mmu.unpin_tag(&process.space) {
                self.kernel().refused(&why.to_string());
            }
        }
    }

    /// Lets a device run, and stops it.
    fn drive(&self, (cpu, kind): (usize, DeviceKind), process: &Process, tag: u64, rng: &mut Rng) {
        let (kernel, number) = (self.kernel(), process.tables.number);
        let top = process.tables.top().number;
        kernel.note(format!("starts its device in space {number}"));
        let of = (number, top, tag);
        kernel.cores.borrow_mut().start_device(cpu, kind, of);
        if self.mix.has_more && rng.bool() {
            self.exit(rng);
        }
        for _ in 0..rng.usize(1..200) {
            kernel.point();
        }
        kernel.note("stops its device".to_owned());
        kernel.cores.borrow_mut().stop_device(cpu);
    }

    /// Removes a device that is detached.
    fn remove(&self, cpu: usize) {
        let mut cores = self.kernel().cores.borrow_mut();
        cores.check_detached(cpu);
        cores.remove_device(cpu);
    }
}
