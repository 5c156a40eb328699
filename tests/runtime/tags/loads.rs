//! Tags: which value a space has on a CPU, and that no value is reused before its entries are invalidated.

use tlbc_backends::{arm64, loongarch64, powerpc64, x86_64};
use tlbc_runtime::request::Extent;
use tlbc_runtime::{Level, NewSpace, NoTag, Unusable};
use tlbc_tests::hosted::{Handle, Hosted};
use tlbc_tests::machines::{self, x86};
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::Machine;
use tlbc_tests::tables::Entries;

use arm64::Config as Arm;
use powerpc64::Config as Power;
use x86_64::Config as X86;

/// PCIDs are only used with global pages.
const PCID: X86 = X86::PGE.with(X86::PCID);

/// Returns the tag that a CPU loads into CR3, and whether the entries of the tag are kept.
fn cr3(line: &str) -> (u64, bool) {
    let value = line
        .split("cr3=0x")
        .nth(1)
        .unwrap_or_else(|| panic!("{line}"));
    let value = u64::from_str_radix(value, 16).unwrap();
    (value & 0xfff, value >> 63 != 0)
}

/// Runs a process on CPU 0, where the only instruction is a load of CR3.
fn load(cpus: &mut Scheduler<x86_64::Tlb>, process: &Handle<x86_64::Tlb>) -> (u64, bool) {
    cpus.forget();
    cpus.run(0, process);
    let lines = cpus.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    cr3(&lines[0])
}

#[test]
fn per_cpu_tags_are_reused_after_a_flush() {
    for config in [PCID, PCID.with(X86::PTI), PCID.with(X86::INVPCID)] {
        let mut cpus = Scheduler::new(x86(config), 1);
        let processes: Vec<_> = (0..7).map(|_| cpus.process()).collect();
        // Six tags, 1 to 6, each invalidated before its first space uses it.
        let mut first: Vec<_> = processes[..6].iter().map(|p| load(&mut cpus, p)).collect();
        assert!(first.iter().all(|(_, kept)| !kept), "{first:?}");
        let tags: Vec<_> = first.iter().map(|(tag, _)| *tag).collect();
        // Nothing has changed: the same tag, with all its entries.
        for (process, tag) in processes[..6].iter().zip(&tags) {
            assert_eq!(load(&mut cpus, process), (*tag, true));
            assert_eq!(cpus.counted(), "");
        }
        first.sort_unstable();
        assert_eq!(
            first.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6]
        );
        // A seventh space takes the tag that was assigned longest ago, and the space that had it gets a new one.
        assert_eq!(load(&mut cpus, &processes[6]), (tags[0], false));
        let view = if config.has(X86::PTI) {
            "deferred 1, "
        } else {
            ""
        };
        assert_eq!(cpus.counted(), format!("{view}completed 1"));
        assert_eq!(load(&mut cpus, &processes[0]), (tags[1], false));
        assert_eq!(load(&mut cpus, &processes[2]), (tags[2], true));
    }
}

/// Per-CPU tags from generations: a space that needs a flush gets a new tag instead, and everything is flushed when none is left.
#[test]
fn a_new_tag_takes_the_place_of_a_flush() {
    let backend = loongarch64::Tlb {
        config: loongarch64::Config::NONE,
        asid_bits: 2,
        few: 8,
    };
    let mut cpus = Scheduler::new(backend, 2);
    let processes = [(); 3].map(|()| cpus.process());
    let table = Entries::new(cpus.mmu.platform().backend(), &processes[0], Level(0), 0, 4);
    table.map(0, 100, 0);
    let loads = |cpus: &mut Scheduler<_>, process: usize| {
        cpus.forget();
        cpus.run(0, &processes[process]);
        let lines = cpus.lines();
        let tag = lines
            .iter()
            .find_map(|line| line.split("asid number=").nth(1));
        let tag = tag.unwrap_or_else(|| panic!("{lines:?}")).to_owned();
        (tag, lines.iter().any(|line| line.contains("invtlb")))
    };
    assert_eq!(loads(&mut cpus, 0), ("0x1".to_owned(), false));
    assert_eq!(loads(&mut cpus, 1), ("0x2".to_owned(), false));
    assert_eq!(
        loads(&mut cpus, 0),
        ("0x1".to_owned(), false),
        "nothing has changed"
    );
    assert_eq!(loads(&mut cpus, 1), ("0x2".to_owned(), false));
    cpus.unmap(1, &processes[0], &table, 0);
    assert_eq!(loads(&mut cpus, 0), ("0x3".to_owned(), false), "a new tag");
    assert_eq!(
        loads(&mut cpus, 2),
        ("0x1".to_owned(), true),
        "none is left"
    );
}

