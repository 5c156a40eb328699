//! Lazy CPUs: which flushes are sent to them, how they complete those that were not, and what keeps the space alive in
//! between.

use std::sync::{Arc, Mutex};

use tlbc_runtime::{CpuId, Current, Level, Loaded, StillLoaded};
use tlbc_tests::hosted::{Handle, Host};
use tlbc_tests::machines::{Case, Kind};
use tlbc_tests::moments::{self, Moment};
use tlbc_tests::on_every_machine;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::Machine;
use tlbc_tests::tables::Entries;

/// CPU 0 runs a process and CPU 1 is lazy in it; four of its pages are mapped, and the table for others is empty.
fn lazy<B: Machine + Clone>(
    case: &Case<B>,
    cpus: usize,
) -> (Scheduler<B>, Handle<B>, Entries, Entries) {
    let mut cpus = case.scheduler(cpus);
    let process = case.process(&cpus);
    cpus.run(0, &process);
    cpus.run(1, &process);
    cpus.forget();
    cpus.kernel_thread(1);
    assert_eq!(cpus.lines(), [""; 0], "{}: nothing is loaded", case.name);
    let backend = cpus.mmu.platform().backend();
    let upper = Entries::new(backend, &process, Level(1), 1 << 30, 1);
    let table = Entries::new(backend, &process, Level(0), 0x1000, 4);
    (0..4).for_each(|page| table.map(page as usize, 100 + page, 0));
    upper.link(0, 77);
    (cpus, process, table, upper)
}

fn of(lines: &[String], cpu: u32) -> Vec<&str> {
    let start = format!("cpu {cpu}: ");
    let lines = lines.iter().filter_map(|line| line.strip_prefix(&start));
    lines.collect()
}

fn interrupted(lines: &[String]) -> Vec<&str> {
    let lines = lines
        .iter()
        .filter_map(|line| line.strip_prefix("interrupted: "));
    lines.collect()
}

#[test]
fn a_flush_of_pages_skips_a_lazy_cpu_which_catches_up() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let (mut cpus, process, table, _) = lazy(case, 2);
        cpus.unmap(0, &process, &table, 0);
        let lines = cpus.lines();
        assert!(!of(&lines, 0).is_empty(), "{}", case.name);
        assert_eq!(of(&lines, 1), [""; 0], "{}", case.name);
        assert_eq!(interrupted(&lines), [""; 0], "{}", case.name);
        assert_eq!(lines.last().unwrap(), "page 100 is free", "{}", case.name);
        let counted = cpus.counted();
        let back = |cpus: &mut Scheduler<B>| {
            cpus.run(1, &process);
            (cpus.lines(), cpus.counted())
        };
        let (lines, completed) = back(&mut cpus);
        // If a user view cannot be flushed by its tag, its flush is deferred to the return to user code.
        let expected = match (case.kind, case.name) {
            (Kind::Broadcast, _) => ("broadcast 1", ""),
            (_, "x86_64_pcid_pti") => (
                "here 1, deferred 1",
                "full_deferred 1, deferred 1, completed 1",
            ),
            (_, "x86_64_invpcid_pti") => ("here 1", "full_deferred 1, deferred 1, completed 1"),
            _ => ("here 1", "full_deferred 1, completed 1"),
        };
        // The change itself has invalidated the page.
        let counted = if B::FACTS.pte_update.batches_pages() {
            &*counted
        } else {
            "broadcast 1"
        };
        assert_eq!((counted, &*completed), expected, "{}", case.name);
        assert_eq!(lines.is_empty(), !case.interrupts(), "{}", case.name);
        // A flush that it has completed is not pending again.
        cpus.kernel_thread(1);
        assert_eq!(back(&mut cpus), (vec![], String::new()), "{}", case.name);
    }
    on_every_machine!(scenario);
}

