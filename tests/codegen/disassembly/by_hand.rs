//! Generated code beside hand-written code, and what a configuration in a type leaves of it.

use tlbc_tests::archdefs;
use tlbc_tests::bare_metal::Target;
use tlbc_tests::listing::{Function, reachable};
use tlbc_tests::workspace::root;

use super::compile::{Functions, functions};
use super::{ENTRIES, OPT_LEVELS, kernels, on_any};

/// Returns a line of an assembly listing without registers.
pub fn mnemonics(instructions: &[String]) -> Vec<&str> {
    let first = |line: &String| line.find(' ').unwrap_or(line.len());
    instructions
        .iter()
        .map(|line| &line[..first(line)])
        .collect()
}

/// Returns a routine of a backend, by a part of its name.
fn routine<'a>(all: &'a Functions, part: &str) -> &'a Function {
    let mut found = all.iter().filter(|(name, _)| name.contains(part));
    let (name, function) = found.next().unwrap_or_else(|| panic!("no {part}"));
    if let Some((other, _)) = found.next() {
        panic!("{part}: {name} and {other}");
    }
    function
}

/// A flush of one page and a loop over pages, written by hand: `archdefs/NAME/by_hand.rs`.
struct ByHand {
    /// Its text.
    text: String,
    /// A part of the name of the generated routine with the loop over pages.
    routine: String,
    /// The instruction that it issues for each page.
    instruction: String,
}

impl ByHand {
    /// Reads the file of an architecture, if there is one.
    fn of(arch: &str) -> Option<Self> {
        let path = root().join(format!("archdefs/{arch}/by_hand.rs"));
        let text = std::fs::read_to_string(path).ok()?;
        let head = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("// "));
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            let value = value.unwrap_or_else(|| panic!("archdefs/{arch}/by_hand.rs: no `{key}`"));
            value.to_owned()
        };
        Some(Self {
            routine: head("routine"),
            instruction: head("instruction"),
            text,
        })
    }
}

/// Compares a flush of one page in a constant configuration, and the loop over pages, with hand-written code.
fn is_as_short_as_by_hand(arch: &str, by_hand: &ByHand) {
    on_any(arch, |target| {
        for opt_level in OPT_LEVELS {
            let kernel = kernels::flushes(arch) + &by_hand.text;
            let all = functions(target, opt_level, &kernel);
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
            let loops = routine(&all, &by_hand.routine).loops();
            let is_page = |body: &&&[String]| {
                // A longer mnemonic may begin alike.
                let is = |line: &&String| {
                    let rest = line.strip_prefix(&by_hand.instruction);
                    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
                };
                body.iter().filter(is).count() == 1 && body.len() < 12
            };
            let pages: Vec<_> = loops.iter().filter(is_page).collect();
            assert!(
                !pages.is_empty(),
                "no loop of {} in {loops:#?}",
                by_hand.instruction
            );
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
fn generated_code_is_as_short_as_by_hand() {
    let all = archdefs::names().filter_map(|arch| Some((arch, ByHand::of(arch)?)));
    let mut compared = 0;
    for (arch, by_hand) in all {
        is_as_short_as_by_hand(arch, &by_hand);
        compared += 1;
    }
    assert!(compared >= 2, "{compared} architectures");
}

/// Returns the functions that a kernel reaches and that issue an instruction.
fn issuing(target: &Target, kernel: &str, instruction: &str) -> Vec<String> {
    let all = functions(target, "2", kernel);
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
        on_any(arch, |target| {
            let any = kernels::flushes(arch);
            let constant = any.replace("&Tlb,", &format!("&Tlb<tlbc_runtime::Constant<{bits}>>,"));
            let constant = constant.replace("{Hardware, Tlb}", "{Config, Hardware, Tlb}");
            assert_ne!(constant, any);
            assert_eq!(issuing(target, &constant, instruction), [""; 0], "{arch}");
            assert!(!issuing(target, &any, instruction).is_empty(), "{arch}");
        });
    }
}
