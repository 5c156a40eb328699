//! Requests that are written as options of `tlbc trace`, in themes with lists of machines.
//!
//! In: the text of `archdefs/NAME/traces.txt`. Out: the themes, and the result of each request on each machine. Holds: a
//! line that cannot be read is reported with its text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tlbc::Analysis;
use tlbc::model::Model;
use tlbc::trace::{AddressRange, Change, Event, Memory, Query, Tables, To, Unmapped, show, trace};
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Extent, Ranges, Space};

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

/// Reads the themes of a file.
///
/// # Panics
/// If the file does not have the form that `archdefs/README.md` describes.
pub fn themes(text: &str) -> Vec<Theme<'_>> {
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
    themes
}

impl Theme<'_> {
    /// Returns each request with its results; machines with the same result are listed together.
    pub fn report(&self, arch: &Analysis) -> String {
        let requests = self.requests.iter();
        let one = |(title, options): &(&str, &str)| {
            let request = Request::read(&arch.model, options);
            let request = request.unwrap_or_else(|why| panic!("{title} | {options}: {why}"));
            let mut results: Vec<(String, Vec<&str>)> = Vec::new();
            for &machine in &self.machines {
                let text = request.on(arch, machine);
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

/// What a trace is asked for.
struct Request {
    space: Space,
    what: What,
    tag: u64,
    others: bool,
}

enum What {
    /// An event, as `tlbc trace` shows it.
    Event(Event),
    /// One flush of leaf entries and of walk entries of their own, which no command shows.
    Flush(Ranges),
}

/// The options of a line.
#[derive(Default)]
struct Options<'a> {
    ranges: Vec<AddressRange>,
    leaves_and_walks: Option<Ranges>,
    levels: Vec<usize>,
    tables: bool,
    live: bool,
    stored: bool,
    defer: bool,
    change: Option<To>,
    event: Option<&'a str>,
    pending: &'a str,
}

impl Request {
    /// Reads the options of `tlbc trace`, and `--walk` besides: walk entries that are flushed with the ranges.
    fn read(model: &Model, line: &str) -> Result<Self, String> {
        let (mut space, mut tag, mut others) = (Space::User, 0, false);
        let mut options = Options::default();
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} has no value"));
            match word {
                "--range" => options.add(range(model, value()?)?, false),
                "--walk" => options.add(range(model, value()?)?, true),
                "--level" => options.levels.push(level(model, value()?)?),
                "--tables-freed" => options.tables = true,
                "--below-live" => options.live = true,
                "--stored" => options.stored = true,
                "--defer" => options.defer = true,
                "--change" => options.change = Some(change(value()?)?),
                "--everything" | "--teardown" => options.event = Some(word),
                "--event" => options.event = Some(value()?),
                "--pending" => options.pending = value()?,
                "--kernel" => space = Space::Kernel,
                "--tag" => tag = number(value()?)?,
                "--cpus" => {
                    others = match value()? {
                        "self" => false,
                        "others" => true,
                        other => return Err(format!("`{other}` is neither self nor others")),
                    }
                }
                _ => return Err(format!("`{word}` is no option")),
            }
        }
        Ok(Self {
            space,
            what: options.what()?,
            tag,
            others,
        })
    }

    /// Returns what is issued on a machine.
    fn on(&self, arch: &Analysis, words: &str) -> String {
        let event = match &self.what {
            What::Event(event) => event.clone(),
            What::Flush(ranges) => {
                let lines = ranges_on(arch, words, *ranges);
                return format!("  {}\n", lines.join("\n  "));
            }
        };
        let Machine { config, limits } = machine(&arch.model, words);
        let query = Query {
            config,
            limits,
            space: self.space,
            event,
            tag: tag_on(&arch.model, config, self.tag),
            others: self.others,
        };
        match trace(&arch.model, &arch.plans, &query) {
            Ok(trace) => abridged(&show::text(&trace)),
            Err(why) => format!("refused: {why}\n"),
        }
    }
}

