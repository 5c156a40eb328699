#![no_std]
#![no_main]

#[path = "../boot/mod.rs"]
mod boot;
mod console;
mod lock;
mod pte;

use console::say;
use core::sync::atomic::{AtomicU64, Ordering};

static SEEN: AtomicU64 = AtomicU64::new(0);

pub fn shootdown_interrupt() {
    SEEN.fetch_add(1, Ordering::SeqCst);
}

pub extern "C" fn start(cpu: u32) -> ! {
    if cpu == 0 {
        boot::prepare(boot::Options::read());
    }
    boot::prepare_cpu();
    say!("CPU {cpu} = {}", boot::cpu());
    if cpu == 0 {
        boot::start_others();
        SEEN.fetch_add(1, Ordering::SeqCst);
        while SEEN.load(Ordering::SeqCst) < 4 {}
        for cpu in 1..4 {
            boot::send_ipi(cpu);
        }
        while SEEN.load(Ordering::SeqCst) < 7 {}
        say!("seen {}", SEEN.load(Ordering::SeqCst));
        boot::exit(0);
    }
    SEEN.fetch_add(1, Ordering::SeqCst);
    boot::set_interrupts(true);
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    console::last_line(format_args!("{info}"));
    boot::exit(2);
}
