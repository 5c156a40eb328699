//! The assembly that a compiler writes, as functions, instructions and loops.

use std::collections::{BTreeMap, BTreeSet};

/// A function: its instructions, and where its labels stand between them.
#[derive(Debug, Default)]
pub struct Function {
    /// The instructions, without directives and comments.
    pub instructions: Vec<String>,
    labels: BTreeMap<String, usize>,
}

/// The functions of a listing, by name.
pub fn functions(listing: &str) -> BTreeMap<String, Function> {
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    let mut name = String::new();
    for line in listing.lines() {
        let line = line.split("//").next().unwrap_or("");
        let line = line
            .split('#')
            .next()
            .filter(|_| is_comment(line))
            .unwrap_or(line);
        let (label, instruction) = match line.split_once(':') {
            Some((label, rest)) if !label.starts_with(['\t', ' ']) => (Some(label), rest),
            _ => (None, line),
        };
        if let Some(label) = label {
            if label.starts_with(".L") {
                let function = functions.entry(name.clone()).or_default();
                let at = function.instructions.len();
                function.labels.insert(label.to_owned(), at);
            } else {
                label.trim_matches('"').clone_into(&mut name);
                functions.entry(name.clone()).or_default();
            }
        }
        let instruction = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
        if !instruction.is_empty() && !instruction.starts_with('.') {
            let function = functions.entry(name.clone()).or_default();
            function.instructions.push(instruction);
        }
    }
    functions.retain(|_, function| !function.instructions.is_empty());
    functions
}

/// Whether a `#` begins a comment: it stands alone, and not before a number.
fn is_comment(line: &str) -> bool {
    line.split_once('#')
        .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with([' ', '#', 'A', 'N', '-']))
}

impl Function {
    /// The innermost loops: instructions from a label to the jump back to it.
    pub fn loops(&self) -> Vec<&[String]> {
        let all: Vec<(usize, usize)> = (0..self.instructions.len())
            .filter_map(|at| {
                let target = self.instructions[at].split([' ', ',']).next_back()?;
                let start = *self.labels.get(target)?;
                (start <= at).then_some((start, at))
            })
            .collect();
        let holds = |outer: &(usize, usize), inner: &(usize, usize)| {
            outer != inner && outer.0 <= inner.0 && inner.1 <= outer.1
        };
        let innermost = all
            .iter()
            .filter(|it| !all.iter().any(|other| holds(it, other)));
        innermost
            .map(|&(start, end)| &self.instructions[start..=end])
            .collect()
    }

    /// The functions of a set that it calls, or jumps to.
    fn calls<'a>(&'a self, all: &'a BTreeMap<String, Function>) -> BTreeSet<&'a str> {
        let words = self
            .instructions
            .iter()
            .flat_map(|i| i.split([' ', ',', '(', '@', '*']));
        words
            .filter_map(|word| all.get_key_value(word))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// The functions that can be reached from those of these names, themselves included.
pub fn reachable<'a>(
    all: &'a BTreeMap<String, Function>,
    from: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<&'a str, &'a Function> {
    let mut found = BTreeMap::new();
    let mut left: Vec<&str> = from.into_iter().collect();
    while let Some(name) = left.pop() {
        let function = all
            .get(name)
            .unwrap_or_else(|| panic!("no function {name}"));
        if found.insert(name, function).is_none() {
            left.extend(function.calls(all));
        }
    }
    found
}
