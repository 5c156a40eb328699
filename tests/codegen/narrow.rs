//! Machines of 32 bits: the runtime and the backends are compiled for their targets, with all their instructions.
//!
//! In: the definitions in `narrow/`, whose descriptions begin with a target. Out: nothing, or what the compiler says.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tlbc::source::Files;
use tlbc_tests::bare_metal::{self, Build};
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

/// Compiles the runtime, a backend and a kernel for the target of its definition; returns the kernel's assembly.
fn compile(text: &str) -> Option<String> {
    let mut files = Files::default();
    let file = files.add("narrow.arch", text);
    let (arch, found) = tlbc::analyse(&files, file);
    let arch = arch.unwrap_or_else(|| panic!("{found:#?}"));
    let target = arch
        .model
        .doc
        .first()
        .and_then(|line| line.trim().strip_prefix("target: "));
    let target = bare_metal::find(target.expect("a target"));
    let target = target.map_err(|reason| rustc::skipped(&reason)).ok()?;
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let module = tlbc::emit::emit(&arch, &files);
    rustc::write(&path("module.rs"), &module);
    rustc::write(
        &path("backend.rs"),
        "#![no_std]\nmod module;\npub use module::*;\n",
    );
    rustc::write(&path("kernel.rs"), KERNEL);
    let build = Build {
        target: &target,
        opt_level: "1",
        directory: directory.path(),
        libraries: directory.path(),
    };
    build.code("tlbc_runtime", &root().join("runtime/src/lib.rs"), &[]);
    build.code("backend", &path("backend.rs"), &["tlbc_runtime"]);
    let kernel = build.code("kernel", &path("kernel.rs"), &["backend", "tlbc_runtime"]);
    Some(kernel.listing)
}

#[test]
fn every_instruction_is_assembled_for_its_target() {
    let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("codegen/narrow");
    let entries = fs::read_dir(definitions).expect("the definitions");
    let mut compiled = 0;
    for entry in entries {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a text");
        let Some(listing) = compile(&text) else {
            continue;
        };
        for line in text.lines().filter(|line| line.contains("    invalidate ")) {
            let template = line.split('"').nth(1).expect("a template");
            let mnemonic = template.split(' ').next().expect("a mnemonic");
            assert!(listing.contains(mnemonic), "{mnemonic} is not issued");
        }
        compiled += 1;
    }
    assert!(
        compiled == 2 || compiled == 0,
        "{compiled} of two definitions"
    );
}
