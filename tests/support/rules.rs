//! The sentences of the runtime's documentation, most of them about contexts, that a hosted machine checks on every
//! call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::hosted::{Host, HostBackend, Hosted};

/// A rule that the runtime or its caller must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Of [`Platform::sink`](tlbc_runtime::Platform::sink).
    SinkOfThisCpu,
    /// Of a flush.
    FlushStaysOnCpu,
    /// Of a flush.
    FlushInterruptsOff,
    /// Of [`Backend::start`](tlbc_runtime::Backend::start), where the facts say so.
    OneFlushAtATime,
    /// Of [`Backend::handle`](tlbc_runtime::Backend::handle).
    HandleInterruptsOff,
    /// Of [`Backend::handle`](tlbc_runtime::Backend::handle).
    HandleWhereLoaded,
    /// Of [`Mmu::switch`](tlbc_runtime::Mmu::switch) and [`Mmu::cpu_offline`](tlbc_runtime::Mmu::cpu_offline).
    SwitchInterruptsOff,
    /// Of [`Mmu::return_to_user`](tlbc_runtime::Mmu::return_to_user).
    ReturnToUserInterruptsOff,
    /// Of [`Mmu::enter_from_user`](tlbc_runtime::Mmu::enter_from_user).
    EnterInterruptsOff,
    /// Of [`Mmu::cpu_online`](tlbc_runtime::Mmu::cpu_online).
    OnlineInterruptsOff,
    /// Of [`Platform::send_ipi`](tlbc_runtime::Platform::send_ipi).
    InterruptInterruptsOff,
    /// Of [`Platform::lock_event`](tlbc_runtime::Platform::lock_event).
    LockInterruptsOff,
    /// Of the same.
    OneLockAtATime,
    /// Of the same: neither a flush nor a call of the kernel is a bounded number of instructions.
    LocksAreShort,
    /// Of [`Platform::release_pages`](tlbc_runtime::Platform::release_pages) and of what takes tables.
    ReleaseAsTheFlush,
    /// Of [`Platform::free_tables_deferred`](tlbc_runtime::Platform::free_tables_deferred).
    DeferDoesNotWait,
    /// Of [`Platform::invalidate_secondary`](tlbc_runtime::Platform::invalidate_secondary).
    SecondaryDoesNotFlush,
    /// Of the tags.
    TagsAreNotShared,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 18] = [
        Self::SinkOfThisCpu,
        Self::FlushStaysOnCpu,
        Self::FlushInterruptsOff,
        Self::OneFlushAtATime,
        Self::HandleInterruptsOff,
        Self::HandleWhereLoaded,
        Self::SwitchInterruptsOff,
        Self::ReturnToUserInterruptsOff,
        Self::EnterInterruptsOff,
        Self::OnlineInterruptsOff,
        Self::InterruptInterruptsOff,
        Self::LockInterruptsOff,
        Self::OneLockAtATime,
        Self::LocksAreShort,
        Self::ReleaseAsTheFlush,
        Self::DeferDoesNotWait,
        Self::SecondaryDoesNotFlush,
        Self::TagsAreNotShared,
    ];

    /// Returns the file of the runtime whose documentation contains the rule, and the wording there.
    #[must_use]
    pub const fn stated(self) -> (&'static str, &'static str) {
        match self {
            Self::SinkOfThisCpu => (
                "platform.rs",
                "executes the instructions of a CPU. # Context On that CPU.",
            ),
            Self::FlushStaysOnCpu => (
                "request/mod.rs",
                "The caller does not move to another CPU between start and finish",
            ),
            Self::FlushInterruptsOff => (
                "request/mod.rs",
                "Interrupts are off during each of them if [`Facts::interrupts_off`](crate::Facts) says so",
            ),
            Self::OneFlushAtATime => (
                "backend/facts.rs",
                "the machine permits only one flush at a time",
            ),
            Self::HandleInterruptsOff => (
                "mmu/shootdown.rs",
                "Handles the messages of other CPUs. Interrupts are off.",
            ),
            Self::HandleWhereLoaded => (
                "backend/mod.rs",
                "The CPU has the space loaded, unless the request is a teardown",
            ),
            Self::SwitchInterruptsOff => (
                "switch/mod.rs",
                "# Context On that CPU, with interrupts off.",
            ),
            Self::ReturnToUserInterruptsOff => (
                "switch/views.rs",
                "# Context On that CPU, with interrupts off until user code runs",
            ),
            Self::EnterInterruptsOff => (
                "switch/views.rs",
                "On that CPU, which runs in the space, with interrupts off since user code was left.",
            ),
            Self::OnlineInterruptsOff => (
                "switch/hotplug.rs",
                "# Context On that CPU, with interrupts off, before anything",
            ),
            Self::InterruptInterruptsOff => (
                "platform.rs",
                "Interrupts are off; any of the caller's locks may be held.",
            ),
            Self::LockInterruptsOff => (
                "platform.rs",
                "On `cpu`, with interrupts off. Any of the caller's locks may be held.",
            ),
            Self::OneLockAtATime => (
                "platform.rs",
                "A CPU holds one lock of the runtime at a time",
            ),
            Self::LocksAreShort => ("platform.rs", "for a bounded number of instructions"),
            Self::ReleaseAsTheFlush => (
                "platform.rs",
                "That of the flush. A section's lock may be held",
            ),
            Self::DeferDoesNotWait => (
                "platform.rs",
                "That of [`release_pages`](Self::release_pages). This must not wait.",
            ),
            Self::SecondaryDoesNotFlush => (
                "platform.rs",
                "That of the flush. This must not sleep or flush.",
            ),
            Self::TagsAreNotShared => (
                "asid/mod.rs",
                "No CPU loads a tag for another space before everything under the tag is gone from that CPU",
            ),
        }
    }

    /// Checks that running this on CPU 0 violates the rule, and that the panic's message contains its wording.
    pub fn is_violated_by<B: HostBackend>(self, mmu: &Arc<Host<B>>, run: impl FnOnce()) {
        let result = Hosted::on(mmu, 0, || catch_unwind(AssertUnwindSafe(run)));
        let panic = result.expect_err("a violation");
        let message = panic.downcast_ref::<String>().expect("a message");
        let (file, sentence) = self.stated();
        assert!(
            message.contains(sentence) && message.contains(file),
            "{message}"
        );
        // Every CPU of the machine panics now, so that none waits for the CPU that did.
        let other = Hosted::on(mmu, 1, || {
            catch_unwind(AssertUnwindSafe(|| mmu.wait_for_walkers()))
        });
        assert!(other.is_err(), "the machine has failed");
    }
}
