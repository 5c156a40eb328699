
/// A hypervisor, somewhere else.
pub struct Platform;

unsafe extern "C" {
    safe fn hypercall(pid: u64, target: u64, form: u64, size: u64, start: u64, end: u64) -> bool;
}

impl tlbc_backends::powerpc64::Calls for Platform {
    fn h_rpt_invalidate(
        &mut self,
        pid: u64,
        target: u64,
        form: u64,
        size: u64,
        start: u64,
        end: u64,
    ) -> tlbc_runtime::backend::Answer {
        if hypercall(pid, target, form, size, start, end) {
            tlbc_runtime::backend::Answer::Done
        } else {
            tlbc_runtime::backend::Answer::Busy
        }
    }
}
