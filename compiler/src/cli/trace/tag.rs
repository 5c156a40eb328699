//! The tag of a request.

use tlbc_runtime::request::Tag;

use crate::cli::number::tag as number;
use crate::cli::{Trouble, unknown};
use crate::model::{self, Config, Model};
use crate::sample_requests::least_tag;
use crate::trace::ROOT;

/// Returns the tag that was given as `N` or `KIND:N`, or else that of the root that is loaded, if that is the tag, or the least
/// that a space can have; and a remark if no space has it.
pub(super) fn tag(
    model: &Model,
    (config, limits): (Config, &[u64]),
    given: Option<&str>,
    others: bool,
) -> Result<(Tag, Option<String>), Trouble> {
    let Some(given) = given else {
        let least = least_tag(model, config, others);
        let is_root = model.tags(config).any(|tag| tag.is_root.is_some());
        let value = if is_root { ROOT } else { least.value };
        return Ok((Tag { value, ..least }, None));
    };
    let (name, value) = match given.split_once(':') {
        Some((name, value)) => (Some(name), value),
        None => (None, given),
    };
    let value = number(value).map_err(|why| Trouble(format!("--tag {given}: {why}")))?;
    let all: Vec<model::Tag> = model.tags(config).map(|tag| tag.on(limits)).collect();
    let all: Vec<&model::Tag> = all.iter().collect();
    let kind = match name {
        Some(name) => named(&all, name)?,
        None if all.is_empty() => {
            let note = "there are no tags on this machine: --tag makes no difference";
            let tag = Tag {
                value,
                global: false,
            };
            return Ok((tag, Some(note.to_owned())));
        }
        None => of_value(&all, value)?,
    };
    check(&all, kind, value)?;
    let tag = Tag {
        value,
        global: !kind.per_cpu.value,
    };
    Ok((tag, remark(kind, value, model.view_bits(config))))
}

/// Returns the kind of that name.
fn named<'m>(all: &[&'m model::Tag], name: &str) -> Result<&'m model::Tag, Trouble> {
    let names: Vec<&str> = all.iter().map(|tag| tag.named.name.as_str()).collect();
    let found = all.iter().find(|tag| tag.named.name == name);
    found
        .copied()
        .ok_or_else(|| unknown("kind of tag", name, &names))
}

/// Returns the kind that has a value. If there is only one kind, the value may also be one that no space gets.
fn of_value<'m>(all: &[&'m model::Tag], value: u64) -> Result<&'m model::Tag, Trouble> {
    if let [only] = all {
        return Ok(only);
    }
    let found = all.iter().find(|tag| has(tag, value));
    found.copied().ok_or_else(|| {
        let kinds = all.iter().map(|tag| values(tag));
        let kinds: Vec<String> = kinds.collect();
        Trouble(format!(
            "no space has tag {value:#x}\n  there are: {}",
            kinds.join(", ")
        ))
    })
}

/// Checks that a value fits its kind and is not one of another kind.
fn check(all: &[&model::Tag], kind: &model::Tag, value: u64) -> Result<(), Trouble> {
    let (name, bits) = (&kind.named.name, kind.widths.1);
    if bits < 64 && value >> bits != 0 {
        let message = format!("tag {value:#x} does not fit the {bits} bits of `{name}`");
        return Err(Trouble(message));
    }
    let mut others = all.iter().filter(|tag| tag.named.name != *name);
    if let Some(other) = others.find(|tag| has(tag, value))
        && !has(kind, value)
    {
        return Err(Trouble(format!(
            "tag {value:#x} is none of `{name}`: it is one of {}",
            values(other)
        )));
    }
    Ok(())
}

/// Returns a remark on a value that no space has.
fn remark(kind: &model::Tag, value: u64, view_bits: u64) -> Option<String> {
    let shared = value & view_bits;
    if shared != 0 {
        return Some(format!(
            "tag {value:#x} has bit {shared:#x}, by which views differ: no space has it, and its views \
             are the same here"
        ));
    }
    (!has(kind, value)).then(|| format!("no space has tag {value:#x}: {}", values(kind)))
}

/// Returns whether the definition allows spaces to get a value.
fn has(tag: &model::Tag, value: u64) -> bool {
    let (first, last) = tag.range();
    (first..=last).contains(&value)
}

/// Returns the name of a kind with its values: `slot` (0x1 to 0x6)
fn values(tag: &model::Tag) -> String {
    let (first, last) = tag.range();
    format!("`{}` ({first:#x} to {last:#x})", tag.named.name)
}
