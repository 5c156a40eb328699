//! A request in words and names, as a trace repeats it.
//!
//! In: a [`Query`]. Out: a [`Request`]: everything that was asked, with what options left open filled in.

use serde::Serialize;

use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::Space;

use super::hex::Hex;
use super::query::{AddressRange, Change, Event, Query, Tables, To};
use crate::describe;
use crate::model::{Config, DefinitionName, Model, Tag, Under};

/// What was asked.
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    /// In one line.
    pub title: String,
    /// The machine.
    pub machine: Machine,
    /// Whose mappings.
    pub space: &'static str,
    /// The tag of the space; `None` if its entries have no tag of their own.
    pub tag: Option<TagValue>,
    /// Which CPUs may have cached the entries; `None` for an event of one CPU.
    pub cpus: Option<&'static str>,
    /// What happened.
    pub event: Asked,
}

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The definition.
    pub arch: String,
    /// The page size with its tables.
    pub geometry: String,
    /// All its features, with those that `all` turned on.
    pub features: Vec<String>,
    /// All its errata.
    pub errata: Vec<String>,
    /// Its limits.
    pub limits: Vec<Limit>,
}

/// A limit of a machine.
#[derive(Debug, Clone, Serialize)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// A tag.
#[derive(Debug, Clone, Serialize)]
pub struct TagValue {
    /// Its kind.
    pub kind: String,
    /// Its value.
    pub value: Hex,
    /// Whether a value means the same space on every CPU (`machine`), or each CPU has its own (`cpu`).
    pub of: &'static str,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Asked {
    /// Entries were unmapped.
    Unmapped {
        /// Which.
        ranges: Vec<Range>,
        /// `kept`, `freed` or `freed_below_live`.
        tables: &'static str,
        /// Whether the entries were stored before the request.
        stored: bool,
    },
    /// Entries became valid where there were none.
    Mapped {
        /// Which.
        ranges: Vec<Range>,
    },
    /// Entries change.
    Change {
        /// The change of each.
        to: &'static str,
        /// Which.
        range: Range,
        /// How many they are.
        entries: u64,
        /// Whether the flush may be deferred.
        may_defer: bool,
    },
    /// A fault that the table does not justify.
    Fault {
        /// Where.
        range: Range,
    },
    /// The whole space is unmapped.
    Everything,
    /// The space is torn down.
    Teardown,
    /// The space is loaded.
    Switch {
        /// The flush that is pending: `none`, `tag` or `all`.
        pending: &'static str,
    },
    /// The space that is loaded gets a new tag.
    NewTag {
        /// The flush that is pending: `none` or `all`.
        pending: &'static str,
    },
    /// The kernel returns to user code.
    ReturnToUser {
        /// The flush that is pending: `none` or `tag`.
        pending: &'static str,
    },
    /// The kernel is entered from user code.
    EnterFromUser,
    /// The CPU comes online.
    CpuOnline,
    /// New entries are made visible.
    Publish,
}

/// Addresses, and the levels of their entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first address.
    pub start: Hex,
    /// The first address after them.
    pub end: Hex,
    /// The levels.
    pub levels: Vec<String>,
}

/// Returns the description of a query.
pub(super) fn request(model: &Model, query: &Query) -> Request {
    let config = query.config;
    Request {
        title: title(model, query),
        machine: machine(model, query),
        space: match query.space {
            Space::User => "user",
            Space::Kernel => "kernel",
        },
        tag: kind_of_tag(model, query).map(|tag| TagValue {
            kind: tag.named.name.clone(),
            value: model
                .space(query.space)
                .fixed_tag(config)
                .unwrap_or(query.tag.value)
                .into(),
            of: if tag.per_cpu.value { "cpu" } else { "machine" },
        }),
        cpus: query
            .event
            .concerns_others()
            .then_some(if query.others { "others" } else { "self" }),
        event: asked(model, query),
    }
}

fn machine(model: &Model, query: &Query) -> Machine {
    let config = query.config;
    let names = |all: &mut dyn Iterator<Item = (&DefinitionName, bool)>| {
        let there = all.filter(|(_, is)| *is);
        there.map(|(named, _)| named.name.clone()).collect()
    };
    let features = model.features.iter().enumerate();
    let errata = model.errata.iter().enumerate();
    let limits = model.limits.iter().zip(&query.limits);
    Machine {
        arch: model.arch.name.clone(),
        geometry: model.geometries[config.geometry].named.name.clone(),
        features: names(&mut features.map(|(i, it)| (&it.named, config.has(i)))),
        errata: names(&mut errata.map(|(i, it)| (&it.named, config.suffers(i)))),
        limits: limits
            .map(|(limit, value)| Limit {
                name: limit.named.name.clone(),
                value: *value,
            })
            .collect(),
    }
}

