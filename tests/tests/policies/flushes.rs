//! What a flush issues, whom it reaches, and what waits for it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tlbc_backends::{powerpc64, x86_64};
use tlbc_runtime::SpaceFlags;
use tlbc_runtime::request::Extent;
use tlbc_tests::hosted::{Event, HostBackend, Hosted};
use tlbc_tests::tables::Entries;

use crate::told::Told;
use crate::{PMD, PTE, VA, arm64, machine, power, ptes, s390, x86};

/// Leaves of two sizes in one gather: each level is flushed as what it is, in one flush.
#[test]
fn page_sizes_go_together_where_the_level_is_an_operand() {
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

/// A CPU that does not have the space loaded has no part in a flush by interrupts: it issues nothing, and what it
/// runs itself stays cached.
#[test]
fn a_flush_elsewhere_leaves_this_cpu_alone() {
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

/// What the instructions of a flush do not reach is interrupted behind their completion, and pages come out behind that:
/// CPUs of a set that the kernel keeps, because of an erratum.
#[test]
fn what_instructions_leave_over_is_interrupted() {
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
        Event::Interrupted(whom),
        Event::Released(100),
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!((last.name(), whom.as_slice()), ("dsb_ish", &[1, 2][..]));
    let counts = mmu.stats();
    assert_eq!((counts.sent, counts.received, counts.spurious), (2, 2, 0));
}

/// The same where the wait comes later; and a device that only instructions of this CPU reach is not left to the CPUs
/// that are interrupted.
#[test]
fn a_reclaim_leaves_nobody_out() {
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
    let [.., Event::Issued(0, last), Event::Interrupted(whom)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((last.name(), whom.as_slice()), ("dsb_ish", &[1, 2][..]));

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

/// Two CPUs flush at once on a machine that bears one: whoever comes second waits, and answers meanwhile.
#[test]
fn one_flush_at_a_time() {
    const ROUNDS: usize = 500;
    let one = Told::<_, false, true>(x86(&[]));
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
    // Each flush is whole before the next one begins: here, then the interrupt and there; who waits for its turn
    // looks for messages, and may have answered before it is interrupted.
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

/// As many pages as the ceiling allows go one by one, and one more is too many; the counters say so.
#[test]
fn too_many_pages_are_everything() {
    fn gives_up<B: HostBackend>(backend: B, pages: u64) -> u64 {
        let (mmu, space, _current) = machine(backend);
        let extent = Extent::new(VA, pages << 12);
        Hosted::on(&mmu, 0, || mmu.flush_range(&space, extent, PTE)).expect("pages");
        mmu.stats().full_ceiling
    }
    let broadcast = || power(&[powerpc64::Config::GTSE, powerpc64::Config::BROADCAST]);
    for (pages, expected) in [(33, 0), (34, 1)] {
        assert_eq!(gives_up(x86(&[]), pages), expected);
        assert_eq!(gives_up(broadcast(), pages), expected);
    }
    for (pages, expected) in [(511, 0), (512, 1)] {
        assert_eq!(gives_up(arm64(), pages), expected);
    }
    // No instruction of this machine names a page of a space and leaves it as it is.
    assert_eq!(gives_up(s390(), 1 << 20), 0);
}
