//! Mailboxes: how a CPU sends others a message, and learns that they have handled it.
//!
//! In: a message and the CPUs to send it to. Out: the same message, in the mailbox of each of them that is online. Holds: an
//! outbox is not written while another CPU may read it, since its owner waits until each receiver has acknowledged; so no
//! acknowledgement is counted twice or taken for that of another message.
//!
//! Each CPU has one outbox, which has its message to others, and one inbox: a bit for each CPU whose outbox is addressed to
//! it. The sender writes the message and sets its bit in the inboxes. A receiver does what the message says and clears the
//! bit. Each CPU calls its own mailbox with interrupts off.

use crate::cpu::message::{Message, Outbox};
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, CpuMask, SharedCpuMask, no_cpus};
use crate::request::Ranges;
use crate::sync::{Barrier, const_fn, full_barrier};

/// The mailbox of a CPU.
pub(crate) struct Mailbox<S: CpuMask> {
    /// The CPUs whose outboxes have a message to this CPU.
    inbox: S::Shared,
    /// The message of this CPU to others.
    outbox: Outbox,
}

impl<S: CpuMask> Mailbox<S> {
    const_fn! {
        /// Returns an empty mailbox.
        pub const fn new() -> Self {
            Self {
                inbox: no_cpus(),
                outbox: Outbox::new(),
            }
        }
    }

    /// Sends a message from this mailbox, which is that of CPU `from`, to the mailboxes `of` other CPUs. Leaves in the set those
    /// that are online: they will acknowledge it when they take an IPI.
    pub fn send<'m>(
        &self,
        from: CpuId,
        to: &mut S,
        message: &Message<'_>,
        online: &S::Shared,
        of: impl Fn(CpuId) -> &'m Self,
    ) where
        S: 'm,
    {
        to.remove(from);
        if to.is_empty() {
            return;
        }
        self.outbox.post(message);
        for receiver in to.iter() {
            of(receiver).inbox.insert(from, Barrier::Post);
        }
        full_barrier(Barrier::Send);
        to.retain(|receiver| {
            let is_online = online.contains(receiver, Barrier::Unloaded);
            if !is_online {
                of(receiver).inbox.remove(from, Barrier::Acknowledge);
            }
            is_online
        });
    }

    /// Returns whether the CPU of this mailbox has handled the message that `sender` sent it.
    pub fn has_acknowledged(&self, sender: CpuId) -> bool {
        !self.inbox.contains(sender, Barrier::Acknowledged)
    }

    /// Handles the messages to this mailbox from the mailboxes `of` other CPUs, of which there are `cpus`, and acknowledges each.
    pub fn receive<'m>(
        &self,
        cpus: usize,
        of: impl Fn(CpuId) -> &'m Self,
        mut handle: impl FnMut(&Message<'_>),
    ) where
        S: 'm,
    {
        for sender in self.inbox.iter(cpus, Barrier::Receive) {
            if is_back(Fault::AcknowledgesUnread) {
                self.inbox.remove(sender, Barrier::Acknowledge);
            }
            let mut ranges = Ranges::new();
            handle(&of(sender).outbox.read(&mut ranges));
            self.inbox.remove(sender, Barrier::Acknowledge);
        }
    }

    /// Acknowledges the messages to this mailbox from `cpus` CPUs unread.
    pub fn discard(&self, cpus: usize) {
        for sender in self.inbox.iter(cpus, Barrier::Receive) {
            self.inbox.remove(sender, Barrier::Acknowledge);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::cpu::tests::{Set, set};
    use crate::request::SpaceId;
    use std::vec::Vec;

    type Boxes = [Mailbox<Set>; 3];

    /// Three mailboxes, of which all but the last CPU's are online.
    fn three() -> (Boxes, <Set as CpuMask>::Shared) {
        let online: <Set as CpuMask>::Shared = no_cpus();
        online.insert(CpuId(0), Barrier::Unload);
        online.insert(CpuId(1), Barrier::Unload);
        ([const { Mailbox::new() }; 3], online)
    }

    fn received(boxes: &Boxes, cpu: usize) -> Vec<SpaceId> {
        let mut spaces = Vec::new();
        boxes[cpu].receive(
            3,
            |sender| &boxes[sender.index()],
            |message| match message {
                Message::Leave(space) => spaces.push(*space),
                other => panic!("{other:?}"),
            },
        );
        spaces
    }

    #[test]
    fn a_message_is_acknowledged_when_it_is_handled() {
        let (boxes, online) = three();
        let of = |cpu: CpuId| &boxes[cpu.index()];
        let message = Message::Leave(SpaceId(7));
        let mut sent = set([0, 1]);
        boxes[0].send(CpuId(0), &mut sent, &message, &online, of);
        assert_eq!(sent, set([1]), "a CPU sends itself nothing");
        assert!(!boxes[1].has_acknowledged(CpuId(0)));
        boxes[1].receive(3, of, |_| assert!(!boxes[1].has_acknowledged(CpuId(0))));
        assert!(boxes[1].has_acknowledged(CpuId(0)));
        assert_eq!(received(&boxes, 1), []);
    }

    #[test]
    fn messages_of_two_senders_are_handled_apart() {
        let (boxes, online) = three();
        let of = |cpu: CpuId| &boxes[cpu.index()];
        for sender in [0, 2] {
            let message = Message::Leave(SpaceId(10 + u64::from(sender)));
            let mut sent = set([1]);
            of(CpuId(sender)).send(CpuId(sender), &mut sent, &message, &online, of);
            assert_eq!(sent, set([1]));
        }
        assert_eq!(received(&boxes, 1), [SpaceId(10), SpaceId(12)]);
    }

    #[test]
    fn a_cpu_that_is_offline_gets_no_message() {
        let (boxes, online) = three();
        let of = |cpu: CpuId| &boxes[cpu.index()];
        let message = Message::Leave(SpaceId(7));
        let mut sent = set([1, 2]);
        boxes[0].send(CpuId(0), &mut sent, &message, &online, of);
        assert_eq!(sent, set([1]));
        assert!(boxes[2].has_acknowledged(CpuId(0)));
        // A CPU that goes offline now waits for no other CPU, and no other CPU for it.
        boxes[1].discard(3);
        assert!(boxes[1].has_acknowledged(CpuId(0)));
        assert_eq!(received(&boxes, 1), []);
    }
}
