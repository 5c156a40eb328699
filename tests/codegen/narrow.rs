//! Machines of 32 bits: their definitions are accepted, and their backends are generated. Where a definition names a target, the
//! runtime and the backend are compiled for it, with all their instructions: of these targets, some have no atomic accesses of
//! 64 bits.
//!
//! In: the definitions in `narrow/`, of which some have descriptions that begin with a target. Out: nothing, or what the compiler
//! says.
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tlbc::source::Files;
use tlbc_tests::bare_metal::{self, Build, Emit};
use tlbc_tests::rustc;
use tlbc_tests::workspace::root;

/// Issues every instruction of a backend, and flushes through the runtime.
const KERNEL: &str = "#![no_std]
use backend::{Hardware, Op, Tlb};
use tlbc_runtime::Issue;
#[unsafe(no_mangle)]
pub extern \"C\" fn any_instruction(op: &Op, hardware: &mut Hardware) {
    hardware.issue(*op);
}
#[unsafe(no_mangle)]
pub extern \"C\" fn size() -> usize {
    size_of::<Tlb>()
}
";

/// Returns the backend of a definition, and the target that its description names.
fn generate(text: &str) -> (String, Option<String>) {
    let mut files = Files::default();
    let file = files.add("narrow.arch", text);
    let (arch, found) = tlbc::analyse(&files, file);
    assert!(found.is_empty(), "{found:#?}");
    let arch = arch.expect("a definition without findings");
    let first = arch.model.doc.first();
    let target = first.and_then(|line| line.trim().strip_prefix("target: "));
    let target = target.map(str::to_owned);
    (tlbc::emit::emit(&arch, &files, 0), target)
}

/// Compiles the runtime, a backend and a kernel for a target; returns the kernel's assembly.
fn compile(module: &str, target: &str) -> Option<String> {
    let target = bare_metal::find(target);
    let target = target.map_err(|reason| rustc::skipped(&reason)).ok()?;
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    rustc::write(&path("module.rs"), module);
    rustc::write(
        &path("backend.rs"),
        "#![no_std]\n#![feature(asm_experimental_arch)]\nmod module;\npub use module::*;\n",
    );
    rustc::write(&path("kernel.rs"), KERNEL);
    let build = Build {
        target: &target,
        opt_level: "1",
        directory: directory.path(),
        libraries: directory.path(),
    };
    let runtime = root().join("runtime/src/lib.rs");
    build.code("tlbc_runtime", &runtime, &[], Emit::Library);
    let uses = ["backend", "tlbc_runtime"];
    build.code("backend", &path("backend.rs"), &uses[1..], Emit::Library);
    let kernel = build.code("kernel", &path("kernel.rs"), &uses, Emit::Listing);
    kernel.listing()
}

#[test]
fn every_instruction_is_assembled_for_its_target() {
    let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("codegen/narrow");
    let entries = fs::read_dir(definitions).expect("the definitions");
    let mut targets = 0;
    for entry in entries {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a text");
        let (module, target) = generate(&text);
        let Some(target) = target else { continue };
        targets += 1;
        let Some(listing) = compile(&module, &target) else {
            continue;
        };
        for line in text.lines().filter(|line| line.contains("    invalidate ")) {
            let template = line.split('"').nth(1).expect("a template");
            let mnemonic = template.split(' ').next().expect("a mnemonic");
            let encoded = text.contains(".long");
            assert!(
                listing.contains(mnemonic) || encoded,
                "{mnemonic} is not issued"
            );
        }
    }
    assert_eq!(targets, 5);
}
