//! What the hardware makes of an instruction of a CPU.
//!
//! In: an instruction with its operand bits, and the tables in memory. Out: its effect in terms of the definition. Holds: an
//! instruction that changes an entry and removes everything below it names all addresses that the entry translates.

use tlbc_runtime::agents::Agents;

use super::Cores;
use crate::interpreted::Instruction;
use crate::model::AddressSelector;
use crate::torment::decode::{Act, Decoded, SourceBits};

impl<'m> Cores<'m> {
    /// Returns the effect of an instruction, and the agents on which it has none.
    ///
    /// # Errors
    ///
    /// Why the hardware does not have it.
    pub(super) fn act(&self, instruction: &Instruction) -> Result<(Act<'m>, Agents), String> {
        let (act, lost) = self.decode(&instruction.op(self.hardware.model))?;
        let act = match act {
            Act::Invalidate { index, form, with } => {
                let mut clauses = form.drops.iter();
                let names_all =
                    clauses.any(|drops| matches!(drops.which.value, AddressSelector::Subtree));
                let with = if names_all {
                    self.with_all_below(with, instruction.sources.entry)
                } else {
                    with
                };
                Act::Invalidate { index, form, with }
            }
            other @ (Act::Barrier(_) | Act::Load { .. }) => other,
        };
        Ok((act, lost))
    }

    /// Returns operands that name all addresses which an entry translates. The entry is of the level that the operands contain, or
    /// else of that of the table at its address.
    fn with_all_below(&self, with: Decoded, entry: u64) -> Decoded {
        let given = with.levels.and_then(|levels| levels.iter().next());
        let level = given.or_else(|| self.memory.at(entry).map(|table| table.level));
        let shift = level.map_or(0, |level| self.shifts[level.index()]);
        let within = (1u64 << shift) - 1;
        let va = with.va.map(|va| SourceBits {
            known: va.known & !within,
            value: va.value & !within,
        });
        Decoded { va, ..with }
    }
}
