//! Faults that the table does not justify, and what interrupt handlers do.
//!
//! In: a CPU that runs user code, or an interrupt. Out: calls of the runtime. Holds: an access that the table permits does not
//! fault again after its fault was fixed, unless the entry has changed since.

use fastrand::Rng;
use tlbc_machine::schedule;
use tlbc_runtime::request::Extent;

use super::super::memory::{LEAF, VALID};
use super::super::process::Process;
use super::World;

impl World<'_> {
    /// Makes user code write to a page, which faults if the CPU has an entry that does not permit it and stays at the fault.
    pub(super) fn take_fault(&self, process: &Process, rng: &mut Rng) {
        let (kernel, tables) = (self.kernel(), &process.tables);
        let nth = rng.usize(..self.mix.tables);
        let mut addresses = tables.addresses(nth, self.levels[0].1);
        let va = addresses
            .nth(rng.usize(..self.mix.entries))
            .expect("it has so many");
        let cpu = schedule::current();
        let bits = || kernel.cores.borrow().memory.page_bits(tables.upper(), va);
        let now = bits();
        if kernel.cores.borrow().stricter(cpu, (va, now)).is_none() {
            return;
        }
        kernel.interrupts_off(|cpu| {
            kernel.note(format!("faults at {va:#x}"));
            let _ = kernel.leave_user(&self.mmu, cpu);
        });
        kernel.lock(tables);
        let (now, changes) = (bits(), tables.changes_of(va));
        if now & VALID != 0 {
            let is_large = tables.upper().load(nth) & LEAF != 0;
            let (level, _) = self.levels[usize::from(is_large)];
            if let Err(why) = self.mmu.fix_spurious(&process.space, va, level) {
                kernel.refused(&why.to_string());
            }
        }
        kernel.unlock(tables);
        kernel.interrupts_off(|cpu| {
            kernel.note(format!("repeats the access to {va:#x}"));
            kernel.run_user(&self.mmu, cpu, process.clone());
        });
        if tables.changes_of(va) == changes {
            kernel.cores.borrow_mut().check_fixed(cpu, (va, now));
        }
    }

    /// Does what the handler of a timer does: it pins a tag, or flushes a page of the kernel.
    pub fn take_timer(&self) {
        if !self.mix.has_more || self.kernel().draw(4) != 0 {
            return self.pin_from_interrupt();
        }
        let (level, shift) = self.levels[0];
        let va = self.of_kernel.upper().va_of(0);
        self.kernel()
            .note(format!("flushes {va:#x} of the kernel from an interrupt"));
        let page = Extent::new(va, 1 << shift);
        if let Err(why) = self.mmu.flush_range(self.mmu.kernel(), page, level) {
            self.kernel().refused(&why.to_string());
        }
    }
}
