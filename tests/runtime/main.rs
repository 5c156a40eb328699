//! The runtime on a hosted machine that checks every call.

mod calls;
mod contexts;
mod device_flags;
mod gather;
mod instruction_counts;
mod ipis;
mod leaks;
mod levels;
mod locks;
mod many_cpus;
mod messages;
mod negative_entries;
mod page_path;
mod policies;
mod publishing;
mod reclaim;
mod required_flush;
mod scheduler;
mod sizes;
mod stress;
mod tags;
mod walkers;
