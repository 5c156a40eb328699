//! Requests that are written as options of `tlbc trace`, in themes with lists of machines.
//!
//! In: the text of `archdefs/NAME/traces.txt`. Out: the themes, and the result of each request on each machine. Holds: a
//! line that cannot be read is reported with its text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tlbc::Analysis;
use tlbc::cli::trace as cli;
use tlbc::model::Model;
use tlbc::trace::{Change, Event, Query, show, trace};
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Extent, Ranges};

use crate::archdefs::lines;
use crate::configurations::{Machine, machine};
use crate::requests::{ranges_on, tag_on};

/// Requests whose results are in one snapshot.
pub struct Theme<'a> {
    /// The name, which is that of the snapshot.
    pub name: &'a str,
    machines: Vec<&'a str>,
    /// The title and the options of each request.
    requests: Vec<(&'a str, &'a str)>,
}

/// The lists of machines and the themes of a file.
pub struct Traces<'a> {
    lists: BTreeMap<&'a str, Vec<&'a str>>,
    /// The themes.
    pub themes: Vec<Theme<'a>>,
}

impl<'a> Traces<'a> {
    /// Reads a file.
    ///
    /// # Panics
    /// If the file does not have the form that `archdefs/README.md` describes.
    pub fn read(text: &'a str) -> Self {
        let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut list = None;
        let mut themes: Vec<Theme<'_>> = Vec::new();
        for line in lines(text) {
            if let Some(name) = line.strip_prefix("machines ") {
                assert!(
                    themes.is_empty(),
                    "the lists of machines come first: {line}"
                );
                list = Some(name);
            } else if let Some(theme) = line.strip_prefix("theme ") {
                let (name, of) = theme.split_once(" on ").expect("theme NAME on LIST");
                let machines = lists.get(of).cloned();
                themes.push(Theme {
                    name,
                    machines: machines.unwrap_or_else(|| panic!("no list `{of}`: {line}")),
                    requests: Vec::new(),
                });
            } else if let Some(theme) = themes.last_mut() {
                let request = line.split_once(" | ");
                let request = request.unwrap_or_else(|| panic!("TITLE | OPTIONS: {line}"));
                theme.requests.push(request);
            } else {
                let name = list.unwrap_or_else(|| panic!("a machine is in no list: {line}"));
                let machine = if line == "-" { "" } else { line };
                lists.entry(name).or_default().push(machine);
            }
        }
        for theme in &themes {
            assert!(!theme.requests.is_empty(), "`{}` is empty", theme.name);
        }
        Self { lists, themes }
    }

    /// Returns the machines of a list.
    ///
    /// # Panics
    /// If there is no such list.
    pub fn machines(&self, list: &str) -> &[&'a str] {
        let machines = self.lists.get(list);
        machines.unwrap_or_else(|| panic!("archdefs/NAME/traces.txt: `machines {list}` is missing"))
    }
}

impl Theme<'_> {
    /// Returns each request with its results; machines with the same result are listed together.
    pub fn report(&self, arch: &Analysis) -> String {
        let requests = self.requests.iter();
        let one = |(title, options): &(&str, &str)| {
            let mut results: Vec<(String, Vec<&str>)> = Vec::new();
            for &machine in &self.machines {
                let text = result(arch, options, machine);
                let text = text.unwrap_or_else(|why| panic!("{title} | {options}: {why}"));
                match results.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, machines)) => machines.push(machine),
                    None => results.push((text, vec![machine])),
                }
            }
            let mut out = format!("==== {title}\n");
            for (text, machines) in results {
                for machine in machines {
                    let none = machine.is_empty().then_some("nothing optional");
                    let _ = writeln!(out, "on: {}", none.unwrap_or(machine));
                }
                out.push_str(&text);
                out.push('\n');
            }
            out
        };
        requests.map(one).collect()
    }
}

