//! A CPU that runs new processes until the tags of a machine have other owners.

use std::sync::{Arc, Mutex};

use tlbc_runtime::{NewSpace, TagSource};

use crate::hosted::{Handle, Host, HostBackend, Hosted};
use crate::scheduler::Apart;

/// The first top table of these processes: no other process has it.
const TABLES: u64 = 1 << 40;

/// A CPU that is used for nothing else.
pub struct Churn<B: HostBackend> {
    cpu: Apart<B>,
    /// Processes that ran on it and have not been torn down.
    ran: Mutex<Vec<Handle<B>>>,
    /// The number of processes that ran.
    count: Mutex<u64>,
}

impl<B: HostBackend> Churn<B> {
    /// Creates it on a CPU that was set apart.
    pub fn new(cpu: Apart<B>) -> Self {
        Self {
            cpu,
            ran: Mutex::default(),
            count: Mutex::default(),
        }
    }

    /// Runs new processes. If tags have generations it runs processes until a generation begins, and then this many;
    /// otherwise this many, or as many as there are tags for.
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

    /// Returns the processes that ran here since the last call, none of which still runs: `to` does.
    pub fn leave(&self, to: &Handle<B>) -> Vec<Handle<B>> {
        self.cpu.run(Some(to));
        std::mem::take(&mut self.ran.lock().expect("one at a time"))
    }
}
