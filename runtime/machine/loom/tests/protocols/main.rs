//! Every protocol of the runtime that has an atomic in it, on the adversarial machine; each barrier left out; and each fault
//! put back that the runtime once had.
//!
//! Two CPUs are interleaved in every way that the model checker knows. Where that would take minutes the protocol is
//! cut into parts that are, and the whole of it has up to four preemptions: gathers of two CPUs that ask each other, a change
//! that is put off while another CPU attaches, and what makes every CPU take an interrupt. Three CPUs ([`three`]) have up to
//! three preemptions, and two where two ask the third, or two attach while a change is put off.
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
mod mail;
mod membarrier;
mod ownership;
mod pins;
mod rights;
mod shootdown;
mod tags;
mod three;
mod trimming;
mod views;
