//! Every policy that facts can choose, tested: with the shipped backends that choose it, or with an overridden one if
//! none does.

mod changes;
mod contexts;
mod flushes;
mod tables;

use std::sync::Arc;

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::{
    AddressSpace, Backend, Current, LazyMm, Level, NewSpace, Shootdown, TagSource, Tags,
};
use tlbc_tests::hosted::{Cpus, Host, HostBackend, Hosted};
use tlbc_tests::tables::Entries;

const PTE: Level = Level(0);
const PMD: Level = Level(1);
const VA: u64 = 0x4000_0000;

fn x86(flags: &[x86_64::Config]) -> x86_64::Tlb {
    x86_64::Tlb {
        config: flags.iter().fold(x86_64::Config::NONE, |c, f| c.with(*f)),
        invlpgb_pages: 8,
    }
}

fn power(flags: &[powerpc64::Config]) -> powerpc64::Tlb {
    let none = powerpc64::Config::NONE;
    powerpc64::Tlb {
        config: flags.iter().fold(none, |c, f| c.with(*f)),
    }
}

fn arm64() -> arm64::Tlb {
    arm64::Tlb {
        config: arm64::Config::NONE,
    }
}

fn s390() -> s390::Tlb {
    s390::Tlb {
        config: s390::Config::NONE,
    }
}

type Shared = Arc<AddressSpace<Cpus>>;

type Machine<B> = (Arc<Host<B>>, Shared, [Current<Shared>; 2]);

/// Creates three CPUs: the first and the second run in the space, the third in none.
fn machine<B: HostBackend>(backend: B) -> Machine<B> {
    let mmu = Hosted::machine(backend, 3);
    let new = NewSpace {
        table: 0x1000,
        user_table: 0x1000,
        ..NewSpace::default()
    };
    let space = Hosted::space(&mmu, new).expect("a tag");
    let current = [0, 1].map(|cpu| {
        Hosted::on(&mmu, cpu, || {
            Hosted::switch(&mmu, Current::Kernel, Some(&space))
        })
    });
    mmu.platform().events();
    (mmu, space, current)
}

fn ptes<B: HostBackend>(mmu: &Host<B>, space: &Shared, va: u64) -> Entries {
    let ptes = Entries::new(mmu.platform().backend(), space, PTE, va, 4);
    (0..4).for_each(|at| ptes.map(at, 100 + at as u64, 0));
    ptes
}

/// The policies of the shipped backends, on which the tests above depend.
#[test]
fn shipped_backends_choose() {
    fn facts<B: Backend>(_: B) -> (Shootdown, bool, bool, bool) {
        let facts = B::FACTS;
        (
            facts.shootdown,
            facts.pte_update.batches_pages(),
            facts.pte_update.is_store(),
            facts.lazy_mm == LazyMm::Refcounted,
        )
    }
    assert_eq!(facts(x86(&[])), (Shootdown::Either, true, true, true));
    assert_eq!(facts(arm64()), (Shootdown::Broadcast, true, true, true));
    assert_eq!(facts(power(&[])), (Shootdown::Either, true, true, false));
    assert_eq!(facts(s390()), (Shootdown::Broadcast, false, false, true));
    let source = |tags: Tags| tags.global.map(|(_, source)| source);
    assert_eq!(source(x86(&[]).tags()), None);
    assert_eq!(source(arm64().tags()), Some(TagSource::Generations));
    assert_eq!(source(power(&[]).tags()), Some(TagSource::Life));
    assert_eq!(source(s390().tags()), Some(TagSource::Root));
}
