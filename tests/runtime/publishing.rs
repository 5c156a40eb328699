//! New entries: what a kernel issues before it uses a new mapping.

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_tests::hosted::{Event, HostBackend, Hosted};

/// Returns what publishing on CPU 1 of two issues, for the kernel and for a user space.
fn published<B: HostBackend>(
    backend: B,
    name: fn(B::Op) -> &'static str,
) -> [Vec<&'static str>; 2] {
    let mmu = Hosted::machine(backend, 2);
    let user = Hosted::on(&mmu, 1, || {
        mmu.address_space(tlbc_runtime::NewSpace::default())
    });
    let user = user.expect("a tag");
    [mmu.kernel(), &user].map(|space| {
        mmu.platform().events();
        Hosted::on(&mmu, 1, || mmu.publish(space));
        let events = mmu.platform().events().into_iter();
        let names = events.map(|event| match event {
            Event::Issued(1, op) => name(op),
            other => panic!("{other:?}: nothing else is issued for new entries"),
        });
        names.collect()
    })
}

#[test]
fn new_entries_are_published_by_what_the_definition_says() {
    let none: [&str; 0] = [];
    let arm64 = |config| published(arm64::Tlb { config }, arm64::Op::name);
    let [kernel, user] = arm64(arm64::Config::ETS2);
    assert_eq!(kernel, ["dsb_ishst", "isb"]);
    assert_eq!(user, ["dsb_ishst"]);
    // Without FEAT_ETS2 a context synchronization follows for user spaces as well.
    let [kernel, user] = arm64(arm64::Config::NONE);
    assert_eq!(kernel, ["dsb_ishst", "isb"]);
    assert_eq!(user, ["dsb_ishst", "isb"]);
    let powerpc64 = powerpc64::Tlb {
        config: powerpc64::Config::NONE.with(powerpc64::Config::GTSE),
    };
    let [kernel, user] = published(powerpc64, powerpc64::Op::name);
    assert_eq!(kernel, ["ptesync"]);
    assert_eq!(user, ["ptesync"]);
    let x86 = x86_64::Tlb {
        config: x86_64::Config::NONE,
        invlpgb_pages: 1,
    };
    assert_eq!(published(x86, x86_64::Op::name), [none, none]);
    let s390 = s390::Tlb {
        config: s390::Config::NONE,
    };
    assert_eq!(published(s390, s390::Op::name), [none, none]);
}
