//! Each generated backend in the configurations that make a difference to what it issues, as a test each: page sizes,
//! level hints, ranges, what an erratum adds, devices. The machines that differ in the CPUs that get an IPI are another list,
//! `tlbc_tests::machines`.

/// Makes a test of a function for each architecture, in one configuration, where it makes no difference which.
#[macro_export]
macro_rules! on_every_architecture {
    ($run:path) => {
        $crate::on_every_configuration!($run;
            arm64: arm64::Tlb { config: arm64::Config::NONE }, NewSpace::default();
            x86_64: x86_64::Tlb { config: x86_64::Config::PGE.with(x86_64::Config::PCID), invlpgb_pages: 1 }, NewSpace::default();
            powerpc64: powerpc64::Tlb { config: powerpc64::Config::GTSE }, NewSpace::default();
            s390: s390::Tlb { config: s390::Config::EDAT1 }, NewSpace::default();
        );
    };
}

/// Makes a test of a function for each configuration. It is given the backend, and what new spaces there are made of.
#[macro_export]
macro_rules! on_every_configuration {
    ($run:path) => {
        $crate::on_every_configuration!($run;
            arm64: arm64::Tlb { config: arm64::Config::NONE }, NewSpace::default();
            arm64_ranges_kpti: arm64::Tlb {
                config: arm64::Config::TTL.with(arm64::Config::RANGES).with(arm64::Config::KPTI).with(arm64::Config::ASID16),
            }, NewSpace::default();
            arm64_64k: arm64::Tlb { config: arm64::Config::G64K.with(arm64::Config::REPEAT_TLBI) }, NewSpace::default();
            x86_64: x86_64::Tlb { config: x86_64::Config::NONE, invlpgb_pages: 1 }, NewSpace::default();
            x86_64_pcid_pti: x86_64::Tlb {
                config: x86_64::Config::PGE.with(x86_64::Config::PCID).with(x86_64::Config::PTI).with(x86_64::Config::INVPCID),
                invlpgb_pages: 1,
            }, NewSpace::default();
            x86_64_invlpgb: x86_64::Tlb {
                config: x86_64::Config::PGE.with(x86_64::Config::PCID).with(x86_64::Config::INVPCID).with(x86_64::Config::INVLPGB).with(x86_64::Config::LA57),
                invlpgb_pages: 8,
            }, NewSpace::default();
            x86_64_invlpgb_tag_of_cpu: x86_64::Tlb {
                config: x86_64::Config::PGE.with(x86_64::Config::PCID).with(x86_64::Config::INVPCID).with(x86_64::Config::INVLPGB).with(x86_64::Config::TCE),
                invlpgb_pages: 8,
            }, NewSpace { tag_of_cpu: true, ..NewSpace::default() };
            powerpc64_hypervisor_calls: powerpc64::Tlb { config: powerpc64::Config::NONE }, NewSpace::default();
            powerpc64_gtse: powerpc64::Tlb { config: powerpc64::Config::GTSE }, NewSpace::default();
            powerpc64_broadcast: powerpc64::Tlb {
                config: powerpc64::Config::GTSE.with(powerpc64::Config::BROADCAST).with(powerpc64::Config::P9_ERAT),
            }, NewSpace::default();
            powerpc64_coprocessors: powerpc64::Tlb {
                config: powerpc64::Config::GTSE.with(powerpc64::Config::BROADCAST).with(powerpc64::Config::G64K),
            }, NewSpace {
                flags: powerpc64::Config::COPROCESSORS.space_flags(),
                ..NewSpace::default()
            };
            s390: s390::Tlb { config: s390::Config::EDAT1 }, NewSpace::default();
            s390_ranges_local: s390::Tlb {
                config: s390::Config::EDAT1.with(s390::Config::EDAT2)
                    .with(s390::Config::IPTE_RANGE).with(s390::Config::LOCAL_CLEAR),
            }, NewSpace::default();
        );
    };
    ($run:path; $($name:ident: $backend:expr, $space:expr;)*) => {
        $(
            #[test]
            fn $name() {
                #[allow(unused_imports)] // each configuration names its own
                use tlbc_backends::{arm64, powerpc64, s390, x86_64};
                use tlbc_runtime::NewSpace;
                $run($backend, NewSpace { table: 0x1_0000, user_table: 0x1_1000, ..$space });
            }
        )*
    };
}
