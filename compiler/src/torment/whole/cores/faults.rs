//! Faults that the tables do not justify.
//!
//! In: the entries that a CPU holds, and what the tables permit. Out: complaints. Holds: an access whose fault was fixed does not
//! fault again, and the kernel's code finds every valid entry unless its handler fixes such faults.

use tlbc_machine::hardware::EntryKind;
use tlbc_runtime::pte::Stricter;
use tlbc_runtime::request::Space;

use super::super::memory::{MARKS, Table, VALID, WRITABLE};
use super::{ComplaintSubject, Cores, Held};

impl Cores<'_> {
    /// Returns whether a CPU keeps negative entries until they are invalidated.
    pub(super) fn keeps_negative(&self) -> bool {
        self.changes.negative.is_kept()
    }

    /// Returns a negative entry of an address that an access of a CPU may find in place of a valid entry.
    pub(super) fn negative(
        &self,
        number: usize,
        space: Space,
        (va, bits): (u64, u64),
    ) -> Option<&Held> {
        let mut negative = self.found(number, EntryKind::Negative);
        let is_at = |held: &&Held| held.key.space == space && self.bits_at(&held.key, va).is_some();
        negative.find(is_at).filter(|_| bits & VALID != 0)
    }

    /// Complains if a walk of the kernel may still find no valid entry where there is one, and no handler fixes the fault.
    pub fn check_published(&mut self, upper: &Table, (va, bits): (u64, u64)) {
        if bits & VALID != 0 && !self.fixes_faults && !self.memory.is_seen(upper, va) {
            self.complain(format!(
                "code of the kernel may fault at {va:#x}: its entry is valid and not published"
            ));
        }
    }

    /// Returns an entry of an address that user code of a CPU may use, that a fault leaves, and that lacks the right to write or is
    /// negative.
    pub fn stricter(&self, number: usize, (va, bits): (u64, u64)) -> Option<&Held> {
        let stays = self.changes.stricter == Stricter::FaultsUntilDropped;
        let is_stricter = |held: &&Held| {
            let held = self.bits_at(&held.key, va);
            held.is_some_and(|held| (held ^ bits) & !MARKS == WRITABLE && bits & WRITABLE != 0)
        };
        let of_user = self
            .usable(number)
            .filter(|held| held.key.space == Space::User);
        let stricter = of_user.filter(|_| stays).find(is_stricter);
        stricter.or_else(|| self.negative(number, Space::User, (va, bits)))
    }

    /// Complains if user code of a CPU faults again at an address after its fault was fixed.
    pub fn check_fixed(&mut self, number: usize, at: (u64, u64)) {
        if let Some((since, key)) = self
            .stricter(number, at)
            .map(|it| (it.since, it.key.clone()))
        {
            let text = format!(
                "{} faults again at {:#x}: its entry that was filled at step {since} permits less than the table",
                self.name(number),
                at.0
            );
            self.complain_of(ComplaintSubject::Entry(number, key), text);
        }
    }
}
