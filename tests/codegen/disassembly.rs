//! The machine code of backends: as short as hand-written code, and without anything that a kernel cannot use.
//!
//! The libraries and a small kernel are compiled for the real targets, and the assembly is read.

use std::collections::BTreeMap;
use std::path::Path;
use tlbc_tests::bare_metal;
use tlbc_tests::bare_metal::{Build, Target};
use tlbc_tests::linker;
use tlbc_tests::listing::{Function, deepest, functions, reachable};
use tlbc_tests::rustc;
use tlbc_tests::{archdefs, workspace};

/// The compiler options of kernels.
const OPT_LEVELS: [&str; 3] = ["1", "s", "3"];

/// Returns the functions of a kernel, with those of the backend, which are generic.
fn compile(target: &Target, opt_level: &str, kernel: &str) -> BTreeMap<String, Function> {
    compile_all(target, opt_level, kernel).1
}

/// Returns the functions of the libraries and of a kernel that uses them, by name.
fn compile_all(
    target: &Target,
    opt_level: &str,
    kernel: &str,
) -> (BTreeMap<String, Function>, BTreeMap<String, Function>) {
    let directory = tempfile::tempdir().expect("a directory");
    let build = Build {
        target,
        opt_level,
        directory: directory.path(),
    };
    let [mut libraries, backends, kernel] = in_order(&build, kernel, |name, source, uses| {
        functions(&build.listing(name, source, uses))
    });
    libraries.extend(backends);
    (libraries, kernel)
}

/// Compiles the runtime, the backends and a kernel, in the order of their dependencies.
fn in_order<T>(build: &Build, kernel: &str, compile: impl Fn(&str, &Path, &[&str]) -> T) -> [T; 3] {
    let library = |path: &str| workspace::root().join(path).join("src/lib.rs");
    let kernel = rustc::write(&build.directory.join("kernel.rs"), kernel);
    let uses = ["tlbc_runtime", "tlbc_backends"];
    [
        compile("tlbc_runtime", &library("runtime"), &[]),
        compile("tlbc_backends", &library("generated"), &uses[..1]),
        compile("kernel", &kernel, &uses),
    ]
}

/// Returns a kernel with a configuration that is known at run time, with a platform if the backend calls one.
fn kernel(arch: &str) -> String {
    let any = include_str!("shape/any.rs").replace("ARCH", arch);
    if arch != "powerpc64" {
        return any;
    }
    let any = any.replace("-> Hardware {", "-> Hardware<Platform> {");
    let any = any.replace("Hardware::new()", "Hardware::new(Platform)");
    any + include_str!("shape/powerpc64.rs")
}

/// Returns the names and processor architectures of the shipped definitions.
fn backends() -> Vec<(String, String)> {
    let names = archdefs::shipped().into_iter().map(|definition| {
        let model = definition.analysis().1.model;
        (model.arch.name, model.target_arch.value)
    });
    names.collect()
}

/// Calls a function with the compiler for the bare target of an architecture, or prints why it cannot.
fn on_bare_metal(target_arch: &str, test: impl FnOnce(&Target)) {
    match bare_metal::find(rustc::target(target_arch)) {
        Ok(target) => test(&target),
        Err(reason) => rustc::skipped(&reason),
    }
}

/// Does the same, but also accepts the hosted target of this machine.
fn on_any(target_arch: &str, test: impl FnOnce(&Target)) {
    let bare = bare_metal::find(rustc::target(target_arch));
    match bare.or_else(|bare| bare_metal::find_hosted(target_arch).map_err(|_| bare)) {
        Ok(target) => test(&target),
        Err(reason) => rustc::skipped(&reason),
    }
}

/// Returns a line of an assembly listing without registers.
fn mnemonics(instructions: &[String]) -> Vec<&str> {
    let first = |line: &String| line.find(' ').unwrap_or(line.len());
    instructions
        .iter()
        .map(|line| &line[..first(line)])
        .collect()
}

/// The functions of a backend that a kernel calls.
const ENTRIES: [&str; 3] = ["any_flush", "any_deliver", "any_event"];

/// Returns the calls that end in a panic, of all functions that some functions reach.
fn panics<'a>(
    all: &'a BTreeMap<String, Function>,
    from: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut calls = String::new();
    for (name, function) in reachable(all, from) {
        for line in &function.instructions {
            if ["panic", "_fail", "unwrap_failed"]
                .iter()
                .any(|word| line.contains(word))
            {
                calls += &format!("{name}: {line}\n");
            }
        }
    }
    calls
}

