//! From tokens to the text of a file.
//!
//! The formatter does not support comments, `asm!`, or rows of tables on one line, so they are markers until the
//! text is formatted. The result is parsed again: a remaining marker, or text that is not Rust, is a bug here and
//! never reaches a file.

use proc_macro2::TokenStream;

/// Returns the text of items.
pub fn items(items: &TokenStream) -> String {
    match syn::parse2::<syn::File>(items.clone()) {
        Ok(parsed) => markers(&prettyplease::unparse(&parsed)),
        Err(error) => unreachable!("the emitter wrote what is not Rust: {error}\n{items}"),
    }
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
