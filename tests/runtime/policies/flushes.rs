//! What a flush issues, which agents it reaches, and what waits for it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tlbc_backends::{powerpc64, x86_64};
use tlbc_runtime::request::Extent;
use tlbc_runtime::{Flags, SpaceFlags};
use tlbc_tests::hosted::{Event, HostBackend, Hosted};
use tlbc_tests::tables::Entries;

use crate::policies::{PMD, PTE, VA, arm64, machine, power, ptes, s390, x86};
use tlbc_tests::overridden::{ONE, Overridden};

/// Leaves of two sizes in one gather: each is flushed with its level, in one flush.
#[test]
fn page_sizes_share_a_flush_if_the_level_is_an_operand() {
    let power = power(&[powerpc64::Config::GTSE, powerpc64::Config::BROADCAST]);
    let (mmu, space, _current) = machine(power);
    let ptes = ptes(&mmu, &space, VA);
    let pmds = Entries::new(mmu.platform().backend(), &space, PMD, VA + (2 << 20), 1);
    pmds.map(0, 512, 0);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section.unmap_all(ptes.leaves()).expect("leaves");
                section
                    .unmap(pmds.leaf(0).expect("a leaf"))
                    .expect("a leaf");
            });
        });
    });
    let events = mmu.platform().events();
    let addresses: Vec<u64> = (events.iter())
        .filter_map(|event| match event {
            Event::Issued(0, powerpc64::Op::TlbieVa { rb_va, .. }) => Some(*rb_va),
            _ => None,
        })
        .collect();
    let sizes = |size: u64| addresses.iter().filter(|rb| *rb >> 5 & 7 == size).count();
    assert_eq!((sizes(0), sizes(1), addresses.len()), (4, 1, 5));
    let completions = events
        .iter()
        .filter(|event| matches!(event, Event::Issued(_, op) if op.name() == "tlbsync"));
    assert_eq!(completions.count(), 1, "one flush");
}

/// A CPU that does not have the space loaded takes no part in a flush by IPIs: it issues nothing, and the entries of
/// the space that it runs stay cached.
#[test]
fn a_flush_by_ipi_skips_a_cpu_without_the_space() {
    let (mmu, space, _current) = machine(x86(&[x86_64::Config::PGE]));
    let ptes = ptes(&mmu, &space, VA);
    Hosted::on(&mmu, 2, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section
                    .unmap(ptes.leaf(0).expect("a leaf"))
                    .expect("a leaf");
            });
        });
    });
    let invlpg = x86_64::Op::Invlpg { va: VA };
    let expected = [
        Event::Interrupted(vec![0, 1]),
        Event::Issued(0, invlpg),
        Event::Issued(1, invlpg),
        Event::Released(100),
    ];
    assert_eq!(mmu.platform().events(), expected);
    let counts = mmu.stats();
    assert_eq!((counts.by_ipi, counts.sent, counts.spurious), (1, 2, 0));
}

/// CPUs that the instructions of a flush do not reach, those of an erratum set, are interrupted after its completion,
/// and pages are released after that.
#[test]
fn cpus_that_instructions_do_not_reach_are_interrupted() {
    let (mmu, space, _current) = machine(arm64::Tlb {
        config: arm64::Config::C1PRO_SME.with(arm64::Config::ETS2),
    });
    let ptes = ptes(&mmu, &space, VA);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                section
                    .unmap(ptes.leaf(0).expect("a leaf"))
                    .expect("a leaf");
            });
        });
    });
    let events = mmu.platform().events();
    let [
        ..,
        Event::Issued(0, last),
        Event::Interrupted(targets),
        Event::Released(100),
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!((last.name(), targets.as_slice()), ("dsb_ish", &[1, 2][..]));
    let counts = mmu.stats();
    assert_eq!((counts.sent, counts.received, counts.spurious), (2, 2, 0));
}

