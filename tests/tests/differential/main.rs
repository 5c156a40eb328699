//! The interpreted plan and the generated Rust do the same, request by request.
//!
//! Both get the same machine and the same request. They must issue the same instructions with the
//! same operands, put off the same, and interrupt the same CPUs.

#[path = "../support/archdefs.rs"]
mod archdefs;
mod asked;
mod changes;
mod configurations;
mod machines;
mod ranges;

use configurations::plans_and_backend_agree_in_every_configuration;
use machines::{Machine, a_machine_is_what_the_definition_says};
use ranges::plans_and_backend_agree_on_ranges;
use tlbc::Analysis;

/// An instruction: its name, and its operands by name.
type Issued = (String, Vec<(String, u128)>);

/// The tests of every backend. Behind each name stand the limits of its machine.
macro_rules! backends {
    ($($arch:ident { $($limit:ident),* })*) => {
        const BACKENDS: &[&str] = &[$(stringify!($arch)),*];

        $(mod $arch {
            use super::*;
            use tlbc_backends::$arch::{Config, Op, Tlb};

            impl Machine for Tlb {
                fn flags() -> Vec<&'static str> {
                    Config::NAMES.iter().map(|(name, _)| *name).collect()
                }

                fn new(has: &dyn Fn(&str) -> bool, limit: &dyn Fn(&str) -> u64) -> Option<Self> {
                    let _ = limit;
                    let flags = Config::NAMES.iter().filter(|(name, _)| has(name));
                    let config = flags.fold(Config::NONE, |config, (_, flag)| config.with(*flag));
                    let tlb = Tlb {
                        config,
                        $($limit: limit(stringify!($limit)).try_into().expect("a limit")),*
                    };
                    config.is_possible().then_some(tlb)
                }

                fn describe(op: Op) -> Issued {
                    let mut operands = Vec::new();
                    op.operands(|name, bits| operands.push((name.to_owned(), bits)));
                    (op.name().to_owned(), operands)
                }
            }

            #[test]
            fn a_machine_is_what_the_definition_says() {
                super::a_machine_is_what_the_definition_says::<Tlb>(&analysis(BACKEND));
            }

            #[test]
            fn plans_and_backend_agree_in_every_configuration() {
                super::plans_and_backend_agree_in_every_configuration::<Tlb>(&analysis(BACKEND));
            }

            #[test]
            fn plans_and_backend_agree_on_ranges() {
                super::plans_and_backend_agree_on_ranges::<Tlb>(&analysis(BACKEND));
            }

            const BACKEND: &str = stringify!($arch);
        })*
    };
}

backends! {
    arm64 {}
    powerpc64 {}
    s390 {}
    x86_64 { invlpgb_pages }
}

fn analysis(arch: &str) -> Analysis {
    let path = format!("archdefs/{arch}.arch");
    let definition = archdefs::shipped()
        .into_iter()
        .find(|definition| definition.path == path);
    definition.expect("a shipped definition").analysis().1
}

#[test]
fn no_definition_is_forgotten() {
    let shipped = archdefs::shipped();
    let names = shipped.iter().map(|definition| {
        let (_, analysis) = definition.analysis();
        analysis.model.arch.name
    });
    assert_eq!(names.collect::<Vec<_>>(), BACKENDS);
}
