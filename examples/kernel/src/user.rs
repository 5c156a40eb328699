//! Threads of user code: the way to it, and what it comes back for.

use tlbc_runtime::{Current, Platform, Record};

use crate::boot::{self, Cause, UserState};
use crate::fault::{self, Outcome};
use crate::platform::MMU;
use crate::process::{Body, Error, Process};
use crate::report;
use crate::sink::{Returning, sink};

/// What a CPU runs in, and the switch to something else.
pub struct Cpu {
    current: Current<Process>,
}

impl Cpu {
    pub fn new(current: Current<Process>) -> Self {
        Self { current }
    }

    /// Runs in a process from now on, or as a thread of the kernel. That has no process of its own, and leaves the one loaded
    /// that was loaded before (lazily), since it will often be the next one again.
    pub fn switch(&mut self, to: Option<Process>) {
        MMU.platform().pin_cpu(true, |cpu| {
            let from = core::mem::replace(&mut self.current, Current::Kernel);
            self.current = MMU.switch(cpu, from, to);
            if let Current::User(process) = &self.current {
                // What entry code loads before it does anything else, if the kernel is unmapped while user code runs.
                let mut note = Record(boot::set_kernel_view);
                MMU.enter_from_user_through(cpu, &process.space, &mut note);
            }
        });
    }

    /// Goes offline and comes back. In between a kernel with power management would turn the CPU off.
    pub fn restart(&mut self) {
        MMU.platform().pin_cpu(true, |cpu| {
            let current = core::mem::replace(&mut self.current, Current::Kernel);
            MMU.cpu_offline(cpu, current);
            self.current = MMU.cpu_online(cpu).expect("it was online before");
        });
    }
}

/// What user code calls the kernel for: a number and two values, which are the program's business.
pub type Call = (u64, [u64; 2]);

/// Runs user code until it calls the kernel. The CPU runs in the process.
pub fn run(process: &Body, state: &mut UserState) -> Result<Call, Error> {
    loop {
        match enter(process, state) {
            Cause::Interrupt => {}
            Cause::Call => return Ok(state.call()),
            // The access is repeated, and finds the tables that are there now.
            Cause::WalkOfFreed { address } => report::walk_of_freed(address),
            Cause::Fault { address, is_write } => {
                if fault::handle(process, address, is_write)? == Outcome::Refused {
                    // Another kernel would send a signal. Here a program goes on after an access that was refused.
                    state.pc += boot::ACCESS_BYTES;
                }
            }
        }
    }
}

/// Enters user code, and says why it came back.
///
/// Interrupts are off from the moment when the user's view is decided upon until user code runs: a shootdown in between may
/// defer something to the next return.
fn enter(process: &Body, state: &mut UserState) -> Cause {
    MMU.platform().pin_cpu(true, |cpu| {
        let mut sink = Returning(sink(cpu));
        MMU.return_to_user_through(cpu, &process.space, &mut sink);
        boot::run_user(state)
    })
}
