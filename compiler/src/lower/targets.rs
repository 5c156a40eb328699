//! Rust's names of architectures.

use super::scope::Lower;
use crate::ast::TargetArch;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::spelling::nearest;

/// A line for each of Rust's names, with the names that others use.
const TARGETS: &str = include_str!("../../targets.txt");

/// Rust's names, each with the others.
fn targets() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let lines = TARGETS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut names = line.split_whitespace();
        Some((names.next()?, names.collect()))
    })
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
        if target.intended || targets().any(|(known, _)| known == name) {
            return;
        }
        let other = |(known, others): (&'static str, Vec<&str>)| {
            let mut names = others.into_iter().chain([known]);
            names.any(|it| bare(it) == bare(name)).then_some(known)
        };
        let near = || nearest(name, targets().map(|(known, _)| known));
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
