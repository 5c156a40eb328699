//! What a hosted kernel provides to the runtime, and the contexts in which it is called.

use std::ops::Deref;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use tlbc_runtime::platform::LockEvent;
use tlbc_runtime::request::Request;
use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    AddressSpace, Backend, CpuId, CpuMask, CpuTlb, Flushed, Issue, PageBatch, Platform, Record,
    Root, TableBatch, TagSource, Unlinked,
};

use crate::checked::Checked;
use crate::context::{self, Interrupts, Within};
use crate::counted::{Memory, Page, Table};
use crate::hosted::{Cpus, Event, Handle, HostBackend, Hosted};
use crate::rules::Rule;

/// Locks a mutex, even if it is poisoned: tests continue after a panic that they expect.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl<B: HostBackend> Hosted<B> {
    /// Runs on one CPU, on which no other thread runs at that time.
    pub(crate) fn pinned_by<R>(&self, wanted: Interrupts, run: impl FnOnce(CpuId) -> R) -> R {
        let cpu = context::cpu().expect("a thread that is a CPU");
        let this = &self.cpus[cpu as usize];
        let _running = (!context::is_pinned()).then(|| (context::pin(), lock(&this.running)));
        if wanted == Interrupts::On || context::interrupts_off() {
            let result = run(CpuId(cpu));
            self.after_unlock(cpu);
            return result;
        }
        let off = lock(&this.interrupts);
        let turned_off = context::turn_off(wanted);
        let result = run(CpuId(cpu));
        self.after_unlock(cpu);
        drop(turned_off);
        self.take_pending(cpu, off);
        result
    }

    /// Handles the end of a pinned section, perhaps one with a lock.
    fn after_unlock(&self, cpu: u32) {
        if context::was_unlocked() {
            self.hooks.unlocked.get().inspect(|tell| tell(cpu));
        }
    }

    /// Handles the interrupts pending on a CPU, whose interrupts are on again.
    pub(crate) fn take_pending<'c>(&'c self, cpu: u32, mut off: MutexGuard<'c, ()>) {
        let this = &self.cpus[cpu as usize];
        loop {
            while this.pending.swap(false, SeqCst) {
                self.handle(cpu);
            }
            drop(off);
            // An interrupt may have been sent between the last check and the moment when interrupts were on.
            if !this.pending.load(SeqCst) {
                return;
            }
            match try_lock(&this.interrupts) {
                Some(again) => off = again,
                None => return, // the thread that has disabled them checks again
            }
        }
    }

    /// Runs the interrupt handler of a CPU whose interrupts are off.
    fn handle(&self, cpu: u32) {
        let mmu = self.mmu.get().and_then(Weak::upgrade);
        let _handler = context::enter_handler(&self.shared, cpu);
        mmu.expect("a machine").handle_ipi(CpuId(cpu));
    }

    fn has_batch(&self) -> bool {
        context::require_unlocked();
        let nth = self.asked.fetch_add(1, SeqCst);
        assert_ne!(nth, self.panics.load(SeqCst), "on purpose");
        if nth == self.refused.load(SeqCst) {
            return false;
        }
        let take = |left: usize| (left > 0).then(|| left - usize::from(left != usize::MAX));
        self.batches.fetch_update(SeqCst, SeqCst, take).is_ok()
    }
}

impl<B: HostBackend> Platform for Hosted<B> {
    type Backend = Checked<B>;
    type CpuSet = Cpus;
    type Page = Page;
    type Table = Table;
    type BatchBox<T> = Memory<T>;
    type Handle = Handle<B>;

    fn backend(&self) -> impl Deref<Target = Checked<B>> {
        &self.backend
    }

    fn sink(&self, cpu: CpuId) -> impl Issue<B::Op> {
        context::require_cpu(cpu.0, Rule::SinkOfThisCpu);
        Record(move |op| {
            context::require_cpu(cpu.0, Rule::SinkOfThisCpu);
            self.hooks.issuing.get().inspect(|look| look(cpu.0));
            self.happened(Event::Issued(cpu.0, op));
            self.hooks.issued.get().inspect(|look| look(cpu.0, &op));
        })
    }

