//! Every instruction that a backend can issue is assembled for its processor.
//!
//! The compiler has the assemblers of all its targets, whether a target is installed or not: a
//! crate without `core` needs none. The `asm!` of each instruction is taken out of the generated
//! files unchanged.

use std::collections::BTreeMap;
use tlbc_tests::elf;
use tlbc_tests::instructions;
use tlbc_tests::instructions::{Instruction, Module};
use tlbc_tests::rustc;

/// The parts of `core` that `asm!` with operands needs.
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

/// A function that issues one instruction, its operands being its parameters: first those in a
/// register of their own, which is that of the parameter where calls use the same ones.
fn function(
    Instruction {
        name,
        operands,
        asm,
    }: &Instruction,
) -> String {
    let mut operands: Vec<_> = operands.iter().collect();
    operands.sort_by_key(|(name, _)| !asm.contains(&format!("\") {name}")));
    let parameters = operands.iter().map(|(name, ty)| format!("{name}: {ty}"));
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    format!(
        "#[unsafe(no_mangle)]\npub extern \"C\" fn {name}({parameters}) {{\n    unsafe {{ {asm} }}\n}}\n"
    )
}

/// Returns the machine code of each function, by name.
fn assemble(target: &str, functions: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("ops.rs");
    let source = rustc::write(&source, &format!("{CORE}{functions}"));
    let object = directory.path().join("ops.o");
    let mut command = rustc::with_unstable(rustc::rustc());
    command.args(["--edition", "2024", "--emit", "obj", "-Copt-level=3"]);
    // Instructions with the same encoding are distinguished by their operands alone.
    command.args(["-Zmerge-functions=disabled"]);
    command.args(["-Ccodegen-units=1", "--target", target, "-o"]);
    rustc::run(command.arg(&object).arg(source))?;
    Ok(elf::functions(&std::fs::read(object).expect("an object")))
}

/// Returns whether this compiler can assemble for other targets; prints why not.
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

