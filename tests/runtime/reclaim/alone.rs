//! Spaces that the CPU which reclaims has run alone, on a machine whose instructions reach every CPU.

use tlbc_backends::arm64::{Config, Tlb};
use tlbc_runtime::request::Reach;
use tlbc_runtime::{Current, Level, NewSpace};
use tlbc_tests::hosted::{Event, Hosted};
use tlbc_tests::model::machine;
use tlbc_tests::tables::Entries;
use tlbc_tests::watched::Seen;

use super::{PAGES, redeemed};

/// The space is flushed here alone, page by page: a CPU that attaches the space before the wait has seen the entries that were
/// unmapped before, and is reached for those after.
#[test]
fn a_page_is_flushed_here_alone_as_long_as_no_other_cpu_has_run_the_space() {
    let config = Config::NONE;
    let mmu = machine(Tlb { config }, 2);
    let space = Hosted::space(&mmu, NewSpace::default()).expect("a tag");
    let table = Entries::new(mmu.platform().backend(), &space, Level(0), 0, PAGES);
    (0..PAGES).for_each(|index| table.map(index, index as u64, 0));
    let attach = |cpu| {
        let _ = Hosted::on(&mmu, cpu, || {
            Hosted::switch(&mmu, Current::Kernel, Some(&space))
        });
    };
    attach(0);
    mmu.platform().events();
    Hosted::on(&mmu, 0, || {
        mmu.reclaim(|batch| {
            let mut reach_of = |index| {
                let leaf = table.leaf(index).expect("it is mapped");
                let unmapped = batch.unmap(&space, leaf).expect("an entry of this space");
                let events = mmu.platform().events();
                let flush = events.iter().find_map(|event| match event {
                    Event::Issued(0, Seen::Started(flush)) => Some(flush.reach),
                    _ => None,
                });
                (unmapped.expect("it kept a page"), flush.expect("a flush"))
            };
            let (first, reach) = reach_of(0);
            assert_eq!(reach, Reach::Here);
            attach(1);
            let (second, reach) = reach_of(1);
            assert_eq!(reach, Reach::Wide);
            let waited = batch.wait();
            assert_eq!(mmu.platform().backend().flushes(), (2, 2));
            assert_eq!(
                [first, second].map(|token| redeemed(&waited, token)),
                [0, 1]
            );
        });
    });
}

/// One finish completes flushes of one kind only: those that reach this CPU alone are finished by themselves, and those that reach
/// every CPU.
#[test]
fn flushes_of_another_reach_are_finished_by_themselves() {
    let config = Config::NONE;
    let mmu = Hosted::machine(Tlb { config }, 2);
    // CPU 0 runs in the first, which no other CPU has run. CPU 1 runs in the second.
    let spaces = [0, 1].map(|nth| {
        let space = Hosted::space(&mmu, NewSpace::default()).expect("a tag");
        let _ = Hosted::on(&mmu, nth, || {
            Hosted::switch(&mmu, Current::Kernel, Some(&space))
        });
        space
    });
    let wide = |nth: usize| nth == 1;
    let issued = |order: &[usize]| {
        let tables = spaces.each_ref().map(|space| {
            let table = Entries::new(mmu.platform().backend(), space, Level(0), 0, 3);
            (0..3).for_each(|index| table.map(index, index as u64, 0));
            table
        });
        mmu.platform().events();
        Hosted::on(&mmu, 0, || {
            mmu.reclaim(|batch| {
                let mut tokens = Vec::new();
                for (index, &nth) in order.iter().enumerate() {
                    let leaf = tables[nth].leaf(index).expect("it is mapped");
                    let token = batch.unmap(&spaces[nth], leaf);
                    tokens.extend(token.expect("an entry of this space"));
                }
                let waited = batch.wait();
                assert!(tokens.into_iter().all(|token| waited.redeem(token).is_ok()));
            });
        });
        let events = mmu.platform().events().into_iter();
        let names = events.filter_map(|event| match event {
            Event::Issued(0, op) => Some(op.name()),
            _ => None,
        });
        let barriers = ["dsb_nsh", "dsb_ish"];
        let is_flush = |name: &&str| barriers.contains(name) || name.starts_with("vale1");
        names.filter(is_flush).collect::<Vec<_>>()
    };
    let finish = |nth| if wide(nth) { "dsb_ish" } else { "dsb_nsh" };
    for order in [[0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 1, 0]] {
        let mut expected = Vec::new();
        for (at, &nth) in order.iter().enumerate() {
            expected.push(if wide(nth) { "vale1is" } else { "vale1" });
            expected.extend(
                order[..at]
                    .last()
                    .filter(|before| **before != nth)
                    .map(|before| finish(*before)),
            );
        }
        expected.extend(order.last().map(|nth| finish(*nth)));
        assert_eq!(issued(&order), expected, "{order:?}");
    }
}