/// Takes options of these names from others. Returns both; the first ones are without their dashes.
fn taken<'a>(options: &'a str, names: &[&str]) -> (Vec<&'a str>, String) {
    let all = options.split("--").map(str::trim);
    let (taken, rest): (Vec<&str>, Vec<&str>) =
        all.partition(|it| names.contains(&it.split(' ').next().unwrap_or(it)));
    (taken, rest.join(" --"))
}

/// Returns the query for options of `tlbc trace` on a machine. Other options besides, `--table`, `--index`, `--old` and `--new`,
/// are the place and the values of changed entries, for which the command has samples.
///
/// # Errors
/// What is wrong with the options.
pub fn query(model: &Model, options: &str, words: &str) -> Result<Query, String> {
    let Machine { config, limits } = machine(model, words);
    let (memory, options) = taken(options, &["table", "index", "old", "new"]);
    let mut asked = cli::parse_options(&options, model, config)?;
    for option in memory {
        let Event::Change(Change { memory, .. }) = &mut asked.event else {
            return Err(format!("--{option}: only with --change"));
        };
        let (name, value) = option.split_once(' ').ok_or("an option without a value")?;
        let place = match name {
            "table" => &mut memory.table,
            "index" => &mut memory.index,
            "old" => &mut memory.old,
            _ => &mut memory.new,
        };
        *place = number(value)?;
    }
    let tag = asked.tag.map_or(Ok(0), |tag| number(&tag))?;
    Ok(Query {
        config,
        limits,
        space: asked.space,
        event: asked.event,
        tag: tag_on(model, config, tag),
        others: asked.others,
    })
}

/// Returns what is issued on a machine for options of `tlbc trace`. With `--walk START..END@LEVEL` besides, walk entries that are
/// flushed with the ranges, this is one flush of all of them, which no command shows.
fn result(arch: &Analysis, options: &str, words: &str) -> Result<String, String> {
    let model = &arch.model;
    let (walks, options) = taken(options, &["walk"]);
    if !walks.is_empty() {
        let config = machine(model, words).config;
        let mut flushed = Ranges::new();
        for (level, extent) in entries(cli::parse_options(&options, model, config)?.event)? {
            flushed.leaf(level, extent);
        }
        for walk in walks {
            let walk = walk.replacen("walk", "--range", 1);
            for (level, extent) in entries(cli::parse_options(&walk, model, config)?.event)? {
                flushed.walk(level, extent);
            }
        }
        let lines = ranges_on(arch, words, flushed);
        return Ok(format!("  {}\n", lines.join("\n  ")));
    }
    let query = query(model, &options, words)?;
    Ok(match trace(model, &arch.plans, &query) {
        Ok(trace) => abridged(&show::text(&trace)),
        Err(why) => format!("refused: {why}\n"),
    })
}

/// Returns the entries that were unmapped, with their levels.
fn entries(event: Event) -> Result<Vec<(Level, Extent)>, String> {
    let Event::Unmapped(unmapped) = event else {
        return Err("--walk: only with ranges that are unmapped".to_owned());
    };
    let each = unmapped.ranges.into_iter().flat_map(|range| {
        let extent = range.extent;
        let levels = range.levels.into_iter();
        levels.map(move |level| (Level(level as u8), extent))
    });
    Ok(each.collect())
}

/// Reads a hexadecimal number.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x");
    let value = digits.and_then(|it| u64::from_str_radix(it, 16).ok());
    value.ok_or(format!("`{text}` is no number such as 0x1000"))
}

/// Removes the middle of long loops from a text.
fn abridged(text: &str) -> String {
    let first_word = |line: &str| line.split("0x").next().unwrap_or("").to_owned();
    let all: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut rest = all.as_slice();
    while let [line, ..] = rest {
        let same = rest
            .iter()
            .take_while(|l| first_word(l) == first_word(line));
        let (many, after) = rest.split_at(same.count());
        rest = after;
        if let (true, [first, second, middle @ .., last]) = (many.len() > 12, many) {
            let _ = writeln!(out, "{first}\n{second}\n  ({} more)\n{last}", middle.len());
        } else {
            out.extend(many.iter().flat_map(|line| [line, "\n"]));
        }
    }
    out
}
