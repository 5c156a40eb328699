//! The comparison of interpreted plans with generated Rust, request by request.
//!
//! In: a definition with its plans, and the backend that was generated for it. Both get the same machine and
//! the same request, and must issue the same instructions with the same operands, defer the same, and interrupt
//! the same CPUs. Out: nothing, or a panic with the first request for which they differ.

use std::panic::AssertUnwindSafe;

use tlbc::analyse;
use tlbc::source::Files;

mod asked;
mod changes;
mod configurations;
mod functions;
mod interpreted;
mod machines;
mod ranges;

pub use configurations::plans_and_backend_agree_in_configurations;
pub use functions::a_machine_is_what_the_definition_says;
pub use interpreted::interpreted;
pub use machines::{Generated, Machine, Make, Module, space_flags};
pub use proptest::test_runner::{Config as Runs, RngSeed};
pub use ranges::{planned, plans_and_backend_agree_on_ranges};
pub use tlbc_runtime::Backend;

/// Compares a module with the plans of its definition, in some configurations and for some random ranges. The choice is
/// the same in every run.
///
/// # Errors
///
/// The first request for which they differ.
pub fn difference(text: &str, module: &Module) -> Result<(), String> {
    let mut files = Files::default();
    let file = files.add("mutant.arch", text);
    let (analysis, _) = analyse(&files, file);
    let analysis = analysis.ok_or("the definition has no plans")?;
    let compared = std::panic::catch_unwind(AssertUnwindSafe(|| {
        a_machine_is_what_the_definition_says(&analysis, module);
        plans_and_backend_agree_in_configurations(&analysis, module, CONFIGURATIONS);
        let runs = Runs {
            rng_seed: RngSeed::Fixed(0),
            ..Runs::with_cases(CASES)
        };
        plans_and_backend_agree_on_ranges(&analysis, module, &runs);
    }));
    compared.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| "a panic without a text".to_owned())
    })
}

/// The numbers of configurations and of random ranges that [`difference`] tries.
const CONFIGURATIONS: usize = 8;
const CASES: u32 = 32;

/// An instruction: its name, and its operands by name.
pub type Issued = (String, Vec<(String, u128)>);
