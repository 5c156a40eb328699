//! The host checks that every page, every table and all memory that the runtime holds is returned before the machine is
//! dropped: each test loses something, or returns something that was never removed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use tlbc_backends::x86_64::{Config, Tlb};
use tlbc_runtime::{Level, NewSpace, Platform, Pte, Section};
use tlbc_tests::hosted::{Handle, Host, Hosted, pages_dropped};
use tlbc_tests::machines::x86;
use tlbc_tests::tables::Entries;

type In<'a, 'g, 'id, 'm> = &'a mut Section<'g, 'm, Hosted<Tlb>>;

/// Returns the host's complaint about a kernel: within a call, or when the machine is dropped.
fn complaint(run: impl FnOnce(&Arc<Host<Tlb>>, &Handle<Tlb>)) -> Option<String> {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mmu = Hosted::machine(x86(Config::PGE.with(Config::PCID)), 1);
        let space = Hosted::space(&mmu, NewSpace::default()).expect("a space");
        Hosted::on(&mmu, 0, || run(&mmu, &space));
    }));
    let panic = result.err()?;
    let message = panic.downcast_ref::<String>();
    Some(message.expect("a message").clone())
}

fn pages(space: &Handle<Tlb>) -> Entries {
    let pages = Entries::new(&x86(Config::PGE.with(Config::PCID)), space, Level(0), 0, 1);
    pages.map(0, 100, 0);
    pages
}

fn tables(space: &Handle<Tlb>) -> Entries {
    let tables = Entries::new(&x86(Config::PGE.with(Config::PCID)), space, Level(1), 0, 1);
    tables.link(0, 7);
    tables
}

fn section(mmu: &Host<Tlb>, space: &Handle<Tlb>, body: impl FnOnce(In<'_, '_, '_, '_>)) {
    mmu.gather(space, |gather| {
        gather.locked((), |section, ()| body(section));
    });
}

#[test]
fn a_kernel_that_loses_nothing_is_accepted() {
    let fine = complaint(|mmu, space| {
        let (pages, tables) = (pages(space), tables(space));
        section(mmu, space, |section| {
            let leaf = pages.leaf(0).expect("a page");
            section.unmap(leaf).expect("of this space");
            let link = tables.pointer(0).expect("a table");
            section.unlink(link).expect("of this space");
        });
    });
    assert_eq!(fine, None);
}

/// Other CPUs may still use the page, so it must not be free.
#[test]
fn a_page_that_is_dropped_before_the_wait_is_lost_and_not_released() {
    let lost = complaint(|mmu, space| {
        let pages = pages(space);
        mmu.reclaim(|reclaim| {
            let leaf = pages.leaf(0).expect("a page");
            let before = pages_dropped();
            drop(reclaim.unmap(space, leaf));
            assert_eq!(pages_dropped(), before, "it is released before the flush");
        });
    });
    assert_eq!(lost.as_deref(), Some("[Page(100)] was never returned"));
}

#[test]
fn a_lost_table_is_found() {
    for forgets in [true, false] {
        let lost = complaint(|mmu, space| {
            let tables = tables(space);
            section(mmu, space, |section| {
                let link = tables.pointer(0).expect("a table");
                let table = section.detach(link).expect("of this space");
                if forgets {
                    std::mem::forget(table);
                }
            });
        });
        let expected = if forgets {
            "[Table(7)] was never returned"
        } else {
            "table 7 is dropped and was never returned"
        };
        assert_eq!(lost.as_deref(), Some(expected));
    }
}

/// A walker without locks may still be in them, so they must not be free.
#[test]
fn unlinked_tables_that_are_dropped_are_lost_and_not_freed() {
    let lost = complaint(|mmu, space| {
        let tables = tables(space);
        mmu.platform().drops_tables.store(true, SeqCst);
        section(mmu, space, |section| {
            let link = tables.pointer(0).expect("a table");
            section.unlink(link).expect("of this space");
        });
    });
    assert_eq!(lost.as_deref(), Some("[Table(7)] was never returned"));
}

#[test]
fn lost_memory_is_found() {
    let lost = complaint(|mmu, _| std::mem::forget(mmu.platform().page_batch()));
    let lost = lost.expect("a complaint");
    assert!(
        lost.contains("memory for batches was never returned"),
        "{lost}"
    );
}

#[test]
fn a_page_that_was_not_removed_is_found() {
    let from_nowhere = complaint(|_, space| {
        let pages = pages(space);
        let leaf = pages.leaf(0).expect("a page");
        drop(Pte::<Hosted<Tlb>>::into_page(leaf, 0));
    });
    let from_nowhere = from_nowhere.expect("a complaint");
    assert!(from_nowhere.contains("mapped none"), "{from_nowhere}");
}
