//! `tlbc trace`.

mod event;
mod tag;

use std::path::PathBuf;

use clap::{ArgGroup, Parser, ValueEnum};
use tlbc_runtime::request::Space;

use super::machine::MachineOptions;
use super::number::{LevelRange, place};
use super::{CommandResult, Messages, Trouble};
use crate::analysis::analyse;
use crate::fs;
use crate::model::{Config, Model};
use crate::parse;
use crate::plan::Plans;
use crate::source::Files;
use crate::trace::{Event, Query, explained, is_ever_local, show, trace};

// An option that `requires` another one is not reported without it if that one conflicts with an option that is given, so it
// conflicts with the same options.

/// The options that describe a `--range`.
const OF_ENTRIES: [&str; 8] = [
    "range",
    "level",
    "tables_freed",
    "below_live",
    "mapped",
    "stored",
    "change",
    "defer",
];

/// Those of them that events do not have.
const OF_REQUESTS: [&str; 6] = [
    "tables_freed",
    "below_live",
    "mapped",
    "stored",
    "change",
    "defer",
];

/// Shows every instruction that is issued for a request, which CPUs are interrupted, and which flushes are deferred
#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("what").required(true).multiple(true).args(["range", "everything", "teardown", "event"]),
    after_help = "\
Numbers are decimal, or 0x... or 0b..., with _ between digits: 4096, 0x1000, 0xffff_8000_0000_0000.

With --format json the result is one object; `tlbc explain trace-schema` prints its schema.

Examples:
  tlbc trace foo.arch --range 0x1000..0x3000
      two pages of a user space
  tlbc trace foo.arch --range 0x40000000..0x40200000 --tables-freed --cpus others
      512 pages and the table that contained them, while other CPUs run the space
  tlbc trace foo.arch --range 0x1000..0x5000@pte --range 0x200000..0x400000@pmd
      four pages and a large page, with one flush
  tlbc trace foo.arch --range 0x1000..0x2000 --change attributes --cpus others
      a page gets another memory type: invalid first where the machine requires it
  tlbc trace foo.arch --kernel --range 0xffff800000000000..0xffff800000001000 --format json
      a page of the kernel, for scripts
  tlbc trace foo.arch --everything --cpus others --errata all
      everything of a space
  tlbc trace foo.arch --range 0x1000..0x5000 --cpus others --why
      what four pages cost, and which instructions were rejected
  tlbc trace foo.arch --event switch --pending tag
      loading a space whose tag still has stale entries
  tlbc trace foo.arch --event fault --range 0x1000..0x2000
      a fault on an entry that allows less than the table
  tlbc trace foo.arch --event publish --kernel
      a page of the kernel was mapped where none was"
)]
pub(super) struct TraceCommand {
    /// The definition, or - for standard input
    file: PathBuf,

    /// The addresses whose entries were unmapped; END is the first address after them; repeatable
    #[arg(long, value_name = "START..END[@LEVEL]", value_parser = place)]
    range: Vec<LevelRange>,

    /// The level of the entries, such as pmd, if `--range` does not name one; repeatable [default: the lowest]
    #[arg(long, value_name = "NAME", requires = "range")]
    level: Vec<String>,

    /// The tables that contained the entries were unlinked as well, and will be freed
    #[arg(long, requires = "range")]
    tables_freed: bool,

    /// The tables were unlinked while all entries below them are still valid: they were moved, or are shared
    #[arg(long, requires = "tables_freed", conflicts_with_all = ["mapped", "change"])]
    below_live: bool,

    /// The entries became valid where there were none
    #[arg(long, requires = "range", conflicts_with = "tables_freed")]
    mapped: bool,

    /// The entries were stored before: shows the flush alone, on machines whose instructions write entries and flush
    #[arg(long, requires = "range", conflicts_with_all = ["mapped", "change"])]
    stored: bool,

    /// Shows the change of the entries itself, with the flush that it requires
    #[arg(long, value_enum, value_name = "TO", requires = "range", conflicts_with_all = ["tables_freed", "mapped"])]
    change: Option<ChangeName>,

    /// The flush of the change may be deferred: no other CPU has the space loaded
    #[arg(long, requires = "change", conflicts_with_all = ["tables_freed", "mapped", "stored"])]
    defer: bool,

    /// The whole space is unmapped, with its tables
    #[arg(long, conflicts_with_all = ["teardown", "event"], conflicts_with_all = OF_ENTRIES)]
    everything: bool,

    /// The space is torn down: everything of it is unmapped, and its tag may be given to another space
    #[arg(long, conflicts_with_all = ["kernel", "event"], conflicts_with_all = OF_ENTRIES)]
    teardown: bool,

