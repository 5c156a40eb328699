//! What the runtime keeps for each CPU, and what CPUs send each other.

mod mailbox;
mod message;
mod renewal;
mod response;
#[cfg(all(test, not(loom)))]
pub(crate) mod tests;
mod tlb;

pub(crate) use message::Message;
pub(crate) use tlb::Cpus;
pub use tlb::{CpuTlb, Loaded};