/// The same for a batched unmap; and a device that only instructions of this CPU reach is not left to the CPUs that are
/// interrupted.
#[test]
fn a_batched_unmap_reaches_every_agent() {
    fn reclaim<B: HostBackend>(backend: B, flags: SpaceFlags) -> Vec<Event<B::Op>> {
        let (mmu, space, _current) = machine(backend);
        let ptes = ptes(&mmu, &space, VA);
        Hosted::on(&mmu, 0, || {
            let device = mmu.attach_device(&space, flags);
            assert!(device.is_ok());
            mmu.reclaim(|reclaim| {
                let leaf = ptes.leaf(0).expect("a leaf");
                let token = reclaim.unmap(&space, leaf);
                let token = token.expect("a leaf").expect("a page");
                assert!(reclaim.wait().redeem(token).is_ok());
            });
        });
        mmu.platform().events()
    }
    let sme = arm64::Tlb {
        config: arm64::Config::C1PRO_SME.with(arm64::Config::ETS2),
    };
    let events = reclaim(sme, SpaceFlags::NONE);
    let [.., Event::Issued(0, last), Event::Interrupted(targets)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((last.name(), targets.as_slice()), ("dsb_ish", &[1, 2][..]));

    let device = powerpc64::Config::NONE
        .with(powerpc64::Config::COPROCESSORS)
        .space_flags();
    let events = reclaim(power(&[powerpc64::Config::GTSE]), device);
    let issued = |name| {
        events
            .iter()
            .any(|event| matches!(event, Event::Issued(0, op) if op.name() == name))
    };
    assert!(issued("tlbie_va") || issued("tlbie_pid2"), "{events:?}");
    assert!(issued("tlbsync"), "{events:?}");
}

/// Two CPUs flush at the same time on a machine that allows one flush: the second one waits, and handles messages while
/// it waits.
#[test]
fn one_flush_at_a_time() {
    const ROUNDS: usize = 500;
    let one = Overridden::<_, ONE>::new(x86(&[]));
    let (mmu, space, _current) = machine(one);
    let begin = Barrier::new(2);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for cpu in 0..2 {
            let (mmu, space, begin, done) = (&mmu, &space, &begin, &done);
            scope.spawn(move || {
                Hosted::on(mmu, cpu, || {
                    begin.wait();
                    for round in 0..ROUNDS as u64 {
                        let va = VA + (u64::from(cpu) << 32) + (round << 12);
                        let extent = Extent::new(va, 0x1000);
                        mmu.flush_range(space, extent, PTE).expect("a page");
                    }
                    done.fetch_add(1, SeqCst);
                });
            });
        }
    });
    assert_eq!(done.load(SeqCst), 2);
    // Each flush is complete before the next one begins: here, then the IPI and there. A CPU that waits for its turn
    // looks for messages, and may have acknowledged one before it is interrupted.
    let events = mmu.platform().events();
    let mut flushes = 0;
    for flush in events.chunks(3) {
        let (Event::Issued(here, a), rest) = (&flush[0], &flush[1..]) else {
            panic!("{flush:?}");
        };
        let there = 1 - here;
        assert!(rest.contains(&Event::Issued(there, *a)), "{flush:?}");
        assert!(rest.contains(&Event::Interrupted(vec![there])), "{flush:?}");
        flushes += 1;
    }
    assert_eq!(flushes, 2 * ROUNDS);
}

/// As many pages as the ceiling allows are flushed one by one, one more is flushed as everything, and the counters show
/// it.
#[test]
fn more_pages_than_the_ceiling_are_flushed_as_everything() {
    fn full_flushes<B: HostBackend>(backend: B, pages: u64) -> u64 {
        let (mmu, space, _current) = machine(backend);
        let extent = Extent::new(VA, pages << 12);
        Hosted::on(&mmu, 0, || mmu.flush_range(&space, extent, PTE)).expect("pages");
        mmu.stats().full_ceiling
    }
    let broadcast = || power(&[powerpc64::Config::GTSE, powerpc64::Config::BROADCAST]);
    for (pages, expected) in [(33, 0), (34, 1)] {
        assert_eq!(full_flushes(x86(&[]), pages), expected);
        assert_eq!(full_flushes(broadcast(), pages), expected);
    }
    for (pages, expected) in [(511, 0), (512, 1)] {
        assert_eq!(full_flushes(arm64(), pages), expected);
    }
    // No instruction of this machine invalidates a page of a space without changing its entry.
    assert_eq!(full_flushes(s390(), 1 << 20), 0);
}
