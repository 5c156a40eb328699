//! A required flush as clauses, each with the agents that may use the entries.
//!
//! In: a [`RequiredFlush`] of the runtime. Out: clauses and agents. Holds: nothing is derived again; a machine that lacks a
//! class of agents, or whose tags differ, narrows what comes out.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::pte::{Deadline, RequiredFlush};

use crate::clause::{AddressSelector, Clause, EntryKinds, TagSelector};

/// The agents that use translations.
pub const USERS: Agents = Agents::CORE.union(Agents::ACTIVE).union(Agents::DEVICE);

/// The agents that walk tables: a lazy CPU fills by speculation.
pub const WALKERS: Agents = USERS.union(Agents::LAZY);

/// Returns the clauses of a required flush, those that have to be invalidated first in front: walk entries before the leaf
/// entries that they can make again.
///
/// What is required at a fault is required on the CPU that faults, alone.
pub fn clauses(required: &RequiredFlush) -> impl Iterator<Item = (Clause, Agents)> {
    let addresses = if required.subtree {
        AddressSelector::Subtree
    } else {
        AddressSelector::Containing
    };
    let agents = |agents: Agents| match required.deadline {
        Deadline::Fault => agents.and(Agents::SELF),
        Deadline::Reuse | Deadline::Store => agents,
    };
    // A leaf entry below a table that is unlinked live can be made again by every walker.
    let users = if required.subtree { WALKERS } else { USERS };
    let all = [
        (EntryKinds::walk(required.walk), WALKERS),
        (EntryKinds::leaf(required.leaf), users),
        (EntryKinds::negative(required.negative), USERS),
    ];
    let some = all
        .into_iter()
        .filter(|(kinds, _)| *kinds != EntryKinds::NOTHING);
    some.map(move |(kinds, may_use)| {
        let clause = Clause {
            kinds,
            addresses,
            tags: TagSelector::THIS,
        };
        (clause, agents(may_use))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use tlbc_runtime::level::{Level, Levels};

    fn expanded(required: &RequiredFlush) -> Vec<(EntryKinds, AddressSelector, Agents)> {
        let clauses = clauses(required);
        clauses
            .map(|(clause, agents)| (clause.kinds, clause.addresses, agents))
            .collect()
    }

    #[test]
    fn a_page_is_used_by_cpus_that_run_and_by_devices() {
        let page = RequiredFlush {
            leaf: Levels::only(Level(0)),
            ..RequiredFlush::NOTHING
        };
        let leaf = EntryKinds::leaf(Levels::only(Level(0)));
        assert_eq!(
            expanded(&page),
            [(leaf, AddressSelector::Containing, USERS)]
        );
        let at_fault = RequiredFlush {
            deadline: Deadline::Fault,
            ..page
        };
        assert_eq!(
            expanded(&at_fault),
            [(leaf, AddressSelector::Containing, Agents::SELF)]
        );
        assert!(expanded(&RequiredFlush::NOTHING).is_empty());
    }

    #[test]
    fn a_table_is_walked_by_lazy_cpus_too() {
        let table = RequiredFlush {
            walk: Levels::only(Level(1)),
            ..RequiredFlush::NOTHING
        };
        let walk = EntryKinds::walk(Levels::only(Level(1)));
        assert_eq!(
            expanded(&table),
            [(walk, AddressSelector::Containing, WALKERS)]
        );
        assert!(WALKERS.covers(Agents::LAZY) && !USERS.covers(Agents::LAZY));
    }

    #[test]
    fn below_a_live_table_walk_entries_go_first() {
        let live = RequiredFlush {
            leaf: Levels(0b11),
            walk: Levels(0b111),
            subtree: true,
            ..RequiredFlush::NOTHING
        };
        let (walk, leaf) = (
            EntryKinds::walk(Levels(0b111)),
            EntryKinds::leaf(Levels(0b11)),
        );
        assert_eq!(
            expanded(&live),
            [
                (walk, AddressSelector::Subtree, WALKERS),
                (leaf, AddressSelector::Subtree, WALKERS)
            ]
        );
    }

    #[test]
    fn a_negative_entry_is_used_by_accesses() {
        let new = RequiredFlush {
            negative: Levels::only(Level(0)),
            ..RequiredFlush::NOTHING
        };
        let negative = EntryKinds::negative(Levels::only(Level(0)));
        assert_eq!(
            expanded(&new),
            [(negative, AddressSelector::Containing, USERS)]
        );
    }
}
