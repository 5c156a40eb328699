//! Every protocol of the runtime that has an atomic in it, on the adversarial machine; and each barrier left out.
//!
//! Two CPUs are interleaved in every way that the model checker knows, except where both wait for each other or one for
//! what the other changes (attaching, asking, the end of a space): there with up to four preemptions, for all
//! ways do not end in minutes. Three CPUs have two or three preemptions, and one where two ask the third.

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