#[test]
fn an_inactive_space_that_changed_is_flushed_when_it_is_loaded() {
    let mut cpus = Scheduler::new(x86(PCID), 2);
    let (process, other) = (cpus.process(), cpus.process());
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0, 4);
    (0..4).for_each(|page| table.map(page as usize, 100 + page, 0));
    let (tag, _) = load(&mut cpus, &process);
    cpus.run(1, &process);
    for changes in 1..3 {
        load(&mut cpus, &other);
        for _ in 0..changes {
            let index = (0..4).find(|index| table.leaf(*index).is_some()).unwrap();
            cpus.unmap(1, &process, &table, index);
        }
        let interrupted = cpus
            .lines()
            .iter()
            .any(|line| line.starts_with("interrupted"));
        assert!(!interrupted, "no other CPU has it loaded");
        // One change or many: the CPU is not sent any of them separately, so the whole tag is invalidated.
        assert_eq!(load(&mut cpus, &process), (tag, false));
        assert_eq!(cpus.counted(), "completed 1");
    }
}

#[test]
fn a_cpu_that_missed_one_change_flushes_only_that_and_otherwise_everything() {
    let mut cpus = Scheduler::new(x86(PCID), 2);
    let process = cpus.process();
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0, 4);
    (0..4).for_each(|page| table.map(page as usize, 100 + page, 0));
    cpus.run(0, &process);
    cpus.run(1, &process);
    cpus.forget();
    cpus.unmap(0, &process, &table, 1);
    let page = [
        "cpu 0: invlpg va=0x1000",
        "interrupted: cpu 1",
        "cpu 1: invlpg va=0x1000",
    ];
    assert_eq!(cpus.lines()[..3], page);
    assert_eq!(cpus.counted(), "by_ipi 1, sent 1, received 1");
    // A page is unmapped without a wait: CPU 1 is sent the next flush only, and has then missed two changes.
    cpus.on(0, |mmu| {
        mmu.reclaim(|reclaim| {
            let leaf = table.leaf(2).unwrap();
            let unmapped = reclaim.unmap(&process, leaf).unwrap();
            mmu.flush_range(&process, Extent::new(0x3000, 0x1000), Level(0))
                .unwrap();
            let lines = cpus.lines();
            assert_eq!(
                lines,
                [
                    "cpu 0: invlpg va=0x3000",
                    "interrupted: cpu 1",
                    "cpu 1: mov_cr3"
                ]
            );
            let waited = reclaim.wait();
            assert_eq!(waited.redeem(unmapped.unwrap()).unwrap().number, 102);
        });
    });
    // The wait itself: it does not know that CPU 1 has flushed everything by now.
    let wait = ["cpu 0: mov_cr3", "interrupted: cpu 1", "cpu 1: mov_cr3"];
    assert_eq!(cpus.lines(), wait);
}

/// Creates a machine with tags for few spaces: 64, without those of user views.
fn few_tags<B: Machine>(backend: B, cpus: usize) -> Scheduler<B> {
    let mut scheduler = Scheduler::offline(Hosted::with_tag_words(backend, cpus, 2));
    (0..cpus).for_each(|cpu| scheduler.cpu_online(cpu as u32));
    scheduler.forget();
    scheduler
}

/// Returns the tag that a line loads on arm64.
fn asid(lines: &[String]) -> u64 {
    let loaded = lines
        .iter()
        .find_map(|line| line.split("ttbr1 asid=0x").nth(1));
    u64::from_str_radix(loaded.expect("an ASID"), 16).unwrap()
}

