//! Requests between CPUs: how they are sent, handled and acknowledged.
//!
//! In: a message and the CPUs to send it to. Out: the IPI, and what the receivers do. Holds: when the wait ends, every
//! receiver has handled the message.
//!
//! The sender writes a [`Message`] into its outbox, sets its bit in the inbox of each target, sends them an IPI and waits
//! until every bit is cleared. While it waits it handles the requests in its own inbox. A receiver reads the message,
//! does what it says, and clears the bit. Interrupts are off on both sides. So an outbox is never written while another
//! CPU may read it, and two CPUs that send each other requests both get their acknowledgement.

use crate::backend::Backend;
use crate::cpu::CpuTlb;
use crate::cpu::Message;
use crate::deferred::Deferred;
use crate::deferred::{AsidSlot, SLOTS};
use crate::mask::{CpuId, CpuMask, SharedCpuMask};
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::request::SpaceId;
use crate::request::{Ranges, Reach, Request, Scope, Space, SpaceFlags, Tag};
use crate::sync::{Barrier, full_barrier, wait_until};

impl<P: Platform> Mmu<P> {
    /// Sends a message to CPUs, and waits until each has acknowledged it.
    pub(crate) fn call(&self, cpu: CpuId, to: P::CpuSet, message: &Message<'_>) {
        if !to.is_empty() {
            self.platform.pin_cpu(true, |_| {
                let sent = self.send(cpu, to, message);
                self.wait_for_acks(cpu, &sent);
            });
        }
    }

    /// Sends a message to CPUs. Returns those that are online, which will acknowledge it. Interrupts are off, and stay so
    /// until [`wait_for_acks`](Self::wait_for_acks).
    pub(crate) fn send(&self, cpu: CpuId, mut sent: P::CpuSet, message: &Message<'_>) -> P::CpuSet {
        sent.remove(cpu);
        if sent.is_empty() {
            return sent;
        }
        let here = self.platform.cpu(cpu);
        here.outbox.post(message);
        for other in sent.iter() {
            self.platform.cpu(other).inbox.insert(cpu, Barrier::Post);
        }
        full_barrier(Barrier::Send);
        for other in sent.clone().iter() {
            if !self.online.contains(other, Barrier::Unloaded) {
                self.platform
                    .cpu(other)
                    .inbox
                    .remove(cpu, Barrier::Acknowledge);
                sent.remove(other);
            }
        }
        here.stats.sent.count(sent.count() as u64);
        if !sent.is_empty() {
            self.platform.send_ipi(&sent);
        }
        sent
    }

    /// Waits until all these CPUs have acknowledged this CPU's message, and handles the requests of others while it waits.
    pub(crate) fn wait_for_acks(&self, cpu: CpuId, sent: &P::CpuSet) {
        for other in sent.iter() {
            let local = self.platform.cpu(other);
            wait_until(
                || !local.inbox.contains(cpu, Barrier::Acknowledged),
                || self.handle_requests(cpu),
            );
        }
    }

    /// Handles the [IPI](Platform::send_ipi): does what the requests in this CPU's inbox say, and acknowledges them.
    ///
    /// # Context
    /// On that CPU, with interrupts off, and with the kernel's view loaded where user code has a view of its own. Not in a
    /// non-maskable interrupt: between the moments when a request is read and when it is acknowledged it would
    /// acknowledge another one unread.
    pub fn handle_ipi(&self, cpu: CpuId) {
        self.handle_requests(cpu);
    }

    /// Handles the requests of other CPUs. Interrupts are off.
    pub(crate) fn handle_requests(&self, cpu: CpuId) {
        let here = self.platform.cpu(cpu);
        let from = here.inbox.now(Barrier::Receive);
        for sender in from.iter() {
            let mut place = Ranges::new();
            let message = self.platform.cpu(sender).outbox.read(&mut place);
            here.stats.received.count(1);
            let spurious = !self.handle(cpu, here, &message);
            here.stats.spurious.count(u64::from(spurious));
            here.inbox.remove(sender, Barrier::Acknowledge);
        }
    }

    /// Does what a message says. Returns whether there was anything to do.
    pub(crate) fn handle(
        &self,
        cpu: CpuId,
        here: &CpuTlb<P::CpuSet>,
        message: &Message<'_>,
    ) -> bool {
        let loaded = SpaceId(here.loaded.mine());
        let lazy = here.lazy.mine() != 0;
        match *message {
            Message::Sync => true,
            Message::Leave(space) => {
                let leaves = loaded == space && lazy;
                if leaves {
                    self.load_kernel(cpu);
                }
                leaves
            }
            Message::FlushLoaded => {
                if lazy {
                    self.load_kernel(cpu);
                } else if loaded > SpaceId::KERNEL {
                    self.flush_loaded(cpu, here, loaded);
                } else {
                    return false;
                }
                true
            }
            Message::Flush {
                space,
                generation,
                request,
            } => self.handle_flush(cpu, here, (space, generation), &request),
        }
    }