/// Returns the kind of tag under which the entries of the space are cached.
pub(super) fn kind_of_tag<'m>(model: &'m Model, query: &Query) -> Option<&'m Tag> {
    let config = query.config;
    let under = &model.space(query.space).leaf.get(config)?.value;
    let of = |tag: &Tag| tag.per_cpu.value != query.tag.global;
    match under {
        Under::Fixed(tag, _) => Some(&model.tags[*tag]),
        Under::Tags(_) => {
            let mut there = model.tags(config);
            there.clone().find(|tag| of(tag)).or_else(|| there.next())
        }
        Under::EveryTag | Under::Global => None,
    }
}

/// Returns the tag that a CPU gives out after that of the space: the next value, or the first.
pub(super) fn next_tag(model: &Model, query: &Query) -> u64 {
    let Some(tag) = kind_of_tag(model, query) else {
        return query.tag.value;
    };
    let (first, last) = tag.on(&query.limits).range();
    if (first..last).contains(&query.tag.value) {
        query.tag.value + 1
    } else {
        first
    }
}

/// Returns a range with the names of its levels.
pub(super) fn named_range(model: &Model, range: &AddressRange) -> Range {
    let name = |&level: &usize| model.levels[level].name.clone();
    Range {
        start: range.extent.start.into(),
        end: end(range),
        levels: range.levels.iter().map(name).collect(),
    }
}

fn end(range: &AddressRange) -> Hex {
    Hex(u128::from(range.extent.start) + u128::from(range.extent.bytes))
}

fn of_change(change: &Change) -> AddressRange {
    AddressRange {
        extent: change.extent,
        levels: vec![change.level.index()],
    }
}

fn entries(model: &Model, config: Config, change: &Change) -> u64 {
    let shift = model.level_shift(change.level.index(), config);
    shift.map_or(0, |shift| change.extent.entries(shift))
}

fn asked(model: &Model, query: &Query) -> Asked {
    let named = |ranges: &[AddressRange]| ranges.iter().map(|it| named_range(model, it)).collect();
    match &query.event {
        Event::Unmapped(unmapped) => Asked::Unmapped {
            ranges: named(&unmapped.ranges),
            tables: match unmapped.tables {
                Tables::Kept => "kept",
                Tables::Unlinked => "freed",
                Tables::UnlinkedLive => "freed_below_live",
            },
            stored: unmapped.stored || model.change.plain_store.value,
        },
        Event::Mapped(ranges) => Asked::Mapped {
            ranges: named(ranges),
        },
        Event::Change(change) => Asked::Change {
            to: name(change.to),
            range: named_range(model, &of_change(change)),
            entries: entries(model, query.config, change),
            may_defer: change.may_defer,
        },
        Event::Fault(range) => Asked::Fault {
            range: named_range(model, range),
        },
        Event::Everything => Asked::Everything,
        Event::Teardown => Asked::Teardown,
        Event::Switch(pending) => Asked::Switch {
            pending: word(*pending),
        },
        Event::NewTag(pending) => Asked::NewTag {
            pending: word(*pending),
        },
        Event::ReturnToUser(pending) => Asked::ReturnToUser {
            pending: if *pending { "tag" } else { "none" },
        },
        Event::EnterFromUser => Asked::EnterFromUser,
        Event::CpuOnline => Asked::CpuOnline,
        Event::Publish => Asked::Publish,
    }
}

/// Returns the name of a pending flush on the command line.
fn word(pending: Pending) -> &'static str {
    match pending {
        Pending::None => "none",
        Pending::Tag => "tag",
        Pending::All => "all",
    }
}

/// Returns the name of a change on the command line.
#[must_use]
pub fn name(to: To) -> &'static str {
    match to {
        To::Unmap => "unmap",
        To::Replace => "replace",
        To::FewerRights => "fewer-rights",
        To::MoreRights => "more-rights",
        To::Attributes => "attributes",
        To::SoftwareBits => "software-bits",
        To::Split => "split",
        To::Collapse => "collapse",
        To::Map => "map",
        To::Accessed => "accessed-cleared",
        To::Dirty => "dirty-cleared",
    }
}

