//! Every instruction that a backend can issue, through the assembler of its processor.
//!
//! The compiler has the assemblers of all its targets, whether a target is installed or not: a
//! crate without `core` needs none. The `asm!` of each instruction is taken out of the generated
//! files as it stands.

#[path = "support/archdefs.rs"]
mod archdefs;
#[path = "support/elf.rs"]
mod elf;
#[path = "support/ops.rs"]
mod ops;
#[path = "support/rustc.rs"]
mod rustc;

use ops::{Instruction, Module};
use std::collections::BTreeMap;

/// As much of `core` as an `asm!` with operands takes.
const CORE: &str = r#"#![feature(no_core, lang_items, rustc_attrs, auto_traits)]
#![allow(internal_features, improper_ctypes_definitions)]
#![no_core]
#![crate_type = "lib"]
#[lang = "pointee_sized"]
pub trait PointeeSized {}
#[lang = "meta_sized"]
pub trait MetaSized: PointeeSized {}
#[lang = "sized"]
pub trait Sized: MetaSized {}
#[lang = "copy"]
pub trait Copy {}
#[lang = "freeze"]
pub unsafe auto trait Freeze {}
impl Copy for u16 {}
impl Copy for u32 {}
impl Copy for u64 {}
impl<T: PointeeSized> Copy for *const T {}
#[rustc_builtin_macro]
macro_rules! asm {
    () => {};
}
"#;

/// A function that issues one instruction, its operands being its parameters.
fn function(
    Instruction {
        name,
        operands,
        asm,
    }: &Instruction,
) -> String {
    let parameters = operands.iter().map(|(name, ty)| format!("{name}: {ty}"));
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    format!(
        "#[unsafe(no_mangle)]\npub extern \"C\" fn {name}({parameters}) {{\n    unsafe {{ {asm} }}\n}}\n"
    )
}

/// The machine code of each function, by name.
fn assemble(target: &str, functions: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("ops.rs");
    let source = rustc::write(&source, &format!("{CORE}{functions}"));
    let object = directory.path().join("ops.o");
    let mut command = rustc::with_unstable(rustc::rustc());
    command.args(["--edition", "2024", "--emit", "obj", "-Copt-level=3"]);
    command.args(["-Ccodegen-units=1", "--target", target, "-o"]);
    rustc::run(command.arg(&object).arg(source))?;
    Ok(elf::functions(&std::fs::read(object).expect("an object")))
}

/// Whether this compiler can do it at all; otherwise says why not.
fn is_assembler(target: &str) -> bool {
    let tried = assemble(
        target,
        "#[unsafe(no_mangle)]\npub extern \"C\" fn nop() {}\n",
    );
    match tried {
        Ok(functions) => {
            assert!(functions.contains_key("nop"), "{functions:?}");
            true
        }
        Err(error) => {
            rustc::skipped(&format!(
                "the compiler cannot compile for {target} without `core`:\n{error}"
            ));
            false
        }
    }
}

/// The modules that can be assembled, with their targets and the code of their instructions.
fn assembled() -> impl Iterator<Item = (Module, &'static str, BTreeMap<String, Vec<u8>>)> {
    ops::modules().into_iter().filter_map(|module| {
        let target = rustc::target(&module.target_arch);
        if !is_assembler(target) {
            return None;
        }
        let instructions = module.instructions();
        let functions: String = instructions.iter().map(function).collect();
        let code = assemble(target, &functions).unwrap_or_else(|error| panic!("{error}"));
        for Instruction { name, asm, .. } in &instructions {
            let code = code
                .get(name)
                .unwrap_or_else(|| panic!("no code for {asm}"));
            assert!(code.len() > 1, "{asm} is no instruction: {code:x?}");
        }
        assert_eq!(code.len(), instructions.len());
        Some((module, target, code))
    })
}

#[test]
fn every_instruction_assembles() {
    for (module, _, code) in assembled() {
        assert!(!code.is_empty(), "{} issues nothing", module.arch);
    }
}

