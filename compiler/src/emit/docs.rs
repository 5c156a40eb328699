//! Documentation in generated code: words of a definition become words of Markdown.

/// Returns a text with escaped brackets outside of code: in a definition they are bits, and no links.
pub fn escaped(text: &str) -> String {
    let mut code = false;
    let mut out = String::new();
    for c in text.chars() {
        code ^= c == '`';
        if !code && matches!(c, '[' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Returns paragraphs, without empty ones.
pub fn paragraphs(paragraphs: impl IntoIterator<Item = String>) -> String {
    let paragraphs = paragraphs.into_iter().filter(|text| !text.is_empty());
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
