//! What a test does at certain moments of a hosted machine.

use std::sync::OnceLock;

use tlbc_runtime::LockEvent;

use crate::hosted::{HostBackend, Hosted};

/// A function that a test runs at a certain moment, if there is one.
pub(crate) struct Hook<F: ?Sized>(OnceLock<Box<F>>);

impl<F: ?Sized> Default for Hook<F> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<F: ?Sized> Hook<F> {
    pub fn get(&self) -> Option<&F> {
        self.0.get().map(Box::as_ref)
    }

    fn set(&self, run: Box<F>) {
        assert!(self.0.set(run).is_ok(), "the hook is already set");
    }
}

/// Called with a CPU.
pub type OfCpu = dyn Fn(u32) + Send + Sync;
/// Called after an instruction of a CPU.
pub type Issued<Op> = dyn Fn(u32, &Op) + Send + Sync;
/// Called when a CPU takes a lock of the runtime, or is about to release it.
pub type Locking = dyn Fn(u32, LockEvent) + Send + Sync;
/// Called with released tables: their numbers, and whether their software walkers are done.
pub type TablesOut = dyn Fn(&[u64], bool) + Send + Sync;
/// Called when a flush invalidates devices.
pub type Devices = dyn Fn() + Send + Sync;

/// All hooks of a machine.
pub(crate) struct Hooks<Op> {
    pub issuing: Hook<OfCpu>,
    pub issued: Hook<Issued<Op>>,
    pub locking: Hook<Locking>,
    pub unlocked: Hook<OfCpu>,
    pub tables_out: Hook<TablesOut>,
    pub devices: Hook<Devices>,
}

impl<Op> Default for Hooks<Op> {
    fn default() -> Self {
        Self {
            issuing: Hook::default(),
            issued: Hook::default(),
            locking: Hook::default(),
            unlocked: Hook::default(),
            tables_out: Hook::default(),
            devices: Hook::default(),
        }
    }
}

impl<B: HostBackend> Hosted<B> {
    /// Sets what runs before every change of an entry, after the runtime has decided how to make it.
    pub fn on_change(&self, run: Box<OfCpu>) {
        self.backend.changing.set(run);
    }

    /// Sets what runs before every instruction.
    pub fn on_issue(&self, run: Box<OfCpu>) {
        self.hooks.issuing.set(run);
    }

    /// Sets what runs after every instruction.
    pub fn on_issued(&self, run: Box<Issued<B::Op>>) {
        self.hooks.issued.set(run);
    }

    /// Sets what runs whenever a lock of the runtime is taken, or about to be released.
    pub fn on_lock(&self, run: Box<Locking>) {
        self.hooks.locking.set(run);
    }

    /// Sets what runs when a CPU has released a lock of the runtime, before it does anything else.
    pub fn on_unlocked(&self, run: Box<OfCpu>) {
        self.hooks.unlocked.set(run);
    }

    /// Sets what runs with every table when it is released.
    pub fn on_tables_out(&self, run: Box<TablesOut>) {
        self.hooks.tables_out.set(run);
    }

    /// Sets what runs whenever a flush invalidates devices.
    pub fn on_devices(&self, run: Box<Devices>) {
        self.hooks.devices.set(run);
    }
}