/// Returns words for a change of one entry, or of several.
fn becomes(to: To, one: bool) -> &'static str {
    match to {
        To::Unmap => "unmapped",
        To::Replace => "replaced",
        To::FewerRights => "given fewer rights",
        To::MoreRights => "given more rights",
        To::Attributes => "given other attributes",
        To::SoftwareBits => "given other software bits",
        To::Split if one => "made to point at a table in place of a page",
        To::Split => "made to point at tables, each in place of a page",
        To::Collapse if one => "made to map a page in place of a table",
        To::Collapse => "made to map pages, each in place of a table",
        To::Map => "mapped",
        To::Accessed if one => "cleared of its accessed mark",
        To::Accessed => "cleared of their accessed marks",
        To::Dirty if one => "cleared of its dirty mark",
        To::Dirty => "cleared of their dirty marks",
    }
}

fn title(model: &Model, query: &Query) -> String {
    let of = whose(model, query);
    let shown = |ranges: &[AddressRange]| {
        let one = |range: &AddressRange| {
            let names: Vec<&str> = (range.levels.iter())
                .map(|&level| model.levels[level].name.as_str())
                .collect();
            let (start, end) = (range.extent.start, end(range));
            (names.join(", "), format!("{start:#x}..{end}"))
        };
        let all: Vec<(String, String)> = ranges.iter().map(one).collect();
        match all.as_slice() {
            [(names, range)] => (format!("{names} entries"), range.clone()),
            several => {
                let each = several
                    .iter()
                    .map(|(names, range)| format!("{range} ({names})"));
                let each: Vec<String> = each.collect();
                ("entries".to_owned(), each.join(", "))
            }
        }
    };
    let what = match &query.event {
        Event::Unmapped(unmapped) => {
            let (entries, range) = shown(&unmapped.ranges);
            let tables = match unmapped.tables {
                Tables::Kept => "",
                Tables::Unlinked => " and their tables",
                Tables::UnlinkedLive => " and their tables, valid below,",
            };
            let by_instructions = match (model.change.plain_store.value, unmapped.stored) {
                (true, _) => "",
                (false, true) => ", stored before",
                (false, false) => ", unmapped now",
            };
            format!("{entries}{tables} at {range} of {of}{by_instructions}")
        }
        Event::Mapped(ranges) => {
            let (entries, range) = shown(ranges);
            format!("{entries} mapped at {range} of {of}")
        }
        Event::Change(change) => {
            let level = &model.levels[change.level.index()].name;
            let count = entries(model, query.config, change);
            let becomes = becomes(change.to, count == 1);
            let count = match count {
                1 => format!("1 {level} entry"),
                count => format!("{count} {level} entries"),
            };
            let deferred = if change.may_defer {
                ", the flush deferred"
            } else {
                ""
            };
            let start = change.extent.start;
            format!("{count} from {start:#x} of {of}, {becomes}{deferred}")
        }
        Event::Fault(range) => {
            let (_, range) = shown(std::slice::from_ref(range));
            format!("a fault at {range} of {of} that the table does not justify")
        }
        Event::Everything => format!("everything of {of}"),
        Event::Teardown => format!("teardown of {of}"),
        Event::Switch(pending) => {
            let pending = match pending {
                Pending::None => "nothing",
                Pending::Tag => "a flush of its tag",
                Pending::All => "a flush of every tag",
            };
            format!("switch to {of}, {pending} pending")
        }
        Event::NewTag(pending) => {
            let pending = match pending {
                Pending::All => "a flush of every tag",
                Pending::None | Pending::Tag => "nothing",
            };
            format!("load of a new tag: {of}, {pending} pending")
        }
        Event::ReturnToUser(pending) => {
            let pending = if *pending {
                "a flush of its tag"
            } else {
                "nothing"
            };
            format!("return to user code of {of}, {pending} pending")
        }
        Event::EnterFromUser => format!("entry from user code of {of}"),
        Event::CpuOnline => "a CPU comes online".to_owned(),
        Event::Publish => format!("new entries of {of}"),
    };
    let others = if query.others && query.event.concerns_others() {
        ", on other CPUs too"
    } else {
        ""
    };
    let machine = describe::machine(model, query.config, &query.limits);
    format!("{}: {what}{others} ({machine})", model.arch.name)
}

/// Returns words for the space, with its tag.
fn whose(model: &Model, query: &Query) -> String {
    if query.space == Space::Kernel {
        return "the kernel".to_owned();
    }
    let Some(tag) = kind_of_tag(model, query) else {
        return "a user space without a tag".to_owned();
    };
    let kind = if model.tags(query.config).count() > 1 {
        format!(" (`{}`)", tag.named.name)
    } else {
        String::new()
    };
    format!("a user space with tag {:#x}{kind}", query.tag.value)
}
