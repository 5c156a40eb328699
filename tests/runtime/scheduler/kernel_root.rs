//! The tag of the kernel's root is invalidated lazily, as the tags of spaces are: entries that a change of the kernel
//! leaves under it are flushed before that root is loaded.

use tlbc_backends::x86_64::{Config, Tlb};
use tlbc_runtime::{Level, Mmu};
use tlbc_tests::hosted::{Handle, Hosted};
use tlbc_tests::machines::x86;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::Entries;

type Kernel = Mmu<Hosted<Tlb>>;

const KERNEL: u64 = 0xffff_8000_0000_0000;

/// The change of the kernel while CPU 0 runs a process.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Nothing,
    /// A page is unmapped.
    Page,
    /// A table is unlinked.
    Table,
}

/// Creates a machine whose CPU 0 switched from the kernel's root to one process, and from that to another, which CPU 1
/// runs as well.
fn machine(config: Config) -> (Scheduler<Tlb>, [Handle<Tlb>; 2]) {
    let mut cpus = Scheduler::new(x86(config), 2);
    let processes = [cpus.process(), cpus.process()];
    cpus.run(0, &processes[0]);
    cpus.run(0, &processes[1]);
    cpus.run(1, &processes[1]);
    cpus.forget();
    (cpus, processes)
}

/// Changes the kernel, on a CPU.
fn alter(cpus: &Scheduler<Tlb>, change: Change, of: u32) {
    let kernel = cpus.mmu.kernel();
    let backend = cpus.mmu.platform().backend();
    let pages = Entries::new(backend, kernel, Level(0), KERNEL, 1);
    let tables = Entries::new(backend, kernel, Level(1), KERNEL, 1);
    pages.map(0, 100, 0);
    tables.link(0, 7);
    cpus.on(of, |mmu: &Kernel| {
        mmu.gather(mmu.kernel(), |gather| {
            gather.locked((), |section, ()| match change {
                Change::Nothing => {}
                Change::Page => {
                    let leaf = pages.leaf(0).expect("a page");
                    section.unmap(leaf).expect("of the kernel");
                }
                Change::Table => {
                    let link = tables.pointer(0).expect("a table");
                    section.unlink(link).expect("of the kernel");
                }
            });
        });
    });
}

/// Makes CPU 0, which is lazy in a process, leave it for the kernel's root by freeing a table of it. Returns what CPU 0
/// issues.
fn leave(cpus: &mut Scheduler<Tlb>, process: &Handle<Tlb>) -> Vec<String> {
    cpus.forget();
    cpus.kernel_thread(0);
    assert_eq!(cpus.lines(), [""; 0], "lazily");
    let upper = Entries::new(cpus.mmu.platform().backend(), process, Level(1), 1 << 30, 1);
    upper.link(0, 8);
    cpus.unlink(1, process, &upper, 0);
    let mut lines = cpus.lines();
    lines.retain(|line| line.starts_with("cpu 0: "));
    lines
}

/// Returns machines with per-CPU tags, and whether a page of the kernel is global there: then INVLPG invalidates it
/// under every tag. Walk entries are never global: INVLPG invalidates those of the loaded tag only (SDM 3A 4.10.4.1).
fn machines() -> Vec<(Config, bool)> {
    let pcid = Config::PGE.with(Config::PCID);
    let without_invpcid = [(pcid, true), (pcid.with(Config::PTI), false)];
    let with = without_invpcid.map(|(config, global)| (config.with(Config::INVPCID), global));
    [without_invpcid, with].concat()
}

/// Returns whether the only line loads a root and keeps the entries under its tag.
fn is_kept(lines: &[String]) -> bool {
    let [line] = lines else { panic!("{lines:?}") };
    let cr3 = line.strip_prefix("cpu 0: cr3 cr3=0x").expect("a load");
    u64::from_str_radix(cr3, 16).expect("a number") >> 63 != 0
}

#[test]
fn a_change_is_flushed_before_the_kernels_root_is_loaded() {
    for (config, global) in machines() {
        for change in [Change::Nothing, Change::Page, Change::Table] {
            let kept = change == Change::Nothing || change == Change::Page && global;
            // CPU 0 changes the kernel, or is interrupted for the change.
            for of in [0, 1] {
                let (mut cpus, [_, process]) = machine(config);
                alter(&cpus, change, of);
                let left = leave(&mut cpus, &process);
                assert_eq!(is_kept(&left), kept, "{config:?} {change:?} by CPU {of}");
                assert!(left[0].ends_with("f000"), "the kernel's root");
                // One flush is enough.
                cpus.run(0, &process);
                cpus.forget();
                cpus.cpu_offline(0);
                assert!(is_kept(&cpus.lines()), "{config:?} {change:?} by CPU {of}");
            }
        }
    }
}

#[test]
fn a_change_under_the_kernels_root_is_flushed_before_a_process_is_loaded() {
    for (config, global) in machines() {
        for change in [Change::Nothing, Change::Page, Change::Table] {
            let kept = change == Change::Nothing || change == Change::Page && global;
            for of in [0, 1] {
                let (mut cpus, [other, process]) = machine(config);
                leave(&mut cpus, &process);
                alter(&cpus, change, of);
                cpus.forget();
                cpus.run(0, &other); // which has not changed
                assert_eq!(is_kept(&cpus.lines()), kept, "{config:?} {change:?}");
                // The kernel's root was the loaded one, so everything under its tag was flushed at once.
                cpus.cpu_offline(0);
                assert!(is_kept(&cpus.lines()), "{config:?} {change:?}");
            }
        }
    }
}

#[test]
fn a_cpu_that_comes_online_flushes_what_changed_while_it_was_offline() {
    for (config, _) in machines() {
        for change in [Change::Nothing, Change::Page, Change::Table] {
            let (mut cpus, [other, _]) = machine(config);
            cpus.cpu_offline(0);
            alter(&cpus, change, 1);
            cpus.forget();
            cpus.cpu_online(0);
            // A load of CR3 flushes the loaded tag; INVPCID, or a write of CR4.PGE, every one.
            let every_tag = cpus.lines().last() != Some(&"cpu 0: mov_cr3".to_owned());
            cpus.run(0, &other);
            let kept = is_kept(&cpus.lines());
            assert!(every_tag || !kept, "{config:?} {change:?}");
        }
    }
}
