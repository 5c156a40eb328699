//! The traps of the cover relation: that the planner falls into none, on the shipped definitions or on
//! copies with one fact changed.
//!
//! Not here: nXS forms (23), which the definitions do not describe; what the sender and the handler
//! know (20), and nested gathers (25), which are the runtime's.

#[path = "../common/mod.rs"]
mod common;

mod arm64;
mod powerpc64;
mod s390;
mod shared;
mod x86_64;

use common::{env, machine, names};
use tlbc::Analysis;
use tlbc::plan::ir::Shape;
use tlbc::trace::Trace;
use tlbc::trace::interpret::{Effects, Env, interpret};
use tlbc_runtime::level::Level;
use tlbc_runtime::request::Ranges;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4 * KIB;

/// Addresses of user space and of the kernel, on arm64 as on x86-64.
const USER: u64 = 0x40_0000_0000;
const KERNEL: u64 = 0xffff_8000_4000_0000;

/// How often this CPU issues an instruction.
fn count(trace: &Trace, name: &str) -> usize {
    names(trace).iter().filter(|n| **n == name).count()
}

/// Every such operand that this CPU issues.
fn operands(trace: &Trace, operand: &str) -> Vec<u128> {
    let all = trace.issued().flat_map(|i| &i.operands);
    all.filter(|it| it.name == operand)
        .map(|it| it.value.0)
        .collect()
}

/// A definition without the block that begins so.
fn without(text: &str, head: &str) -> String {
    let head = text.find(head).unwrap_or_else(|| panic!("no `{head}`"));
    let start = text[..head].rfind('\n').expect("a line before") + 1;
    let close = format!("\n{}}}\n", &text[start..head]);
    let end = head + text[head..].find(&close).expect("an end") + close.len();
    // Statements that name it without an effect would be about nothing.
    let rest = format!("{}{}", &text[..start], &text[end..]);
    let lines = rest.split_inclusive('\n');
    let lines = lines.filter(|line| !line.trim_start().starts_with("unconfirmed "));
    lines.collect()
}

/// A plan, interpreted for a page of user space whose tag is of one CPU or of the machine.
fn page_effects(arch: &Analysis, words: &str, shape: Shape, global: bool) -> Effects {
    let env = Env {
        page: (USER, Level(0)),
        ..env(machine(&arch.model, words), global, Ranges::new())
    };
    interpret(&arch.model, &arch.plans, shape, &env)
}
