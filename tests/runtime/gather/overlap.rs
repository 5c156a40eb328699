//! Overlapping gathers of one space: which of them flush what another one has changed.

use tlbc_runtime::{Backend, Current, Level, NewSpace};
use tlbc_tests::hosted::{Handle, Hosted};
use tlbc_tests::model::{Machine, machine};
use tlbc_tests::tables::{Entries, leaf_bits};
use tlbc_tests::watched::Watched;

/// Creates a machine of two CPUs that both run in a space, and a table of eight entries, the first four of which map
/// pages.
fn world<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) -> (Machine<B>, Handle<Watched<B>>, Entries) {
    let mmu = machine(backend, 2);
    let space = Hosted::space(&mmu, new).expect("a tag");
    for cpu in 0..2 {
        let _ = Hosted::on(&mmu, cpu, || {
            Hosted::switch(&mmu, Current::Kernel, Some(&space))
        });
    }
    let entries = Entries::new(mmu.platform().backend(), &space, Level(0), 0, 8);
    (0..4).for_each(|index| entries.map(index, index as u64, 0));
    (mmu, space, entries)
}

/// Page faults on several CPUs at the same time.
fn gathers_that_only_map_flush_nothing<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let (mmu, space, entries) = world(backend, new);
    let map = |index: usize| {
        mmu.gather(&space, |gather| {
            gather.locked((), |section, ()| {
                section.map(&entries.at(index), leaf_bits(index as u64, 0))
            })
        })
        .expect("an entry that is not valid");
    };
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |outer| {
            outer.locked((), |section, ()| {
                section
                    .map(&entries.at(4), leaf_bits(4, 0))
                    .expect("an entry that is not valid");
            });
            assert!(!space.flush_pending(), "nothing was unmapped");
            map(5);
        });
    });
    assert_eq!(mmu.stats().full_nested, 0);
    mmu.platform().events();
}

mod only_map {
    tlbc_tests::tests_on_every_machine!(super::gathers_that_only_map_flush_nothing);
}

/// A page fault while another gather has unmapped pages and not flushed them: the fault handler may have found one of
/// their entries.
fn one_that_maps_flushes_for_one_that_unmapped<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let (mmu, space, entries) = world(backend, new);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |outer| {
            outer.locked((), |section, ()| {
                section
                    .unmap_all(entries.leaves())
                    .expect("entries of this space");
            });
            let pending = space.flush_pending();
            mmu.gather(&space, |gather| {
                gather.locked((), |section, ()| {
                    section.map(&entries.at(5), leaf_bits(5, 0))
                })
            })
            .expect("an entry that is not valid");
            let is_flushed = mmu.stats().full_nested == 1;
            assert_eq!(is_flushed, pending && B::FACTS.pte_update.batches_pages());
            assert_eq!(pending, B::FACTS.pte_update.batches_pages());
        });
        assert!(!space.flush_pending());
    });
    mmu.platform().events();
}

mod maps_and_unmaps {
    tlbc_tests::tests_on_every_machine!(super::one_that_maps_flushes_for_one_that_unmapped);
}
