//! Which CPUs have which space loaded: switches, lazy CPUs, hotplug, views of user code.

mod cpumask;
mod kernel_root;
mod lazy;
mod offline;
mod online;
mod views;