impl Options<'_> {
    /// Adds a range of leaf entries or of walk entries.
    fn add(&mut self, range: AddressRange, walk: bool) {
        if let [level] = range.levels[..] {
            let ranges = self.leaves_and_walks.get_or_insert_default();
            let level = Level(level as u8);
            if walk {
                ranges.walk(level, range.extent);
            } else {
                ranges.leaf(level, range.extent);
            }
        }
        if !walk {
            self.ranges.push(range);
        }
    }

    fn what(mut self) -> Result<What, String> {
        if let Some(event) = self.event {
            return self.event(event).map(What::Event);
        }
        let walks = self.leaves_and_walks;
        if let Some(ranges) = walks.filter(|ranges| ranges.tables()) {
            return Ok(What::Flush(ranges));
        }
        for range in &mut self.ranges {
            if range.levels.is_empty() {
                range.levels.clone_from(&self.levels);
            }
        }
        let first = self.ranges.first().ok_or("nothing is asked for")?;
        let Some(to) = self.change else {
            return Ok(What::Event(Event::Unmapped(Unmapped {
                tables: match (self.tables, self.live) {
                    (false, _) => Tables::Kept,
                    (true, false) => Tables::Unlinked,
                    (true, true) => Tables::UnlinkedLive,
                },
                ranges: self.ranges,
                stored: self.stored,
            })));
        };
        Ok(What::Event(Event::Change(Change {
            to,
            level: Level(*first.levels.first().ok_or("no level")? as u8),
            extent: first.extent,
            memory: Memory::default(),
            may_defer: self.defer,
        })))
    }

    fn event(&self, event: &str) -> Result<Event, String> {
        Ok(match (event, self.pending) {
            ("--everything", "") => Event::Everything,
            ("--teardown", "") => Event::Teardown,
            ("switch", "") => Event::Switch(Pending::None),
            ("switch", "tag") => Event::Switch(Pending::Tag),
            ("switch", "all") => Event::Switch(Pending::All),
            ("return-to-user", "") => Event::ReturnToUser(false),
            ("return-to-user", "tag") => Event::ReturnToUser(true),
            ("enter-from-user", "") => Event::EnterFromUser,
            ("cpu-online", "") => Event::CpuOnline,
            ("publish", "") => Event::Publish,
            (event, pending) => return Err(format!("no event `{event}`, pending `{pending}`")),
        })
    }
}

fn change(name: &str) -> Result<To, String> {
    Ok(match name {
        "unmap" => To::Unmap,
        "replace" => To::Replace,
        "fewer-rights" => To::FewerRights,
        "more-rights" => To::MoreRights,
        "attributes" => To::Attributes,
        "software-bits" => To::SoftwareBits,
        "split" => To::Split,
        "collapse" => To::Collapse,
        "map" => To::Map,
        "accessed-cleared" => To::Accessed,
        "dirty-cleared" => To::Dirty,
        other => return Err(format!("`{other}` is no change")),
    })
}

fn level(model: &Model, name: &str) -> Result<usize, String> {
    model.level(name).ok_or(format!("`{name}` is no level"))
}

/// Reads `START..END@LEVEL`, or `START..END` with levels of their own. The end of the last page is 2^64.
fn range(model: &Model, text: &str) -> Result<AddressRange, String> {
    let (addresses, at) = text.split_once('@').unwrap_or((text, ""));
    let (start, end) = addresses.split_once("..").ok_or("no START..END")?;
    let (start, end): (u128, u128) = (number(start)?, number(end)?);
    let bytes = end.checked_sub(start).and_then(|it| u64::try_from(it).ok());
    let named = (!at.is_empty()).then(|| level(model, at)).transpose()?;
    Ok(AddressRange {
        extent: Extent::new(
            u64::try_from(start).map_err(|why| why.to_string())?,
            bytes.filter(|it| *it > 0).ok_or("the range is empty")?,
        ),
        levels: named.into_iter().collect(),
    })
}

/// Reads a hexadecimal number, with `_` between digits.
fn number<N: TryFrom<u128>>(text: &str) -> Result<N, String> {
    let digits = text.strip_prefix("0x").map(|it| it.replace('_', ""));
    let value = digits.and_then(|it| u128::from_str_radix(&it, 16).ok());
    let value = value.and_then(|it| N::try_from(it).ok());
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
