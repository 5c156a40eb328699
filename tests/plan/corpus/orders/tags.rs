//! Orders in which a tag gets another owner, or has entries that are stale.

use tlbc_backends::{arm64, x86_64};
use tlbc_runtime::Level;
use tlbc_tests::hosted::Handle;
use tlbc_tests::machines;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::Entries;

use super::{first, require};

/// A machine with few tags, and three processes.
fn few_tags() -> (Scheduler<arm64::Tlb>, [Handle<arm64::Tlb>; 3]) {
    let cpus = Scheduler::with_tags(machines::arm64(arm64::Config::NONE), 2, 16);
    let processes = [cpus.process(), cpus.process(), cpus.process()];
    (cpus, processes)
}

/// Runs new processes on CPU 0 until the tags have rolled over.
fn roll_over(cpus: &mut Scheduler<arm64::Tlb>) {
    let before = cpus.mmu.stats().rollovers;
    for _ in 0..64 {
        if cpus.mmu.stats().rollovers > before {
            return;
        }
        let process = cpus.process();
        cpus.run(0, &process);
    }
    panic!("the tags do not roll over");
}

/// More processes run than there are tags: the hosted machine refuses a load under a tag that has entries of another process.
pub fn rolls_over() -> Result<(), String> {
    let (mut cpus, processes) = few_tags();
    cpus.run(1, &processes[0]);
    cpus.run(1, &processes[1]);
    for _ in 0..3 {
        roll_over(&mut cpus);
    }
    cpus.run(1, &processes[2]);
    let [here, there] = [0, 1].map(|cpu| cpus.mmu.platform().loaded_tag(cpu));
    let tags = [format!("{here:?}"), format!("{there:?}")];
    require(here != there, "two processes have one tag", &tags)
}

/// CPU 1 runs one process through two rollovers, and CPU 0 runs it between them and after them: it has one tag.
pub fn rolls_over_twice() -> Result<(), String> {
    let (mut cpus, [process, ..]) = few_tags();
    cpus.run(1, &process);
    for _ in 0..2 {
        roll_over(&mut cpus);
        cpus.run(0, &process);
    }
    let [here, there] = [0, 1].map(|cpu| cpus.mmu.platform().loaded_tag(cpu));
    let tags = [format!("{here:?}"), format!("{there:?}")];
    require(here == there, "one process has two tags", &tags)
}

/// A table of the kernel is freed while CPU 0 runs a process: it has cached the table under the tag of the kernel's root as well.
pub fn unlinks_a_table_of_the_kernel() -> Result<(), String> {
    let config = x86_64::Config::PGE.with(x86_64::Config::PCID);
    let mut cpus = Scheduler::new(machines::x86(config), 2);
    let processes = [cpus.process(), cpus.process()];
    cpus.run(0, &processes[0]);
    cpus.run(0, &processes[1]);
    cpus.run(1, &processes[1]);
    let backend = cpus.mmu.platform().backend();
    let kernel = Entries::new(
        backend,
        cpus.mmu.kernel(),
        Level(1),
        0xffff_8000_0000_0000,
        1,
    );
    kernel.link(0, 7);
    cpus.on(0, |mmu| {
        mmu.gather(mmu.kernel(), |gather| {
            gather.locked((), |section, ()| {
                let link = kernel.pointer(0).expect("a table");
                section.unlink(link).expect("of the kernel");
            });
        });
    });
    cpus.kernel_thread(0);
    // CPU 0 leaves the process for the kernel's root when a table of the process is freed.
    let upper = Entries::new(
        cpus.mmu.platform().backend(),
        &processes[1],
        Level(1),
        1 << 30,
        1,
    );
    upper.link(0, 8);
    cpus.forget();
    cpus.unlink(1, &processes[1], &upper, 0);
    let lines = cpus.lines();
    let kept = first(&lines, "cpu 0: cr3 cr3=0x8").is_some();
    require(
        !kept,
        "the entries under the tag of the kernel's root are kept",
        &lines,
    )
}
