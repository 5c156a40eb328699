//! exec: a thread switches to a new address space and tears down its old one, which another CPU still has loaded
//! lazily.
//!
//! CPU 0 runs the process. CPU 1 ran it too, and now runs a kernel thread with the same root loaded.

use std::process::ExitCode;
use std::sync::Arc;

use tlbc_runtime::{Current, Level, NewSpace, Platform};
use tlbc_tests::hosted::{Handle, Host, Hosted};
use tlbc_tests::show::{self, Example, Machine, line};
use tlbc_tests::tables::Entries;

/// An exec, on any machine.
pub struct Exec;

/// Switches between two threads, as a scheduler does: it keeps what the runtime returns for the next switch.
fn context_switch<B: Machine>(
    mmu: &Host<B>,
    current: &mut Current<Handle<B>>,
    next: Option<Handle<B>>,
) {
    mmu.platform().pin_cpu(true, |cpu| {
        let previous = core::mem::replace(current, Current::Kernel);
        *current = mmu.switch(cpu, previous, next);
    });
}

impl Example for Exec {
    fn run<B: Machine>(backend: B) -> Vec<String> {
        let mmu = Hosted::machine(backend, 2);
        let hosted = mmu.platform();
        let space = |table| {
            let new = NewSpace {
                table,
                user_table: table,
                ..NewSpace::default()
            };
            Hosted::space(&mmu, new).expect("a tag")
        };
        let switch = |cpu, current: &mut Current<Handle<B>>, next| {
            Hosted::on(&mmu, cpu, || context_switch(&mmu, current, next));
        };
        let old = space(0x1_0000);
        let (mut on_0, mut on_1) = (Current::Kernel, Current::Kernel);
        switch(0, &mut on_0, Some(old.clone()));
        switch(1, &mut on_1, Some(old.clone()));
        switch(1, &mut on_1, None);
        let table = Entries::new(hosted.backend(), &old, Level(0), 0, 2);
        (0..2).for_each(|page| table.map(page as usize, 100 + page, 0));
        let _ = hosted.events();

        hosted.note("CPU 0 loads the new program's space");
        let new = space(0x2_0000);
        switch(0, &mut on_0, Some(new));

        hosted.note("teardown of the old one, which only CPU 1 still has loaded");
        Hosted::on(&mmu, 0, || {
            mmu.teardown(&old, |gather| {
                gather.locked((), |section, ()| {
                    section
                        .unmap_all(table.leaves())
                        .expect("entries of this space");
                });
            });
        });

        hosted.note("CPU 1 runs a thread of another process");
        let other = space(0x3_0000);
        switch(1, &mut on_1, Some(other));

        hosted.note("the last reference to the old space is gone");
        let old = Arc::into_inner(old).expect("the last reference");
        Hosted::on(&mmu, 0, || mmu.release(&old).expect("loaded nowhere"));
        hosted.events().iter().map(line).collect()
    }
}

#[allow(dead_code, reason = "the tests have a main of their own")]
fn main() -> ExitCode {
    show::main::<Exec>()
}