#[test]
fn a_flush_of_tables_interrupts_a_lazy_cpu() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let (mut cpus, process, _, upper) = lazy(case, 2);
        cpus.unlink(0, &process, &upper, 0);
        let lines = cpus.lines();
        let counted = cpus.counted();
        assert_eq!(
            lines.last().unwrap(),
            "table 77 is free after a grace period"
        );
        if case.interrupts_for_tables() {
            assert_eq!(interrupted(&lines), ["cpu 1"], "{}", case.name);
            assert!(!of(&lines, 1).is_empty(), "{}: it leaves", case.name);
            let view = if case.name == "x86_64_pcid_pti" {
                ", deferred 1"
            } else {
                ""
            };
            let expected = format!("by_ipi 1, sent 1, received 1{view}");
            assert_eq!(counted, expected, "{}", case.name);
        } else {
            assert_eq!(interrupted(&lines), [""; 0], "{}", case.name);
        }
        // It has left the space: a second table does not concern it.
        upper.link(0, 78);
        cpus.unlink(0, &process, &upper, 0);
        assert_eq!(interrupted(&cpus.lines()), [""; 0], "{}", case.name);
        cpus.forget();
        cpus.run(1, &process);
        let completed = cpus.counted();
        assert_eq!(
            completed.contains("completed 1"),
            case.interrupts_for_tables(),
            "{}",
            case.name
        );
    }
    on_every_machine!(scenario);
}

#[test]
fn what_a_lazy_cpu_of_x86_and_powerpc64_does() {
    fn back<B: Machine + Clone>(case: &Case<B>) -> Vec<String> {
        let (mut cpus, process, table, _) = lazy(case, 2);
        cpus.unmap(0, &process, &table, 0);
        cpus.forget();
        cpus.run(1, &process);
        cpus.lines()
    }
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let back = back(case);
        let back: Vec<_> = back.iter().map(String::as_str).collect();
        match case.name {
            "x86_64_none" | "x86_64_pti" => assert_eq!(back, ["cpu 1: cr3 cr3=0x10000"]),
            // Bit 63, which keeps the entries of the tag, is clear.
            name if name.starts_with("x86_64") && case.kind == Kind::CpuTags => {
                assert_eq!(back, ["cpu 1: cr3 cr3=0x10002"], "{name}");
            }
            "powerpc64_gtse" => {
                // Walk entries could fill sets that were flushed already, so they are gone first.
                let walk = "cpu 1: tlbiel_pid1 rb_pid=0x400 rs=0x200000000";
                let set = "cpu 1: tlbiel_pid0 rb_pid_set=0x400 rs=0x200000000";
                let start = ["cpu 1: ptesync", walk, "cpu 1: ptesync", set];
                assert_eq!(back[..4], start);
                let set = "cpu 1: tlbiel_pid0 rb_pid_set=0x7f400 rs=0x200000000";
                assert!(back.contains(&set), "{back:?}");
                let end = ["cpu 1: pid pidr=0x2", "cpu 1: isync"];
                assert_eq!(back[back.len() - 2..], end);
            }
            name => assert_eq!(back.is_empty(), !case.interrupts(), "{name}: {back:?}"),
        }
    }
    on_every_machine!(scenario);
}

#[test]
fn a_handle_is_dropped_when_its_root_is_no_longer_loaded() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        for lazily in [false, true] {
            let mut cpus = case.scheduler(1);
            let (process, other) = (case.process(&cpus), case.process(&cpus));
            let watched = Arc::downgrade(&process);
            let counts = Arc::new(Mutex::new(Vec::new()));
            let kept = counts.clone();
            let count = watched.clone();
            let look = move |_| kept.lock().unwrap().push(count.strong_count());
            cpus.mmu.platform().on_issue(Box::new(look));
            cpus.run(0, &process);
            if lazily {
                cpus.kernel_thread(0);
            }
            let held = usize::from(!lazily || case.refcounted());
            assert_eq!(watched.strong_count(), 1 + held, "{}", case.name);
            if held == 0 {
                let Some(Current::Lazy(None)) = cpus.current(0) else {
                    panic!("{}: lazy CPUs hold no reference", case.name);
                };
                continue; // teardown makes them leave
            }
            drop(process);
            counts.lock().unwrap().clear();
            cpus.run(0, &other);
            let counts = counts.lock().unwrap();
            assert!(!counts.is_empty(), "{}", case.name);
            assert!(counts.iter().all(|count| *count == 1), "{}", case.name);
            assert_eq!(watched.strong_count(), 0, "{}", case.name);
        }
    }
    on_every_machine!(scenario);
}

