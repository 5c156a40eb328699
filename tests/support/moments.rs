//! An action at a certain moment of what a CPU does.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};

use crate::hosted::{Host, HostBackend};

/// The action.
type Act<B> = Box<dyn Fn(&Arc<Host<B>>) + Send + Sync>;

/// An action at the nth moment of a CPU after it is [armed](Self::arm), once each time.
///
/// There is a moment before and after each instruction, before each change of an entry, and after each release of a lock of
/// the runtime.
pub struct Moment<B: HostBackend> {
    mmu: Weak<Host<B>>,
    armed: AtomicBool,
    /// The CPU.
    cpu: AtomicU32,
    /// The number of moments that come before.
    left: AtomicUsize,
    act: Act<B>,
}

/// Runs a test for the first moment, the second and so on, until the action does not happen. Returns the number of
/// moments.
pub fn each(happens: impl FnMut(&usize) -> bool) -> usize {
    const MOST: usize = 1000;
    let moments = (0..MOST).take_while(happens).count();
    assert!(moments < MOST, "a finite number of moments");
    moments
}

impl<B: HostBackend> Moment<B> {
    /// Sets the action of a machine. A machine has at most one.
    pub fn new(mmu: &Arc<Host<B>>, act: Act<B>) -> Arc<Self> {
        let this = Arc::new(Self {
            mmu: Arc::downgrade(mmu),
            armed: AtomicBool::new(false),
            cpu: AtomicU32::new(0),
            left: AtomicUsize::new(0),
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

    /// Starts to count the moments of a CPU: the action happens after this many.
    pub fn arm(&self, cpu: u32, nth: usize) {
        self.cpu.store(cpu, SeqCst);
        self.left.store(nth, SeqCst);
        self.armed.store(true, SeqCst);
    }

    /// Stops counting. Returns whether the action happened.
    pub fn happened(&self) -> bool {
        !self.armed.swap(false, SeqCst)
    }

    fn comes(&self, cpu: u32) {
        let counts = cpu == self.cpu.load(SeqCst) && self.armed.load(SeqCst);
        if counts && self.left.fetch_sub(1, SeqCst) == 0 {
            self.armed.store(false, SeqCst);
            (self.act)(&self.mmu.upgrade().expect("a machine"));
        }
    }
}
