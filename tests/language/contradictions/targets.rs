//! Architectures that Rust does not know.

use super::{accepted, refused, slate};
use tlbc_tests::requests::read;

#[test]
fn names_that_others_use() {
    let meant = [
        ("arm64", "aarch64"),
        ("amd64", "x86_64"),
        ("x64", "x86_64"),
        ("ppc64", "powerpc64"),
        ("ppc64le", "powerpc64"),
        ("s390", "s390x"),
        ("riscv", "riscv32"),
        ("loongarch", "loongarch64"),
        ("AArch64", "aarch64"),
        ("X86_64", "x86_64"),
        ("x86-64 ", "x86_64"),
        ("risc-v64", "riscv64"),
        ("ppc64el", "powerpc64"),
        ("thumbv7m", "arm"),
        // Slips of the hand.
        ("aarch46", "aarch64"),
        ("x86_46", "x86_64"),
        ("powerpc46", "powerpc64"),
        ("riscv6", "riscv64"),
        ("aarch64_", "aarch64"),
    ];
    for (name, other) in meant {
        let target = format!("target_arch \"{name}\"");
        let edit = [("target_arch \"slate\"", target.as_str())];
        refused(slate(), &edit, "E0209");
        let (_, found) = read(&slate().replace("target_arch \"slate\"", &target));
        let help = found[0].help.as_deref().unwrap_or_default();
        assert!(
            help.starts_with(&format!("did you mean `{other}`?")),
            "{name}: {help}"
        );
        let intended = format!("{target} intended");
        accepted(slate(), &[("target_arch \"slate\"", &intended)]);
    }
}

#[test]
fn names_that_resemble_none() {
    for name in [
        "slate", "toy", "quartz", "vax", "alpha", "parisc", "nios2", "aarch64", "s390x", "riscv64",
        "wasm64",
    ] {
        let target = format!("target_arch \"{name}\"");
        accepted(slate(), &[("target_arch \"slate\"", &target)]);
    }
}

#[test]
fn names_that_are_empty() {
    for name in ["", " "] {
        for intended in ["", " intended"] {
            let target = format!("target_arch \"{name}\"{intended}");
            refused(slate(), &[("target_arch \"slate\"", &target)], "E0203");
        }
    }
}
