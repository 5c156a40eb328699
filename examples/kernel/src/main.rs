//! A kernel on tlbc's runtime and backends.
//!
//! It has what every kernel has around its TLBs: page tables, processes, faults, user code. It unmaps, protects and shares
//! pages while CPUs use them, and looks for accesses through translations that should be gone.
//!
//! `boot/` has what differs between machines. The rest is the same for all.

#![no_std]
#![no_main]

mod batch;
#[path = "../boot/mod.rs"]
mod boot;
mod console;
mod exit;
mod fault;
mod fork;
mod frames;
mod kernel_map;
mod large;
mod lock;
mod mprotect;
mod munmap;
mod platform;
mod process;
mod program;
mod pte;
mod random;
mod reclaim;
mod report;
mod scenario;
mod sched;
mod sink;
mod tables;
mod turns;
mod user;

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use boot::Options;
use boot::backend::Config;
use console::say;
use platform::{MMU, this_cpu};
use process::Error;
use user::Cpu;

/// How many CPUs are online.
static ONLINE: AtomicUsize = AtomicUsize::new(0);

/// Starts the kernel on each CPU, with interrupts off and on the kernel's addresses.
extern "C" fn start(cpu: u32) -> ! {
    let is_first = cpu == 0;
    let options = Options::read();
    if is_first {
        turns::prepare(options.turns);
        boot::prepare(options);
        frames::prepare();
        platform::configure(boot::config(options));
        sink::set_sabotage(options.sabotage);
    }
    boot::prepare_cpu();
    // The boot tables are used until here, and nothing that others may change yet.
    let current = MMU
        .cpu_online(this_cpu())
        .expect("enough tags, and room for every CPU");
    boot::set_interrupts(true);
    ONLINE.fetch_add(1, Ordering::Release);
    let mut cpu = Cpu::new(current);
    if !is_first {
        sched::work(boot::cpu() as usize, cpu);
    }
    boot::start_others(|| ONLINE.load(Ordering::Acquire) == boot::CPUS);
    direct(&mut cpu, options).expect("enough memory");
    boot::exit(report::verdict());
}

/// Runs the scenarios that were chosen, and stops after the first one in which something was wrong.
fn direct(cpu: &mut Cpu, options: Options) -> Result<(), Error> {
    let config = platform::config();
    say!("{} CPUs", boot::CPUS);
    for (name, _) in Config::NAMES.iter().filter(|(_, flag)| config.has(*flag)) {
        say!("feature {name}");
    }
    let free = frames::free();
    for scenario in scenario::ALL.iter().filter(|it| options.runs(it.number)) {
        (scenario.run)(cpu, options.pages)?;
        report::scenario(scenario.name);
        if report::wrong() != 0 {
            return Ok(());
        }
    }
    // A CPU that goes offline drops the reference to what it has loaded lazily.
    (1..boot::CPUS).for_each(|worker| sched::start(worker, sched::Job::Restart));
    (1..boot::CPUS).for_each(sched::stop);
    cpu.restart();
    process::reap();
    assert_eq!(frames::free(), free, "every frame is free again");
    Ok(())
}

/// Handles the shootdown IPI. Interrupts are off, and the kernel's view is loaded.
fn shootdown_interrupt() {
    let cpu = this_cpu();
    sink::while_serving(cpu, || MMU.handle_ipi(cpu));
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    console::last_line(format_args!("CPU {}: {info}", boot::cpu()));
    boot::exit(2)
}
