//! Barriers, operands, invalidations and loads.

use tlbc_facts::clause::{CacheSet, MaxCount, RunUnit};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;

use super::{At, Cases, Cond, Config, Keeps, Machine, Named, Need, Written};
use crate::source::Span;
use crate::template::is_instruction;

/// A barrier or an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instr {
    /// By its index.
    Barrier(usize),
    /// By its index.
    Invalidate(usize),
}

/// What an instruction looks like.
#[derive(Debug, Clone)]
pub struct Template {
    /// The lines, with `{operand}` and `{scratch}` in them.
    pub lines: Vec<String>,
    /// What it leaves as it was.
    pub keeps: Keeps,
    /// The operands: those the lines name in the order of first mention, then those given `with`.
    pub operands: Vec<usize>,
    /// The text in the definition.
    pub span: Span,
}

/// A barrier.
#[derive(Debug, Clone)]
pub struct Barrier {
    /// Its name.
    pub named: Named,
    /// The instruction.
    pub template: Template,
    /// When it may be used.
    pub requires: Cond,
    /// Stores before it are visible to the walkers of these holders.
    pub publishes: Option<At<Agents>>,
    /// Invalidations before it are complete at these holders.
    pub completes: Option<At<Agents>>,
    /// Only those of the same CPU.
    pub same_cpu: bool,
    /// This CPU fetches anew.
    pub resyncs: Option<Span>,
    /// Entries are gone.
    pub gone: Option<Span>,
    /// Accesses already translated are performed.
    pub drained: Option<Span>,
    /// All of it.
    pub span: Span,
}

/// Where an operand stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Any general register.
    Register,
    /// This register.
    Fixed(String),
    /// Any register of this class.
    Class(String),
    /// In memory, its address in a register, of this class if one is named.
    Memory(Option<String>),
}

/// An operand.
#[derive(Debug, Clone)]
pub struct Operand {
    /// Its name.
    pub named: Named,
    /// Its width.
    pub bits: At<u64>,
    /// Where it stands.
    pub place: Place,
    /// Its fields.
    pub fields: Vec<Field>,
    /// How many pages or entries it names.
    pub names: Option<Names>,
    /// The start must be aligned to the hinted level.
    pub aligned: Option<Span>,
    /// All of it.
    pub span: Span,
}

/// A field of an operand.
#[derive(Debug, Clone)]
pub struct Field {
    /// The highest bit.
    pub high: u32,
    /// The lowest bit.
    pub low: u32,
    /// What stands there.
    pub value: Value,
    /// Zero when it does not hold.
    pub when: Cond,
    /// All of it.
    pub span: Span,
}

impl Field {
    /// How many bits it has.
    #[must_use]
    pub fn width(&self) -> u32 {
        (self.high + 1).saturating_sub(self.low)
    }
}

/// Where the value of a field comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The tag, in the view at hand.
    Tag,
    /// The address.
    Va,
    /// The physical address of the top table.
    Root,
    /// The count field of a run.
    Num,
    /// The scale field of a run.
    Scale,
    /// The number of the hinted level.
    Hint,
    /// The number of the page size.
    Granule,
    /// The value of the form.
    Form,
    /// Whether what is cached under the tag is kept.
    Keep,
    /// The number of the set.
    Set,
    /// The first address behind what is named.
    End,
    /// The physical address of the table whose entry changes.
    Table,
    /// The physical address of the entry that changes.
    Entry,
    /// The entry as it was.
    Old,
    /// The entry as it becomes.
    New,
}

impl Source {
    /// Whether it is there only where a table entry is changed.
    #[must_use]
    pub fn is_of_change(self) -> bool {
        matches!(
            self,
            Source::Table | Source::Entry | Source::Old | Source::New
        )
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A constant.
    Const(u64),
    /// A source as it is.
    Source(Source),
    /// Bits of a source.
    Slice(Source, u32, u32),
    /// A source divided by the page size.
    PageNumber(Source),
    /// The number of the entry's level: index of the table in [`Model`](super::Model).
    LevelAs(usize),
}

impl Value {
    /// Where it comes from, if that is a source.
    #[must_use]
    pub fn source(self) -> Option<Source> {
        match self {
            Self::Source(source) | Self::Slice(source, ..) | Self::PageNumber(source) => {
                Some(source)
            }
            Self::Const(_) | Self::LevelAs(_) => None,
        }
    }
}

/// The numbers of levels in an operand.
#[derive(Debug, Clone)]
pub struct LevelNumbers {
    /// Level, number, and when it has that number; the last that holds counts.
    pub cases: Vec<(usize, u64, Cond)>,
    /// The number of every other level; without it there is no other.
    pub otherwise: Option<u64>,
    /// Where it is said.
    pub span: Span,
}

impl LevelNumbers {
    /// The number of a level.
    #[must_use]
    pub fn get(&self, level: usize, config: Config) -> Option<u64> {
        let mut cases = self.cases.iter().rev();
        let case = cases.find(|(of, _, when)| *of == level && when.holds(config));
        case.map(|(_, number, _)| *number).or(self.otherwise)
    }
}

/// What a run names: `(num + 1) << (step * scale + base)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// log2 of the smallest unit.
    pub base: u32,
    /// How much that grows with each scale.
    pub step: u32,
    /// How many scales there are; 1 where there is no such field.
    pub scales: u32,
    /// The largest `num`.
    pub most_num: u64,
    /// It counts nothing, and names as many as its end says.
    pub any: bool,
    /// Base pages, whatever the level; otherwise entries of the level.
    pub pages: bool,
    /// Where it is said.
    pub span: Span,
}

