//! Every protocol of the runtime that has an atomic in it, on the adversarial machine; and each barrier left out.
//!
//! Two CPUs are interleaved in every way that the model checker knows. Where that would take minutes the protocol is
//! cut into parts that are, and the whole of it has up to four preemptions: gathers of two CPUs that ask each other, and a
//! change that is put off while another CPU attaches. Three CPUs ([`three`]) have up to three preemptions, and two where
//! two ask the third, or two attach while a change is put off.

mod check;
mod entries;
mod kernel;

mod changes;
mod debts;
mod devices;
mod gathers;
mod hotplug;
mod lazy;
mod mail;
mod membarrier;
mod shootdown;
mod tags;
mod three;
mod trimming;
mod views;