    /// Handles a flush request. Returns whether there was anything to do.
    fn handle_flush(
        &self,
        cpu: CpuId,
        here: &CpuTlb<P::CpuSet>,
        (space, generation): (SpaceId, u64),
        request: &Request<'_>,
    ) -> bool {
        let loaded = SpaceId(here.loaded.mine());
        if request.space == Space::Kernel {
            self.deliver(cpu, here, request);
            return true;
        }
        let ends = matches!(request.scope, Scope::Teardown);
        if loaded == space && (here.lazy.mine() != 0 || ends) {
            // The CPU leaves the space. It flushes its stale entries before it loads the space again.
            self.load_kernel(cpu);
            // A per-CPU tag is flushed before another space gets it.
            if !ends || !request.tag.global {
                return true;
            }
        } else if loaded != space && !ends {
            return false;
        }
        let Some(slot) = here.slots.find(space, SLOTS) else {
            // Without the space loaded, a CPU gets here only for a teardown.
            self.deliver(cpu, here, request);
            return true;
        };
        let followed = here.slots.seen_gen(slot);
        if followed.wrapping_sub(generation) < u64::MAX / 2 && !ends {
            return false; // flushed with a later generation
        }
        if followed.wrapping_add(1) == generation || ends {
            self.deliver(cpu, here, &self.with_own_tag(request, slot));
        } else {
            here.stats.full_deferred.count(1);
            self.deliver(
                cpu,
                here,
                &Request {
                    scope: Scope::Everything { tables: true },
                    ..self.with_own_tag(request, slot)
                },
            );
        }
        here.slots.set_seen_gen(slot, generation);
        true
    }

    /// Returns a request of another CPU with the tag that the space has on this one.
    fn with_own_tag<'r>(&self, request: &Request<'r>, slot: AsidSlot) -> Request<'r> {
        if request.tag.global {
            return *request;
        }
        let values = self.platform.backend().tags().per_cpu;
        let value = values.and_then(|values| values.nth(slot.index() as u64));
        Request {
            tag: Tag {
                value: value.unwrap_or(0),
                global: false,
            },
            ..*request
        }
    }

    /// Flushes on this CPU alone what a request names.
    fn deliver(&self, cpu: CpuId, here: &CpuTlb<P::CpuSet>, request: &Request<'_>) {
        let deferred = self
            .platform
            .backend()
            .deliver(&mut self.platform.sink(cpu), request);
        self.record_here(here, deferred);
    }

    /// Flushes everything under the loaded tag, on this CPU.
    pub(crate) fn flush_loaded(&self, cpu: CpuId, here: &CpuTlb<P::CpuSet>, loaded: SpaceId) {
        let slot = here.slots.find(loaded, SLOTS);
        let tag = Tag {
            value: here.tag.get(),
            global: true,
        };
        let request = Request {
            space: Space::User,
            tag,
            reach: Reach::Here,
            flags: SpaceFlags::NONE,
            scope: Scope::Everything { tables: true },
        };
        let per_cpu = slot.filter(|_| here.tag.get() == 0);
        let request = per_cpu.map_or(request, |slot| {
            let tag = Tag::default(); // no global tag
            self.with_own_tag(&Request { tag, ..request }, slot)
        });
        self.deliver(cpu, here, &request);
    }

    /// Records in this CPU's slots the flushes that a backend defers for this CPU alone.
    pub(crate) fn record_here(&self, here: &CpuTlb<P::CpuSet>, deferred: Deferred) {
        self.record(here, self.kernel(), deferred);
    }

    /// Waits until every lockless walk of tables that runs now has ended: each CPU takes an interrupt, which it does not
    /// during such a walk.
    pub fn wait_for_walkers(&self) {
        self.platform.pin_cpu(true, |cpu| self.wait_for_all(cpu));
    }

    /// Sends every online CPU an IPI, and waits until each has taken it.
    pub(crate) fn wait_for_all(&self, cpu: CpuId) {
        let all = self.online.now(Barrier::Unloaded);
        self.call(cpu, all, &Message::Sync);
    }
}
