//! Values as JSON.
//!
//! In: a value that can be serialised. Out: compact JSON on one line, with members in the order of the fields.

use std::fmt::Write as _;

use serde::Serialize;

use crate::hidden::is_hidden;

/// Returns the JSON text of a value.
#[must_use]
pub fn text(value: &impl Serialize) -> String {
    // Serialisation fails only for maps with keys that are not strings; no value here has one.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // JSON allows some characters that terminals or scripts take for a line end or a command. They occur only in strings.
        if is_hidden(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}