#[test]
fn what_is_no_instruction_does_not_assemble() {
    for module in ops::modules() {
        let target = rustc::target(&module.target_arch);
        if !is_assembler(target) {
            continue;
        }
        let mut instruction = module.instructions().swap_remove(0);
        let asm = instruction.asm.clone();
        instruction.asm = asm.replacen("asm ! (\"", "asm ! (\"frobnicate ", 1);
        assert_ne!(instruction.asm, asm, "the template is elsewhere");
        let error = assemble(target, &function(&instruction)).expect_err(&instruction.asm);
        assert!(error.contains("frobnicate"), "{error}");
    }
}

/// Bytes as they stand in memory, from hexadecimal digits.
fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(text, 16).expect("hexadecimal")
    };
    digits.chunks(2).map(byte).collect()
}

/// Whole functions: the first parameter is in x0. DDI 0487 C5.5 (the SYS encodings of TLBI), C6.2
/// (DSB, ISB, BFM, MSR, MRS); words are little-endian.
const AARCH64: &[(&str, &[u32])] = &[
    ("dsb_ishst", &[0xd503_3a9f]),
    ("dsb_nshst", &[0xd503_369f]),
    ("dsb_ish", &[0xd503_3b9f]),
    ("dsb_nsh", &[0xd503_379f]),
    ("isb", &[0xd503_3fdf]),
    ("vae1is", &[0xd508_8320]),
    ("vaae1is", &[0xd508_8360]),
    ("vale1is", &[0xd508_83a0]),
    ("vaale1is", &[0xd508_83e0]),
    ("aside1is", &[0xd508_8340]),
    ("vmalle1is", &[0xd508_831f]),
    ("rvae1is", &[0xd508_8220]),
    ("rvaae1is", &[0xd508_8260]),
    ("rvale1is", &[0xd508_82a0]),
    ("rvaale1is", &[0xd508_82e0]),
    ("vae1", &[0xd508_8720]),
    ("vaae1", &[0xd508_8760]),
    ("vale1", &[0xd508_87a0]),
    ("vaale1", &[0xd508_87e0]),
    ("aside1", &[0xd508_8740]),
    ("vmalle1", &[0xd508_871f]),
    ("rvae1", &[0xd508_8620]),
    ("rvaae1", &[0xd508_8660]),
    ("rvale1", &[0xd508_86a0]),
    ("rvaale1", &[0xd508_86e0]),
    ("ttbr0", &[0xd518_2000]),
    // mrs x8, ttbr1_el1; bfi x8, x0, #48, #16; msr ttbr1_el1, x8
    ("ttbr1", &[0xd538_2028, 0xb350_3c08, 0xd518_2028]),
];

/// What the functions have in them: the first parameter is in rdi, and rax is the first register
/// that is free. SDM volume 2, APM volume 3.
const X86_64: &[(&str, &str)] = &[
    ("invlpg", "0f 01 3f"),
    ("invpcid", "66 0f 38 82"),
    ("invlpgb", "0f 01 fe"),
    ("tlbsync", "0f 01 ff"),
    ("mov_cr3", "0f 20 d8 0f 22 d8"),
    (
        "mov_cr4",
        "0f 20 e0 48 35 80000000 0f 22 e0 48 35 80000000 0f 22 e0",
    ),
    ("cr3", "0f 22 df"),
];

#[test]
fn machine_code_is_that_of_the_manuals() {
    for (module, target, code) in assembled() {
        let expected: BTreeMap<&str, Vec<u8>> = match module.target_arch.as_str() {
            "aarch64" => {
                let words = |words: &&[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect();
                AARCH64.iter().map(|(name, w)| (*name, words(w))).collect()
            }
            "x86_64" => X86_64
                .iter()
                .map(|(name, hex)| (*name, bytes(hex)))
                .collect(),
            other => panic!("no machine code of {other} is written down here"),
        };
        let names: Vec<&str> = code.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            expected.keys().copied().collect::<Vec<_>>(),
            "{target}"
        );
        for (name, expected) in expected {
            let found = code[name].windows(expected.len()).any(|w| w == expected);
            assert!(found, "{name}: {:02x?} has no {expected:02x?}", code[name]);
            if target.starts_with("aarch64") {
                let ret = 0xd65f_03c0_u32.to_le_bytes();
                assert_eq!(code[name], [expected, ret.to_vec()].concat(), "{name}");
            }
        }
    }
}
