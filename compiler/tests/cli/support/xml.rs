//! A parser for the subset of XML that pictures and pages use.

use std::collections::BTreeMap;

/// An element and the text directly in it.
#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub text: String,
}

/// Returns the elements of a document in the order of their start tags. Panics if the document is not well formed.
pub fn elements(document: &str) -> Vec<Element> {
    let mut found: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = document.trim();
    while let Some(at) = rest.find('<') {
        let text = unescaped(&rest[..at]);
        if let Some(&parent) = open.last() {
            found[parent].text += &text;
        } else {
            assert_eq!(text.trim(), "", "text outside of everything");
        }
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop().expect("something is open");
            assert_eq!(found[opened].name, name, "what ends is what began");
            continue;
        }
        assert!(!open.is_empty() || found.is_empty(), "two documents in one");
        let (tag, alone) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        if !alone {
            open.push(found.len());
        }
        found.push(element(tag));
    }
    assert!(open.is_empty(), "{} elements do not end", open.len());
    assert_eq!(rest.trim(), "");
    found
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(
        name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty(),
        "{tag}"
    );
    let mut attributes = BTreeMap::new();
    while !rest.trim().is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{tag}"));
        let (value, after) = value.split_once('"').unwrap_or_else(|| panic!("{tag}"));
        let name = name.trim().to_owned();
        assert!(attributes.insert(name, unescaped(value)).is_none(), "{tag}");
        rest = after;
    }
    Element {
        name: name.to_owned(),
        attributes,
        text: String::new(),
    }
}

/// Replaces the entities of a text.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (name, rest) = part
            .split_once(';')
            .unwrap_or_else(|| panic!("a bare & in {text}"));
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            _ => panic!("&{name};"),
        });
        out += rest;
    }
    assert!(!text.contains('>'), "a bare > in {text}");
    out
}
