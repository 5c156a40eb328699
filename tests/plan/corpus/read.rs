//! The list of rows, and the files of the families.
//!
//! In: `rows.txt`, with the name of a row, its source and its fault in each line; TOML files with a table for each row. Out:
//! rows, and what is done about each. Holds: what is not understood is refused, with its place.

use std::fs;
use std::path::PathBuf;

use tlbc_tests::archdefs::lines;
use toml_edit::{Document, Item, Table};

use super::definitions::WrongDefinition;
use super::orders::BrokenOrder;
use super::plans::BrokenPlan;
use super::programs::{MisusedApi, TurnedKnob};
use super::relaxations::{ServedRequest, UnflushedChange};

/// A bug.
pub struct Row {
    /// Its family and its number there.
    pub id: String,
}

/// A row of a family.
pub struct Story {
    pub id: String,
    pub treatment: Treatment,
}

/// What is done about a row.
pub enum Treatment {
    Replayed(Vec<Replay>),
    /// Why it is not replayed.
    NotExpressed(String),
}

/// A replay of a row.
pub enum Replay {
    Definition(WrongDefinition),
    Plan(BrokenPlan),
    Knob(TurnedKnob),
    Order(BrokenOrder),
    Misuse(MisusedApi),
    Unflushed(UnflushedChange),
    Request(ServedRequest),
}

impl Replay {
    /// Replays the row.
    ///
    /// # Errors
    /// What is not found with the fault, or is found without it.
    pub fn run(&self) -> Result<(), String> {
        match self {
            Self::Definition(it) => it.run(),
            Self::Plan(it) => it.run(),
            Self::Knob(it) => it.run(),
            Self::Order(it) => it.run(),
            Self::Misuse(it) => it.run(),
            Self::Unflushed(it) => it.run(),
            Self::Request(it) => it.run(),
        }
    }

    /// Returns the name of the order of steps that it runs.
    pub fn order(&self) -> Option<&str> {
        match self {
            Self::Order(it) => Some(&it.order),
            _ => None,
        }
    }
}

/// Returns where the files are.
pub fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/plan/corpus"))
}

/// Reads a file.
fn text(name: &str) -> String {
    let path = directory().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads the list of rows.
pub fn rows() -> Vec<Row> {
    let text = text("rows.txt");
    let row = |line: &str| {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [id, source, fault] = parts.as_slice() else {
            panic!("rows.txt: `{line}` has a name, a source and a fault");
        };
        assert!(
            !source.is_empty() && !fault.is_empty(),
            "rows.txt: `{line}`"
        );
        Row {
            id: (*id).to_owned(),
        }
    };
    lines(&text).map(row).collect()
}

/// Reads the file of a family.
pub fn family(name: &str) -> Vec<Story> {
    let file = format!("{name}.toml");
    let document: Document =
        { text(&file).parse() }.unwrap_or_else(|error| panic!("{file}: {error}"));
    let story = |(id, item): (&str, &Item)| {
        let table = item.as_table();
        let table = table.unwrap_or_else(|| panic!("{file}: `{id}` is no row"));
        Story {
            id: id.to_owned(),
            treatment: treatment(&format!("{file}: {id}"), table),
        }
    };
    document.iter().map(story).collect()
}

fn treatment(place: &str, table: &Table) -> Treatment {
    if let Some(why) = table.get("not_expressed") {
        let why = why.as_str().filter(|_| table.len() == 1);
        return Treatment::NotExpressed(
            why.unwrap_or_else(|| panic!("{place}: a reason alone"))
                .to_owned(),
        );
    }
    let mut replays = Vec::new();
    for (kind, item) in table {
        let tables = item.as_array_of_tables();
        let tables = tables.unwrap_or_else(|| panic!("{place}: `{kind}` is a list of tables"));
        for table in tables {
            let mut fields = Fields {
                place: format!("{place}: {kind}"),
                table: table.clone(),
            };
            replays.push(replay(kind, &mut fields));
            let rest: Vec<&str> = fields.table.iter().map(|(key, _)| key).collect();
            assert!(rest.is_empty(), "{place}: {kind} has no {rest:?}");
        }
    }
    Treatment::Replayed(replays)
}

fn replay(kind: &str, fields: &mut Fields) -> Replay {
    match kind {
        "definition" => Replay::Definition(WrongDefinition::of(fields)),
        "plan" => Replay::Plan(BrokenPlan::of(fields)),
        "knob" => Replay::Knob(TurnedKnob::of(fields)),
        "order" => Replay::Order(BrokenOrder::of(fields)),
        "misuse" => Replay::Misuse(MisusedApi::of(fields)),
        "unflushed" => Replay::Unflushed(UnflushedChange::of(fields)),
        "request" => Replay::Request(ServedRequest::of(fields)),
        _ => panic!("{}: no kind of replay", fields.place),
    }
}

/// The fields of a replay that have not been read.
pub struct Fields {
    /// Where they are.
    place: String,
    table: Table,
}

impl Fields {
    /// Returns a text, if it is there.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let item = self.table.remove(key)?;
        let text = item.as_str();
        Some(
            text.unwrap_or_else(|| panic!("{}: `{key}` is a text", self.place))
                .to_owned(),
        )
    }

    /// Returns a text.
    pub fn needed(&mut self, key: &str) -> String {
        self.text(key)
            .unwrap_or_else(|| panic!("{}: no `{key}`", self.place))
    }

    /// Returns a number, if it is there.
    pub fn number(&mut self, key: &str) -> Option<u64> {
        let item = self.table.remove(key)?;
        let number = item.as_integer().and_then(|it| it.try_into().ok());
        Some(number.unwrap_or_else(|| panic!("{}: `{key}` is a number", self.place)))
    }

    /// Returns whether something is so; if nothing is said, it is not.
    pub fn flag(&mut self, key: &str) -> bool {
        let item = self.table.remove(key);
        item.is_some_and(|item| {
            item.as_bool()
                .unwrap_or_else(|| panic!("{}: `{key}` is true or false", self.place))
        })
    }

    /// Returns a list of texts.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(item) = self.table.remove(key) else {
            return Vec::new();
        };
        let texts = item.as_array().and_then(|array| {
            let texts = array.iter().map(|it| Some(it.as_str()?.to_owned()));
            texts.collect()
        });
        texts.unwrap_or_else(|| panic!("{}: `{key}` is a list of texts", self.place))
    }

    /// Returns edits: pairs of what is replaced and what replaces it.
    pub fn edits(&mut self, key: &str) -> Vec<[String; 2]> {
        let texts = self.texts(key);
        assert!(
            texts.len().is_multiple_of(2),
            "{}: `{key}` has pairs",
            self.place
        );
        let pairs = texts.chunks_exact(2);
        pairs
            .map(|pair| [pair[0].clone(), pair[1].clone()])
            .collect()
    }
}
