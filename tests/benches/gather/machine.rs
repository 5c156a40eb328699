//! The machines whose flushes are measured, with constant configurations.

use tlbc_backends::{arm64, x86_64};
use tlbc_runtime::{Backend, Constant};

/// A machine whose configuration is constant, as in a kernel built for it.
pub trait Machine: Sized + Sync + 'static {
    const NAME: &'static str;
    type Backend: Backend + 'static;
    fn backend() -> &'static Self::Backend;
}

/// The features of the first machine. The C program tests none either: Linux patches such tests away at boot.
type Arm64Config = Constant<{ arm64::Config::TTL.with(arm64::Config::ETS2).bits() }>;

/// The features of the second machine.
type X86Config = Constant<
    {
        x86_64::Config::PGE
            .with(x86_64::Config::PCID)
            .with(x86_64::Config::INVPCID)
            .bits()
    },
>;

/// Instructions reach every CPU.
pub struct Arm64;

impl Machine for Arm64 {
    const NAME: &'static str = "arm64";
    type Backend = arm64::Tlb<Arm64Config>;
    fn backend() -> &'static Self::Backend {
        &arm64::Tlb { config: Constant }
    }
}

/// Other CPUs are interrupted, if there are any.
pub struct X86;

impl Machine for X86 {
    const NAME: &'static str = "x86_64";
    type Backend = x86_64::Tlb<X86Config>;
    fn backend() -> &'static Self::Backend {
        &x86_64::Tlb {
            config: Constant,
            invlpgb_pages: 1,
        }
    }
}
