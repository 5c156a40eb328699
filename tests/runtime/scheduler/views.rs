//! A separate view for user code: a flush that was deferred to the return to user code is completed there, once.

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::request::Extent;
use tlbc_runtime::{Level, NewSpace};
use tlbc_tests::hosted::Handle;
use tlbc_tests::machines::{self, x86};
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::Machine;
use tlbc_tests::tables::Entries;

use arm64::Config as Arm;
use powerpc64::Config as Power;
use s390::Config as S390;
use x86_64::Config as X86;

/// PCIDs are only used with global pages.
const PCID: X86 = X86::PGE.with(X86::PCID);

/// Creates a machine where CPUs 0 and 1 run a process in user code, with per-CPU tags and a user view.
fn in_user_code(config: X86) -> (Scheduler<x86_64::Tlb>, Handle<x86_64::Tlb>, Entries) {
    let mut cpus = Scheduler::new(x86(config), 2);
    let process = cpus.process();
    let backend = cpus.mmu.platform().backend();
    let table = Entries::new(backend, &process, Level(0), 0, 4);
    (0..4).for_each(|page| table.map(page as usize, 100 + page, 0));
    for cpu in 0..2 {
        cpus.run(cpu, &process);
        cpus.return_to_user(cpu);
    }
    cpus.forget();
    (cpus, process, table)
}

/// A return to user code that keeps all entries of its view, and one that flushes them. The tag is that of the kernel's
/// view, 2, with bit 11.
const KEPT: &str = "cr3 cr3=0x8000000000011802";
const FLUSHED: &str = "cr3 cr3=0x11802";

fn returned(cpus: &mut Scheduler<x86_64::Tlb>, cpu: u32) -> String {
    cpus.forget();
    cpus.return_to_user(cpu);
    let lines = cpus.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0]
        .strip_prefix(&format!("cpu {cpu}: "))
        .unwrap()
        .to_owned()
}

#[test]
fn a_flush_of_the_user_view_is_deferred_to_the_return() {
    let (mut cpus, process, table) = in_user_code(PCID.with(X86::PTI));
    cpus.unmap(0, &process, &table, 1);
    let page = [
        "cpu 0: invlpg va=0x1000",
        "interrupted: cpu 1",
        "cpu 1: invlpg va=0x1000",
        "page 101 is free",
    ];
    assert_eq!(
        cpus.lines(),
        page,
        "the user view of neither can be used now"
    );
    assert_eq!(cpus.counted(), "by_ipi 1, sent 1, received 1, deferred 2");
    for cpu in 0..2 {
        assert_eq!(returned(&mut cpus, cpu), FLUSHED);
        assert_eq!(cpus.counted(), "completed 1");
        assert_eq!(returned(&mut cpus, cpu), KEPT, "once");
        assert_eq!(cpus.counted(), "");
    }
}

#[test]
fn two_flushes_before_the_return_are_completed_once() {
    let (mut cpus, process, table) = in_user_code(PCID.with(X86::PTI));
    cpus.unmap(0, &process, &table, 1);
    cpus.unmap(0, &process, &table, 2);
    assert_eq!(returned(&mut cpus, 0), FLUSHED);
    assert_eq!(returned(&mut cpus, 0), KEPT);
}

#[test]
fn pages_of_the_user_view_are_flushed_at_once_by_their_tag() {
    let (mut cpus, process, table) = in_user_code(PCID.with(X86::PTI).with(X86::INVPCID));
    cpus.unmap(0, &process, &table, 1);
    let lines = cpus.lines();
    // INVPCID of one page under the user view's tag, 0x802: the descriptor has the address and the tag.
    let view = |cpu| format!("cpu {cpu}: invpcid kind=0x0 descriptor=0x10000000000000000802");
    for cpu in 0..2 {
        assert!(lines.contains(&view(cpu)), "{lines:?}");
    }
    assert_eq!(cpus.counted(), "by_ipi 1, sent 1, received 1");
    assert_eq!(returned(&mut cpus, 0), KEPT);
    assert_eq!(returned(&mut cpus, 1), KEPT);
}

