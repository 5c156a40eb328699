//! A fault handler that maps a page at an address that another CPU's gather has unmapped and not flushed yet.

use tlbc_runtime::{AddressSpace, Backend, Level, Misuse, Mmu, Platform, Pte};
use tlbc_tests::hosted::Event;
use tlbc_tests::machines::Case;
use tlbc_tests::on_every_machine;
use tlbc_tests::show::Machine;
use tlbc_tests::tables::{Entries, leaf_bits};

const PTE: Level = Level(0);

fn needs_invalid_first<P: Platform>(mmu: &Mmu<P>, space: &AddressSpace<P::CpuSet>) -> bool {
    let facts = mmu.platform().backend().change_facts(space.flags());
    facts.output_through_invalid || facts.size_through_invalid || facts.attributes_through_invalid
}

/// The handler that the documentation of the kernel's responsibilities shows.
fn map_at_fault<P: Platform, L>(
    mmu: &Mmu<P>,
    space: &AddressSpace<P::CpuSet>,
    lock: L,
    pte: &impl Pte<P>,
    bits: u64,
) -> Result<(), Misuse> {
    if needs_invalid_first(mmu, space) && space.flush_pending() {
        mmu.flush_everything(space);
    }
    mmu.gather(space, |gather| {
        gather.locked(lock, |section, _| section.map(pte, bits))
    })
}

/// Checks what was issued before the lock is released.
struct Lock<F: FnMut()>(F);

impl<F: FnMut()> Drop for Lock<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn maps_while_another_cpu_unmaps<B: Machine + Clone>(case: &Case<B>) {
    let mut cpus = case.scheduler(2);
    let process = case.process(&cpus);
    (0..2).for_each(|cpu| cpus.run(cpu, &process));
    let table = Entries::new(cpus.mmu.platform().backend(), &process, PTE, 0x1000, 1);
    table.map(0, 100, 0);
    let bits = leaf_bits(200, 0);
    cpus.forget();
    let left = B::FACTS.pte_update.batches_pages();
    cpus.on(0, |mmu| {
        mmu.gather(&process, |gather| {
            gather.locked((), |section, ()| {
                section.unmap(table.leaf(0).unwrap()).unwrap();
            });
            // Where the change itself flushes nothing is left.
            assert_eq!(process.flush_pending(), left, "{}", case.name);
            cpus.note("the lock is released");
            let lock = Lock(|| cpus.note("the entry is stored"));
            let pte = table.at(0);
            let mapped = cpus.on(1, |mmu| map_at_fault(mmu, &process, lock, &pte, bits));
            mapped.expect("a new entry");
            cpus.note("the handler returns");
        });
    });
    assert_eq!(table.bits(0), bits);

    let events = cpus.mmu.platform().events();
    let at = |wanted| {
        let is_it = |event: &Event<B::Op>| matches!(event, Event::Note(note) if *note == wanted);
        events.iter().position(is_it)
    };
    let moments = [
        "the lock is released",
        "the entry is stored",
        "the handler returns",
    ];
    let [released, stored, returned] = moments.map(|note| at(note).expect("a note"));
    let flushes = |from: usize, to: usize| {
        let by_handler = |event: &Event<B::Op>| matches!(event, Event::Issued(1, _));
        events[from..to].iter().any(by_handler)
    };
    let first = left && needs_invalid_first(&cpus.mmu, &process);
    assert_eq!(
        flushes(released, stored),
        first,
        "{}: before the store",
        case.name
    );
    // The gather of the handler flushes at its end, since the other one is in progress.
    assert_eq!(flushes(stored, returned), left, "{}: at the end", case.name);
    let free = events
        .iter()
        .position(|event| matches!(event, Event::Released(100)));
    assert!(
        free.expect("the page is released") > returned,
        "{}",
        case.name
    );
}

#[test]
fn a_fault_handler_flushes_what_another_gather_has_cleared() {
    on_every_machine!(maps_while_another_cpu_unmaps);
}