#[test]
fn generations_roll_over() {
    for (config, tags, step) in [(Arm::NONE, 64, 1), (Arm::KPTI, 32, 2)] {
        let mut cpus = few_tags(machines::arm64(config), 3);
        // CPU 1 runs one process throughout, and CPU 2 is lazy in another.
        let (on_1, on_2) = (cpus.process(), cpus.process());
        cpus.run(1, &on_1);
        let first = asid(&cpus.lines());
        cpus.run(2, &on_2);
        assert_eq!(asid(&cpus.lines()), first + step);
        cpus.kernel_thread(2);
        let pinned = cpus.process();
        let pin = cpus.on(0, |mmu| mmu.pin_tag(&pinned)).unwrap();
        assert_eq!((pin.value, pin.global), (first + 2 * step, true));

        let processes: Vec<_> = (3..tags).map(|_| cpus.process()).collect();
        let mut seen: Vec<_> = processes
            .iter()
            .map(|process| {
                cpus.run(0, process);
                asid(&cpus.lines())
            })
            .collect();
        assert_eq!(cpus.counted(), "", "all fit");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), processes.len(), "each has its own");

        // One more space, and all tags roll over: CPU 0 flushes everything before it loads the space.
        let more = cpus.process();
        cpus.run(0, &more);
        let lines = cpus.lines();
        let everything = ["dsb_nshst", "vmalle1", "dsb_nsh"].map(|op| format!("cpu 0: {op}"));
        assert_eq!(lines[..3], everything, "{lines:?}");
        assert_eq!(cpus.counted(), "completed 1, rollovers 1");
        // No other space gets the tags that CPU 1 and 2 have loaded, nor the pinned one.
        let mut taken = vec![asid(&lines)];
        for process in &processes[..tags - 6] {
            cpus.run(0, process);
            let lines = cpus.lines();
            assert!(
                !lines.iter().any(|line| line.contains("vmalle1")),
                "once is enough"
            );
            taken.push(asid(&lines));
        }
        let kept = [first, first + step, pin.value];
        assert!(!taken.iter().any(|tag| kept.contains(tag)), "{taken:?}");
        assert_eq!(cpus.counted(), "");

        // CPU 2 becomes active in its space, which is loaded: there is nothing to do. When it switches to another space
        // and back it has the same tag, after a flush of everything, once.
        cpus.run(2, &on_2);
        assert_eq!(cpus.lines(), [""; 0]);
        cpus.run(2, &on_1);
        let lines = cpus.lines();
        assert_eq!(lines[1], "cpu 2: vmalle1");
        assert_eq!(asid(&lines), first, "what CPU 1 runs");
        cpus.run(2, &on_2);
        let lines = cpus.lines();
        assert_eq!(asid(&lines), first + step);
        assert!(
            !lines.iter().any(|line| line.contains("vmalle1")),
            "{lines:?}"
        );
        assert_eq!(cpus.counted(), "completed 1");
        cpus.run(1, &pinned);
        let lines = cpus.lines();
        assert_eq!((asid(&lines), &*lines[1]), (pin.value, "cpu 1: vmalle1"));
    }
}

#[test]
fn tags_of_invlpgb_roll_over_as_well() {
    let mut cpus = few_tags(x86(PCID.with(X86::INVPCID).with(X86::INVLPGB)), 1);
    let processes: Vec<_> = (0..64).map(|_| cpus.process()).collect();
    for (at, process) in processes.iter().enumerate() {
        cpus.run(0, process);
        let lines = cpus.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(
            cr3(&lines[0]),
            (7 + at as u64, true),
            "assigned for the first time"
        );
    }
    assert_eq!(cpus.counted(), "");
    let more = cpus.process();
    cpus.run(0, &more);
    let lines = cpus.lines();
    // Each CPU flushes what is under tags for itself.
    assert!(lines[0].starts_with("cpu 0: invpcid kind=0x3"), "{lines:?}");
    let (tag, _) = cr3(lines.last().unwrap());
    assert_ne!(tag, 7 + 63, "that one is loaded");
    assert_eq!(cpus.counted(), "completed 1, rollovers 1");
}

#[test]
fn per_cpu_and_global_tags_are_distinct() {
    let mut cpus = Scheduler::new(x86(PCID.with(X86::INVPCID).with(X86::INVLPGB)), 1);
    let per_cpu = cpus.process_with(NewSpace {
        per_cpu_tag: true,
        ..NewSpace::default()
    });
    let global = cpus.process();
    let (small, kept) = load(&mut cpus, &per_cpu);
    assert!((1..=6).contains(&small) && !kept);
    let (large, kept) = load(&mut cpus, &global);
    assert!(large >= 7 && kept);
    assert_eq!(load(&mut cpus, &per_cpu), (small, true));
}

