//! What the runtime asks of the kernel.
//!
//! In: calls of the runtime. Out: pages and tables that are free, IPIs, and instructions. Holds: each call is a point at which
//! another CPU may run, or an IPI arrives if interrupts are on.

use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;

use tlbc_machine::schedule;
use tlbc_runtime::request::Request;
use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    AddressSpace, CpuId, CpuMask, CpuSet, CpuTlb, Flushed, Issue, LockEvent, PageBatch, Platform,
    Record, Root, TableBatch, Unlinked,
};

use super::{Kernel, MappedPage, Mistake};
use crate::interpreted::{Instruction, Interpreted};
use crate::torment::whole::cores::history::Seen;
use crate::torment::whole::memory::Table;
use crate::torment::whole::process::Process;

impl<'m> Platform for Kernel<'m> {
    type Backend = Interpreted<'m>;
    type CpuSet = CpuSet<1>;
    type Page = MappedPage;
    type Table = Rc<Table>;
    type BatchBox<T> = Box<T>;
    type Handle = Process;

    #[track_caller]
    fn backend(&self) -> impl Deref<Target = Interpreted<'m>> {
        self.called();
        &self.backend
    }

    #[track_caller]
    fn sink(&self, cpu: CpuId) -> impl Issue<Instruction> {
        let from = Location::caller();
        Record(move |instruction| {
            self.called_from(from);
            self.point();
            self.check_interrupts(cpu, &instruction);
            self.cores.borrow_mut().issue(cpu.index(), &instruction);
            self.point();
        })
    }

    fn cpus(&self) -> usize {
        self.cpus.len()
    }

    #[track_caller]
    fn cpu(&self, cpu: CpuId) -> &CpuTlb<CpuSet<1>> {
        self.called();
        &self.cpus[cpu.index()].tlb
    }

    #[track_caller]
    fn tag_words(&self) -> &[Word] {
        self.called();
        &self.words
    }

    fn kernel_root(&self) -> Root {
        self.root
    }

    #[track_caller]
    fn pin_cpu<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R {
        self.called();
        if interrupts_off {
            self.interrupts_off(|cpu| run(CpuId(cpu as u32)))
        } else {
            run(CpuId(schedule::current() as u32))
        }
    }

    #[track_caller]
    fn lock_event(&self, _: CpuId, _: LockEvent) {
        self.called();
    }

    #[track_caller]
    fn send_ipi(&self, cpus: &CpuSet<1>) {
        let from = Location::caller();
        let sends = || Seen::Sends(cpus.iter().map(CpuId::index).collect(), Some(from));
        let cpu = schedule::current();
        self.cores.borrow_mut().record(cpu, sends);
        for cpu in cpus.iter() {
            self.cpus[cpu.index()].interrupted.set(true);
        }
        self.point();
    }

    fn page_batch(&self) -> Option<Box<PageBatch<Self>>> {
        (!self.refuses()).then(Box::default)
    }

    fn table_batch(&self) -> Option<Box<TableBatch<Self>>> {
        (!self.refuses()).then(Box::default)
    }

    #[track_caller]
    fn release_pages(&self, pages: Flushed<'_, Self>) {
        self.called_from(Location::caller());
        pages.for_each(|page| self.free_page(&page));
    }

    fn delays_rmap_removal(page: &MappedPage) -> bool {
        page.delayed.is_some()
    }

    #[track_caller]
    fn remove_rmap(&self, page: &mut MappedPage) {
        self.called_from(Location::caller());
        if let Some(delayed) = page.delayed.take() {
            delayed.set(delayed.get() - 1);
        }
        let pages = page.number..page.number + page.count;
        self.cores.borrow_mut().clean(pages);
    }

    #[track_caller]
    fn free_tables_deferred(&self, tables: Unlinked<Self>) -> Result<(), Unlinked<Self>> {
        self.called_from(Location::caller());
        if self.refuses() {
            return Err(tables);
        }
        // A grace period has a barrier on every CPU.
        self.cores.borrow_mut().publish();
        let walkers = self.cpus.iter().enumerate();
        let walkers = walkers.filter(|(_, cpu)| cpu.walks.get());
        let walkers: Vec<_> = walkers.map(|(number, _)| number).collect();
        for table in tables.after_grace_period() {
            if walkers.is_empty() || self.mistake == Some(Mistake::FreesUnderWalkers) {
                self.free_table(table);
            } else {
                self.waiting.borrow_mut().push((walkers.clone(), table));
            }
        }
        Ok(())
    }

    fn free_table(&self, table: Rc<Table>) {
        let mut cores = self.cores.borrow_mut();
        if !cores.memory.free_table(&table) {
            cores.complain(format!("table {} is freed twice", table.number));
        }
        // Those of its entries that are still valid name pages that go with it.
        for page in table.pages() {
            if cores.memory.owners[page].take().is_none() {
                cores.complain(format!("page {page} is released twice"));
            }
        }
        cores.step();
        cores.settle();
    }

    fn invalidate_secondary(&self, space: &AddressSpace<CpuSet<1>>, _: &Request<'_>) {
        self.point();
        self.cores.borrow_mut().invalidate_by_drivers(space.id());
        self.point();
    }
}
