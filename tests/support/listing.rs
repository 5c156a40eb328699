//! The assembly that a compiler writes, as functions, instructions and loops.

use std::collections::{BTreeMap, BTreeSet};

/// A function: its instructions, and where its labels stand between them.
#[derive(Debug, Clone, Default)]
pub struct Function {
    /// The instructions, without directives and comments.
    pub instructions: Vec<String>,
    labels: BTreeMap<String, usize>,
    /// The bytes of stack that it takes, without its return address, where the compiler was asked for that.
    stack: u64,
}

/// The functions of a listing, by name.
pub fn functions(listing: &str) -> BTreeMap<String, Function> {
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    let mut name = String::new();
    let mut measured: Option<String> = None;
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
        if let Some(section) = instruction.strip_prefix(".section ") {
            let of = section.strip_prefix(".stack_sizes");
            let name = of.and_then(|of| of.rsplit(['.', ',']).next());
            measured = name.map(ToOwned::to_owned);
        } else if let (Some(name), Some(stack)) = (&measured, leb128(&instruction)) {
            functions.entry(name.clone()).or_default().stack = stack;
        }
        if let Some((other, same)) = instruction.split_once(" = ") {
            // Identical functions are one, and the other name is an alias.
            let alias = functions.entry(other.trim_matches('"').to_owned());
            alias.or_default().instructions.push(format!("b {same}"));
        } else if !instruction.is_empty() && !instruction.starts_with('.') {
            let function = functions.entry(name.clone()).or_default();
            function.instructions.push(instruction);
        }
    }
    functions.retain(|_, function| !function.instructions.is_empty());
    functions
}

/// The number that a directive for some bytes holds, seven bits in each.
fn leb128(directive: &str) -> Option<u64> {
    let bytes: Vec<u8> = if let Some(byte) = directive.strip_prefix(".byte ") {
        vec![byte.parse().ok()?]
    } else {
        let text = directive.strip_prefix(".ascii \"")?.strip_suffix('"')?;
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, others)) = rest.split_first() {
            let (byte, length) = match (first, others) {
                (b'\\', [b'0'..=b'7', ..]) => {
                    let digits = others
                        .get(..3)
                        .and_then(|it| std::str::from_utf8(it).ok())?;
                    (u8::from_str_radix(digits, 8).ok()?, 4)
                }
                (b'\\', _) => return None, // no stack is of so many bytes
                _ => (first, 1),
            };
            bytes.push(byte);
            rest = rest.get(length..)?;
        }
        bytes
    };
    let low = bytes.iter().rev();
    Some(low.fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f)))
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
            .flat_map(|i| i.split([' ', ',', '(', ')', '@', '*']));
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

/// The stack that each function takes, and what it calls.
pub struct StackUse<'a>(BTreeMap<&'a str, (u64, BTreeSet<&'a str>)>);

impl<'a> StackUse<'a> {
    /// Reads functions, each of them once.
    pub fn new(all: &'a BTreeMap<String, Function>) -> Self {
        let of = |function: &'a Function| (function.stack, function.calls(all));
        Self(
            all.iter()
                .map(|(name, it)| (name.as_str(), of(it)))
                .collect(),
        )
    }

    /// Returns the chain of calls from a function that takes the most stack, with 8 bytes of each call for its return address.
    /// None comes back to a function of its own.
    pub fn deepest(&self, from: &'a str) -> (u64, Vec<&'a str>) {
        let (bytes, mut chain) = self.below(from, &mut Vec::new());
        chain.reverse();
        (bytes, chain)
    }

    /// Returns the same with the chain from its end; `above` are the callers.
    fn below(&self, from: &'a str, above: &mut Vec<&'a str>) -> (u64, Vec<&'a str>) {
        let found = self.0.get(from);
        let (stack, callees) = found.unwrap_or_else(|| panic!("no function {from}"));
        above.push(from);
        let mut most = (0, Vec::new());
        for callee in callees {
            if !above.contains(callee) {
                let below = self.below(callee, above);
                if below.0 > most.0 {
                    most = below;
                }
            }
        }
        above.pop();
        most.1.push(from);
        (most.0 + stack + 8, most.1)
    }
}
