//! Every protocol of the runtime that uses an atomic, on the adversarial machine: as it is, with each barrier left out,
//! and with each fault that the runtime once had.
//!
//! Two CPUs are interleaved in every way that the model checker knows; where that takes minutes, with up to five preemptions,
//! and in every way if `TLBC_ALL_INTERLEAVINGS` is set. Where it would take hours the parts of the protocol are, and the whole protocol has up to four preemptions: gathers of two CPUs that send to each other, a
//! change that is deferred while another CPU attaches, and changes that make every CPU take an interrupt. Three CPUs
//! ([`three`]) have up to three preemptions, two where two CPUs send to the third, and one where two attach while a change
//! is deferred, which takes twenty times as long with two.
//!
//! The [kernel] checks in every test what the runtime promises to a platform: contexts, locks, and the ownership of
//! pages and tables.

mod check;
mod entries;
mod kernel;

mod boot;
mod changes;
mod contexts;
mod counters;
mod deferred;
mod devices;
mod gathers;
mod hotplug;
mod kernel_root;
mod lazy;
mod mailbox;
mod membarrier;
mod ownership;
mod pins;
mod rights;
mod shootdown;
mod tags;
mod three;
mod trimming;
mod views;
