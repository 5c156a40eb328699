//! The number of instructions that flush pages which are apart, compared with as many adjacent pages.

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::request::{Extent, Ranges, Reach, Request, Space};
use tlbc_runtime::{Backend, Level, Record, SpaceFlags, Tag};

/// The number of pages in one flush.
pub const PAGES: usize = 16;
/// The number of entries from one page to the next.
pub const APART: usize = 16;

/// Returns the number of instructions of a flush of pages that are `apart` entries apart.
fn issued<B: Backend>(backend: &B, apart: usize) -> usize {
    let mut ranges = Ranges::new();
    for at in (0u64..).step_by(apart).take(PAGES) {
        ranges.leaf(Level(0), Extent::new(at << 12, 1 << 12));
    }
    let request = Request {
        space: Space::User,
        tag: Tag {
            value: 8,
            global: true,
        },
        reach: Reach::Wide,
        published: false,
        flags: SpaceFlags::NONE,
        scope: ranges.scope(backend.levels()),
    };
    let mut count = 0;
    let mut sink = Record(|_| count += 1);
    let started = backend.start(&mut sink, &request);
    let _ = backend.finish(&mut sink, started);
    count
}

fn line<B: Backend>(name: &str, backend: &B) {
    let (side_by_side, apart) = (issued(backend, 1), issued(backend, APART));
    println!("{name:>20}{side_by_side:>14}{apart:>14}");
}

/// Prints the numbers for each architecture.
pub fn table() {
    println!(
        "\ninstructions on the CPU that flushes {PAGES} pages\n{:>34}{:>14}",
        "side by side",
        format!("every {APART}th")
    );
    let arm64 = |config| arm64::Tlb { config };
    line("arm64", &arm64(arm64::Config::TTL));
    let ranges = arm64::Config::TTL.with(arm64::Config::RANGES);
    line("arm64 ranges", &arm64(ranges));
    let power = |config| powerpc64::Tlb { config };
    line("powerpc64", &power(powerpc64::Config::NONE));
    line("powerpc64 gtse", &power(powerpc64::Config::GTSE));
    let edat = s390::Config::EDAT1;
    line("s390", &s390::Tlb { config: edat });
    let x86 = |config| x86_64::Tlb {
        config,
        invlpgb_pages: 8,
    };
    line(
        "x86_64",
        &x86(x86_64::Config::PGE.with(x86_64::Config::PCID)),
    );
    let invlpgb = x86_64::Config::PGE
        .with(x86_64::Config::PCID)
        .with(x86_64::Config::INVPCID)
        .with(x86_64::Config::INVLPGB);
    line("x86_64 invlpgb", &x86(invlpgb));
}
