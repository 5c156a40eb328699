//! A generation of tags that begins while a CPU switches: each tag that the CPU may still use is reserved, at every moment.

use std::sync::{Arc, Mutex};

use tlbc_backends::{arm64, x86_64};
use tlbc_runtime::NewSpace;
use tlbc_tests::hosted::{Handle, Host, Hosted};
use tlbc_tests::machines;
use tlbc_tests::moments::Moment;
use tlbc_tests::scheduler::{Apart, Scheduler};
use tlbc_tests::show::Machine;

/// How many tags a machine has; some are another view's.
const TAGS: u64 = 16;

/// A CPU on which everything else happens.
struct Elsewhere<B: Machine> {
    cpu: Apart<B>,
    /// Processes that ran there.
    ran: Mutex<Vec<Handle<B>>>,
}

impl<B: Machine> Elsewhere<B> {
    /// Runs new processes until a generation begins, and then as many as there are tags.
    fn roll_over(&self, mmu: &Arc<Host<B>>) {
        let before = mmu.counts().rollovers;
        let mut left = TAGS;
        while left > 0 {
            let ran = self.ran.lock().unwrap().len() as u64;
            let table = (0x100 + ran) << 16; // which no other process has
            let new = NewSpace {
                table,
                user_table: table + 0x1000,
                ..NewSpace::default()
            };
            let process = Hosted::space(mmu, new).expect("a space");
            self.cpu.run(Some(&process));
            self.ran.lock().unwrap().push(process);
            if mmu.counts().rollovers > before {
                left -= 1;
            }
        }
    }
}

/// CPU 1 goes from one process to another, lazily or not, and at the nth moment of the switch generations begin. Whether there
/// is such a moment. That no tag is two processes' is checked at each load, on both CPUs.
fn switches<B: Machine>(backend: B, nth: usize, is_new: bool) -> bool {
    let mut cpus = Scheduler::with_tags(backend, 2, TAGS);
    let processes = [cpus.process(), cpus.process()];
    if !is_new {
        cpus.run(1, &processes[1]);
    }
    cpus.run(1, &processes[0]);
    let elsewhere = Arc::new(Elsewhere {
        cpu: cpus.set_apart(0),
        ran: Mutex::default(),
    });
    let there = elsewhere.clone();
    let moment = Moment::new(&cpus.mmu, 1, nth, Box::new(move |mmu| there.roll_over(mmu)));
    moment.arm();
    cpus.run(1, &processes[1]);
    let happened = moment.happened();
    // What CPU 1 filled meanwhile is nobody else's.
    let ran = elsewhere.ran.lock().unwrap();
    for process in ran.iter().rev().chain(&processes) {
        cpus.run(1, process);
    }
    happened
}

fn at_every_moment<B: Machine + Clone>(backend: B) {
    for is_new in [true, false] {
        let happens = |nth: &usize| switches(backend.clone(), *nth, is_new);
        let moments = (0..).take_while(happens).count();
        assert!(moments >= 2, "an instruction has a moment before and after");
    }
}

#[test]
fn arm64() {
    for config in [arm64::Config::NONE, arm64::Config::KPTI] {
        at_every_moment(machines::arm64(config));
    }
}

#[test]
fn x86_64_invlpgb() {
    let config = x86_64::Config::PCID.with(x86_64::Config::INVLPGB);
    for config in [config, config.with(x86_64::Config::PGE)] {
        at_every_moment(machines::x86(config));
    }
}