#[test]
fn a_space_is_torn_down_while_a_cpu_is_lazy_in_it() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let (mut cpus, process, table, _) = lazy(case, 2);
        let other = case.process(&cpus);
        let release = |cpus: &Scheduler<B>| cpus.on(0, |mmu| mmu.release(&process));
        assert_eq!(release(&cpus), Err(StillLoaded), "{}", case.name);
        cpus.run(0, &other);
        cpus.forget();
        cpus.on(0, |mmu| {
            mmu.teardown(&process, |gather| {
                gather.locked((), |section, ()| {
                    section
                        .unmap_all(table.leaves())
                        .expect("entries of this space");
                });
            });
        });
        let lines = cpus.lines();
        let position = |start: &str| lines.iter().position(|line| line.starts_with(start));
        let flushed = lines.iter().rposition(|line| line.starts_with("cpu "));
        if case.refcounted() {
            let flushes = case.interrupts_for_tables();
            let expected: &[&str] = if flushes { &["cpu 1"] } else { &[] };
            assert_eq!(interrupted(&lines), expected, "{}", case.name);
        } else {
            // It leaves before anything is flushed.
            let left = position("cpu 1: pid pidr=0x1").expect("it leaves");
            assert_eq!(position("interrupted"), Some(0), "{}", case.name);
            assert!(Some(left) < flushed, "{}", case.name);
        }
        assert!(position("page 100") > flushed, "{}", case.name);
        let keeps = case.refcounted() && !case.interrupts_for_tables();
        let expected = if keeps { Err(StillLoaded) } else { Ok(()) };
        assert_eq!(release(&cpus), expected, "{}", case.name);
        cpus.run(1, &other);
        assert_eq!(release(&cpus), Ok(()), "{}", case.name);
    }
    on_every_machine!(scenario);
}

#[test]
fn two_threads_of_one_space_cost_nothing() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let mut cpus = case.scheduler(1);
        let process = case.process(&cpus);
        cpus.run(0, &process);
        cpus.forget();
        cpus.run(0, &process);
        cpus.kernel_thread(0);
        cpus.kernel_thread(0);
        cpus.run(0, &process);
        assert_eq!(cpus.lines(), [""; 0], "{}", case.name);
        assert_eq!(cpus.counted(), "", "{}", case.name);
        assert_eq!(Arc::strong_count(&process), 2, "{}", case.name);
    }
    on_every_machine!(scenario);
}

/// What a handler of non-maskable interrupts reads, at every moment.
#[test]
fn the_loaded_root_can_be_read_at_any_moment() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let loaded = |cpus: &Scheduler<B>| cpus.mmu.loaded(CpuId(1));
        let mut cpus = case.scheduler(2);
        cpus.cpu_offline(1);
        assert_eq!(loaded(&cpus), Loaded::Nothing, "{}", case.name);
        cpus.cpu_online(1);
        assert_eq!(loaded(&cpus), Loaded::Kernel, "{}", case.name);
        let switch = |nth: &usize| {
            let mut cpus = case.scheduler(2);
            let [from, to] = [(); 2].map(|()| case.process(&cpus));
            cpus.run(1, &from);
            assert_eq!(loaded(&cpus), Loaded::Space(from.id()), "{}", case.name);
            cpus.kernel_thread(1);
            assert_eq!(loaded(&cpus), Loaded::Space(from.id()), "{}", case.name);
            let seen = Arc::new(Mutex::new(None));
            let kept = seen.clone();
            let look = move |mmu: &Arc<Host<B>>| {
                *kept.lock().unwrap() = Some(mmu.loaded(CpuId(1)));
            };
            let moment = Moment::new(&cpus.mmu, Box::new(look));
            moment.arm(1, *nth);
            cpus.run(1, &to);
            assert_eq!(loaded(&cpus), Loaded::Space(to.id()), "{}", case.name);
            // While its root is replaced neither can be relied on.
            let seen = seen.lock().unwrap().take();
            assert!(
                seen.is_none_or(|seen| seen == Loaded::Switching),
                "{seen:?}"
            );
            moment.happened()
        };
        assert!(moments::each(switch) >= 2, "{}", case.name);
    }
    on_every_machine!(scenario);
}
