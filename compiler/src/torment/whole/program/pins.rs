//! Pinned tags.
//!
//! In: a space. Out: calls of the runtime. Holds: no pin is refused while there are more tags than the CPUs may use at the same time
//! and pinned spaces have.

use fastrand::Rng;
use tlbc_runtime::{Backend, Platform, Tag, TagSource};

use super::super::cores::DeviceKind;
use super::super::process::Process;
use super::World;

impl World<'_> {
    /// Pins the tag of a space, lets a device use it, and unpins it, unless that is left to the release of the space.
    pub(super) fn run_pinned(&self, cpu: usize, rng: &mut Rng) {
        let Some(process) = self.any_process(rng) else {
            return;
        };
        let is_early = self.mix.releases_early;
        // The space may be torn down while a device uses its tag.
        let may_end = is_early && rng.bool();
        if let Some(tag) = self.pin(&process) {
            process.keeps.set(process.keeps.get() + 1);
            if may_end {
                self.leave(process.clone());
            }
            // Only instructions reach a device that nothing but the tag attaches, and no IPI does.
            if !self.kernel().backend().sends_ipis() {
                self.drive((cpu, DeviceKind::Pinned), &process, tag.value, rng);
            }
            self.mmu.flush_everything(&process.space);
            self.remove(cpu);
            if !is_early || rng.bool() {
                self.unpin(&process);
            }
            process.keeps.set(process.keeps.get() - 1);
            if may_end {
                return;
            }
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
        process.keeps.set(process.keeps.get() + 1);
        if self.pin(&process).is_some() {
            self.kernel()
                .note("pins a tag from an interrupt".to_owned());
            self.unpin(&process);
        }
        process.keeps.set(process.keeps.get() - 1);
    }

    /// Pins the tag of a space, if it is from generations and enough are left.
    fn pin(&self, process: &Process) -> Option<Tag> {
        let kernel = self.kernel();
        let begun = self.begun_pins.get() + 1;
        self.begun_pins.set(begun);
        self.pins.set(self.pins.get() + 1);
        let before = self.pins.get();
        let result = self.mmu.pin_tag(&process.space);
        if let Ok(tag) = result {
            process.pins.set(process.pins.get() + 1);
            return Some(tag);
        }
        self.pins.set(self.pins.get() - 1);
        // Each pin that there was at some time since then may be of another space.
        let pins = before + self.begun_pins.get() - begun;
        let of = kernel.backend().tags();
        let cpus = 2 * kernel.cpus() as u64;
        if let Some((values, TagSource::Generations)) = of.global
            && !(process.has_per_cpu_tag && of.per_cpu.is_some())
            && values.nth(cpus + pins).is_some()
        {
            kernel.refused(&format!("with {pins} pins no tag can be pinned"));
        }
        None
    }

    /// Undoes a pin.
    fn unpin(&self, process: &Process) {
        if let Err(why) = self.mmu.unpin_tag(&process.space) {
            self.kernel().refused(&why.to_string());
        }
        process.pins.set(process.pins.get() - 1);
        self.pins.set(self.pins.get() - 1);
    }
}
