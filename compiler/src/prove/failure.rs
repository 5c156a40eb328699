//! What a path breaks.

use super::effect::{Cell, Class};
use crate::codes::Code;
use crate::describe;
use crate::diagnostic::Diagnostic;
use crate::model::{CachedKind, Config, Instr, Model, Need};
use crate::text::list;
use tlbc_runtime::agents::Agents;

/// A rule that each path has to satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Each cell is invalidated by one single instruction, on each agent.
    Cover,
    /// The change is visible to the walker before the instruction.
    Published,
    /// The instruction is complete before the flush ends.
    Complete,
    /// Nothing can make the entry again.
    Lasting,
    /// The instruction is issued with what it needs.
    Needs(Need),
    /// The machine has the instruction.
    Exists,
    /// An instruction that writes table entries serves changes only.
    Writes,
    /// This CPU refetches where the definition says so.
    Resync,
    /// What is deferred is flushed before the entries can be used.
    Deferred,
    /// The root and tag of a space are loaded without a moment at which a walker sees one without the other.
    Loads,
    /// A load that the machine has comes right after the barrier that it follows.
    Ordered,
    /// Where no tag tells spaces apart, a switch invalidates the entries of the previous space.
    Shared,
    /// Each entry of a change is written: by instructions for its level and for the kind of change, or by a store.
    Written,
    /// A plain store changes no valid entry, except for software bits and where the flush is deferred.
    Stored,
    /// New entries are visible to every walker at the end.
    Visible,
    /// No lockless walker is in a table when it is freed.
    Walkers,
    /// The handler of an IPI, and an event, issue nothing that needs the lock.
    Unlocked,
    /// Every shape of request has a plan.
    Planned,
}

/// A rule that a path breaks.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The rule.
    pub rule: Rule,
    /// The request.
    pub request: String,
    /// The machine with the fewest flags of those that follow the path.
    pub machine: Config,
    /// The entries that survive.
    pub cell: Option<Cell>,
    /// The instruction that is expected to invalidate them, or that breaks the rule.
    pub instruction: Option<Instr>,
}

impl Failure {
    /// Returns whether another failure is of the same rule, request and kind of entry.
    pub fn is_like(&self, other: &Self) -> bool {
        let of = |it: &Self| it.cell.map(|cell| (cell.kind, cell.class, cell.agent));
        self.rule == other.rule && self.request == other.request && of(self) == of(other)
    }

    /// Returns the failure as an error about the definition.
    #[must_use]
    pub fn diagnostic(&self, model: &Model) -> Diagnostic {
        let machine = self.machine(model);
        let what = self.what(model);
        let message = format!("{}: {what} ({machine})", self.request);
        let primary = self
            .cell
            .map_or(model.arch.span, |cell| model.caches.all[cell.cache].span);
        let mut diagnostic = Diagnostic::new(Code::E0801, primary, message);
        if self.cell.is_some() {
            diagnostic = diagnostic.label("says that these entries are cached");
        }
        if let Some(Instr::Invalidate(index)) = self.instruction {
            let it = &model.invalidates[index];
            let text = match self.rule {
                Rule::Needs(_) | Rule::Exists | Rule::Writes | Rule::Written | Rule::Unlocked => {
                    "is issued"
                }
                _ => "is expected to invalidate them",
            };
            diagnostic = diagnostic.because(it.named.span, text);
        }
        diagnostic.note(
            "the plan and its proof disagree: this is a bug in tlbc, or the plan was made from another definition",
        )
    }

    fn machine(&self, model: &Model) -> String {
        let features = model.features.iter().enumerate();
        let features = features.filter(|(index, _)| self.machine.has(*index));
        let errata = model.errata.iter().enumerate();
        let errata = errata.filter(|(index, _)| self.machine.suffers(*index));
        let names = features.map(|(_, it)| &it.named.name);
        let names = names.chain(errata.map(|(_, it)| &it.named.name));
        let names: Vec<String> = names.map(|name| describe::code(name)).collect();
        if names.is_empty() {
            "on a machine without optional features".to_owned()
        } else {
            format!("on a machine with {}", list(&names, "and"))
        }
    }

    fn what(&self, model: &Model) -> String {
        let entries = self
            .cell
            .map_or(String::new(), |cell| entries(model, &cell));
        let instruction = match self.instruction {
            Some(Instr::Invalidate(index)) => describe::code(&model.invalidates[index].named.name),
            Some(Instr::Barrier(index)) => describe::code(&model.barriers[index].named.name),
            None => "an instruction".to_owned(),
        };
        match self.rule {
            Rule::Cover => format!("no single instruction invalidates {entries}"),
            Rule::Published => {
                format!("{entries} are invalidated before the change is visible to the walker")
            }
            Rule::Complete => format!("the invalidation of {entries} is not complete at the end"),
            Rule::Lasting => format!("{entries} can be made again after they are invalidated"),
            Rule::Needs(need) => {
                let need = match need {
                    Need::SameCpu => "without staying on the CPU until it is complete",
                    Need::InterruptsOff => "with interrupts on",
                    Need::Lock => "without the lock",
                };
                format!("{instruction} is issued {need}")
            }
            Rule::Exists => format!("{instruction} is issued, which the machine does not have"),
            Rule::Writes => {
                format!("{instruction} writes a table entry, and the request changes none")
            }
            Rule::Resync => "this CPU does not refetch afterwards".to_owned(),
            Rule::Deferred => format!("the deferred flush leaves {entries}"),
            Rule::Loads => "the root of one space is loaded with the tag of another".to_owned(),
            Rule::Ordered => match self.instruction {
                Some(_) => format!("a load does not come right after {instruction}"),
                None => "a load is issued that the machine does not have".to_owned(),
            },
            Rule::Shared => format!("the next space can use {entries} of the previous one"),
            Rule::Written => match self.instruction {
                Some(_) => format!(
                    "{instruction} writes entries of other levels, or another kind of change"
                ),
                None => "some entry does not get its new value".to_owned(),
            },
            Rule::Stored => "a valid entry is changed by a plain store".to_owned(),
            Rule::Visible => "some walker may not see the new entry at the end".to_owned(),
            Rule::Walkers => "a lockless walker may be in a table that is freed".to_owned(),
            Rule::Unlocked => format!("{instruction} needs the lock, which is not held here"),
            Rule::Planned => "there is no plan".to_owned(),
        }
    }
}

fn entries(model: &Model, cell: &Cell) -> String {
    let level = || {
        let names = &model.levels;
        names
            .get(cell.level.index())
            .map_or(String::new(), |level| {
                format!(" of level {}", describe::code(&level.name))
            })
    };
    let kind = match cell.kind {
        CachedKind::Leaf => format!("leaf entries{}", level()),
        CachedKind::Walk => format!("walk entries{}", level()),
        CachedKind::Negative => format!("negative entries{}", level()),
        CachedKind::Root => "root entries".to_owned(),
    };
    let class = match cell.class {
        Class::This => "under the tag of the space",
        Class::Other => "under other tags",
        Class::Global => "that are global",
    };
    let cache = describe::code(&model.caches.all[cell.cache].named.name);
    let agents = Agents::name(cell.agent);
    format!("{kind} {class} in {cache} on {agents}")
}
