// A flush of one page, and the loop over pages, written by hand. What the loop is compared with:
// routine: kernel_here_ranges
// instruction: invlpg
// configuration: { Config::PGE.with(Config::PCID).with(Config::INVPCID).bits() }
// longest: 1=11 s=4 3=4
use core::arch::global_asm;
use tlbc_backends::x86_64::PTE;
use tlbc_runtime::request::{SpaceFlags, Reach, Scope, Space, Tag};

global_asm!(
    ".globl hand_page",
    "hand_page:",
    "invlpg [rsi]",
    "ret",
    ".globl hand_loop",
    "hand_loop:",
    ".Lhand: invlpg [rdi]",
    "add rdi, rsi",
    "dec rdx",
    "jne .Lhand",
    "ret",
);

#[unsafe(no_mangle)]
pub extern "C" fn generated_page(tag: u64, va: u64) {
    let tlb = Tlb {
        config: Config::NONE
            .with(Config::PGE)
            .with(Config::PCID)
            .with(Config::INVPCID),
        invlpgb_pages: 1,
    };
    let request = Request {
        space: Space::User,
        tag: Tag {
            value: tag,
            global: false,
        },
        reach: Reach::Here,
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
