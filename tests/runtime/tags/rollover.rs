//! A rollover while a CPU switches: each tag that the CPU may still use is reserved, at every moment.

use std::sync::Arc;

use tlbc_backends::{arm64, x86_64};
use tlbc_tests::churn::Churn;
use tlbc_tests::machines;
use tlbc_tests::moments::{self, Moment};
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::Machine;

/// The number of tag values of a machine; some are for user views.
const TAGS: u64 = 16;

/// CPU 1 switches from one process to another, which is new or has a tag, and at the nth moment of the switch the tags
/// roll over on CPU 0. Returns whether there is such a moment. Each load on either CPU checks that no two processes
/// have one tag.
fn switches<B: Machine>(backend: B, nth: usize, is_new: bool) -> bool {
    let mut cpus = Scheduler::with_tags(backend, 2, TAGS);
    let processes = [cpus.process(), cpus.process()];
    if !is_new {
        cpus.run(1, &processes[1]);
    }
    cpus.run(1, &processes[0]);
    let churn = Arc::new(Churn::new(cpus.set_apart(0)));
    let there = churn.clone();
    let moment = Moment::new(&cpus.mmu, Box::new(move |mmu| there.roll_over(mmu, TAGS)));
    moment.arm(1, nth);
    cpus.run(1, &processes[1]);
    let happened = moment.happened();
    // Entries that CPU 1 has filled in between belong to no other process.
    let last = cpus.process();
    for process in churn.leave(&last).iter().rev().chain(&processes) {
        cpus.run(1, process);
    }
    happened
}

fn at_every_moment<B: Machine + Clone>(backend: &B) {
    for is_new in [true, false] {
        let happens = |nth: &usize| switches(backend.clone(), *nth, is_new);
        let moments = moments::each(happens);
        assert!(moments >= 2, "an instruction has a moment before and after");
    }
}

#[test]
fn arm64() {
    for config in [arm64::Config::NONE, arm64::Config::KPTI] {
        at_every_moment(&machines::arm64(config));
    }
}

#[test]
fn x86_64_invlpgb() {
    let config = x86_64::Config::PGE
        .with(x86_64::Config::PCID)
        .with(x86_64::Config::INVPCID)
        .with(x86_64::Config::INVLPGB);
    for config in [config, config.with(x86_64::Config::PGE)] {
        at_every_moment(&machines::x86(config));
    }
}
