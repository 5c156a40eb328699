//! Rust's names of architectures, and the width of their registers.

use super::scope::Lower;
use crate::ast::TargetArch;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::spelling::nearest;

/// A line for each of Rust's names, with the names that others use.
const TARGETS: &str = include_str!("../../targets.txt");

/// An architecture that Rust knows.
struct RustTarget {
    name: &'static str,
    /// The width of a general register.
    register_bits: u32,
    /// The names that others use.
    others: Vec<&'static str>,
}

/// Returns the architectures that Rust knows.
fn targets() -> impl Iterator<Item = RustTarget> {
    let lines = TARGETS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(RustTarget {
            name: words.next()?,
            register_bits: words.next()?.parse().ok()?,
            others: words.collect(),
        })
    })
}

/// Returns the width of a general register of an architecture; 64 bits if Rust does not know it.
pub(super) fn register_bits(name: &str) -> u32 {
    let target = targets().find(|target| target.name == name);
    target.map_or(64, |target| target.register_bits)
}

/// Returns a name without the characters that are often written in different ways.
fn bare(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

impl Lower {
    /// Reports a name that Rust does not know, if another was probably meant.
    pub(super) fn known_target(&mut self, target: &TargetArch) {
        let name = target.name.node.as_str();
        if name.trim().is_empty() {
            self.missing(
                target.name.span,
                "`target_arch`",
                "which architecture",
                "write Rust's name of the architecture, or another name followed by `intended`",
            );
            return;
        }
        if target.intended || targets().any(|target| target.name == name) {
            return;
        }
        let other = |target: RustTarget| {
            let mut names = target.others.into_iter().chain([target.name]);
            names
                .any(|it| bare(it) == bare(name))
                .then_some(target.name)
        };
        let near = || nearest(name, targets().map(|target| target.name));
        let Some(meant) = targets().find_map(other).or_else(near) else {
            return;
        };
        self.report(
            Diagnostic::new(
                Code::E0209,
                target.name.span,
                format!("Rust has no architecture `{name}`"),
            )
            .label("compared with `target_arch`")
            .note("`Hardware`, which executes instructions, would be left out of every build")
            .help(format!(
                "did you mean `{meant}`? If the name is correct, write `target_arch \"{name}\" intended;`"
            )),
        );
    }
}
