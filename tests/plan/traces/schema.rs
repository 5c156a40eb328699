//! Whether a JSON value is as a schema describes it, as far as the schema of traces needs that.
//!
//! In: a schema and a value. Out: the first place where the value differs. A keyword that is not known here is an error of
//! the test, so that nothing of the schema goes unchecked. The crates that validate every schema bring tens of others.

use serde_json::Value;

/// The schema that `tlbc` ships.
pub const TRACE: &str = include_str!("../../../compiler/schema/trace.schema.json");

/// Checks a value against a schema document.
pub fn check(document: &Value, value: &Value) -> Result<(), String> {
    Schema { document }.check(document, value, "$")
}

struct Schema<'s> {
    document: &'s Value,
}

impl Schema<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let keywords = schema.as_object().expect("a schema is an object");
        for (keyword, wanted) in keywords {
            match keyword.as_str() {
                // Texts, and what is looked up elsewhere.
                "$schema" | "$defs" | "title" | "description" => {}
                "$ref" => {
                    let path = wanted.as_str().and_then(|to| to.strip_prefix('#'));
                    let found = path.and_then(|path| self.document.pointer(path));
                    self.check(found.expect("a definition"), value, at)?;
                }
                "oneOf" => {
                    let all = wanted.as_array().expect("several schemas");
                    let tried = all.iter().map(|one| self.check(one, value, at));
                    let tried: Vec<_> = tried.collect();
                    if tried.iter().filter(|it| it.is_ok()).count() != 1 {
                        return Err(format!("{at}: not one of several: {tried:?}"));
                    }
                }
                "const" => {
                    if value != wanted {
                        return Err(format!("{at}: {value} is not {wanted}"));
                    }
                }
                "enum" => {
                    if !wanted.as_array().expect("values").contains(value) {
                        return Err(format!("{at}: {value} is none of {wanted}"));
                    }
                }
                "type" => {
                    let types = match wanted {
                        Value::Array(several) => several.clone(),
                        one => vec![one.clone()],
                    };
                    if !types.iter().any(|one| one == kind(value)) {
                        return Err(format!("{at}: {value} is no {wanted}"));
                    }
                }
                "minimum" => {
                    // Of numbers alone.
                    if value.is_u64() && value.as_u64() < wanted.as_u64() {
                        return Err(format!("{at}: {value} is less than {wanted}"));
                    }
                }
                "pattern" => check_pattern(wanted, value, at)?,
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(wanted, item, &format!("{at}[{index}]"))?;
                    }
                }
                "required" => {
                    let mut names = wanted.as_array().expect("names").iter();
                    if let Some(name) = names.find(|name| value.get(text(name)).is_none()) {
                        return Err(format!("{at}: {name} is missing"));
                    }
                }
                "properties" => {
                    for (name, schema) in wanted.as_object().expect("members") {
                        if let Some(member) = value.get(name) {
                            self.check(schema, member, &format!("{at}.{name}"))?;
                        }
                    }
                }
                "additionalProperties" => {
                    assert_eq!(wanted, false, "the only value that is used");
                    let known = keywords["properties"].as_object().expect("members");
                    let mut members = value.as_object().into_iter().flatten();
                    if let Some((name, _)) = members.find(|(name, _)| !known.contains_key(*name)) {
                        return Err(format!("{at}: {name} is not described"));
                    }
                }
                other => panic!("the schema uses `{other}`, which is not checked here"),
            }
        }
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The one pattern that there is.
fn check_pattern(pattern: &Value, value: &Value, at: &str) -> Result<(), String> {
    assert_eq!(
        pattern, "^0x[0-9a-f]+$",
        "another pattern is not checked here"
    );
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    match digits {
        Some(digits) if !digits.is_empty() && digits.chars().all(is_hex) => Ok(()),
        _ => Err(format!("{at}: {value} is no number in hexadecimal")),
    }
}

#[test]
fn a_value_that_differs_is_found() {
    use serde_json::json;
    let schema = json!({
        "type": "object", "required": ["kind", "of"], "additionalProperties": false,
        "properties": {
            "kind": { "enum": ["a", "b"] },
            "of": { "type": "array", "items": { "oneOf": [
                { "$ref": "#/$defs/hex" }, { "type": ["integer", "null"], "minimum": 2 },
            ] } },
        },
        "$defs": { "hex": { "type": "string", "pattern": "^0x[0-9a-f]+$" } },
    });
    let good = json!({ "kind": "a", "of": ["0x1f", 2, null] });
    assert_eq!(check(&schema, &good), Ok(()));
    for bad in [
        json!([]),
        json!({ "kind": "a" }),
        json!({ "kind": "c", "of": [] }),
        json!({ "kind": "a", "of": [], "more": 1 }),
        json!({ "kind": "a", "of": ["1f"] }),
        json!({ "kind": "a", "of": ["0x"] }),
        json!({ "kind": "a", "of": [1] }),
        json!({ "kind": "a", "of": [true] }),
    ] {
        assert!(check(&schema, &bad).is_err(), "{bad}");
    }
}
