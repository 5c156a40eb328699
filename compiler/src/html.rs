//! Pages of HTML, and the one place where texts are escaped for HTML and XML.
//!
//! In: a title and a body. Out: a self-contained page: it loads nothing. Holds: no text that went through [`escaped`] or
//! [`coded`] is interpreted as markup.

use std::fmt::Write as _;

const STYLE: &str = "\
body { font: 15px/1.4 sans-serif; margin: 2em; background: #fff; color: #111; }
table { border-collapse: collapse; margin-bottom: 2em; }
th, td { border: 1px solid #ccc; padding: .35em .6em; text-align: left; vertical-align: top; }
thead th { background: #eee; position: sticky; top: 0; }
tbody th { background: #f7f7f7; font-weight: normal; min-width: 11em; }
code { font: 13px monospace; background: #f2f2f2; overflow-wrap: anywhere; }
td div + div { margin-top: .4em; }
td.number { text-align: right; }
tr.failed th, tr.failed td { background: #fdd; }
tr.all th, tr.all td { font-weight: bold; }
";

/// Returns a page.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         {body}</body>\n</html>\n"
    )
}

/// Starts a table. The caller writes its rows, and ends it with [`TABLE_END`].
pub fn table_start<'a>(out: &mut String, columns: impl IntoIterator<Item = &'a str>) {
    out.push_str("<table>\n<thead><tr>");
    for column in columns {
        let _ = write!(out, "<th>{}</th>", escaped(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
}

/// The end of a table.
pub const TABLE_END: &str = "</tbody>\n</table>\n";

/// Converts a line to HTML, with the parts between backticks as code.
#[must_use]
pub fn coded(line: &str) -> String {
    let parts = line.split('`').enumerate().map(|(index, part)| {
        if index % 2 == 1 {
            format!("<code>{}</code>", escaped(part))
        } else {
            escaped(part)
        }
    });
    parts.collect()
}

/// Escapes a text for HTML and XML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}
