//! A CPU on which new processes run until the tags of a machine have other owners.

use std::sync::{Arc, Mutex};

use tlbc_runtime::{NewSpace, TagSource};

use crate::hosted::{Handle, Host, HostBackend, Hosted};
use crate::scheduler::Apart;

/// The first top table of what runs there: no other process has it.
const TABLES: u64 = 1 << 40;

/// The CPU, which is used for nothing else.
pub struct Churn<B: HostBackend> {
    cpu: Apart<B>,
    /// Processes that ran there and have not ended.
    ran: Mutex<Vec<Handle<B>>>,
    /// How many ran.
    count: Mutex<u64>,
}

impl<B: HostBackend> Churn<B> {
    /// On a CPU that was set apart.
    pub fn new(cpu: Apart<B>) -> Self {
        Self {
            cpu,
            ran: Mutex::default(),
            count: Mutex::default(),
        }
    }

    /// Runs new processes: where tags are given out in generations, until one begins, and then so many; elsewhere so many, or as
    /// many as there are tags for.
    pub fn roll_over(&self, mmu: &Arc<Host<B>>, processes: u64) {
        let tags = mmu.platform().backend().tags();
        let generations = matches!(tags.global, Some((_, TagSource::Generations)));
        let before = mmu.stats().rollovers;
        let mut left = processes;
        while left > 0 {
            let Some(process) = self.process(mmu) else {
                return;
            };
            self.cpu.run(Some(&process));
            self.ran.lock().expect("one at a time").push(process);
            if !generations || mmu.stats().rollovers > before {
                left -= 1;
            }
        }
    }

    fn process(&self, mmu: &Arc<Host<B>>) -> Option<Handle<B>> {
        let mut count = self.count.lock().expect("one at a time");
        *count += 1;
        let table = TABLES + (*count << 16);
        let new = NewSpace {
            table,
            user_table: table + 0x1000,
            ..NewSpace::default()
        };
        Hosted::space(mmu, new).ok()
    }

    /// The processes that ran here since this was last asked, none of which runs any more: another one does.
    pub fn leave(&self, to: &Handle<B>) -> Vec<Handle<B>> {
        self.cpu.run(Some(to));
        std::mem::take(&mut self.ran.lock().expect("one at a time"))
    }
}
