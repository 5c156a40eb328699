//! A CPU that comes online: entries that it filled from its boot tables are flushed.

use tlbc_runtime::{Pending, Platform, Record};
use tlbc_tests::hosted::Hosted;
use tlbc_tests::machines::Case;
use tlbc_tests::on_every_machine;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::{Machine, Shown};

/// Returns what the backend issues on a CPU.
fn issues<B: Machine>(cpu: u32, run: impl FnOnce(&mut dyn FnMut(B::Op))) -> Vec<String> {
    let mut lines = Vec::new();
    run(&mut |op| lines.push(format!("cpu {cpu}: {}", op.shown())));
    lines
}

/// Until its root is loaded the CPU walks its boot tables: entries that it flushes before are filled again.
#[test]
fn the_root_is_loaded_before_everything_is_flushed() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        let mut cpus = case.scheduler(2);
        for back in [false, true] {
            if back {
                cpus.cpu_offline(1);
            } else {
                cpus = Scheduler::offline(Hosted::machine_offline(case.backend.clone(), 2));
            }
            cpus.forget();
            cpus.cpu_online(1);
            let lines = cpus.lines();
            let root = cpus.mmu.platform().kernel_root();
            let load = |pending| {
                issues::<B>(1, |sink| {
                    let _ = case.backend.switch(&mut Record(sink), &root, pending);
                })
            };
            let flush = issues::<B>(1, |sink| {
                let _ = case.backend.cpu_online(&mut Record(sink));
            });
            let expected = [Pending::None, Pending::Tag]
                .map(|pending| [load(pending), flush.clone()].concat());
            assert!(expected.contains(&lines), "{}: {lines:?}", case.name);
        }
    }
    on_every_machine!(scenario);
}
