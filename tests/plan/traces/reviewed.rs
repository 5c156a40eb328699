//! The traces of the requests in `archdefs/NAME/traces.txt`, compared with the reviewed ones in `archdefs/NAME/traces/`.
//!
//! archdefs/README.md describes the file. There is a snapshot for each theme: each request in words, the machines on which the
//! result is the same, and the result.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tlbc::Analysis;
use tlbc::model::Model;
use tlbc::trace::{AddressRange, Change, Event, Memory, Tables, To, Unmapped};
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::{Extent, Ranges, Space};
use tlbc_tests::archdefs::{analysis, data, lines, names};
use tlbc_tests::requests::{Ask, TAG, What, level, ranges_on, report};
use tlbc_tests::snapshot;

/// What is traced.
enum Traced {
    /// A request.
    Ask(Box<Ask>),
    /// A flush of these ranges alone.
    Ranges(Ranges),
}

/// Requests whose traces are in one snapshot.
struct Theme<'f> {
    name: &'f str,
    /// The machines, each by its words.
    machines: Vec<&'f str>,
    /// The requests, each with its description.
    asks: Vec<(&'f str, Traced)>,
}

/// Returns the themes of a file.
fn themes<'f>(model: &Model, file: &'f str) -> Vec<Theme<'f>> {
    let mut machines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut themes: Vec<Theme> = Vec::new();
    let mut tag = TAG;
    let mut list = None;
    for line in lines(file) {
        if let Some(value) = line.strip_prefix("tag ") {
            tag = number(value);
        } else if let Some(name) = line.strip_prefix("machines ") {
            list = Some(name);
        } else if let Some(header) = line.strip_prefix("theme ") {
            let (name, on) = header.split_once(" on ").expect("`theme NAME on LIST`");
            list = None;
            themes.push(Theme {
                name,
                machines: machines[on].clone(),
                asks: Vec::new(),
            });
        } else if let Some(list) = list {
            let words = if line == "-" { "" } else { line };
            machines.entry(list).or_default().push(words);
        } else {
            let theme = themes.last_mut().expect("a theme before its requests");
            let parts: Vec<&str> = line.split(" | ").collect();
            let &[words, request, cpus] = parts.as_slice() else {
                panic!("`{line}` is not `words | request | CPUs`");
            };
            theme.asks.push((words, traced(model, request, cpus, tag)));
        }
    }
    themes
}

/// Returns what a line asks for.
fn traced(model: &Model, request: &str, cpus: &str, tag: u64) -> Traced {
    if let Some(ranges) = request.strip_prefix("flushed ") {
        return Traced::Ranges(flushed(model, ranges));
    }
    let (space, request) = match request.strip_prefix("kernel ") {
        Some(rest) => (Space::Kernel, rest),
        None => (Space::User, request),
    };
    Traced::Ask(Box::new(Ask {
        space,
        event: What::Event(event(model, request)),
        tag,
        others: match cpus {
            "others" => true,
            "self" => false,
            _ => panic!("`{cpus}` is neither `self` nor `others`"),
        },
    }))
}

/// Returns the ranges of `leaf LEVEL START+BYTES, walk LEVEL START+BYTES`.
fn flushed(model: &Model, words: &str) -> Ranges {
    let mut ranges = Ranges::new();
    for range in words.split(", ") {
        match range.split(' ').collect::<Vec<_>>().as_slice() {
            ["leaf", at, addresses] => ranges.leaf(level(model, at), extent(addresses)),
            ["walk", at, addresses] => ranges.walk(level(model, at), extent(addresses)),
            _ => panic!("`{range}` is not `leaf LEVEL START+BYTES` or `walk ..`"),
        }
    }
    ranges
}

fn event(model: &Model, request: &str) -> Event {
    let words: Vec<&str> = request.split(' ').collect();
    match words.as_slice() {
        ["everything"] => Event::Everything,
        ["teardown"] => Event::Teardown,
        ["online"] => Event::CpuOnline,
        ["enter"] => Event::EnterFromUser,
        ["switch", pending] => Event::Switch(match *pending {
            "none" => Pending::None,
            "tag" => Pending::Tag,
            "all" => Pending::All,
            _ => panic!("`{pending}` is none of `none`, `tag` and `all`"),
        }),
        ["return", "none"] => Event::ReturnToUser(false),
        ["return", "tag"] => Event::ReturnToUser(true),
        [
            what @ ("unmapped" | "unlinked" | "moved"),
            addresses,
            levels @ ..,
        ] => Event::Unmapped(Unmapped {
            ranges: vec![AddressRange {
                extent: extent(addresses),
                levels: levels.iter().map(|it| level(model, it).index()).collect(),
            }],
            tables: match *what {
                "unmapped" => Tables::Kept,
                "unlinked" => Tables::Unlinked,
                _ => Tables::UnlinkedLive,
            },
            stored: true,
        }),
        [what @ ("change" | "deferred"), to, addresses, at] => Event::Change(Change {
            to: change(to),
            level: level(model, at),
            extent: extent(addresses),
            memory: Memory::default(),
            may_defer: *what == "deferred",
        }),
        _ => panic!("`{request}` is no request"),
    }
}

fn change(to: &str) -> To {
    match to {
        "unmap" => To::Unmap,
        "replace" => To::Replace,
        "fewer-rights" => To::FewerRights,
        "more-rights" => To::MoreRights,
        "attributes" => To::Attributes,
        "split" => To::Split,
        "collapse" => To::Collapse,
        "software-bits" => To::SoftwareBits,
        "map" => To::Map,
        "accessed-cleared" => To::Accessed,
        "dirty-cleared" => To::Dirty,
        _ => panic!("`{to}` is no change"),
    }
}

/// Returns the addresses of `START+BYTES`.
fn extent(words: &str) -> Extent {
    let (start, bytes) = words.split_once('+').expect("`START+BYTES`");
    Extent::new(number(start), number(bytes))
}

fn number(word: &str) -> u64 {
    let digits = word.strip_prefix("0x").expect("a number in base 16");
    u64::from_str_radix(digits, 16).expect("a number in base 16")
}

/// Returns the traces of a theme.
fn traces(arch: &Analysis, theme: &Theme) -> String {
    let mut text = String::new();
    for (words, traced) in &theme.asks {
        match traced {
            Traced::Ask(ask) => text += &report(arch, words, ask, &theme.machines),
            Traced::Ranges(ranges) => {
                let _ = writeln!(text, "==== {words}");
                for machine in &theme.machines {
                    let lines = ranges_on(arch, machine, *ranges);
                    let _ = write!(text, "on: {machine}\n  {}\n\n", lines.join("\n  "));
                }
            }
        }
    }
    text
}

/// Compares the traces of an architecture. Returns how many requests there are.
fn compare(arch: &str) -> usize {
    let analysis = analysis(arch);
    let file = data(arch, "traces.txt");
    let themes = themes(&analysis.model, &file);
    for theme in &themes {
        let directory = format!("../../../archdefs/{arch}/traces");
        snapshot!(theme.name, traces(analysis, theme), directory);
    }
    themes.iter().map(|theme| theme.asks.len()).sum()
}

#[test]
fn traces_are_the_reviewed_ones() {
    std::thread::scope(|scope| {
        let of = |arch| (arch, scope.spawn(move || compare(arch)));
        let all: Vec<_> = names().map(of).collect();
        for (arch, requests) in all {
            let requests = requests.join();
            let requests = requests.unwrap_or_else(|_| panic!("{arch}: another trace"));
            assert!(requests >= 20, "{arch}: {requests} requests");
        }
    });
}
