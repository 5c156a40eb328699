//! Values as JSON.
//!
//! In: a value that can be serialised. Out: its compact text, on one line, members in the order of its fields.

use std::fmt::Write as _;

use serde::Serialize;

use crate::hidden::is_hidden;

/// The text of a value.
#[must_use]
pub fn text(value: &impl Serialize) -> String {
    // Only a map whose keys are no texts fails, and there is none.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Also what JSON allows and terminals or scripts may take for a line end or a command: it stands in strings alone.
        if is_hidden(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}