#[test]
fn nothing_panics() {
    for (arch, target_arch) in backends() {
        on_any(&target_arch, |target| {
            for opt_level in OPT_LEVELS {
                let (mut all, kernel) = compile_all(target, opt_level, &kernel(&arch));
                all.extend(kernel);
                assert_eq!(panics(&all, ENTRIES), "", "{arch} at opt-level {opt_level}");
            }
            let panicking = kernel(&arch).replace(
                "tlb.deliver(&mut cpu(), request)",
                "[tlb.deliver(&mut cpu(), request)][request.tag.value as usize]",
            );
            let found = panics(&compile(target, "3", &panicking), ENTRIES);
            assert!(found.contains("panic_bounds_check"), "{found}");
        });
    }
}

/// Returns a kernel that calls every function of the runtime, with a platform if the backend calls one.
fn whole_kernel(arch: &str) -> String {
    let any = include_str!("whole/any.rs").replace("ARCH", arch);
    if arch != "powerpc64" {
        return any;
    }
    let any = any.replace("-> Hardware {", "-> Hardware<Hypervisor> {");
    let any = any.replace("Hardware::new()", "Hardware::new(Hypervisor)");
    any + include_str!("whole/powerpc64.rs")
}

/// Returns the functions of a whole kernel that call the runtime.
fn entries(kernel: &str) -> Vec<&str> {
    let named = kernel.split("pub fn ").skip(1);
    let entries = named.filter_map(|rest| Some(rest.split_once('(')?.0));
    let entries: Vec<&str> = entries.filter(|name| name.starts_with("kernel_")).collect();
    assert!(!entries.is_empty(), "nothing is called");
    entries
}

/// Links a kernel, or reports undefined symbols and the calls that end in a panic.
fn link_whole(linker: &Path, target: &Target, opt_level: &str, kernel: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let build = Build {
        target,
        opt_level,
        directory,
    };
    let objects = in_order(&build, kernel, |name, source, uses| {
        build.object(name, source, uses)
    });
    let entries = entries(kernel);
    linker::link(linker, &objects, &entries, &directory.join("image")).map_err(|error| {
        let (mut all, kernel) = compile_all(target, opt_level, kernel);
        all.extend(kernel);
        error + &panics(&all, entries)
    })
}

/// A kernel that calls the runtime and a backend links without a panic handler.
#[test]
fn a_kernel_without_panics_links() {
    let linker = match linker::find() {
        Ok(linker) => linker,
        Err(reason) => return rustc::skipped(&reason),
    };
    let mut undefined = String::new();
    let mut checked = false;
    for (arch, target_arch) in backends() {
        on_bare_metal(&target_arch, |target| {
            let kernel = whole_kernel(&arch);
            for opt_level in ["2", "s"] {
                if let Err(error) = link_whole(&linker, target, opt_level, &kernel) {
                    undefined += &format!("{arch} at opt-level {opt_level}: {error}\n");
                }
            }
            if !checked {
                // One that may panic does not link, at the end of a gather, which is the end of a flush.
                let panicking = kernel.replace(
                    "pages.for_each(|page| SENT.store(page.number, Relaxed));",
                    "pages.for_each(|page| SENT.store([1; 2][page.number as usize], Relaxed));",
                );
                assert_ne!(panicking, kernel);
                let error = link_whole(&linker, target, "2", &panicking).unwrap_err();
                assert!(error.contains("rust_begin_unwind"), "{error}");
                checked = true;
            }
        });
    }
    assert_eq!(undefined, "");
}

/// The largest stack use of any function of the runtime, with the frame of its caller and the requests of other CPUs that it
/// handles while it waits; and the largest stack use of an interrupt handler.
#[test]
fn stacks_are_small() {
    for (arch, target_arch) in backends() {
        on_bare_metal(&target_arch, |target| {
            let kernel = whole_kernel(&arch);
            let (mut all, own) = compile_all(target, "2", &kernel);
            all.extend(own);
            let of = |entry| deepest(&all, entry, &mut Vec::new());
            let handler = of("kernel_interrupted");
            let most = entries(&kernel).into_iter().map(of).max();
            let most = most.expect("a kernel calls something");
            println!("{arch}: {} bytes of stack, a handler {}", most.0, handler.0);
            assert!((1024..4608).contains(&most.0), "{arch}: {most:?}");
            assert!((512..2560).contains(&handler.0), "{arch}: {handler:?}");
        });
    }
}

