//! The addresses that an instruction names.
//!
//! In: the clauses of an instruction and the operand with its count. Out: the addresses for which it can be issued, and what it
//! invalidates besides. Holds: an instruction that is issued for a run counts for no clause about other addresses.

use tlbc_facts::clause::{MaxCount, RunUnit};
use tlbc_runtime::request::passes::Leaves;

use super::context::PlanContext;
use super::drops::Primitive;
use crate::model::{AddressSelector, Drops, LevelSel, UNLIMITED};

/// The addresses of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addressing {
    /// One address.
    One,
    /// A run of addresses.
    Run {
        /// The smallest count.
        least: u64,
        /// The largest count.
        most: MaxCount,
        /// What is counted.
        stride: RunUnit,
        /// The operand that has the count.
        operand: usize,
    },
    /// All addresses.
    Everything,
}

impl Addressing {
    /// Returns whether an instruction for these addresses names those of a clause.
    pub fn names(self, which: &AddressSelector) -> bool {
        match (self, which) {
            (
                Self::Run {
                    least,
                    most,
                    stride,
                    ..
                },
                AddressSelector::Run {
                    least: of_clause,
                    most: at_most,
                    stride: unit,
                },
            ) => {
                let unit_holds = match (stride, *unit) {
                    (RunUnit::Entries(levels), RunUnit::Entries(of)) => of.and(levels) == levels,
                    (stride, unit) => stride == unit,
                };
                let count_holds = match (most, *at_most) {
                    (MaxCount::Count(most), MaxCount::Count(at_most)) => most <= at_most,
                    (most, at_most) => most == at_most,
                };
                *of_clause <= least && count_holds && unit_holds
            }
            (Self::Run { .. }, AddressSelector::OnePage)
            | (Self::Everything, AddressSelector::Run { .. }) => false,
            // One page is a run of one.
            (Self::One, AddressSelector::Run { least, .. }) => *least == 1,
            _ => true,
        }
    }
}

impl PlanContext<'_> {
    /// Returns the addresses for which an instruction can be issued: where a clause is about a run and another about one page,
    /// the instruction for a run does not count for the second.
    pub fn addressings(&self, primitive: Primitive) -> Vec<Addressing> {
        let operands = &self.model.invalidates[primitive.invalidate]
            .template
            .operands;
        let counting = operands
            .iter()
            .copied()
            .find(|&operand| self.model.operands[operand].names.is_some());
        let mut addressings = Vec::new();
        for d in self.clauses(primitive) {
            let of_clause = match (d.which.value.clone(), counting) {
                (AddressSelector::OnePage, _) => Addressing::One,
                (
                    AddressSelector::Run {
                        least,
                        most,
                        stride,
                    },
                    Some(operand),
                ) => Addressing::Run {
                    least,
                    most,
                    stride,
                    operand,
                },
                _ => continue,
            };
            // A machine is not asked for features that make no difference.
            if !addressings.contains(&of_clause) && d.when.holds(self.machine) {
                addressings.push(of_clause);
            }
        }
        if addressings.is_empty() {
            addressings.push(Addressing::Everything);
        }
        addressings
    }

    /// Returns which leaf entries of levels above that of the pass an instruction invalidates without a hint. Entries between
    /// two addresses are those that lie there whole, and a pass names many where they take no more instructions.
    pub fn leaves_of(&self, addressing: Addressing, drops: &[Drops]) -> Leaves {
        if drops.iter().any(|d| d.leaf == Some(LevelSel::Given)) {
            return Leaves::Apart;
        }
        let Addressing::Run {
            stride: RunUnit::Entries(levels),
            most,
            operand,
            ..
        } = addressing
        else {
            return Leaves::Named;
        };
        let names = self.model.operands[operand].names.as_ref();
        let mut pages = self.model.leaf_levels().iter();
        if !names.is_some_and(|names| names.any) {
            Leaves::Named
        } else if most == MaxCount::Count(UNLIMITED) && pages.all(|level| levels.contains(level)) {
            Leaves::Whole
        } else {
            Leaves::Apart
        }
    }
}