/// Returns the modules that can be assembled, with their targets and the machine code of their instructions.
fn assembled() -> impl Iterator<Item = (Module, &'static str, BTreeMap<String, Vec<u8>>)> {
    instructions::modules().into_iter().filter_map(|module| {
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
    for module in instructions::modules() {
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

/// Parts of the functions: the first parameter is in rdi, and rax is the first register
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

/// Whole functions: the parameters are in r3 and r4. `tlbie` and `tlbiel` are XO 306 and 274 with RS in
/// bits 21 and up, RIC in 18, PRS in 17, R in 16 and RB in 11; here RB is r3 and RS r4, PRS and R are 1.
/// `ptesync` is `sync` (XO 598) with L = 2 in 21, and IH of `slbia` (XO 498) stands there too. The halves of an SPR's number are swapped: PIDR is 48.
const POWERPC64: &[(&str, &[u32])] = &[
    ("ptesync", &[0x7c40_04ac]),
    // ptesync; cp_abort
    ("ptesync_cpabort", &[0x7c40_04ac, 0x7c00_068c]),
    // eieio; tlbsync; ptesync
    ("tlbsync", &[0x7c00_06ac, 0x7c00_046c, 0x7c40_04ac]),
    ("isync", &[0x4c00_012c]),
    ("tlbie_va", &[0x7c83_1a64]),
    ("tlbie_unused", &[0x7c83_1a64]),
    ("tlbie_pid0", &[0x7c83_1a64]),
    ("tlbie_pid1", &[0x7c87_1a64]),
    ("tlbie_pid2", &[0x7c8b_1a64]),
    ("tlbiel_va", &[0x7c83_1a24]),
    ("tlbiel_pid0", &[0x7c83_1a24]),
    ("tlbiel_pid1", &[0x7c87_1a24]),
    ("tlbiel_pid2", &[0x7c8b_1a24]),
    ("tlbiel_all0", &[0x7c83_1a24]),
    ("tlbiel_all2", &[0x7c8b_1a24]),
    ("slbia_user", &[0x7c60_03e4]),
    ("slbia_all", &[0x7ce0_03e4]),
    // 0x7c0003a6 | RS << 21 | (48 & 31) << 16 | (48 >> 5) << 11
    ("pid", &[0x7c70_0ba6]),
];

/// Parts of the functions: the parameters are in r2, r3 and up, and a dot stands for a
/// register that the compiler chooses. IPTE, IDTE, CRDTE and RDP are RRF: operation code, R3, M4, R1,
/// R2. CSPG is RRE, PTLB is S, LCTLG is RSY: EB, R1, R3, base, displacement, 2F.
const S390X: &[(&str, &str)] = &[
    ("ipte", "b221 0023"),
    ("ipte_local", "b221 0123"),
    // ipte; chi %r4,255; jne to the first, four halfwords back
    ("ipte_run", "b221 4023 a74e00ff a774fffc"),
    ("ipte_run_local", "b221 4123 a74e00ff a774fffc"),
    // R1 the origin, R2 the address
    ("idte", "b98e 0023"),
    ("idte_local", "b98e 0123"),
    // R3 the ASCE, R2 the option
    ("idte_asce", "b98e 2003"),
    ("ptlb", "b20d 0000"),
    // The pairs are r2, r3 and r4, r5; R3 is the ASCE
    ("crdte", "b98f .024"),
    ("cspg", "b98a 0024"),
    ("rdp", "b98b 0023"),
    ("rdp_local", "b98b 0123"),
    ("cr1", "eb11 .000 002f"),
    ("cr7", "eb77 .000 002f"),
];

/// The machine code of a return.
fn epilogue(target_arch: &str) -> &'static str {
    match target_arch {
        "aarch64" => "c0035fd6",
        "powerpc64" => "2000804e",
        "s390x" => "07fe",
        "x86_64" => "c3",
        other => panic!("no return of {other} is written down here"),
    }
}

/// The expected part of the machine code, in hexadecimal digits in the order of memory.
fn expected(target_arch: &str) -> BTreeMap<&'static str, String> {
    let words = |all: &[(&'static str, &[u32])]| {
        let digits = |word: &u32| format!("{:08x}", word.swap_bytes());
        all.iter()
            .map(|(name, words)| (*name, words.iter().map(digits).collect()))
            .collect()
    };
    let digits = |all: &[(&'static str, &str)]| {
        all.iter()
            .map(|(name, digits)| (*name, digits.replace(' ', "")))
            .collect()
    };
    match target_arch {
        "aarch64" => words(AARCH64),
        "powerpc64" => words(POWERPC64),
        "s390x" => digits(S390X),
        "x86_64" => digits(X86_64),
        other => panic!("no machine code of {other} is written down here"),
    }
}

/// Returns whether digits contain a pattern at a byte boundary; a dot matches any digit.
fn has(digits: &str, pattern: &str) -> bool {
    let same = |window: &[u8]| {
        let mut pairs = window.iter().zip(pattern.bytes());
        pairs.all(|(digit, wanted)| wanted == b'.' || *digit == wanted)
    };
    let mut windows = digits.as_bytes().windows(pattern.len()).step_by(2);
    windows.any(same)
}

#[test]
fn patterns_are_found_at_whole_bytes() {
    assert!(has("00b98f1024", "b98f.024"));
    assert!(!has("0b98f10240", "b98f.024"));
    assert!(!has("b98f1023", "b98f.024"));
}

#[test]
fn machine_code_is_that_of_the_manuals() {
    for (module, target, code) in assembled() {
        let expected = expected(&module.target_arch);
        let names: Vec<&str> = code.keys().map(String::as_str).collect();
        let known: Vec<&str> = expected.keys().copied().collect();
        assert_eq!(names, known, "{target}");
        for (name, expected) in expected {
            let digits = code[name].iter().map(|b| format!("{b:02x}"));
            let digits = digits.collect::<Vec<_>>().concat();
            assert!(
                has(&digits, &expected),
                "{name}: {digits} has no {expected}"
            );
            // On x86-64 there are moves around it, and where the compiler chooses registers.
            if module.target_arch != "x86_64" && !expected.contains('.') {
                let whole = expected + epilogue(&module.target_arch);
                // What follows a function of powerpc64, for debuggers, is zeros.
                let rest = digits.strip_prefix(&whole);
                let nothing = rest.is_some_and(|rest| rest.bytes().all(|b| b == b'0'));
                assert!(nothing, "{name}: {digits}, not {whole}");
            }
        }
    }
}