    fn sink_for<'s>(
        &'s self,
        cpu: CpuId,
        cpus: &'s Cpus,
        missed: &'s mut Cpus,
    ) -> impl Issue<B::Op> {
        context::require_cpu(cpu.0, Rule::SinkOfThisCpu);
        let reach = self.calls_reach.load(SeqCst);
        Record(move |op| {
            context::require_cpu(cpu.0, Rule::SinkOfThisCpu);
            let bit = |cpu: CpuId| 1u64.checked_shl(cpu.0).unwrap_or(0);
            let not_reached = cpus.iter().filter(|cpu| reach & bit(*cpu) == 0);
            not_reached.for_each(|cpu| missed.insert(cpu));
            let called = cpus.iter().map(|cpu| cpu.0).collect();
            self.happened(Event::Called(cpu.0, called, op));
        })
    }

    fn cpus(&self) -> usize {
        self.cpus.len()
    }

    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Self::CpuSet> {
        // If another CPU has failed, this CPU would wait forever.
        if !std::thread::panicking() {
            self.shared.check();
        }
        &self.cpus[cpu.index()].local
    }

    fn tag_words(&self) -> &[Word] {
        &self.words
    }

    fn kernel_root(&self) -> Root {
        Root {
            table: 0xf000,
            tag: tlbc_runtime::Tag {
                value: match self.backend.tags().global {
                    Some((_, TagSource::Root)) => 0xf000,
                    // Neither the tag of a space nor the one under which the kernel's own entries are cached.
                    Some((_, TagSource::Life)) => 1,
                    _ => 0,
                },
                global: true,
            },
            empty: self.empty.load(SeqCst),
            flags: tlbc_runtime::SpaceFlags(self.kernel_flags.load(SeqCst)),
        }
    }

    fn pin_cpu<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R {
        let wanted = if interrupts_off {
            Interrupts::OffByRuntime
        } else {
            Interrupts::On
        };
        self.pinned_by(wanted, run)
    }

    fn lock_event(&self, cpu: CpuId, event: LockEvent) {
        context::lock_event(cpu.0, event);
        self.hooks.locking.get().inspect(|tell| tell(cpu.0, event));
    }

    fn send_ipi(&self, cpus: &Self::CpuSet) {
        context::require_off(Rule::InterruptInterruptsOff);
        Checked::<B>::unlocked();
        context::require_outside(Within::Defer, Rule::DeferDoesNotWait);
        self.happened(Event::Interrupted(cpus.iter().map(|cpu| cpu.0).collect()));
        for cpu in cpus.iter() {
            let this = &self.cpus[cpu.index()];
            this.pending.store(true, SeqCst);
            if let Some(off) = try_lock(&this.interrupts) {
                self.take_pending(cpu.0, off);
            }
        }
    }

    fn page_batch(&self) -> Option<Memory<PageBatch<Self>>> {
        self.has_batch().then(|| Memory::new(&self.memory_out))
    }

    fn table_batch(&self) -> Option<Memory<TableBatch<Self>>> {
        self.has_batch().then(|| Memory::new(&self.memory_out))
    }

    fn release_pages(&self, pages: Flushed<'_, Self>) {
        context::require_callers_interrupts(Rule::ReleaseAsTheFlush);
        context::require_unlocked();
        let taken = pages.take(self.takes.load(SeqCst));
        taken.for_each(|page| self.happened(Event::Released(page.number)));
    }

    fn delays_rmap_removal(page: &Page) -> bool {
        page.dirty_file
    }

    fn remove_rmap(&self, page: &mut Page) {
        page.dirty_file = false;
        self.happened(Event::RmapRemoved(page.number));
    }

    fn free_tables_deferred(&self, tables: Unlinked<Self>) -> Result<(), Unlinked<Self>> {
        context::require_callers_interrupts(Rule::ReleaseAsTheFlush);
        context::require_unlocked();
        if !self.grace_periods.load(SeqCst) {
            return Err(tables);
        }
        if self.drops_tables.load(SeqCst) {
            drop(tables);
            return Ok(());
        }
        let _within = context::within(Within::Defer);
        let tables: Vec<u64> = tables.after_grace_period().map(Table::returned).collect();
        self.hooks
            .tables_out
            .get()
            .inspect(|tell| tell(&tables, false));
        self.happened(Event::Deferred(tables));
        Ok(())
    }

    fn free_table(&self, table: Table) {
        context::require_callers_interrupts(Rule::ReleaseAsTheFlush);
        context::require_unlocked();
        let number = table.returned();
        self.hooks
            .tables_out
            .get()
            .inspect(|tell| tell(&[number], true));
        self.happened(Event::Freed(number));
    }

    fn invalidate_secondary(&self, _: &AddressSpace<Self::CpuSet>, request: &Request<'_>) {
        let _within = context::within(Within::Secondary);
        self.hooks.devices.get().inspect(|tell| tell());
        self.happened(Event::Devices(format!("{:?}", request.scope)));
    }
}
