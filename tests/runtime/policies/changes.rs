//! Changes that flush by themselves, and changes that are deferred.

use std::sync::Arc;

use tlbc_runtime::NewSpace;
use tlbc_tests::hosted::{Event, Hosted};

use crate::policies::{VA, machine, ptes, s390};

/// A page whose unmapping flushes by itself is not flushed again.
#[test]
fn nothing_is_batched_where_the_change_flushes() {
    let (mmu, space, _current) = machine(s390());
    let ptes = ptes(&mmu, &space, VA);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            // Another gather in progress defers nothing either.
            mmu.gather(&space, |inner| {
                inner.locked((), |section, ()| {
                    section.unmap_all(ptes.leaves()).expect("leaves");
                });
            });
            g.locked((), |_, ()| {});
        });
    });
    let events = mmu.platform().events();
    let names = events.iter().filter_map(|event| match event {
        Event::Issued(_, op) => Some(op.name()),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), ["ipte"; 4]);
    let counts = mmu.stats();
    assert_eq!((counts.broadcast, counts.full_nested), (0, 0));
}

/// If no other CPU has the space, stores are enough, with one flush of everything after them.
#[test]
fn changes_are_deferred_while_no_other_cpu_is_attached() {
    let (mmu, space, [_here, there]) = machine(s390());
    Hosted::on(&mmu, 1, || {
        let other = NewSpace {
            table: 0x2000,
            user_table: 0x2000,
            ..NewSpace::default()
        };
        let other = Arc::new(mmu.address_space(other).expect("a tag"));
        let _there = Hosted::switch(&mmu, there, Some(&other));
    });
    mmu.platform().events();
    let ptes = ptes(&mmu, &space, VA);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section.unmap_all(ptes.leaves()).expect("leaves");
                mmu.platform().note("cleared");
                assert!(space.flush_pending());
            });
        });
    });
    let events = mmu.platform().events();
    let tag = 0x1000;
    let flush = s390::Op::IdteAsce {
        asce: tag,
        clear_by_asce: 0x800,
    };
    let mut expected = vec![Event::Note("cleared"), Event::Issued(0, flush)];
    expected.extend((100..104).map(Event::Released));
    assert_eq!(events, expected);
    assert!(!space.flush_pending());
}
