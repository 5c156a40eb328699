//! CPUs that come online and go offline.
//!
//! In: a CPU. Out: what it runs in. Holds: a CPU that is offline keeps its entries and the root that it has loaded, and its
//! interrupts are off. It boots with tables of its own, under any tag, which are freed when it is online. While it comes online or goes
//! offline it uses nothing of the kernel that changes; its walker may as soon as it has loaded the kernel's root.

use tlbc_runtime::request::Space;
use tlbc_runtime::{Backend, CpuId, Current, Platform, TagSource, Tags};

use super::super::memory::{LEAF, NO_OWNER, NUMBER, Table, VALID};
use super::{CurrentProcess, World, chain};

impl World<'_> {
    /// Brings a CPU online, whose interrupts are off until then.
    pub(super) fn come_online(&self, cpu: usize) -> Result<CurrentProcess, String> {
        let kernel = self.kernel();
        kernel.note("boots".to_owned());
        let tags = kernel.backend().tags();
        let (tables, page) = {
            let mut cores = kernel.cores.borrow_mut();
            let memory = &mut cores.memory;
            let mut tables = chain(memory, &self.levels, (Space::User, self.base), 1);
            let lowest = memory.table(self.levels[0], (Space::User, self.base), 1);
            let page = memory.page(NO_OWNER);
            memory.store(lowest.address(), page << NUMBER | VALID | LEAF);
            lowest.publish();
            let last = &tables[tables.len() - 1];
            memory.store(last.address(), (lowest.number as u64) << NUMBER | VALID);
            last.publish();
            tables.push(lowest);
            let tag = self.boot_tag(&tags, cores.kernel_root_tag, &tables[0]);
            cores.boot(cpu, tables[0].number, tag);
            (tables, page)
        };
        let id = CpuId(cpu as u32);
        let runs = self.mmu.cpu_online(id).map_err(|why| why.to_string())?;
        {
            let mut cores = kernel.cores.borrow_mut();
            cores.memory.owners[page as usize] = None;
            cores.memory.free_top_table(&tables[0]);
            for table in &tables[1..] {
                cores.memory.free_table(table);
            }
        }
        kernel.cores.borrow_mut().use_kernel(cpu, true);
        kernel.note("is online".to_owned());
        kernel.turn_on(cpu);
        Ok(runs)
    }

    /// Returns the tag under which a CPU has booted on these tables: that of the kernel's root, or one that spaces get.
    fn boot_tag(&self, tags: &Tags, kernel: u64, top: &Table) -> u64 {
        let of_kernel = self.kernel().draw(2) == 0;
        match (tags.global, tags.per_cpu) {
            (Some((_, TagSource::Root)), _) => top.address(),
            (Some((values, _)), _) | (None, Some((values, _))) if !of_kernel => {
                values.nth(self.kernel().draw(4)).unwrap_or(kernel)
            }
            _ => kernel,
        }
    }

    /// Takes a CPU offline, and leaves its interrupts off.
    pub(super) fn go_offline(&self, cpu: usize, runs: CurrentProcess) {
        let kernel = self.kernel();
        // The last user of a space tears it down, which takes a CPU that is online.
        let runs = match runs {
            Current::User(_) => self.switch(runs, None),
            Current::Kernel | Current::Lazy(_) => runs,
        };
        kernel.turn_off(cpu);
        kernel.note("goes offline".to_owned());
        kernel.cores.borrow_mut().use_kernel(cpu, false);
        self.mmu.cpu_offline(CpuId(cpu as u32), runs);
        kernel.cores.borrow_mut().offline(cpu);
    }
}
