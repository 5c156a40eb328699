//! Marks that the machine sets after the runtime has read an entry and decided how to change it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tlbc_runtime::{Backend, Level, NewSpace};
use tlbc_tests::hosted::Hosted;
use tlbc_tests::model::machine;
use tlbc_tests::tables::{DIRTY, Entries, WRITE};

/// A page that loses rights while it is written keeps its dirty mark, whichever of its entries gets the mark.
fn a_late_mark_is_kept<B: Backend + Copy + Send + Sync + 'static>(backend: B, new: NewSpace) {
    for (entries, marked) in [(1, 0), (2, 0), (2, 1), (4, 0), (4, 3)] {
        let mmu = machine(backend, 1);
        let space = Hosted::space(&mmu, new).expect("a tag");
        let pages = Entries::new(mmu.platform().backend(), &space, Level(0), 0, 4);
        (0..4).for_each(|index| pages.map(index, 100, WRITE));
        let pages = Arc::new(pages);
        let (written, done) = (pages.clone(), AtomicBool::new(false));
        mmu.platform().on_change(Box::new(move |_| {
            if !done.swap(true, SeqCst) {
                written.mark(marked, DIRTY);
            }
        }));
        let was = Hosted::on(&mmu, 0, || {
            mmu.gather(&space, |gather| {
                gather.locked((), |section, ()| {
                    section.protect(&pages.group(0..entries), |bits| bits & !WRITE)
                })
            })
        });
        let case = format!("{marked} of {entries}");
        assert_eq!(was.expect("fewer rights") & DIRTY, DIRTY, "{case}");
        for index in 0..entries {
            assert_eq!(pages.bits(index) & (DIRTY | WRITE), DIRTY, "{case}");
        }
    }
}

mod late {
    tlbc_tests::tests_on_every_machine!(super::a_late_mark_is_kept);
}
