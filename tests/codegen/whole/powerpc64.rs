
/// A hypervisor whose answer depends on its arguments.
pub struct Hypervisor;

impl tlbc_backends::powerpc64::Calls for Hypervisor {
    fn h_rpt_invalidate(
        &mut self,
        pid: u64,
        target: u64,
        form: u64,
        size: u64,
        start: u64,
        end: u64,
    ) -> tlbc_runtime::backend::Answer {
        for word in [pid, target, form, size, start, end] {
            SENT.store(word, Relaxed);
        }
        if SENT.load(Relaxed) == 0 {
            tlbc_runtime::backend::Answer::Done
        } else {
            tlbc_runtime::backend::Answer::Busy
        }
    }
}