#[test]
fn a_deferred_flush_of_the_user_view_waits_while_other_spaces_run() {
    let (mut cpus, process, table) = in_user_code(PCID.with(X86::PTI));
    cpus.unmap(0, &process, &table, 1);
    let other = cpus.process();
    cpus.run(1, &other);
    cpus.return_to_user(1);
    cpus.run(1, &process);
    let lines = cpus.lines();
    assert_eq!(lines.last().unwrap(), "cpu 1: cr3 cr3=0x8000000000010002");
    assert_eq!(returned(&mut cpus, 1), FLUSHED);
    assert_eq!(returned(&mut cpus, 1), KEPT);
}

#[test]
fn a_flush_in_a_switch_includes_the_user_view() {
    let (mut cpus, process, table) = in_user_code(PCID.with(X86::PTI));
    cpus.kernel_thread(1);
    cpus.unmap(0, &process, &table, 1);
    cpus.run(1, &process);
    let lines = cpus.lines();
    assert_eq!(lines.last().unwrap(), "cpu 1: cr3 cr3=0x10002");
    assert_eq!(returned(&mut cpus, 1), FLUSHED);
    assert_eq!(returned(&mut cpus, 1), KEPT);
}

#[test]
fn a_flush_of_the_kernel_invalidates_other_tags_and_the_user_view_lazily() {
    let (mut cpus, process, _) = in_user_code(PCID.with(X86::PTI));
    let other = cpus.process();
    cpus.run(0, &other);
    cpus.run(0, &process);
    cpus.forget();
    let kernel = 0xffff_8000_0000_0000;
    cpus.on(0, |mmu| {
        let page = Extent::new(kernel, 0x1000);
        mmu.flush_range(mmu.kernel(), page, Level(0)).unwrap();
    });
    let invlpg = format!("invlpg va={kernel:#x}");
    let here = format!("cpu 0: {invlpg}");
    let there = format!("cpu 1: {invlpg}");
    assert_eq!(cpus.lines(), [&*here, "interrupted: cpu 1", &*there]);
    let counted = cpus.counted();
    assert_eq!(counted, "by_ipi 1, sent 1, received 1, deferred 2");
    // The kernel's view was flushed. The user view of the same space has another tag, and so does each other space.
    assert_eq!(returned(&mut cpus, 0), FLUSHED);
    assert_eq!(returned(&mut cpus, 0), KEPT);
    assert_eq!(returned(&mut cpus, 1), FLUSHED);
    cpus.run(0, &other);
    let lines = cpus.lines();
    assert!(
        lines[0].starts_with("cpu 0: cr3 cr3=0x2000"),
        "{lines:?}: nothing is kept"
    );
    // Back again, with nothing deferred.
    cpus.run(0, &process);
    assert_eq!(cpus.lines(), ["cpu 0: cr3 cr3=0x8000000000010002"]);
}

#[test]
fn without_tags_the_user_view_is_loaded_and_no_flush_is_pending() {
    let (mut cpus, process, table) = in_user_code(X86::PTI);
    cpus.unmap(0, &process, &table, 1);
    assert_eq!(cpus.counted(), "by_ipi 1, sent 1, received 1");
    cpus.forget();
    cpus.return_to_user(0);
    let loads = cpus.lines();
    assert_eq!(loads.len(), 1);
    assert!(
        !loads[0].contains("0x8000"),
        "{loads:?}: the load flushes everything"
    );
}

#[test]
fn arm64_loads_the_user_views_tag_and_defers_nothing() {
    let mut cpus = Scheduler::new(machines::arm64(Arm::KPTI.with(Arm::ETS2)), 1);
    let process = cpus.process();
    cpus.run(0, &process);
    cpus.forget();
    cpus.return_to_user(0);
    assert_eq!(cpus.lines(), ["cpu 0: ttbr1 asid=0x3"]);
    let backend = cpus.mmu.platform().backend();
    let table = Entries::new(backend, &process, Level(0), 0x1000, 1);
    table.map(0, 100, 0);
    cpus.unmap(0, &process, &table, 0);
    let page = [
        "cpu 0: dsb_ishst", // before the look whether another CPU has run the space
        "cpu 0: vale1 page=0x2000000000001",
        "cpu 0: vale1 page=0x3000000000001",
        "cpu 0: dsb_nsh",
        "page 100 is free",
    ];
    assert_eq!(cpus.lines(), page, "both views at once");
    assert_eq!(cpus.counted(), "here 1");
}

