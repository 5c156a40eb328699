//! A fault handler that maps a page at an address that another CPU's gather has unmapped and not flushed yet.

use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use tlbc_runtime::request::Extent;
use tlbc_runtime::{AddressSpace, Backend, Level, Mmu, Platform};
use tlbc_tests::hosted::Event;
use tlbc_tests::machines::Case;
use tlbc_tests::on_every_machine;
use tlbc_tests::show::Machine;
use tlbc_tests::tables::{Entries, leaf_bits};

const PTE: Level = Level(0);
const VA: u64 = 0x10_0000;

/// Whether no entry may be cached where a new one is stored.
fn needs_invalid_first<P: Platform>(mmu: &Mmu<P>, space: &AddressSpace<P::CpuSet>) -> bool {
    let facts = mmu.platform().backend().change_facts(space.flags());
    facts.output_through_invalid || facts.size_through_invalid || facts.attributes_through_invalid
}

fn maps_while_another_cpu_unmaps<B: Machine + Clone>(case: &Case<B>) {
    let mut cpus = case.scheduler(2);
    let process = case.process(&cpus);
    (0..2).for_each(|cpu| cpus.run(cpu, &process));
    let backend = cpus.mmu.platform().backend();
    let table = Arc::new(Entries::new(backend, &process, PTE, VA, 1));
    table.map(0, 100, 0);
    let bits = leaf_bits(200, 0);
    cpus.forget();
    // What CPU 1 issues while the new entry is not stored yet, and after that.
    let issued = Arc::new(Mutex::new([Vec::new(), Vec::new()]));
    let look = (Arc::clone(&table), Arc::clone(&issued));
    cpus.mmu.platform().on_issued(Box::new(move |cpu, op| {
        let (table, issued) = &look;
        if cpu == 1 {
            let moment = usize::from(table.bits(0) == bits);
            let mut issued = issued.lock().unwrap_or_else(PoisonError::into_inner);
            issued[moment].push(format!("{op:?}"));
        }
    }));
    let left = B::FACTS.pte_update.batches_pages();
    // Before the store only the addresses of the entry are flushed. Later the space may have another tag.
    let page = Extent::new(VA, 1 << cpus.mmu.platform().backend().levels()[0].shift);
    cpus.on(1, |mmu| mmu.flush_range(&process, page, PTE))
        .expect("a page");
    let [mut of_page, _] = take(&mut *issued.lock().unwrap());
    if !(left && needs_invalid_first(&cpus.mmu, &process)) {
        of_page.clear();
    }
    cpus.forget();
    cpus.on(0, |mmu| {
        mmu.gather(&process, |gather| {
            gather.locked((), |section, ()| {
                section.unmap(table.leaf(0).unwrap()).unwrap();
            });
            // Where the change itself flushes nothing is left.
            assert_eq!(process.flush_pending(), left, "{}", case.name);
            let pte = table.at(0);
            let mapped = cpus.on(1, |mmu| {
                mmu.gather(&process, |gather| {
                    gather.locked((), |section, ()| section.map(&pte, bits))
                })
            });
            mapped.expect("a new entry");
            cpus.note("the handler returns");
        });
    });
    assert_eq!(table.bits(0), bits);
    let [before, after] = take(&mut *issued.lock().unwrap());
    // The gather of the handler flushes at its end, since the other one is in progress.
    assert_eq!(!after.is_empty(), left, "{}: at the end", case.name);
    let events = cpus.mmu.platform().events();
    let at = |is_it: &dyn Fn(&Event<B::Op>) -> bool| events.iter().position(is_it);
    let free = at(&|event| matches!(event, Event::Released(100))).expect("a page");
    let returned = at(&|event| matches!(event, Event::Note(_))).expect("a note");
    assert!(free > returned, "{}", case.name);

    assert_eq!(before, of_page, "{}: before the store", case.name);
}

#[test]
fn a_fault_handler_flushes_what_another_gather_has_cleared() {
    on_every_machine!(maps_while_another_cpu_unmaps);
}
