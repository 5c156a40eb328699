//! A kernel that leaves everything to run time: all of a backend, for one instruction sink.
#![no_std]
use tlbc_backends::ARCH::{Hardware, Tlb};
use tlbc_runtime::request::Request;
use tlbc_runtime::{Backend, Pending, Root};

fn cpu() -> Hardware {
    // SAFETY: nothing of this is ever run.
    unsafe { Hardware::new() }
}

#[unsafe(no_mangle)]
pub fn any_flush(tlb: &Tlb, request: &Request<'_>) -> bool {
    let started = tlb.start(&mut cpu(), request);
    let no_ipi = started.flush_ipis.is_empty();
    tlb.finish(&mut cpu(), started).deferred.is_nothing() & no_ipi
}

#[unsafe(no_mangle)]
pub fn any_handle(tlb: &Tlb, request: &Request<'_>) -> bool {
    tlb.handle(&mut cpu(), request).is_nothing()
}

#[unsafe(no_mangle)]
pub fn any_event(tlb: &Tlb, to: &Root, pending: Pending, deferred: bool) -> bool {
    let switched = tlb.switch(&mut cpu(), to, pending);
    tlb.return_to_user(&mut cpu(), to, deferred);
    (switched | tlb.cpu_online(&mut cpu())).is_nothing()
}
