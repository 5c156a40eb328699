//! Every protocol of the runtime that has an atomic in it, in every interleaving that the model checker knows, on the
//! adversarial machine; and each barrier left out.

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