/// Returns whether an instruction names a floating-point or vector register.
fn uses_vectors(target_arch: &str, instruction: &str) -> bool {
    let Some((_, operands)) = instruction.split_once(' ') else {
        return false;
    };
    let words = operands.split(|c: char| !c.is_ascii_alphanumeric());
    let numbered = |word: &str, prefixes: &[&str]| {
        let number = prefixes.iter().find_map(|prefix| word.strip_prefix(prefix));
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let prefixes: &[&str] = match target_arch {
        "aarch64" => &["v", "q", "d", "s", "h", "b"],
        "s390x" => &["v", "f"],
        "x86_64" => &["xmm", "ymm", "zmm", "mm", "st", "k"],
        other => panic!("what do vector registers of {other} look like?"),
    };
    words.into_iter().any(|word| numbered(word, prefixes))
}

#[test]
fn vector_registers_are_recognised() {
    assert!(uses_vectors("aarch64", "stp q0, q1, [x0]"));
    assert!(uses_vectors("aarch64", "movi v0.2d, #0000000000000000"));
    assert!(!uses_vectors("aarch64", "ldr x0, [sp, #16]"));
    assert!(!uses_vectors("aarch64", "dsb ish"));
    assert!(uses_vectors("s390x", "vst %v0, 160(%r15)"));
    assert!(uses_vectors("s390x", "std %f8, 160(%r15)"));
    assert!(!uses_vectors("s390x", "lctlg %c1, %c1, 160(%r15)"));
    assert!(uses_vectors("x86_64", "movups %xmm0, (%rdi)"));
    assert!(!uses_vectors("x86_64", "movq %rax, (%rdi)"));
}

/// Kernels compile the runtime for a target with soft floats. Generated code uses no vector registers on any target.
#[test]
fn no_floating_point_and_no_vectors() {
    let mut found = String::new();
    for (arch, target_arch) in backends() {
        // Its assembler names registers by their numbers alone, whatever kind they are of.
        if target_arch == "powerpc64" {
            continue;
        }
        on_bare_metal(&target_arch, |target| {
            for opt_level in OPT_LEVELS {
                let kernel = compile(target, opt_level, &kernel(&arch));
                for (name, function) in reachable(&kernel, ENTRIES) {
                    for line in &function.instructions {
                        if uses_vectors(&target_arch, line) {
                            found += &format!("{arch} at opt-level {opt_level}, {name}: {line}\n");
                        }
                    }
                }
            }
        });
    }
    assert_eq!(found, "");
}

/// Returns a routine of a backend, by a part of its name.
fn routine<'a>(all: &'a BTreeMap<String, Function>, part: &str) -> &'a Function {
    let mut found = all.iter().filter(|(name, _)| name.contains(part));
    let (name, function) = found.next().unwrap_or_else(|| panic!("no {part}"));
    if let Some((other, _)) = found.next() {
        panic!("{part}: {name} and {other}");
    }
    function
}

/// Compares a flush of one page in a constant configuration, and the loop over pages, with hand-written code.
fn is_as_short_as_by_hand(arch: &str, by_hand: &str, pass: &str, instruction: &str) {
    let found = backends().into_iter().find(|(name, _)| name == arch);
    let (_, target_arch) = found.expect("a shipped definition");
    on_any(&target_arch, |target| {
        for opt_level in OPT_LEVELS {
            let all = compile(target, opt_level, &(kernel(arch) + by_hand));
            let hand = mnemonics(&all["hand_page"].instructions);
            // Identical functions may have become one.
            let one = all.get("generated_page").map(|f| f.instructions.as_slice());
            let mut generated = mnemonics(one.unwrap_or(&all["hand_page"].instructions));
            // The order of what is independent is the compiler's.
            let mut sorted = hand.clone();
            sorted.sort_unstable();
            generated.sort_unstable();
            assert_eq!(
                generated.len(),
                sorted.len(),
                "one page, {} at opt-level {opt_level}: {generated:?}, by hand {hand:?}",
                target.name
            );
            let [hand] = all["hand_loop"].loops()[..] else {
                panic!("one loop by hand");
            };
            let loops = routine(&all, pass).loops();
            let is_page = |body: &&&[String]| {
                // A longer mnemonic may begin alike.
                let is = |line: &&String| {
                    let rest = line.strip_prefix(instruction);
                    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
                };
                body.iter().filter(is).count() == 1 && body.len() < 12
            };
            let pages: Vec<_> = loops.iter().filter(is_page).collect();
            assert!(!pages.is_empty(), "no loop of {instruction} in {loops:#?}");
            for body in pages {
                assert_eq!(
                    body.len(),
                    hand.len(),
                    "a page of many, {} at opt-level {opt_level}: {body:#?}",
                    target.name
                );
            }
        }
    });
}

