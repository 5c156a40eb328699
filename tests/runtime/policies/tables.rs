//! How freed tables are released.

use std::sync::atomic::Ordering::SeqCst;

use tlbc_backends::{powerpc64, x86_64};
use tlbc_runtime::TableFree;
use tlbc_tests::hosted::{Event, HostBackend, Hosted};
use tlbc_tests::tables::Entries;

use crate::policies::{PMD, VA, arm64, machine, power, ptes, s390, x86};
use tlbc_tests::overridden::{DIRECTLY, Overridden};

/// Unmaps four pages and unlinks their table. Returns what happened to the table, and what was issued before its
/// release.
fn table_is_released<B: HostBackend>(
    backend: B,
    batches: usize,
    grace_periods: bool,
) -> Vec<Event<B::Op>> {
    let (mmu, space, _current) = machine(backend);
    mmu.platform().batches.store(batches, SeqCst);
    mmu.platform().grace_periods.store(grace_periods, SeqCst);
    let ptes = ptes(&mmu, &space, VA);
    let pmds = Entries::new(mmu.platform().backend(), &space, PMD, VA, 1);
    pmds.link(0, 7);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section.unmap_all(ptes.leaves()).expect("leaves");
                section
                    .unlink(pmds.pointer(0).expect("a table"))
                    .expect("a pointer");
            });
        });
    });
    mmu.platform().events()
}

fn position<Op: PartialEq>(events: &[Event<Op>], wanted: &Event<Op>) -> Option<usize> {
    events.iter().position(|event| event == wanted)
}

/// Checks that the table is released after the last instruction, and only once.
fn released_last<Op: PartialEq + std::fmt::Debug>(events: &[Event<Op>], out: &Event<Op>) {
    let at = position(events, out).unwrap_or_else(|| panic!("{out:?} in {events:?}"));
    let issued = |event: &Event<Op>| matches!(event, Event::Issued(..));
    assert!(!events[at..].iter().any(issued), "{events:?}");
    assert!(events[..at].iter().any(issued), "{events:?}");
    assert_eq!(events.iter().filter(|event| *event == out).count(), 1);
}

#[test]
fn tables_wait_for_walkers_in_batches_by_interrupts_or_not_at_all() {
    fn each<B: HostBackend<Op: PartialEq>>(backend: fn() -> B) {
        assert!(B::FACTS.table_free == TableFree::GracePeriod);
        let events = table_is_released(backend(), usize::MAX, true);
        released_last(&events, &Event::Deferred(vec![7]));
        assert_eq!(position(&events, &Event::Freed(7)), None);
        // Without memory for a batch, or without grace periods, an IPI is sent to every other CPU before the table is
        // freed.
        for (batches, grace_periods) in [(0, true), (0, false), (usize::MAX, false)] {
            let events = table_is_released(backend(), batches, grace_periods);
            released_last(&events, &Event::Freed(7));
            assert_eq!(position(&events, &Event::Deferred(vec![7])), None);
            let all = position(&events, &Event::Interrupted(vec![1, 2]));
            let all = all.expect("an interrupt to all");
            let issued = |event: &Event<B::Op>| matches!(event, Event::Issued(..));
            assert!(!events[all..].iter().any(issued), "the flush goes first");
            assert!(all < position(&events, &Event::Freed(7)).unwrap());
        }
        // Every flush interrupts every CPU: there is nothing left to wait for.
        let directly = Overridden::<B, DIRECTLY>::new(backend());
        let events = table_is_released(directly, usize::MAX, false);
        released_last(&events, &Event::Freed(7));
        assert_eq!(position(&events, &Event::Interrupted(vec![1, 2])), None);
    }
    each(arm64);
    each(s390);
    each(|| x86(&[]));
    each(|| {
        x86(&[
            x86_64::Config::PGE,
            x86_64::Config::PCID,
            x86_64::Config::INVPCID,
            x86_64::Config::INVLPGB,
        ])
    });
    each(|| power(&[powerpc64::Config::GTSE]));
    each(|| power(&[powerpc64::Config::GTSE, powerpc64::Config::BROADCAST]));
    each(|| power(&[]));
}
