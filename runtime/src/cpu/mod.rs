//! What the runtime keeps for each CPU, and how CPUs send each other requests.

pub(crate) mod message;
mod tlb;

pub(crate) use message::Message;
pub use tlb::{CpuTlb, Loaded};