/// An instruction that invalidates.
#[derive(Debug, Clone)]
pub struct Invalidate {
    /// Its name.
    pub named: Named,
    /// What it looks like.
    pub template: Template,
    /// When it may be used.
    pub requires: Cond,
    /// Where its behaviour is documented.
    pub per: Option<At<String>>,
    /// The function of the platform that does it; otherwise instructions do.
    pub call: Option<At<String>>,
    /// Lines for the assembler, where it does not know the instruction.
    pub encoded: Option<At<Vec<String>>>,
    /// Whose caches.
    pub holders: Cases<At<Agents>>,
    /// The barrier after which it is done; `None` for at once.
    pub after: Option<Cases<At<usize>>>,
    /// What must hold while it is issued.
    pub needs: Vec<At<Need>>,
    /// Whether it is called again as long as it answers that it is busy.
    pub retry_while_busy: bool,
    /// How it changes the table entry, if it does.
    pub writes_entry: Option<Writes>,
    /// What it costs, beside others.
    pub cost: u64,
    /// Its forms: one without a name where it has just one.
    pub forms: Vec<Form>,
    /// All of it.
    pub span: Span,
}

impl Invalidate {
    /// The lines for the assembler.
    #[must_use]
    pub fn assembled(&self) -> &[String] {
        let encoded = self.encoded.as_ref().map(|at| &at.value);
        encoded.unwrap_or(&self.template.lines)
    }

    /// The lines for people: the text, unless what is assembled for it has more instructions, as a loop has.
    #[must_use]
    pub fn shown(&self) -> &[String] {
        let instructions =
            |lines: &[String]| lines.iter().filter(|line| is_instruction(line)).count();
        let (text, assembled) = (&self.template.lines, self.assembled());
        if instructions(assembled) > instructions(text) {
            assembled
        } else {
            text
        }
    }

    /// Whose caches, in a configuration.
    #[must_use]
    pub fn reach(&self, machine: impl Machine) -> Agents {
        self.holders
            .get(machine)
            .map_or(Agents::NONE, |at| at.value)
    }

    /// The barrier after which it is done in a configuration.
    #[must_use]
    pub fn done_after(&self, machine: impl Machine) -> Option<usize> {
        Some(self.after.as_ref()?.get(machine)?.value)
    }
}

/// How an instruction changes a table entry.
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    /// Entries of which levels.
    pub levels: Levels,
    /// What they become.
    pub to: Written,
    /// Whether an entry stays, and all that is cached of it, unless it is what it is compared with.
    pub if_old: bool,
    /// Where it is said.
    pub span: Span,
}

/// One effect of an instruction.
#[derive(Debug, Clone)]
pub struct Form {
    /// Its name, and the value of the `form` field.
    pub named: Option<(Named, u64)>,
    /// When it may be used, beside what the instruction requires.
    pub requires: Cond,
    /// What it drops.
    pub drops: Vec<Drops>,
}

/// Levels of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelSel {
    /// Every level.
    Any,
    /// The hinted level; every level without a hint.
    Hint,
    /// Levels above the hinted one; every level without a hint.
    AboveHint,
    /// The level that it must be given.
    Given,
    /// This set.
    Only(Levels),
}

/// Which entries a clause speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressSelector {
    /// Those that contain the address.
    OnePage,
    /// Those that contain an address of a run.
    Run {
        /// The least count.
        least: u64,
        /// The largest.
        most: MaxCount,
        /// What is counted.
        stride: RunUnit,
    },
    /// Those in one set of the cache.
    OneSet,
    /// Those made through the table entry, and all below it.
    Subtree,
    /// All.
    Everything,
}

/// A clause of an effect, with its condition.
#[derive(Debug, Clone)]
pub struct Drops {
    /// Translations.
    pub leaf: Option<LevelSel>,
    /// Pointers to tables.
    pub walk: Option<LevelSel>,
    /// Remembered absences.
    pub negative: Option<LevelSel>,
    /// Bindings of tags to top tables.
    pub root: bool,
    /// In these caches; without any, in all that hold the kind.
    pub stores: Option<CacheSet>,
    /// Which.
    pub which: At<AddressSelector>,
    /// Whose: `this` or `loaded`, `other`, `global`.
    pub whose: At<crate::ast::TagSelector>,
    /// When.
    pub when: Cond,
    /// All of it.
    pub span: Span,
}

/// An instruction that loads a root or a tag.
#[derive(Debug, Clone)]
pub struct Load {
    /// Its name.
    pub named: Named,
    /// What it looks like.
    pub template: Template,
    /// What loading drops.
    pub drops: Vec<Drops>,
    /// All of it.
    pub span: Span,
}
