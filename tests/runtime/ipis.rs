//! Whether a backend sends IPIs at all is what its IPI targets say, request by request.

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::request::{Reach, Request, Scope, Space};
use tlbc_runtime::{Backend, Flags, Level, SpaceFlags, Tag};

/// Returns whether some request of a user space with a global tag sends an IPI.
fn some_request_does(backend: &impl Backend) -> bool {
    let page = |table| Scope::Page {
        va: 0,
        level: Level(0),
        table,
    };
    let everything = |tables| Scope::Everything { tables };
    let scopes = [
        page(false),
        page(true),
        everything(false),
        everything(true),
        Scope::Teardown,
    ];
    let flags = (0..32).map(|bit| SpaceFlags(1 << bit));
    let flags = flags.chain([SpaceFlags::NONE, SpaceFlags(u32::MAX)]);
    flags.into_iter().any(|flags| {
        scopes.into_iter().any(|scope| {
            let request = Request {
                space: Space::User,
                tag: Tag {
                    value: 1,
                    global: true,
                },
                reach: Reach::Wide,
                flags,
                scope,
            };
            !backend.ipi_targets(&request).agents.is_empty()
        })
    })
}

/// Checks the machines whose features and errata are among the first sixteen. Returns how many send IPIs, and how many do not.
fn compared<B: Backend>(machine: impl Fn(u32) -> Option<B>) -> (usize, usize) {
    let mut counts = (0, 0);
    for backend in (0..1 << 16).filter_map(machine) {
        let sends = some_request_does(&backend);
        assert_eq!(backend.sends_ipis(), sends);
        *(if sends { &mut counts.0 } else { &mut counts.1 }) += 1;
    }
    counts
}

#[test]
fn a_backend_sends_ipis_if_some_request_does() {
    let (sends, does_not) = compared(|bits| {
        let config = x86_64::Config::from_bits(bits);
        let possible = config.bits() == bits && config.is_possible();
        possible.then_some(x86_64::Tlb {
            config,
            invlpgb_pages: 1,
        })
    });
    assert!(sends > 0 && does_not > 0, "{sends} {does_not}");
    let (sends, does_not) = compared(|bits| {
        let config = powerpc64::Config::from_bits(bits);
        (config.bits() == bits && config.is_possible()).then_some(powerpc64::Tlb { config })
    });
    assert!(sends > 0 && does_not > 0, "{sends} {does_not}");
    let (sends, does_not) = compared(|bits| {
        let config = arm64::Config::from_bits(bits);
        (config.bits() == bits && config.is_possible()).then_some(arm64::Tlb { config })
    });
    assert!(sends == 0 && does_not > 0, "{sends} {does_not}");
    let (sends, does_not) = compared(|bits| {
        let config = s390::Config::from_bits(bits);
        (config.bits() == bits && config.is_possible()).then_some(s390::Tlb { config })
    });
    assert!(sends == 0 && does_not > 0, "{sends} {does_not}");
}
