//! Where a flush runs with interrupts off, and which CPUs take an IPI although they need not flush.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tlbc_backends::x86_64;
use tlbc_runtime::SpaceFlags;
use tlbc_tests::hosted::{Event, HostBackend, Hosted};
use tlbc_tests::overridden::{OFF, ONE, Overridden};

use crate::policies::{VA, arm64, machine, ptes, x86};

/// Unmaps a page on CPU 0 by a gather, and another one by a batch. Returns for each whether its instructions were issued with
/// interrupts off.
fn interrupts_are_off<B: HostBackend>(backend: B) -> [bool; 2] {
    let (mmu, space, _current) = machine(backend);
    let ptes = ptes(&mmu, &space, VA);
    let off = Arc::new(AtomicBool::new(true));
    let (all, again) = (off.clone(), Arc::downgrade(&mmu));
    mmu.platform().on_issue(Box::new(move |cpu| {
        let mmu = again.upgrade().expect("a machine");
        all.fetch_and(mmu.platform().are_interrupts_off(cpu), SeqCst);
    }));
    Hosted::on(&mmu, 0, || {
        let leaf = |index| ptes.leaf(index).expect("a leaf");
        mmu.gather(&space, |gather| {
            gather
                .locked((), |section, ()| section.unmap(leaf(0)))
                .expect("of this space");
        });
        let by_gather = off.swap(true, SeqCst);
        mmu.reclaim(|batch| {
            let token = batch.unmap(&space, leaf(1)).expect("of this space");
            let token = token.expect("it kept a page");
            assert!(batch.wait().redeem(token).is_ok());
        });
        [by_gather, off.load(SeqCst)]
    })
}

#[test]
fn a_flush_has_interrupts_off_only_where_something_requires_it() {
    assert_eq!(interrupts_are_off(arm64()), [false; 2]);
    assert_eq!(
        interrupts_are_off(Overridden::<_, OFF>::new(arm64())),
        [true; 2]
    );
    assert_eq!(
        interrupts_are_off(Overridden::<_, ONE>::new(arm64())),
        [true; 2]
    );
    // It sends a message to others.
    assert_eq!(interrupts_are_off(x86(&[])), [true; 2]);
}

/// Where instructions reach every CPU, flushes read whether devices are attached without a barrier. So each CPU takes an IPI when one
/// is attached.
#[test]
fn every_cpu_takes_an_ipi_when_a_device_is_attached_to_a_machine_that_broadcasts() {
    fn interrupted<B: HostBackend>(backend: B) -> Vec<Vec<u32>> {
        let (mmu, space, _current) = machine(backend);
        let device = Hosted::on(&mmu, 0, || mmu.attach_device(&space, SpaceFlags::NONE));
        let events = mmu.platform().events().into_iter();
        let ipis = events.filter_map(|event| match event {
            Event::Interrupted(cpus) => Some(cpus),
            _ => None,
        });
        let ipis = ipis.collect();
        let detached = Hosted::on(&mmu, 0, || mmu.detach_device(&space, device.expect("few")));
        detached.expect("its space");
        ipis
    }
    assert_eq!(interrupted(arm64()), [vec![1, 2]]);
    assert_eq!(interrupted(x86(&[])), Vec::<Vec<u32>>::new());
}

/// CPUs of an erratum set are interrupted for a flush that no CPU needs; by default a set has every CPU.
#[test]
fn the_cpus_of_an_erratum_set_are_interrupted_for_every_flush() {
    for sets in [0, 1, 2, 1 << 7] {
        let backend = Overridden::<_, 0>::new(x86(&[x86_64::Config::PGE])).with_sets(sets);
        let (mmu, space, current) = machine(backend);
        let ptes = ptes(&mmu, &space, VA);
        for (cpu, from) in (0..).zip(current) {
            let _ = Hosted::on(&mmu, cpu, || {
                let lazy = Hosted::switch(&mmu, from, None);
                let other = Hosted::space(&mmu, 0x9000.into()).expect("no tag is needed");
                Hosted::switch(&mmu, lazy, Some(&other))
            });
        }
        mmu.platform().events();
        let unmapped = Hosted::on(&mmu, 2, || {
            mmu.gather(&space, |gather| {
                let leaf = ptes.leaf(0).expect("a leaf");
                gather.locked((), |section, ()| section.unmap(leaf))
            })
        });
        unmapped.expect("of this space");
        let interrupted = Event::Interrupted(vec![0, 1]);
        let expected = [interrupted, Event::Released(100)];
        let events = mmu.platform().events();
        assert_eq!(events, expected[usize::from(sets == 0)..], "{sets:#b}");
    }
}
