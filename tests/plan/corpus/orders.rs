//! Faults of the runtime, each with an order of steps in which it does harm.
//!
//! In: a fault, and an order: a scenario on a hosted machine, in which a CPU acts at a certain moment of what another one does.
//! Out: what went wrong. Holds: without the fault nothing does, at any moment.

mod cpus;
mod devices;
mod entries;
mod tags;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tlbc_backends::arm64;
use tlbc_runtime::Level;
use tlbc_runtime::fault::{Fault, is_reached, put_back};
use tlbc_tests::hosted::{Handle, Host, Hosted};
use tlbc_tests::machines;
use tlbc_tests::moments;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::Entries;

use super::read::Fields;

/// A scenario.
pub struct Order {
    pub name: &'static str,
    run: fn() -> Result<(), String>,
}

macro_rules! orders {
    ($($module:ident: $($name:ident)*;)*) => {
        /// All scenarios.
        pub const ORDERS: &[Order] = &[$($(Order { name: stringify!($name), run: $module::$name }),*),*];
    };
}

orders! {
    cpus: unmaps_within_a_switch loads_within_a_flush leaves_within_a_flush tears_down_a_lazy_space comes_online;
    tags: rolls_over rolls_over_twice unlinks_a_table_of_the_kernel;
    entries: changes_attributes looks_at_an_unflushed_entry splits_a_large_page;
    devices: unmaps_a_pinned_space detaches_one_of_two_devices attaches_a_device_within_a_change;
}

/// A fault of the runtime that an order finds.
pub struct BrokenOrder {
    pub order: String,
    fault: String,
}

impl BrokenOrder {
    pub fn of(fields: &mut Fields) -> Self {
        Self {
            order: fields.needed("order"),
            fault: fields.needed("fault"),
        }
    }

    pub fn run(&self) -> Result<(), String> {
        let order = ORDERS.iter().find(|it| it.name == self.order);
        let order = order.ok_or_else(|| format!("there is no order `{}`", self.order))?;
        let mut faults = Fault::ALL.iter();
        let fault = faults.find(|fault| format!("{fault:?}") == self.fault);
        let fault = fault.ok_or_else(|| format!("there is no fault `{}`", self.fault))?;
        let with = |fault| {
            put_back(fault);
            // The hosted machine panics where a rule of the runtime is broken.
            let result = catch_unwind(AssertUnwindSafe(order.run));
            let is_reached = is_reached();
            put_back(None);
            let result =
                result.unwrap_or_else(|_| Err("a rule of the runtime is broken".to_owned()));
            (result, is_reached)
        };
        let (with_fault, is_reached) = with(Some(*fault));
        if with_fault.is_ok() || !is_reached {
            return Err(format!("`{}` is not found by `{}`", self.fault, self.order));
        }
        let (without, _) = with(None);
        without.map_err(|why| format!("`{}` fails without a fault: {why}", self.order))
    }
}

/// Returns an error unless something is so.
fn require(is_so: bool, what: &str, lines: &[String]) -> Result<(), String> {
    if is_so {
        return Ok(());
    }
    Err(format!("{what}: {lines:?}"))
}

/// Runs a scenario at each moment of a CPU, until it returns that there is none.
fn at_each_moment(least: usize, run: impl Fn(usize) -> Result<bool, String>) -> Result<(), String> {
    let mut failed = Ok(());
    let moments = moments::each(|nth| match run(*nth) {
        Ok(happened) => happened,
        Err(why) => {
            failed = Err(why);
            false
        }
    });
    failed?;
    require(moments >= least, "there are few moments", &[])
}

/// A machine whose instructions reach every CPU, and a process with a page. CPU 0 runs it.
fn broadcasting() -> (Scheduler<arm64::Tlb>, Handle<arm64::Tlb>, Arc<Entries>) {
    let mut cpus = Scheduler::new(machines::arm64(arm64::Config::NONE), 2);
    let process = cpus.process();
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0x1000, 2);
    table.map(0, 100, 0);
    table.map(1, 101, 0);
    cpus.run(0, &process);
    cpus.forget();
    (cpus, process, Arc::new(table))
}

/// Unmaps a page on CPU 0.
fn unmap(mmu: &Arc<Host<arm64::Tlb>>, process: &Handle<arm64::Tlb>, table: &Entries) {
    Hosted::on(mmu, 0, || {
        mmu.gather(process, |gather| {
            gather.locked((), |section, ()| {
                let leaf = table.leaf(0).expect("a mapped page");
                section.unmap(leaf).expect("an entry of this space");
            });
        });
    });
}

fn is_broadcast(lines: &[String]) -> bool {
    lines.iter().any(|line| line.starts_with("cpu 0: vale1is "))
}

/// Returns the position of the first line that begins so.
fn first(lines: &[String], start: &str) -> Option<usize> {
    lines.iter().position(|line| line.starts_with(start))
}
