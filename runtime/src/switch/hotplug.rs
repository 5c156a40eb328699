//! CPUs that come online and go offline, and what each has loaded.
//!
//! In: a CPU. Out: the kernel's root, loaded. Holds: a CPU uses no entry that it had cached before it came online, and nothing
//! waits for a CPU that is offline.

use crate::backend::Backend;
use crate::cpu::Loaded;
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, SharedCpuMask};
use crate::mmu::{Mmu, Unusable};
use crate::platform::Platform;
use crate::request::{SpaceFlags, SpaceId};
use crate::switch::Current;
use crate::sync::{Barrier, full_barrier};

impl<P: Platform> Mmu<P> {
    /// Brings a CPU online, for the first time or again: loads the kernel's root and flushes everything in its TLB. From
    /// now on the CPU is an IPI target. Returns what it runs in.
    ///
    /// The root is loaded first. Until then the CPU walks the tables that it booted with, and entries that it fills from
    /// them would survive the flush. After the return, no mapping that only those tables had is cached, and they may be
    /// freed.
    ///
    /// # Context
    ///
    /// On that CPU, with interrupts off, before anything that others may change is mapped for it. The code that turned translation
    /// on has flushed what the CPU could use with the tables that it booted with: entries under their tag, and those that
    /// every tag finds.
    ///
    /// # Errors
    ///
    /// When the platform has no CPU with this number, more CPUs than its CPU sets hold, or too few tags for them. No
    /// instruction was issued, and the CPU stays offline.
    pub fn cpu_online(&self, cpu: CpuId) -> Result<Current<P::Handle>, Unusable> {
        self.check(cpu)?;
        let here = self.platform.cpu(cpu);
        let root = self.platform.kernel_root();
        self.kernel().tag.put(root.tag.value);
        if root.flags != SpaceFlags::NONE {
            self.kernel()
                .flags
                .or(u64::from(root.flags.0), Barrier::Defer);
        }
        self.online.insert(cpu, Barrier::Unload);
        full_barrier(Barrier::SwitchIn);
        // Memory that the CPU had cached entries of when it went offline, such as tables of the kernel, may be freed
        // since.
        if !is_back(Fault::KeepsStaleRoot) {
            here.slots.defer_kernel_root();
        }
        let forget = || {
            here.slots.take_everything();
            let backend = self.platform.backend();
            let deferred = backend.cpu_online(&mut self.platform.sink(cpu));
            here.defer(&*backend, deferred);
        };
        if is_back(Fault::FlushesBeforeRoot) {
            forget();
            self.load_kernel(cpu);
        } else {
            self.load_kernel(cpu);
            forget();
        }
        Ok(Current::Kernel)
    }

    /// Takes a CPU offline: it leaves the space that it has loaded, and is no longer an IPI target.
    ///
    /// From here on it may use only kernel mappings that do not change, until it comes [online](Self::cpu_online) again.
    /// Its walker must be stopped before a table of the kernel is freed: the CPU still has the kernel's root loaded, and
    /// takes part in no flush.
    ///
    /// # Context
    ///
    /// On that CPU, with interrupts off.
    pub fn cpu_offline(&self, cpu: CpuId, current: Current<P::Handle>) {
        let here = self.platform.cpu(cpu);
        self.load_kernel(cpu);
        self.forget_tags_of(here);
        self.online.remove(cpu, Barrier::Unload);
        full_barrier(Barrier::Offline);
        // Messages that are still in the mailbox are acknowledged unread: this CPU uses none of their entries before it
        // comes online again, which flushes everything.
        here.mailbox.discard(self.platform.cpus());
        here.loaded.release(SpaceId::NONE.0, Barrier::Unload);
        drop(current);
    }

    /// Returns what a CPU has loaded. For a handler of non-maskable interrupts on that CPU, before it accesses user memory: the
    /// space that the scheduler calls current is not always the one whose root is loaded (Linux `nmi_uaccess_okay`).
    ///
    /// # Context
    ///
    /// Any on that CPU, also where interrupts cannot be turned off: it reads one word. This is the only function that may be
    /// called from a non-maskable interrupt. All others may have been interrupted half way on the same CPU:
    /// [`handle_ipi`](Self::handle_ipi) in a non-maskable interrupt would acknowledge a request that the interrupted code
    /// has not carried out, and everything that takes a lock could wait for itself. Entry code that changes the view
    /// ([`return_to_user`](Self::return_to_user)) may be interrupted between the views: the kernel must handle that. On
    /// another CPU the result may be out of date when it is returned.
    #[must_use]
    pub fn loaded(&self, cpu: CpuId) -> Loaded {
        match SpaceId(self.platform.cpu(cpu).loaded.get()) {
            SpaceId::NONE => Loaded::Nothing,
            SpaceId::KERNEL => Loaded::Kernel,
            SpaceId::SWITCHING => Loaded::Switching,
            space => Loaded::Space(space),
        }
    }
}
