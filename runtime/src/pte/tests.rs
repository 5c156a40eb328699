//! What each change requires.

mod faults;

use super::*;
use crate::level::{Level, Levels};
use crate::request::Space;

const FACTS: ChangeFacts = ChangeFacts {
    walk_cached: true,
    negative: Negative::Never,
    stricter: Stricter::FaultsUntilDropped,
    devices_stay_strict: false,
    output_through_invalid: true,
    size_through_invalid: true,
    attributes_through_invalid: true,
    rights_through_invalid: false,
    cleared_may_stay: Marks::ACCESSED,
    clean_to_dirty_walks: true,
};
const PAGE: Entry = leaf(1, 3, 0);
const LESS: Entry = leaf(1, 1, 0);
const TABLE: Entry = Entry::Table {
    table: 2,
    attributes: 0,
};

const fn leaf(page: u64, rights: u8, attributes: u64) -> Entry {
    Entry::Leaf {
        page,
        rights,
        attributes,
    }
}

/// An entry of the lowest level changes.
fn lowest(old: Entry, new: Entry) -> Change {
    Change {
        level: Level(0),
        old,
        new,
        new_bits: 0,
        clears: Marks::NONE,
        below: Below::Cleared,
    }
}

fn change(level: u8, old: Entry, new: Entry, below: Below) -> RequiredFlush {
    let change = Change {
        level: Level(level),
        below,
        ..lowest(old, new)
    };
    change.required_flush(&FACTS)
}

#[test]
fn an_unmapped_page_requires_its_leaf_entry() {
    let required = change(0, PAGE, Entry::Invalid, Below::Cleared);
    assert_eq!(required.leaf, Levels::only(Level(0)));
    assert_eq!(required.walk, Levels::NONE);
    assert_eq!(required.deadline, Deadline::Reuse);
}

#[test]
fn fewer_rights_require_the_leaf_entry_and_more_rights_a_flush_at_a_fault() {
    let fewer = change(0, PAGE, LESS, Below::Cleared);
    assert_eq!((fewer.leaf, fewer.deadline), (Levels(1), Deadline::Reuse));
    let more = change(0, LESS, PAGE, Below::Cleared);
    assert_eq!(more.leaf, Levels(1));
    assert_eq!(more.deadline, Deadline::Fault);
    let refetched = ChangeFacts {
        stricter: Stricter::Refetched,
        ..FACTS
    };
    let upgrade = lowest(LESS, PAGE);
    assert!(upgrade.required_flush(&refetched).is_nothing());
}

#[test]
fn fewer_rights_of_the_same_page_take_no_invalid_entry() {
    let protected = change(0, PAGE, LESS, Below::Cleared);
    assert_eq!(protected.deadline, Deadline::Reuse);
    let swapped = |facts: &ChangeFacts| {
        let others = lowest(LESS, leaf(1, 2, 0));
        others.required_flush(facts).deadline
    };
    assert_eq!(swapped(&FACTS), Deadline::Reuse);
    let through_invalid = ChangeFacts {
        rights_through_invalid: true,
        ..FACTS
    };
    assert_eq!(swapped(&through_invalid), Deadline::Store);
}

#[test]
fn an_instruction_leaves_over_what_it_did_not_drop() {
    let left = |old, new| {
        let change = lowest(old, new);
        let left = change.left_over(&FACTS, Space::User);
        (left, change.required_flush(&FACTS))
    };
    for (old, new) in [(PAGE, Entry::Invalid), (PAGE, LESS)] {
        let (left, required) = left(old, new);
        assert!(left.is_nothing() && !required.is_nothing());
    }
    let (left, required) = left(LESS, PAGE);
    assert!(left == required && left.deadline == Deadline::Fault);
}

#[test]
fn an_instruction_leaves_over_what_devices_keep_of_the_kernel() {
    let left = |facts: &ChangeFacts| lowest(LESS, PAGE).left_over(facts, Space::Kernel);
    for stricter in [Stricter::DroppedByFault, Stricter::FaultsUntilDropped] {
        let on_cpus = ChangeFacts { stricter, ..FACTS };
        assert!(left(&on_cpus).is_nothing());
        let on_devices = ChangeFacts {
            devices_stay_strict: true,
            ..on_cpus
        };
        assert!(left(&on_devices).leaf == Levels(1));
    }
    // The instruction that is used there may leave entries: a CPU walks again, and stale ones have to be invalid first.
    let refetched = ChangeFacts {
        stricter: Stricter::Refetched,
        rights_through_invalid: true,
        ..FACTS
    };
    assert!(!left(&refetched).is_nothing());
}

