//! Something that happens at a certain moment of what a CPU does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};

use crate::hosted::{Host, HostBackend};

/// What happens.
type Act<B> = Box<dyn Fn(&Arc<Host<B>>) + Send + Sync>;

/// Something that happens once: at the nth moment of a CPU from when this is [armed](Self::arm).
///
/// There is a moment before and after each instruction, before each change of an entry, and after each release of a lock of
/// the runtime.
pub struct Moment<B: HostBackend> {
    mmu: Weak<Host<B>>,
    cpu: u32,
    armed: AtomicBool,
    left: AtomicUsize,
    act: Act<B>,
}

impl<B: HostBackend> Moment<B> {
    /// Has something happen on a machine at the nth moment of a CPU. A machine has one such.
    pub fn new(mmu: &Arc<Host<B>>, cpu: u32, nth: usize, act: Act<B>) -> Arc<Self> {
        let this = Arc::new(Self {
            mmu: Arc::downgrade(mmu),
            cpu,
            armed: AtomicBool::new(false),
            left: AtomicUsize::new(nth),
            act,
        });
        let hosted = mmu.platform();
        let [one, two, three, four] = [(); 4].map(|()| this.clone());
        hosted.on_change(Box::new(move |cpu| one.comes(cpu)));
        hosted.on_issue(Box::new(move |cpu| two.comes(cpu)));
        hosted.on_issued(Box::new(move |cpu, _| three.comes(cpu)));
        hosted.on_unlocked(Box::new(move |cpu| four.comes(cpu)));
        this
    }

    /// From here on moments are counted.
    pub fn arm(&self) {
        self.armed.store(true, SeqCst);
    }

    /// From here on they are not. Whether it happened.
    pub fn happened(&self) -> bool {
        !self.armed.swap(false, SeqCst)
    }

    fn comes(&self, cpu: u32) {
        let counts = cpu == self.cpu && self.armed.load(SeqCst);
        if counts && self.left.fetch_sub(1, SeqCst) == 0 {
            self.armed.store(false, SeqCst);
            (self.act)(&self.mmu.upgrade().expect("a machine"));
        }
    }
}
