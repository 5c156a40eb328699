//! `tlbc trace`.

use std::io::{self, Write as _};

use super::machine::{Machine, find};
use super::number::{range, tag};
use super::{Messages, Outcome, Trouble};
use crate::disk;
use crate::model::{Config, Model};
use crate::samples::{described, least_tag, tags, view_bits};
use crate::source::Files;
use crate::trace::interpret::Changing;
use crate::trace::{Event, Query, show, trace};
use crate::{analyse, parse};
use clap::{ArgGroup, ValueEnum};
use std::path::PathBuf;
use tlbc_runtime::backend::Debt;
use tlbc_runtime::change::Kind;
use tlbc_runtime::clause::Level;
use tlbc_runtime::request::{Extent, Reach, Space};

/// Shows every instruction that is issued for a flush, and what is put off
#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["range", "everything", "teardown", "event"]),
    after_help = "\
Numbers are decimal, or 0x... or 0b..., with _ between digits: 4096, 0x1000, 0xffff_8000_0000_0000.

Examples:
  tlbc trace foo.arch --range 0x1000..0x3000
      two pages of a user space that no other CPU runs
  tlbc trace foo.arch --range 0x40000000..0x40200000 --tables-freed --cpus others
      512 pages and the table they stood in, while other CPUs run the space
  tlbc trace foo.arch --range 0x200000..0x400000 --level pmd --features all
      a large page, on a machine with every feature
  tlbc trace foo.arch --kernel --range 0xffff800000000000..0xffff800000001000 --format json
      a page of the kernel, for scripts
  tlbc trace foo.arch --everything --cpus others --errata all
      a whole space that goes away
  tlbc trace foo.arch --event switch --owed tag
      loading a space whose tag still has stale entries
  tlbc trace foo.arch --event publish --kernel
      a page of the kernel was mapped where none was"
)]
pub(super) struct Trace {
    /// The definition, or - for standard input
    file: PathBuf,

    /// The addresses whose entries were cleared; END is the first address behind them
    #[arg(long, value_name = "START..END", value_parser = range)]
    range: Option<Extent>,

    /// The level of the entries that were cleared, such as pmd; the lowest unless given; repeatable
    #[arg(long, value_name = "NAME", requires = "range")]
    level: Vec<String>,

    /// The tables in which the entries stood were unlinked as well, and will be freed
    #[arg(long, requires = "range")]
    tables_freed: bool,

    /// What hangs below the unlinked tables is still valid: they were moved, or are shared
    #[arg(long, requires = "tables_freed")]
    below_live: bool,

    /// The entries appeared where there were none, and were not cleared
    #[arg(long, requires = "range", conflicts_with = "tables_freed")]
    appeared: bool,

    /// The change of the entries itself, on machines where an instruction writes them
    #[arg(long, value_enum, value_name = "TO", requires = "range", conflicts_with_all = ["tables_freed", "appeared"])]
    change: Option<ChangeName>,

    /// The flush of the change may be put off: no other CPU is attached to the space
    #[arg(long, requires = "change")]
    defer: bool,

    /// The whole space goes, with its tables
    #[arg(long)]
    everything: bool,

    /// The space ends: everything of it goes, and its tag may be given to another
    #[arg(long, conflicts_with = "kernel")]
    teardown: bool,

    /// No flush: another space is loaded, user code goes on or is left, the CPU comes up, or new entries are published
    #[arg(long, value_enum, value_name = "WHAT")]
    event: Option<EventName>,

    /// What was put off until this switch or resume and is due now
    #[arg(long, value_enum, value_name = "WHAT", requires = "event", default_value_t = OwedName::None)]
    owed: OwedName,

    /// The entries are the kernel's and not a user space's
    #[arg(long)]
    kernel: bool,

    /// The tag of the space, such as 0x17; the least that a space can have unless given
    #[arg(long, value_name = "N", value_parser = tag)]
    tag: Option<u64>,