#[test]
fn more_rights_are_flushed_for_the_kernel_where_a_fault_drops_the_stricter_entry() {
    let dropped = ChangeFacts {
        stricter: Stricter::DroppedByFault,
        ..FACTS
    };
    let required = lowest(LESS, PAGE).required_flush(&dropped);
    assert_eq!(required.leaf, Levels(1));
    assert_eq!(required.deadline, Deadline::Fault);
}

#[test]
fn more_rights_go_through_invalid_whatever_becomes_of_a_stricter_entry() {
    for stricter in [
        Stricter::Refetched,
        Stricter::DroppedByFault,
        Stricter::FaultsUntilDropped,
    ] {
        let facts = ChangeFacts {
            stricter,
            rights_through_invalid: true,
            ..FACTS
        };
        let required = lowest(LESS, PAGE).required_flush(&facts);
        assert_eq!(required.deadline, Deadline::Store);
    }
}

#[test]
fn what_reads_the_same_is_a_kind_of_its_own() {
    for entry in [PAGE, TABLE] {
        let same = lowest(entry, entry);
        assert_eq!(same.kind(&FACTS), Kind::Same);
        assert!(
            same.required_flush(&FACTS).is_nothing()
                && same.left_over(&FACTS, Space::User).is_nothing()
        );
        let clears = Change {
            clears: Marks::DIRTY,
            ..same
        };
        assert_eq!(clears.kind(&FACTS), Kind::Remap);
    }
    let nothing = lowest(Entry::Invalid, Entry::Invalid);
    assert_eq!(nothing.kind(&FACTS), Kind::Map);
}

#[test]
fn other_attributes_of_a_leaf_require_it_and_go_through_invalid_where_the_machine_says_so() {
    let in_place = ChangeFacts {
        attributes_through_invalid: false,
        ..FACTS
    };
    // With the same page, with more rights, and with another page as well.
    for new in [leaf(1, 1, 7), leaf(1, 3, 7)] {
        let change = lowest(LESS, new);
        for (facts, deadline) in [(FACTS, Deadline::Store), (in_place, Deadline::Reuse)] {
            let required = change.required_flush(&facts);
            assert_eq!(required.leaf, Levels(1));
            assert_eq!(required.deadline, deadline);
            assert_eq!(change.kind(&facts), Kind::Remap);
        }
    }
    let output_in_place = ChangeFacts {
        output_through_invalid: false,
        ..FACTS
    };
    let both = |facts| lowest(LESS, leaf(9, 1, 7)).required_flush(&facts).deadline;
    assert_eq!(both(output_in_place), Deadline::Store);
    assert_eq!(both(in_place), Deadline::Store);
}

#[test]
fn other_attributes_of_a_kept_table_require_everything_below() {
    let restricts = Entry::Table {
        table: 2,
        attributes: 1,
    };
    for below in [Below::Cleared, Below::Live] {
        let required = change(2, TABLE, restricts, below);
        assert!(required.subtree);
        assert_eq!(
            (required.walk, required.leaf),
            (Levels(0b111), Levels(0b11))
        );
        assert_eq!(required.deadline, Deadline::Reuse);
    }
    assert!(change(2, TABLE, TABLE, Below::Live).is_nothing());
    // Another table, with all below the old one cleared.
    let moved = Entry::Table {
        table: 3,
        attributes: 1,
    };
    assert_eq!(change(2, TABLE, moved, Below::Cleared).leaf, Levels::NONE);
}

#[test]
fn a_cleared_mark_is_flushed_unless_a_cached_one_may_stay() {
    let cleared = |old, new, clears| Change {
        clears,
        ..lowest(old, new)
    };
    let required = |old, new, clears| cleared(old, new, clears).required_flush(&FACTS);
    let both = Marks::ACCESSED.union(Marks::DIRTY);
    assert!(required(PAGE, PAGE, Marks::ACCESSED).is_nothing());
    for clears in [Marks::DIRTY, both] {
        let required = required(PAGE, PAGE, clears);
        assert_eq!(required.leaf, Levels(1));
        assert_eq!(required.deadline, Deadline::Reuse);
        let kind = cleared(PAGE, PAGE, clears).kind(&FACTS);
        assert_eq!(kind, Kind::Remap);
    }
    // With more rights as well it is not left to a fault.
    assert_eq!(required(LESS, PAGE, Marks::DIRTY).deadline, Deadline::Reuse);
    assert_eq!(
        required(LESS, PAGE, Marks::ACCESSED).deadline,
        Deadline::Fault
    );
    // Nothing was cached of an entry that was not valid.
    assert!(required(Entry::Invalid, PAGE, both).is_nothing());
    let cached = ChangeFacts {
        negative: Negative::UntilDropped,
        ..FACTS
    };
    let neither = cleared(Entry::Invalid, Entry::Invalid, both);
    assert!(neither.required_flush(&cached).is_nothing());
    // Of an entry that points at a table the mark is set again only when nothing below is cached.
    let table = Change {
        level: Level(1),
        ..cleared(TABLE, TABLE, Marks::DIRTY)
    };
    let below = table.required_flush(&FACTS);
    assert_eq!((below.subtree, below.leaf), (true, Levels(1)));
}