    /// An event on this CPU instead of a flush; `fault` needs a `--range`
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "cpus", conflicts_with_all = OF_REQUESTS)]
    event: Option<EventName>,

    /// The flush that was deferred until this switch or return to user code
    #[arg(long, value_enum, value_name = "WHAT", requires = "event", conflicts_with_all = ["everything", "teardown", "cpus"], conflicts_with_all = OF_REQUESTS, default_value_t = PendingName::None)]
    pending: PendingName,

    /// The entries belong to the kernel instead of a user space
    #[arg(long)]
    kernel: bool,

    /// The tag of the space, such as 0x17, or slot:0x17 if there are several kinds [default: the least that a space can have, or the root that is loaded where that is the tag]
    #[arg(long, value_name = "[KIND:]N")]
    tag: Option<String>,

    /// Which CPUs may have cached the entries: this one alone, or others as well, one of them lazy [default: `others` with
    /// --kernel and if the runtime never flushes for this CPU alone, else `self`]
    #[arg(long, value_enum, value_name = "WHICH")]
    cpus: Option<WhichCpus>,

    /// Shows what the request costs, the sets of instructions that were rejected, and why
    #[arg(long)]
    why: bool,

    /// Lines for people, or one JSON object for scripts
    #[arg(long, value_enum, default_value_t = TraceFormat::Text)]
    format: TraceFormat,

    #[command(flatten)]
    messages: Messages,

    #[command(flatten)]
    machine: MachineOptions,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventName {
    /// A space is loaded
    Switch,
    /// The space that is loaded gets a new tag
    NewTag,
    /// The kernel returns to user code
    ReturnToUser,
    /// The kernel is entered from user code
    EnterFromUser,
    /// The CPU comes online
    CpuOnline,
    /// Entries became valid where there were none
    Publish,
    /// A fault that the table does not justify
    Fault,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChangeName {
    /// A page or table is unmapped
    Unmap,
    /// Another page, or another table whose entries are valid
    Replace,
    /// Fewer rights
    FewerRights,
    /// More rights, and no other change
    MoreRights,
    /// The same page or table with other attributes, such as the memory type
    Attributes,
    /// Bits that software alone reads
    SoftwareBits,
    /// A table in place of a large page
    Split,
    /// A large page in place of a table whose entries are valid
    Collapse,
    /// A page or table is mapped where nothing was
    Map,
    /// The accessed mark is cleared
    AccessedCleared,
    /// The dirty mark is cleared
    DirtyCleared,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PendingName {
    /// Nothing
    None,
    /// Everything under the tag
    Tag,
    /// Everything under every tag
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhichCpus {
    #[value(name = "self")]
    Current,
    Others,
}

#[derive(Clone, Copy, ValueEnum)]
enum TraceFormat {
    Text,
    Json,
}

/// What options ask for, without a machine.
pub struct TraceOptions {
    /// The event.
    pub event: Event,
    /// The space.
    pub space: Space,
    /// Whether other CPUs may have cached the entries.
    pub others: bool,
    /// The tag, as it is written.
    pub tag: Option<String>,
}

/// Reads options, as a list of requests in a file has them, for a configuration.
///
/// # Errors
/// What is wrong with the options.
pub fn parse_options(options: &str, model: &Model, config: Config) -> Result<TraceOptions, String> {
    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        trace: TraceCommand,
    }
    let words = ["trace", "-"].into_iter().chain(options.split_whitespace());
    let alone = Alone::try_parse_from(words).map_err(|error| error.to_string())?;
    let trace = alone.trace;
    let event = trace.event(model, config).map_err(|trouble| trouble.0)?;
    Ok(TraceOptions {
        event,
        space: trace.space(),
        others: trace.cpus == Some(WhichCpus::Others),
        tag: trace.tag,
    })
}

impl TraceCommand {
    pub(super) fn run(&self, color: bool) -> Result<CommandResult, Trouble> {
        let (name, bytes) = fs::read_one(self.file.clone())?.named();
        let mut files = Files::default();
        let (analysis, diagnostics) = match parse::decode(&mut files, name, bytes) {
            Ok(file) => analyse(&files, file),
            Err(diagnostic) => (None, vec![*diagnostic]),
        };
        let Some(analysis) = analysis else {
            let findings = self.messages.render(&files, &diagnostics, color);
            return Ok(CommandResult::Findings(findings));
        };
        let (query, remark) = self.query(&analysis.model, &analysis.plans)?;
        let trace = if self.why { explained } else { trace };
        let mut answer = trace(&analysis.model, &analysis.plans, &query).map_err(Trouble)?;
        answer.notes.extend(remark);
        Ok(CommandResult::Good(match self.format {
            TraceFormat::Text => format!("{}\n{}", answer.request.title, show::text(&answer)),
            TraceFormat::Json => format!("{}\n", show::json(&answer)),
        }))
    }

    fn space(&self) -> Space {
        if self.kernel {
            Space::Kernel
        } else {
            Space::User
        }
    }

    /// Returns the request, and a remark on its tag.
    fn query(&self, model: &Model, plans: &Plans) -> Result<(Query, Option<String>), Trouble> {
        let config = self.machine.config(model)?;
        let limits = self.machine.limits(model)?;
        let machine = (config, limits.as_slice());
        let tag = |others| tag::tag(model, machine, self.tag.as_deref(), others);
        let others = self.cpus == Some(WhichCpus::Others) || self.cpus.is_none() && self.kernel;
        let (first, mut remark) = tag(others)?;
        if self.kernel && self.tag.is_some() {
            remark = Some("entries of the kernel are under no tag that a space has: --tag makes no difference".to_owned());
        }
        let mut query = Query {
            config,
            limits: limits.clone(),
            space: self.space(),
            event: self.event(model, config)?,
            tag: first,
            others,
        };
        let open = self.cpus.is_none() && query.event.concerns_others();
        if open && !others && !self.defer && !is_ever_local(model, plans, &query) {
            query.others = true;
            query.tag = tag(true)?.0;
        }
        Ok((query, remark))
    }
}
