//! A space that runs gets a new tag in place of a flush, on each CPU for itself.

use tlbc_backends::loongarch64::{Config, Tlb};
use tlbc_runtime::Level;
use tlbc_tests::hosted::Handle;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::Entries;

/// A machine with three tags for each CPU.
fn machine() -> Tlb {
    Tlb {
        config: Config::NONE,
        asid_bits: 2,
        few: 8,
    }
}

/// Flushes everything of a space on a CPU, and returns what is issued.
fn flush(cpus: &mut Scheduler<Tlb>, cpu: u32, process: &Handle<Tlb>) -> Vec<String> {
    cpus.forget();
    cpus.on(cpu, |mmu| mmu.flush_everything(process));
    cpus.lines()
}

fn loaded_tag(cpus: &Scheduler<Tlb>, cpu: u32) -> Option<u64> {
    cpus.mmu.platform().loaded_tag(cpu).map(|tag| tag.value)
}

#[test]
fn each_cpu_that_runs_the_space_takes_a_new_tag() {
    let mut cpus = Scheduler::new(machine(), 2);
    let (process, other) = (cpus.process(), cpus.process());
    cpus.run(1, &other);
    cpus.run(0, &process);
    cpus.run(1, &process);
    let both = [
        "cpu 0: publish",
        "cpu 0: asid number=0x2",
        "interrupted: cpu 1",
        "cpu 1: publish",
        "cpu 1: asid number=0x3",
    ];
    assert_eq!(flush(&mut cpus, 0, &process), both);
    let counted = "by_ipi 1, full_requested 1, sent 1, received 1, renewed 2";
    assert_eq!(cpus.counted(), counted);
    // One page is flushed under the new tags.
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0, 4);
    table.map(0, 100, 0);
    cpus.unmap(0, &process, &table, 0);
    let lines = cpus.lines();
    for (cpu, tag) in [(0, 2), (1, 3)] {
        let page = format!("cpu {cpu}: invtlb_page number={tag:#x} address=0x0");
        assert!(lines.contains(&page), "{lines:?}");
    }
    // Nothing is pending on a CPU that has the space loaded.
    cpus.run(1, &other);
    cpus.forget();
    cpus.run(1, &process);
    assert_eq!(cpus.counted(), "");
}

#[test]
fn everything_is_flushed_when_no_tag_is_left() {
    let mut cpus = Scheduler::new(machine(), 1);
    let (process, other) = (cpus.process(), cpus.process());
    cpus.run(0, &other);
    cpus.run(0, &process);
    let alone = |tag: &str| {
        [
            "cpu 0: publish".to_owned(),
            format!("cpu 0: asid number={tag}"),
        ]
    };
    assert_eq!(flush(&mut cpus, 0, &process), alone("0x3"));
    // The other space keeps its tag as long as one was left.
    cpus.run(0, &other);
    assert_eq!(loaded_tag(&cpus, 0), Some(1));
    cpus.run(0, &process);
    let all = [
        "cpu 0: publish",
        "cpu 0: publish",
        "cpu 0: invtlb_nonglobal",
        "cpu 0: asid number=0x1",
    ];
    assert_eq!(flush(&mut cpus, 0, &process), all);
    assert_eq!(flush(&mut cpus, 0, &process), alone("0x2"));
    assert_eq!(cpus.counted(), "here 1, full_requested 1, renewed 1");
    // The tag that was loaded during the flush of everything may have entries again: it is left out once.
    assert_eq!(flush(&mut cpus, 0, &process)[2..], all[2..]);
    // The other space has lost its tag.
    cpus.forget();
    cpus.run(0, &other);
    let lines = cpus.lines();
    assert!(
        lines.contains(&"cpu 0: asid number=0x3".to_owned()),
        "{lines:?}"
    );
}

/// A CPU that used the space lazily while it changed gets a new tag when it uses the space again.
#[test]
fn a_lazy_cpu_takes_a_new_tag_later() {
    let mut cpus = Scheduler::new(machine(), 2);
    let process = cpus.process();
    cpus.run(0, &process);
    cpus.run(1, &process);
    cpus.kernel_thread(1);
    let alone = ["cpu 0: publish", "cpu 0: asid number=0x2"];
    assert_eq!(flush(&mut cpus, 0, &process), alone);
    cpus.forget();
    cpus.run(1, &process);
    let lines = cpus.lines();
    assert_eq!(lines.last().unwrap(), "cpu 1: asid number=0x2");
    assert!(
        lines.iter().all(|line| !line.contains("invtlb")),
        "{lines:?}"
    );
    assert_eq!(cpus.counted(), "full_deferred 1, completed 1");
}

/// The others of its spaces keep their tags, unless none was left.
#[test]
fn a_lazy_cpu_may_find_no_tag_left() {
    let mut cpus = Scheduler::new(machine(), 2);
    let (process, other) = (cpus.process(), cpus.process());
    cpus.run(0, &process);
    for all in [false, true] {
        cpus.run(1, &other);
        assert_eq!(loaded_tag(&cpus, 1), Some(1));
        cpus.run(1, &process);
        cpus.kernel_thread(1);
        let _ = flush(&mut cpus, 0, &process);
        cpus.run(1, &process);
        let is_all = |line: &String| line == "cpu 1: invtlb_nonglobal";
        assert_eq!(cpus.lines().iter().any(is_all), all);
    }
    assert_eq!(loaded_tag(&cpus, 1), Some(1), "which the other space had");
    cpus.run(1, &other);
    assert_eq!(loaded_tag(&cpus, 1), Some(2));
}
