//! Panics that a caller catches: entries that were cleared before are flushed before their pages are released.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tlbc_backends::arm64::{Config, Tlb};
use tlbc_runtime::{Level, NewSpace};
use tlbc_tests::hosted::{Event, Hosted};
use tlbc_tests::tables::Entries;

const TLB: Tlb = Tlb {
    config: Config::NONE,
};

/// Records what happens when the iterator of a run panics after two entries and the closure of the gather continues.
#[test]
fn a_run_that_panics_is_flushed_before_its_pages_are_released() {
    let mmu = Hosted::machine(TLB, 1);
    let space = Hosted::space(&mmu, NewSpace::default()).expect("a tag");
    let entries = Entries::new(&TLB, &space, Level(0), 0x40_0000, 3);
    (0..3).for_each(|at| entries.map(at, at as u64 + 1, 0));
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |gather| {
            gather.locked((), |section, ()| {
                let leaves = entries
                    .leaves()
                    .enumerate()
                    .map(|(at, leaf)| if at < 2 { leaf } else { panic!("on purpose") });
                let run = catch_unwind(AssertUnwindSafe(|| section.unmap_all(leaves).is_ok()));
                assert!(run.is_err(), "the iterator panics");
            });
        });
    });
    let events = mmu.platform().events();
    let at = |wanted: &dyn Fn(&Event<_>) -> bool| events.iter().position(wanted);
    let released = at(&|event| matches!(event, Event::Released(_)));
    let issued = at(&|event| matches!(event, Event::Issued(..)));
    assert!(
        released.is_some() && issued.is_some() && issued < released,
        "{events:?}"
    );
    let pages = events.iter().filter_map(|event| match event {
        Event::Released(page) => Some(*page),
        _ => None,
    });
    assert_eq!(
        pages.collect::<Vec<_>>(),
        [1, 2],
        "the third entry is not cleared"
    );
}
