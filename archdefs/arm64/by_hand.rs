// A flush of one page, and the loop over pages, written by hand. What the loop is compared with:
// routine: user_wide_ranges
// instruction: tlbi vale1is
// configuration: { Config::TTL.with(Config::ETS2).bits() }
// longest: 1=13 s=10 3=7
use core::arch::global_asm;
use tlbc_backends::arm64::PTE;
use tlbc_runtime::request::{SpaceFlags, Reach, Scope, Space, Tag};

global_asm!(
    ".globl hand_page",
    "hand_page:",
    "dsb ishst",
    "ubfx x8, x1, #12, #44",
    "bfi x8, x0, #48, #16",
    "orr x8, x8, #0x700000000000",
    "tlbi vale1is, x8",
    "dsb ish",
    "ret",
    ".globl hand_loop",
    "hand_loop:",
    ".Lhand: ubfx x8, x0, #12, #44",
    "orr x8, x8, x3",
    "tlbi vale1is, x8",
    "subs x2, x2, #1",
    "add x0, x0, x1",
    "b.ne .Lhand",
    "ret",
);

#[unsafe(no_mangle)]
pub extern "C" fn generated_page(tag: u64, va: u64) {
    let tlb = Tlb {
        config: Config::NONE.with(Config::TTL).with(Config::ETS2),
    };
    let request = Request {
        space: Space::User,
        tag: Tag {
            value: tag,
            global: true,
        },
        reach: Reach::Wide,
        published: false,
        flags: SpaceFlags::NONE,
        scope: Scope::Page {
            va,
            level: PTE,
            table: false,
        },
    };
    // SAFETY: nothing of this is ever run.
    let mut cpu = unsafe { Hardware::new() };
    let started = tlb.start(&mut cpu, &request);
    let _ = tlb.finish(&mut cpu, started);
}