#[test]
fn pins_leave_a_tag_for_every_cpu() {
    let mut cpus = few_tags(machines::arm64(Arm::NONE), 2);
    let processes: Vec<_> = (0..64).map(|_| cpus.process()).collect();
    let pin = |process: &Handle<arm64::Tlb>| cpus.on(0, |mmu| mmu.pin_tag(process));
    let pins: Vec<_> = processes.iter().map(pin).collect();
    let pinned = pins.iter().filter(|pin| pin.is_ok()).count();
    assert!(pins[..pinned].iter().all(Result::is_ok) && pinned < 64);
    assert_eq!(pins[pinned], Err(NoTag));
    assert_eq!(pin(&processes[0]), pins[0], "pinned already");
    // After the last pin of a space is undone, one more space can be pinned.
    let unpin = || cpus.on(0, |mmu| mmu.unpin_tag(&processes[0]));
    assert_eq!(unpin(), Ok(()));
    assert_eq!(pin(&processes[pinned]), Err(NoTag));
    assert_eq!(unpin(), Ok(()));
    assert!(pin(&processes[pinned]).is_ok());
    assert_eq!(pin(&processes[pinned + 1]), Err(NoTag));
    // Both CPUs can still run any space, with rollovers, and the pinned spaces keep their tags.
    for _ in 0..2 {
        for process in &processes[pinned + 1..] {
            cpus.run(0, process);
            cpus.run(1, process);
        }
        for _ in 0..8 {
            let process = cpus.process();
            cpus.run(0, &process);
            let loaded = asid(&cpus.lines()[..]);
            assert!(
                !pins[1..pinned]
                    .iter()
                    .flatten()
                    .any(|pin| pin.value == loaded)
            );
        }
    }
    assert!(cpus.mmu.stats().rollovers > 0);
    assert_eq!(cpus.on(0, |mmu| mmu.pin_tag(&processes[1])), pins[1]);
}

#[test]
fn a_machine_needs_more_than_two_tags_for_each_cpu() {
    let machine = |cpus, words| {
        let mmu = Hosted::with_tag_words(machines::arm64(Arm::NONE), cpus, words);
        Hosted::cpu_online(&mmu, 0).err()
    };
    assert_eq!(machine(1, 0), Some(Unusable::TooFewTags));
    assert_eq!(machine(31, 2), None);
    assert_eq!(machine(32, 2), Some(Unusable::TooFewTags));
}

#[test]
fn tags_for_life_are_freed_at_release() {
    for config in [Power::NONE, Power::GTSE, Power::GTSE.with(Power::BROADCAST)] {
        let mut cpus = few_tags(machines::powerpc64(config), 2);
        let new = |cpus: &Scheduler<_>| Hosted::space(&cpus.mmu, NewSpace::default());
        let mut all: Vec<_> = std::iter::from_fn(|| new(&cpus).ok()).collect();
        assert_eq!(all.len(), 64);
        assert_eq!(new(&cpus).err(), Some(NoTag));
        let last = all.swap_remove(40);
        cpus.run(0, &last);
        cpus.kernel_thread(0);
        cpus.teardown(1, &last);
        assert_eq!(new(&cpus).err(), Some(NoTag), "its tag is still its own");
        cpus.on(1, |mmu| mmu.release(&last))
            .expect("loaded nowhere");
        let next = new(&cpus).expect("the tag that was given back");
        assert_eq!(new(&cpus).err(), Some(NoTag));
        cpus.forget();
        cpus.run(1, &next);
        let lines = cpus.lines();
        assert!(
            lines.contains(&"cpu 1: pid pidr=0x2a".to_owned()),
            "{lines:?}"
        );
    }
}

#[test]
fn spaces_without_global_tags_cannot_be_pinned() {
    let cpus = Scheduler::new(x86(PCID), 1);
    let process = cpus.process();
    assert_eq!(cpus.on(0, |mmu| mmu.pin_tag(&process)), Err(NoTag));
}
