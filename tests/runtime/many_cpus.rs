//! A CPU with a large number is flushed like one with a small number: sets of CPUs have several words.

use tlbc_runtime::{Level, TagSource};
use tlbc_tests::machines::{Case, Named};
use tlbc_tests::tables::Entries;

/// A CPU whose bit is in the second word of a set, and is not the first there.
const LATE: u32 = 66;

/// CPU 0 and another one run a process. Returns what happens when CPU 0 unmaps a page of it and one of the kernel, unlinks a
/// table, and ends the process, with the number of the other CPU replaced by a name.
fn flushed<B: Named>(case: &Case<B>, other: u32) -> Vec<String> {
    let mut cpus = case.scheduler(LATE as usize + 1);
    for cpu in (0..=LATE).filter(|cpu| ![0, other].contains(cpu)) {
        cpus.cpu_offline(cpu);
    }
    let process = case.process(&cpus);
    let backend = cpus.mmu.platform().backend().clone();
    let pages = Entries::new(&backend, &process, Level(0), 0, 2);
    let upper = Entries::new(&backend, &process, Level(1), 0, 1);
    let of_kernel = Entries::new(&backend, cpus.mmu.kernel(), Level(0), 0, 1);
    (0..2).for_each(|index| pages.map(index, 7 + index as u64, 0));
    upper.link(0, 1);
    of_kernel.map(0, 9, 0);
    for cpu in [other, 0] {
        cpus.run(cpu, &process);
    }
    cpus.forget();
    cpus.unmap(0, &process, &pages, 0);
    cpus.on(0, |mmu| {
        mmu.gather(mmu.kernel(), |gather| {
            gather.locked((), |section, ()| section.unmap_all(of_kernel.leaves()))
        })
        .expect("a mapped page");
        mmu.reclaim(|batch| {
            let leaf = pages.leaf(1).expect("a mapped page");
            let token = batch.unmap(&process, leaf).expect("an entry of this space");
            let token = token.expect("it kept a page");
            batch.wait().redeem(token).expect("its wait");
        });
    });
    cpus.unlink(0, &process, &upper, 0);
    for cpu in [other, 0] {
        cpus.kernel_thread(cpu);
    }
    cpus.teardown(0, &process);
    let lines = cpus.lines();
    let names = |line: &String| line.replace(&format!("cpu {other}"), "the other CPU");
    lines.iter().map(names).collect()
}

fn numbers_make_no_difference<B: Named>(case: &Case<B>) {
    if let Some((values, TagSource::Generations)) = case.backend.tags().global
        && values.nth(2 * u64::from(LATE + 1)).is_none()
    {
        return; // it has too few tags for so many CPUs
    }
    let early = flushed(case, 1);
    assert_eq!(early, flushed(case, LATE), "{}", case.name);
    let is_other = |line: &String| line.contains("the other CPU");
    assert!(early.iter().any(is_other) || !case.interrupts());
}

#[test]
fn a_cpu_with_a_large_number_is_flushed_like_one_with_a_small_number() {
    tlbc_tests::on_every_machine!(numbers_make_no_difference);
}
