//! From tokens to the text of a file.
//!
//! The formatter does not support comments, `asm!`, or rows of tables on one line, so they are markers until the
//! text is formatted. The result is parsed again: a remaining marker, or text that is not Rust, is a bug here and
//! never reaches a file.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// The maximum width of a line.
const WIDTH: usize = 100;

/// A statement of inline assembly.
pub struct Asm {
    /// The lines of the template.
    pub lines: Vec<String>,
    /// The operands, as text.
    pub operands: Vec<String>,
    /// Whether the flags are preserved.
    pub preserves_flags: bool,
}

impl Asm {
    /// Returns its marker.
    pub fn marker(&self) -> TokenStream {
        let parts: Vec<Literal> = self
            .arguments()
            .iter()
            .map(|a| Literal::string(a))
            .collect();
        quote!(__asm!(#(#parts),*))
    }

    fn arguments(&self) -> Vec<String> {
        let mut out: Vec<String> = self.lines.iter().map(|line| format!("{line:?}")).collect();
        out.extend(self.operands.iter().cloned());
        // The default memory clobber remains: it keeps stores to tables before an invalidation, and accesses
        // to freed pages after it.
        out.push(if self.preserves_flags {
            "options(nostack, preserves_flags)".to_owned()
        } else {
            "options(nostack)".to_owned()
        });
        out
    }
}

/// Returns the text of a file: a comment of these lines, and items.
pub fn file(header: &[String], items: &TokenStream) -> String {
    let parsed = match syn::parse2::<syn::File>(items.clone()) {
        Ok(parsed) => parsed,
        Err(error) => unreachable!("the emitter wrote what is not Rust: {error}\n{items}"),
    };
    let body = markers(&prettyplease::unparse(&parsed));
    let text = format!("// {}\n\n{body}", header.join("\n// "));
    debug_assert!(syn::parse_file(&text).is_ok(), "markers broke the text");
    text
}

/// Replaces markers by comments and assembly, and separates items by empty lines.
fn markers(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    let mut last = String::new();
    let mut after_import = false;
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let rest = line.trim_start();
        let opens = |l: &str| l.ends_with('{') || l.ends_with('(') || l.is_empty();
        let starts = [
            "#[", "///", "pub ", "const ", "impl ", "fn ", "use ", "static ",
        ]
        .iter()
        .any(|word| rest.starts_with(word));
        let ends = last == "}" || last.ends_with(';');
        let is_import = rest.starts_with("use ");
        if starts && indent == 0 {
            if ends && !opens(&last) && !(is_import && after_import) {
                out.push('\n');
            }
            after_import = is_import;
        }
        let inner = starts && indent == 4 && last == "    }";
        if inner {
            out.push('\n');
        }
        if let Some(at) = rest.find("__comment!(") {
            let text = collect(&rest[at + "__comment!(".len()..], &mut lines);
            for text in strings(&text) {
                out.push_str(format!("{:indent$}// {text}", "").trim_end());
                out.push('\n');
            }
            last = String::from("//");
            continue;
        }
        if let Some(at) = rest.find("__line!(") {
            let text = collect(&rest[at + "__line!(".len()..], &mut lines);
            out.push_str(&line[..indent + at]);
            out.push_str(&strings(&text).concat());
            out.push_str(",\n");
            continue;
        }
        if let Some(at) = rest.find("__asm!(") {
            let arguments = collect(&rest[at + "__asm!(".len()..], &mut lines);
            let (before, comma) = (
                &line[..indent + at],
                if rest.contains("=>") { "," } else { "" },
            );
            out.push_str(&asm(before, indent, &strings(&arguments), comma));
            last = String::new();
            continue;
        }
        out.push_str(line);
        out.push('\n');
        line.clone_into(&mut last);
    }
    out
}

/// Returns the arguments of a marker, up to its closing parenthesis.
fn collect<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>) -> String {
    let mut text = first.to_owned();
    while !balanced(&text) {
        match lines.next() {
            Some(more) => text.push_str(more.trim()),
            None => break,
        }
    }
    text
}

/// Returns whether the parenthesis that is open before the text is closed in it, outside of strings.
fn balanced(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (1i32, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth <= 0
}

/// Returns the string literals of a text.
fn strings(text: &str) -> Vec<String> {
    let (mut out, mut current, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        if escaped {
            current.push(c);
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            if quoted {
                out.push(std::mem::take(&mut current));
            }
            quoted = !quoted;
        } else if quoted {
            current.push(c);
        }
    }
    out
}

/// Returns `asm!(...)` after `before`, on one line if it fits.
fn asm(before: &str, indent: usize, arguments: &[String], comma: &str) -> String {
    let one = format!("{before}asm!({}){comma}", arguments.join(", "));
    let templates = arguments.iter().filter(|a| a.starts_with('"')).count();
    if one.len() <= WIDTH && templates == 1 {
        return one + "\n";
    }
    let pad = " ".repeat(indent + 4);
    let inner: Vec<String> = arguments.iter().map(|a| format!("{pad}{a},\n")).collect();
    let inner = inner.concat();
    format!("{before}asm!(\n{inner}{}){comma}\n", " ".repeat(indent))
}