#[test]
fn arm64_is_as_short_as_by_hand() {
    let by_hand = include_str!("shape/arm64.rs");
    is_as_short_as_by_hand("arm64", by_hand, "user_wide_pass", "tlbi vale1is");
}

#[test]
fn x86_64_is_as_short_as_by_hand() {
    let by_hand = include_str!("shape/x86_64.rs");
    is_as_short_as_by_hand("x86_64", by_hand, "kernel_here_pass", "invlpg");
}

/// Returns the functions that a kernel reaches and that issue an instruction.
fn issuing(target: &Target, kernel: &str, instruction: &str) -> Vec<String> {
    let all = compile(target, "2", kernel);
    let issues = |function: &Function| {
        function
            .instructions
            .iter()
            .any(|line| line.contains(instruction))
    };
    let found = reachable(&all, ENTRIES)
        .into_iter()
        .filter(|(_, function)| issues(function));
    found.map(|(name, _)| name.to_owned()).collect()
}

/// A configuration in a type leaves nothing of the features that it lacks, also in functions that are not inlined.
#[test]
fn a_constant_configuration_leaves_no_code_of_other_features() {
    let lacking = [
        ("arm64", "0", "tlbi rvale1is"),
        (
            "x86_64",
            "{ Config::PGE.with(Config::PCID).with(Config::INVPCID).bits() }",
            "invlpgb",
        ),
    ];
    for (arch, bits, instruction) in lacking {
        let found = backends().into_iter().find(|(name, _)| name == arch);
        let (_, target_arch) = found.expect("a shipped definition");
        on_any(&target_arch, |target| {
            let any = kernel(arch);
            let constant = any.replace("&Tlb,", &format!("&Tlb<tlbc_runtime::Constant<{bits}>>,"));
            let constant = constant.replace("{Hardware, Tlb}", "{Config, Hardware, Tlb}");
            assert_ne!(constant, any);
            assert_eq!(issuing(target, &constant, instruction), [""; 0], "{arch}");
            assert!(!issuing(target, &any, instruction).is_empty(), "{arch}");
        });
    }
}

#[test]
fn listings_are_read() {
    let listing = "\
first:
\t.cfi_startproc
\tmov\tw8, #1                           // =0x1
.LBB0_1:
\t//APP
\ttlbi\tvale1is, x0
\t//NO_APP
\tsubs\tx1, x1, #1
\tb.ne\t.LBB0_1
\tb\tsecond
.Lfunc_end0:
_second:
\tpushq\t%rax
\t#APP
\tinvlpg\t(%rdi)
\t#NO_APP
\tcallq\t*first@GOTPCREL(%rip)
\t.section\t.stack_sizes,\"o\",@progbits,.text._second
\t.quad\t.Lfunc_begin1
\t.ascii\t\"\\330\\003\"
\t.section\t.text.second,\"ax\",@progbits
second:
\tret
third:
\tret
";
    let all = functions(listing);
    let first = &all["first"];
    assert_eq!(first.instructions.len(), 5);
    let body: &[String] = &first.instructions[1..4];
    assert_eq!(first.loops(), [body]);
    assert_eq!(mnemonics(body), ["tlbi", "subs", "b.ne"]);
    let of_second = ["pushq %rax", "invlpg (%rdi)", "callq *first@GOTPCREL(%rip)"];
    assert_eq!(all["_second"].instructions, of_second);
    let deepest = deepest(&all, "_second", &mut Vec::new());
    assert_eq!(deepest, (0x1d8 + 3 * 8, vec!["_second", "first", "second"]));
    let found = reachable(&all, ["_second"]);
    assert_eq!(
        found.into_keys().collect::<Vec<_>>(),
        ["_second", "first", "second"]
    );
}
