//! Whether a backend sends IPIs at all is what its IPI targets say, request by request.

use tlbc_runtime::request::{Reach, Request, Scope, Space};
use tlbc_runtime::{Backend, Flags, Level, SpaceFlags, Tag};
use tlbc_tests::archdefs::{data, lines};

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
                published: false,
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

/// Returns whether the flushes of a user space interrupt CPUs on some machine of an architecture, and whether they interrupt
/// none on another.
fn has_machines_with_ipis(arch: &str) -> (bool, bool) {
    let list = data(arch, "machines.txt");
    let kinds = lines(&list).map(|line| line.split('|').nth(2).expect("a kind").trim());
    let (none, some): (Vec<&str>, Vec<&str>) = kinds.partition(|kind| *kind == "broadcast");
    (!some.is_empty(), !none.is_empty())
}

#[test]
fn a_backend_sends_ipis_if_some_request_does() {
    macro_rules! all {
        ($($arch:ident { $($limit:ident)* })*) => { $({
            use tlbc_backends::$arch::{Config, Tlb};
            let (sends, does_not) = compared(|bits| {
                let config = Config::from_bits(bits);
                let possible = config.bits() == bits && config.is_possible();
                possible.then_some(Tlb { config, $($limit: 1),* })
            });
            let arch = stringify!($arch);
            let found = (sends > 0, does_not > 0);
            assert_eq!(found, has_machines_with_ipis(arch), "{arch}");
        })* };
    }
    tlbc_tests::for_each_architecture!([all]);
}