#[test]
fn more_rights_require_the_leaf_entry_where_devices_stay_strict() {
    let upgrade = lowest(LESS, PAGE);
    let strict = ChangeFacts {
        stricter: Stricter::Refetched,
        devices_stay_strict: true,
        ..FACTS
    };
    let required = upgrade.required_flush(&strict);
    assert_eq!(
        (required.leaf, required.deadline),
        (Levels(1), Deadline::Reuse)
    );
    let through_invalid = ChangeFacts {
        rights_through_invalid: true,
        ..strict
    };
    assert_eq!(
        upgrade.required_flush(&through_invalid).deadline,
        Deadline::Store
    );
}

#[test]
fn a_new_mapping_requires_nothing_unless_negative_entries_are_cached() {
    assert!(change(0, Entry::Invalid, PAGE, Below::Cleared).is_nothing());
    let cached = ChangeFacts {
        negative: Negative::UntilDropped,
        ..FACTS
    };
    let new = lowest(Entry::Invalid, PAGE);
    assert!(new.required_flush(&cached).negative == Levels(1));
    // Those of single pages are of the lowest level, whichever entry is new.
    let of_pages = ChangeFacts {
        negative: Negative::AsPages,
        ..FACTS
    };
    let new_table = Change {
        level: Level(2),
        ..lowest(Entry::Invalid, TABLE)
    };
    assert_eq!(new_table.required_flush(&cached).negative, Levels(4));
    assert_eq!(new_table.required_flush(&of_pages).negative, Levels(1));
    assert!(!new_table.required_flush(&of_pages).is_required_now(true));
    // One that expires makes user code fault again; the kernel's code must not fault.
    let expiring = ChangeFacts {
        negative: Negative::Expires,
        ..FACTS
    };
    let required = new.required_flush(&expiring);
    assert!(!required.is_required_now(true));
    assert!(required.is_required_now(false));
}

#[test]
fn an_unlinked_table_requires_the_one_walk_entry() {
    let required = change(1, TABLE, Entry::Invalid, Below::Cleared);
    assert_eq!(required.walk, Levels::only(Level(1)));
    assert_eq!(required.leaf, Levels::NONE);
}

#[test]
fn a_moved_table_requires_everything_below() {
    let required = change(2, TABLE, Entry::Invalid, Below::Live);
    assert!(required.subtree);
    assert_eq!(
        (required.walk, required.leaf),
        (Levels(0b111), Levels(0b11))
    );
}

#[test]
fn another_size_goes_through_invalid_where_the_machine_says_so() {
    let in_place = ChangeFacts {
        size_through_invalid: false,
        ..FACTS
    };
    for (old, new) in [(TABLE, PAGE), (PAGE, TABLE)] {
        for below in [Below::Cleared, Below::Live] {
            let change = Change {
                level: Level(1),
                below,
                ..lowest(old, new)
            };
            assert_eq!(change.required_flush(&FACTS).deadline, Deadline::Store);
            // In place it requires the same flush, later.
            let required = change.required_flush(&in_place);
            assert_eq!(required.deadline, Deadline::Reuse);
            assert_eq!(
                required,
                RequiredFlush {
                    deadline: Deadline::Reuse,
                    ..change.required_flush(&FACTS)
                }
            );
            let live = old == TABLE && below == Below::Live;
            assert_eq!(required.subtree, live);
        }
    }
}

#[test]
fn another_page_goes_through_invalid_where_the_machine_says_so() {
    let other = leaf(9, 3, 0);
    let output_in_place = ChangeFacts {
        output_through_invalid: false,
        ..FACTS
    };
    let table = Entry::Table {
        table: 3,
        attributes: 0,
    };
    for (level, old, new) in [(0, PAGE, other), (1, TABLE, table)] {
        let change = Change {
            level: Level(level),
            below: Below::Live,
            ..lowest(old, new)
        };
        assert_eq!(change.required_flush(&FACTS).deadline, Deadline::Store);
        let required = change.required_flush(&output_in_place);
        assert_eq!(required.deadline, Deadline::Reuse);
    }
    // Nothing is left below a table whose entries are cleared; and the same page with fewer rights is the same page.
    let cleared = change(1, TABLE, table, Below::Cleared);
    assert_eq!(cleared.deadline, Deadline::Reuse);
    let fewer = change(0, PAGE, LESS, Below::Cleared);
    assert_eq!(fewer.deadline, Deadline::Reuse);
}