    /// Who may have cached the entries: this CPU alone, or others as well, one of them lazy
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Cpus::Current)]
    cpus: Cpus,

    /// Lines for people, or one JSON object for scripts
    #[arg(long, value_enum, default_value_t = TraceFormat::Text)]
    format: TraceFormat,

    #[command(flatten)]
    messages: Messages,

    #[command(flatten)]
    machine: Machine,
}

/// What stands for the table of the entries that change, and for the entries.
const TABLE: u64 = 0x2000_0000;
const OLD: u64 = 0x1000_0001;
const NEW: u64 = 0x3000_0001;

#[derive(Clone, Copy, ValueEnum)]
enum EventName {
    /// A space is loaded
    Switch,
    /// The kernel returns to user code
    Resume,
    /// The kernel is entered from user code
    EnterFromUser,
    /// The CPU comes up
    Arrive,
    /// Entries became valid where there were none
    Publish,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChangeName {
    /// Nothing is mapped any more
    Invalid,
    /// Another page, size or other attributes, fewer rights, or a cleared mark
    Replaced,
    /// More is allowed, and nothing else changes
    MoreRights,
    /// Something is mapped where nothing was
    New,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OwedName {
    /// Nothing
    None,
    /// Everything under the tag
    Tag,
    /// Everything under every tag
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cpus {
    #[value(name = "self")]
    Current,
    Others,
}

#[derive(Clone, Copy, ValueEnum)]
enum TraceFormat {
    Text,
    Json,
}

impl Trace {
    pub(super) fn run(&self, color: bool) -> Result<Outcome, Trouble> {
        let (name, bytes) = disk::read_one(self.file.clone())?.named();
        let mut files = Files::default();
        let (analysis, diagnostics) = match parse::decode(&mut files, name, bytes) {
            Ok(file) => analyse(&files, file),
            Err(diagnostic) => (None, vec![*diagnostic]),
        };
        let Some(analysis) = analysis else {
            let findings = self.messages.render(&files, &diagnostics, color);
            return Ok(Outcome::Findings(findings));
        };
        let query = self.query(&analysis.model)?;
        let answer = trace(&analysis.model, &analysis.plans, &query).map_err(Trouble)?;
        Ok(Outcome::Good(match self.format {
            TraceFormat::Text => {
                format!(
                    "{}\n{}",
                    self.heading(&analysis.model, &query),
                    show::text(&answer)
                )
            }
            TraceFormat::Json => format!("{}\n", show::json(&answer)),
        }))
    }

    fn query(&self, model: &Model) -> Result<Query, Trouble> {
        let config = self.machine.config(model)?;
        let others = self.cpus == Cpus::Others;
        let tag = match self.tag {
            Some(tag) => checked_tag(model, config, tag)?,
            None => least_tag(model, config, others),
        };
        Ok(Query {
            config,
            limits: self.machine.limits(model)?,
            space: if self.kernel {
                Space::Kernel
            } else {
                Space::User
            },
            event: self.asked(model, config)?,
            tag,
            others,
        })
    }

    fn asked(&self, model: &Model, config: Config) -> Result<Event, Trouble> {
        if let Some(extent) = self.range {
            let page_shift = model.geometries[config.geometry].page_shift;
            check_whole(extent, page_shift, "pages of")?;
            if let Some(to) = self.change {
                return self.changed(model, config, extent, to);
            }
            return Ok(Event::Cleared {
                extent,
                levels: self.levels(model, config)?,
                tables: self.tables_freed,
                live: self.below_live,
                appeared: self.appeared,
            });
        }
        let of_kernel = matches!(self.event, None | Some(EventName::Publish));
        if self.kernel && !of_kernel {
            return Err(Trouble(
                "--kernel: of the events only `--event publish` can be the kernel's".into(),
            ));
        }
        match (self.event, self.owed) {
            (None, _) if self.teardown => Ok(Event::Teardown),
            (None, _) => Ok(Event::Everything),
            (Some(EventName::Switch), OwedName::None) => Ok(Event::Switch(Debt::None)),
            (Some(EventName::Switch), OwedName::Tag) => Ok(Event::Switch(Debt::Tag)),
            (Some(EventName::Switch), OwedName::All) => Ok(Event::Switch(Debt::All)),
            (Some(EventName::Resume), OwedName::None) => Ok(Event::Resume(false)),
            (Some(EventName::Resume), OwedName::Tag) => Ok(Event::Resume(true)),
            (Some(EventName::Arrive), OwedName::None) => Ok(Event::Arrive),
            (Some(EventName::Resume), OwedName::All) => Err(Trouble(
                "--event resume: only `--owed tag` can be put off until user code goes on".into(),
            )),
            (Some(EventName::EnterFromUser), OwedName::None) => Ok(Event::EnterFromUser),
            (Some(EventName::EnterFromUser), _) => Err(Trouble(
                "--event enter-from-user: nothing is put off until the kernel is entered".into(),
            )),
            (Some(EventName::Publish), OwedName::None) => Ok(Event::Publish),
            (Some(EventName::Publish), _) => Err(Trouble(
                "--event publish: nothing is put off until new entries are published".into(),
            )),
            (Some(EventName::Arrive), _) => Err(Trouble(
                "--event arrive: nothing can be owed by a CPU that was not there".into(),
            )),
        }
    }

    /// The change of the entries that translate a range.
    fn changed(
        &self,
        model: &Model,
        config: Config,
        extent: Extent,
        to: ChangeName,
    ) -> Result<Event, Trouble> {
        let [level] = self.levels(model, config)?[..] else {
            return Err(Trouble(
                "--change: entries of one level change at a time; name one `--level`".into(),
            ));
        };
        let Some(shift) = model.level_shift(level, config) else {
            let name = &model.levels[level].name;
            return Err(Trouble(format!(
                "there is no level {name} in this configuration"
            )));
        };
        let name = &model.levels[level].name;
        check_whole(extent, shift, &format!("entries of {name}, of"))?;
        let above = (level + 1..model.levels.len()).find_map(|l| model.level_shift(l, config));
        let table = above.map_or(extent, |shift| {
            Extent {
                bytes: extent.bytes.min(1),
                ..extent
            }
            .rounded(shift)
        });
        if extent.last() > table.last() {
            let end = u128::from(table.last()) + 1;
            return Err(Trouble(format!(
                "--change: the entries stand in more than one table; the first ends at {end:#x}"
            )));
        }
        Ok(Event::Change(Changing {
            kind: match to {
                ChangeName::Invalid => Kind::Vanishes,
                ChangeName::Replaced => Kind::Replaces,
                ChangeName::MoreRights => Kind::Relaxes,
                ChangeName::New => Kind::Appears,
            },
            level: Level(level as u8),
            va: extent.start,
            entries: extent.entries(shift),
            table: TABLE,
            index: 0,
            old: OLD,
            new: if to == ChangeName::Invalid { 0 } else { NEW },
            space: if self.kernel {
                Space::Kernel
            } else {
                Space::User
            },
            reach: if self.cpus == Cpus::Others {
                Reach::Wide
            } else {
                Reach::Here
            },
            may_defer: self.defer,
        }))
    }

    /// What is traced, of a change.
    fn change_heading(model: &Model, change: &Changing, of: &str) -> String {
        let becomes = match change.kind {
            Kind::Vanishes => "made invalid",
            Kind::Replaces => "replaced",
            Kind::Relaxes => "given more rights",
            Kind::Appears => "made valid",
        };
        let name = &model.levels[change.level.index()].name;
        let count = if change.entries == 1 {
            format!("1 {name} entry")
        } else {
            format!("{} {name} entries", change.entries)
        };
        format!("{count} from {:#x} of {of}, {becomes}", change.va)
    }

    fn levels(&self, model: &Model, config: Config) -> Result<Vec<usize>, Trouble> {
        if self.level.is_empty() {
            let mut levels = 0..model.levels.len();
            let lowest = levels.find(|&level| model.level_shift(level, config).is_some());
            return Ok(lowest.into_iter().collect());
        }
        let levels = self.level.iter();
        levels
            .map(|name| find("level", name, model.levels.iter()))
            .collect()
    }

    /// What is traced.
    fn heading(&self, model: &Model, query: &Query) -> String {
        let tag = if self.kernel {
            String::new()
        } else if model.tags.iter().any(|tag| tag.when.holds(query.config)) {
            format!(" with tag {:#x}", query.tag)
        } else {
            " without a tag".to_owned()
        };
        let space = if self.kernel {
            "the kernel"
        } else {
            "a user space"
        };
        let what = match &query.event {
            Event::Cleared {
                extent,
                levels,
                tables,
                live,
                appeared,
            } => {
                let names: Vec<&str> = levels
                    .iter()
                    .map(|&i| model.levels[i].name.as_str())
                    .collect();
                let end = u128::from(extent.start) + u128::from(extent.bytes);
                let tables = match (tables, live) {
                    (false, _) => "",
                    (true, false) => " and their tables",
                    (true, true) => " and their tables, valid below,",
                };
                let tables = if *appeared { " that appeared" } else { tables };
                format!(
                    "{} entries{tables} at {:#x}..{end:#x} of {space}{tag}",
                    names.join(", "),
                    extent.start
                )
            }
            Event::Everything => format!("everything of {space}{tag}"),
            Event::Teardown => format!("the end of {space}{tag}"),
            Event::Change(change) => Self::change_heading(model, change, &format!("{space}{tag}")),
            Event::Switch(debt) => {
                let owed = match debt {
                    Debt::None => "nothing",
                    Debt::Tag => "its tag",
                    Debt::All => "every tag",
                };
                format!("switch to {space}{tag}, {owed} owed")
            }
            Event::Resume(owed) => {
                let owed = if *owed { "its tag" } else { "nothing" };
                format!("resume of {space}{tag}, {owed} owed")
            }
            Event::EnterFromUser => format!("entry from user code of {space}{tag}"),
            Event::Arrive => "arrival of a CPU".to_owned(),
            Event::Publish => format!("new entries of {space}{tag}"),
        };
        let others = if query.others {
            ", on other CPUs too"
        } else {
            ""
        };
        let machine = described(model, query.config, &query.limits);
        format!("{}: {what}{others} ({machine})", model.arch.name)
    }
}

/// Refuses a tag that does not fit, and remarks on one that no space has.
fn checked_tag(model: &Model, config: Config, value: u64) -> Result<u64, Trouble> {
    let Some(widest) = tags(model, config).max_by_key(|tag| tag.bits.value) else {
        note("there are no tags on this machine: --tag makes no difference");
        return Ok(value);
    };
    let bits = widest.bits.value;
    if bits < 64 && value >> bits != 0 {
        let name = &widest.named.name;
        let message = format!("tag {value:#x} does not fit the {bits} bits of `{name}`");
        return Err(Trouble(message));
    }
    let shared = value & view_bits(model, config);
    if shared != 0 {
        note(&format!(
            "tag {value:#x} has bit {shared:#x}, by which views differ: no space has it, and its views \
             are the same here"
        ));
    }
    Ok(value)
}

/// A remark to the user, beside the trace.
fn note(text: &str) {
    // A closed stderr is no reason to keep the trace.
    let _ = writeln!(io::stderr(), "note: {}", crate::hidden::spelt(text));
}

/// Refuses a range that is cut off within one of `what`, of `1 << shift` bytes.
fn check_whole(extent: Extent, shift: u32, what: &str) -> Result<(), Trouble> {
    let whole = extent.rounded(shift);
    if whole == extent {
        return Ok(());
    }
    let end = u128::from(whole.start) + u128::from(whole.bytes);
    Err(Trouble(format!(
        "the range does not consist of whole {what} {} KiB; did you mean {:#x}..{end:#x}?",
        1u64 << shift >> 10,
        whole.start
    )))
}