/// Runs a round trip on a machine: what the return to user code issues, and what the entry from it issues.
fn round_trip<B: Machine>(backend: B) -> (Vec<String>, Vec<String>) {
    let mut cpus = Scheduler::new(backend, 1);
    let process = cpus.process();
    cpus.run(0, &process);
    cpus.return_to_user(0); // the first return may complete what the switch deferred
    cpus.enter_from_user(0);
    cpus.forget();
    cpus.return_to_user(0);
    let returned = cpus.lines();
    cpus.enter_from_user(0);
    let entered = cpus.lines();
    assert_eq!(
        cpus.counted(),
        "",
        "nothing is completed, nothing is deferred"
    );
    (returned, entered)
}

#[test]
fn the_entry_from_user_code_loads_the_kernels_view_again_and_keeps_it() {
    let nothing = (vec![], vec![]);
    let of = |returned: &[&str], entered: &[&str]| {
        let owned = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
        (owned(returned), owned(entered))
    };
    let x86 = |config| round_trip(x86(config));
    assert_eq!(x86(X86::NONE), nothing);
    assert_eq!(x86(PCID), nothing);
    assert_eq!(
        x86(X86::PTI),
        of(&["cpu 0: cr3 cr3=0x11000"], &["cpu 0: cr3 cr3=0x10000"])
    );
    // Bit 63: entries cached under the tag are kept.
    assert_eq!(
        x86(X86::PTI.with(PCID)),
        of(
            &["cpu 0: cr3 cr3=0x8000000000011802"],
            &["cpu 0: cr3 cr3=0x8000000000010002"]
        )
    );
    assert_eq!(round_trip(machines::arm64(Arm::NONE)), nothing);
    assert_eq!(
        round_trip(machines::arm64(Arm::KPTI)),
        of(
            &["cpu 0: ttbr1 asid=0x3"],
            &["cpu 0: ttbr1 asid=0x2", "cpu 0: isb"]
        )
    );
    assert_eq!(round_trip(machines::powerpc64(Power::GTSE)), nothing);
    assert_eq!(round_trip(machines::s390(S390::NONE)), nothing);
}

/// An entry does not lose a flush that was deferred to the return, and needs no flush itself.
#[test]
fn an_entry_completes_no_flush() {
    let (mut cpus, process, table) = in_user_code(PCID.with(X86::PTI));
    let enter = |cpus: &mut Scheduler<_>| {
        cpus.forget();
        cpus.enter_from_user(0);
        assert_eq!(cpus.lines(), ["cpu 0: cr3 cr3=0x8000000000010002"]);
        assert_eq!(cpus.counted(), "");
    };
    enter(&mut cpus);
    cpus.unmap(0, &process, &table, 1);
    enter(&mut cpus);
    assert_eq!(returned(&mut cpus, 0), FLUSHED);
}

/// What entry code in assembly loads: the operands of recorded instructions.
#[test]
fn the_loads_of_an_entry_are_recorded_without_being_executed() {
    let mut cpus = Scheduler::new(x86(PCID.with(X86::PTI)), 1);
    let process = cpus.process();
    cpus.run(0, &process);
    cpus.forget();
    let cr3 = 0x8000_0000_0001_0002;
    assert_eq!(cpus.loads_at_entry(0), [x86_64::Op::LoadCr3 { cr3 }]);
    assert_eq!(cpus.lines(), [""; 0]);
    // Another process has another table and another tag, so the values that were recorded before are stale.
    let other = cpus.process();
    cpus.run(0, &other);
    let cr3 = 0x8000_0000_0002_0003;
    assert_eq!(cpus.loads_at_entry(0), [x86_64::Op::LoadCr3 { cr3 }]);

    let mut cpus = Scheduler::new(machines::arm64(Arm::KPTI), 1);
    let process = cpus.process();
    cpus.run(0, &process);
    // Assembly code that loads the ASID synchronizes as well.
    let loads = [arm64::Op::LoadTtbr1 { asid: 2 }, arm64::Op::Isb];
    assert_eq!(cpus.loads_at_entry(0), loads);
    // Without a separate view, user code has the kernel's.
    let mut cpus = Scheduler::new(machines::arm64(Arm::NONE), 1);
    let process = cpus.process();
    cpus.run(0, &process);
    assert_eq!(cpus.loads_at_entry(0), []);
}

#[test]
fn a_top_table_alone_is_that_of_both_views() {
    let both = NewSpace {
        table: 0x7000,
        user_table: 0x7000,
        ..NewSpace::default()
    };
    assert_eq!(NewSpace::from(0x7000), both);
}
