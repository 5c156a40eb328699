//! The interpreted plans of the shipped definitions do the same as the generated Rust, and as the backend that interprets plans.

use tlbc_tests::archdefs::analysis;
use tlbc_tests::differential::{
    Module, Runs, a_machine_is_what_the_definition_says, interpreted, planned,
    plans_and_backend_agree_in_configurations, plans_and_backend_agree_on_ranges,
};
use tlbc_tests::generated;

/// Cases of random ranges, for each backend.
const CASES: u32 = 4000;
/// The configurations of each definition in which its plans are compared with the backend that interprets them.
const INTERPRETED: usize = 30;

/// Defines the tests of every backend, each with the limits of its machine.
macro_rules! backends {
    ($($arch:ident { $($limit:ident)* })*) => {
        $(mod $arch {
            use super::*;

            const BACKEND: &str = stringify!($arch);

            fn module() -> Module {
                generated!(tlbc_backends::$arch { $($limit)* })
            }

            #[test]
            fn a_machine_is_what_the_definition_says() {
                super::a_machine_is_what_the_definition_says(analysis(BACKEND), &module());
            }

            #[test]
            fn the_interpreting_backend_does_what_the_plans_say() {
                let (analysis, module) = (analysis(BACKEND), interpreted(analysis(BACKEND)));
                super::a_machine_is_what_the_definition_says(analysis, &module);
                plans_and_backend_agree_in_configurations(analysis, &module, INTERPRETED);
                let runs = Runs::with_cases(CASES / 100);
                super::plans_and_backend_agree_on_ranges(analysis, &module, &runs);
            }

            #[test]
            fn plans_and_backend_agree_in_every_configuration() {
                plans_and_backend_agree_in_configurations(analysis(BACKEND), &module(), usize::MAX);
            }

            #[test]
            fn plans_and_backend_agree_on_ranges() {
                let (analysis, runs) = (analysis(BACKEND), Runs::with_cases(CASES));
                let issued = super::plans_and_backend_agree_on_ranges(analysis, &module(), &runs);
                let planned = planned(analysis);
                assert_eq!(issued, planned, "some instruction is never issued");
            }
        })*
    };
}

tlbc_tests::for_each_architecture!([backends]);
