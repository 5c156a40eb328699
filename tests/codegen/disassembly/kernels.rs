//! Kernels for a backend. In: the name of an architecture, and its generated module. Out: the text of a crate without `std`.
//!
//! If the backend calls its platform, the kernel has one, whose answer depends on its arguments.

use std::fmt::Write as _;

use tlbc_tests::instructions;

/// Returns a kernel with a configuration that is known at run time, which calls everything of a backend.
pub fn flushes(arch: &str) -> String {
    with_platform(include_str!("flushes.rs"), arch)
}

/// Returns a kernel that calls every function of the runtime.
pub fn whole(arch: &str) -> String {
    with_platform(include_str!("whole.rs"), arch)
}

fn with_platform(kernel: &str, arch: &str) -> String {
    let kernel = kernel.replace("ARCH", arch);
    let calls = instructions::module(arch).calls();
    if calls.is_empty() {
        return kernel;
    }
    let kernel = kernel.replace("-> Hardware {", "-> Hardware<Firmware> {");
    kernel.replace("Hardware::new()", "Hardware::new(Firmware)") + &platform(arch, &calls)
}

/// Returns a platform with these calls.
fn platform(arch: &str, calls: &[syn::TraitItemFn]) -> String {
    let mut text = format!(
        "
mod firmware {{
use core::sync::atomic::{{AtomicU64, Ordering::Relaxed}};
use tlbc_backends::{arch}::*;
use tlbc_runtime::backend::*;
static WORD: AtomicU64 = AtomicU64::new(0);
pub struct Firmware;
impl Calls for Firmware {{
"
    );
    for call in calls {
        let signature = &call.sig;
        let _ = writeln!(text, "{} {{", quote::quote!(#signature));
        for argument in &signature.inputs {
            if let syn::FnArg::Typed(it) = argument {
                let name = &it.pat;
                let name = quote::quote!(#name);
                let _ = writeln!(text, "WORD.store({name} as u64, Relaxed);");
            }
        }
        if !matches!(signature.output, syn::ReturnType::Default) {
            text += "if WORD.load(Relaxed) == 0 { Answer::Done } else { Answer::Busy }\n";
        }
        text += "}\n";
    }
    text + "}\n}\nuse firmware::Firmware;\n"
}
