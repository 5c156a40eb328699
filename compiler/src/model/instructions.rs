//! Barriers, operands, invalidations and loads.

use tlbc_facts::clause::{CacheSet, MaxCount, RunUnit};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;

use super::terms::{At, Cases, Cond, DefinitionName, Machine};
use crate::ast::{Keeps, Need, Written};
use crate::source::Span;
use crate::template::is_instruction;

/// A barrier or an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instr {
    Barrier(usize),
    Invalidate(usize),
}

/// An instruction of the model, or a plain store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// A barrier, by its index.
    Barrier(usize),
    /// An invalidation, by its index.
    Invalidate(usize),
    /// A load, by its index.
    Load(usize),
    /// A plain store of the entries that change.
    Store,
}

/// The text of an instruction and its operands.
#[derive(Debug, Clone)]
pub struct Template {
    /// The lines, which contain `{operand}` and `{scratch}`.
    pub lines: Vec<String>,
    /// What the instruction does not change.
    pub keeps: Keeps,
    /// The operands: those that the lines name, in the order of first mention, then those given by `with`.
    pub operands: Vec<usize>,
    /// The place of the text in the definition.
    pub span: Span,
}

/// A barrier.
#[derive(Debug, Clone)]
pub struct Barrier {
    pub named: DefinitionName,
    pub template: Template,
    /// The condition under which it may be used.
    pub requires: Cond,
    /// The agents to whose walkers earlier stores become visible.
    pub publishes: Option<At<Agents>>,
    /// The agents on which earlier invalidations are complete.
    pub completes: Option<At<Agents>>,
    /// Whether it waits only for invalidations of the CPU that issues it.
    pub same_cpu: bool,
    /// Whether this CPU fetches anew.
    pub resyncs: Option<Span>,
    pub gone: Option<Span>,
    /// Whether earlier accesses are complete.
    pub drained: Option<Span>,
    /// The cost relative to instructions.
    pub cost: u64,
    pub span: Span,
}

/// The place of an operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperandPlace {
    Register,
    Fixed(String),
    /// Any register of this class.
    Class(String),
    /// A buffer in memory, whose address is in a register, of this class if one is named.
    Memory(Option<String>),
}

/// An operand.
#[derive(Debug, Clone)]
pub struct Operand {
    pub named: DefinitionName,
    pub bits: At<u64>,
    pub place: OperandPlace,
    pub fields: Vec<Field>,
    /// The number of pages or entries that it names.
    pub names: Option<Names>,
    /// Whether the start is aligned to the hinted level.
    pub aligned: Option<Span>,
    pub span: Span,
}

impl Operand {
    /// Returns whether it has the same value in every instruction and configuration.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        let mut fields = self.fields.iter();
        fields.all(|it| matches!(it.value, Value::Const(_)) && it.when.terms.is_empty())
    }
}

/// A field of an operand.
#[derive(Debug, Clone)]
pub struct Field {
    pub high: u32,
    pub low: u32,
    pub value: Value,
    /// The field is zero where this does not hold.
    pub when: Cond,
    pub span: Span,
}

impl Field {
    /// Returns the number of its bits.
    #[must_use]
    pub fn width(&self) -> u32 {
        (self.high + 1).saturating_sub(self.low)
    }
}

/// A source of the value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The tag, with the bits of the view.
    Tag,
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
    /// 1 if what is cached under the tag is kept.
    Keep,
    /// The number of the set.
    Set,
    /// The first address after the range.
    End,
    /// The bytes of the range.
    Bytes,
    /// The physical address of the table whose entry changes.
    Table,
    /// The physical address of the entry that changes.
    Entry,
    /// The entry before the change.
    Old,
    /// The entry after the change.
    New,
}

impl Source {
    /// Returns whether the source is known only where a table entry is changed.
    #[must_use]
    pub fn is_of_change(self) -> bool {
        matches!(
            self,
            Source::Table | Source::Entry | Source::Old | Source::New
        )
    }

    /// Returns the word for a source in the definition language.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Va => "va",
            Self::Root => "root",
            Self::Num => "num",
            Self::Scale => "scale",
            Self::Hint => "hint",
            Self::Granule => "granule",
            Self::Form => "form",
            Self::Keep => "keep",
            Self::Set => "set",
            Self::End => "end",
            Self::Bytes => "bytes",
            Self::Table => "table",
            Self::Entry => "entry",
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Const(u64),
    /// The whole value of a source.
    Source(Source),
    /// Bits of a source.
    Slice(Source, u32, u32),
    /// A source divided by the page size.
    PageNumber(Source),
    /// The number of the level of the entry: the index of the table of numbers in [`Model`](super::Model).
    LevelAs(usize),
}

impl Value {
    /// Returns the source, if the value comes from one.
    #[must_use]
    pub fn source(self) -> Option<Source> {
        match self {
            Self::Source(source) | Self::Slice(source, ..) | Self::PageNumber(source) => {
                Some(source)
            }
            Self::Const(_) | Self::LevelAs(_) => None,
        }
    }

    /// Returns the text for the value of a field in the definition language; `level` stands for any table of level numbers.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Const(bits) => format!("{bits:#x}"),
            Self::Source(s) => s.name().to_owned(),
            Self::Slice(s, high, low) => format!("{}[{high}:{low}]", s.name()),
            Self::PageNumber(s) => format!("{} >> page", s.name()),
            Self::LevelAs(_) => "level".to_owned(),
        }
    }
}

/// The numbers of levels in an operand.
#[derive(Debug, Clone)]
pub struct LevelNumbers {
    /// Level, number and condition; the last whose condition holds counts.
    pub cases: Vec<(usize, u64, Cond)>,
    /// The number of every other level, if they have one.
    pub otherwise: Option<u64>,
    pub span: Span,
}

impl LevelNumbers {
    /// Returns the number of a level.
    #[must_use]
    pub fn get(&self, level: usize, machine: impl Machine) -> Option<u64> {
        let mut cases = self.cases.iter().rev();
        let case = cases.find(|(of, _, when)| *of == level && when.holds(machine));
        case.map(|(_, number, _)| *number).or(self.otherwise)
    }
}

/// The count of a run: `(num + 1) << (step * scale + base)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// log2 of the smallest unit.
    pub base: u32,
    /// The increase of that with each scale.
    pub step: u32,
    /// The number of scales; 1 without such a field.
    pub scales: u32,
    /// The largest `num`.
    pub most_num: u64,
    /// Whether the run ends where the source `end` or `bytes` says, and nothing is counted.
    pub any: bool,
    /// Whether base pages are counted, at any level; otherwise entries of the level.
    pub pages: bool,
    pub span: Span,
}

/// An instruction that invalidates.
#[derive(Debug, Clone)]
pub struct Invalidate {
    pub named: DefinitionName,
    /// What it looks like.
    pub template: Template,
    /// The condition under which it may be used.
    pub requires: Cond,
    /// The document that describes it.
    pub per: Option<At<String>>,
    /// The function of the platform that takes the place of instructions.
    pub call: Option<At<String>>,
    /// The lines for the assembler, where it does not know the instruction.
    pub encoded: Option<At<Vec<String>>>,
    pub agents: Cases<At<Agents>>,
    /// The barrier after which it is finished; `None` for at once.
    pub after: Option<Cases<At<usize>>>,
    /// The barrier that is issued before it.
    pub follows: Option<At<usize>>,
    /// What the kernel must ensure while the instruction is issued.
    pub needs: Vec<At<Need>>,
    /// Whether it is called again while it answers that it is busy.
    pub retry_while_busy: bool,
    /// The change of a table entry, if it makes one.
    pub writes_entry: Option<Writes>,
    /// The cost relative to other instructions.
    pub cost: u64,
    /// The forms; a single effect is a form without a name.
    pub forms: Vec<Form>,
    pub span: Span,
}

impl Invalidate {
    /// Returns whether the machine accepts one at a time.
    #[must_use]
    pub fn needs_lock(&self) -> bool {
        self.needs.iter().any(|need| need.value == Need::Lock)
    }

    /// Returns the lines for the assembler.
    #[must_use]
    pub fn assembled(&self) -> &[String] {
        let encoded = self.encoded.as_ref().map(|at| &at.value);
        encoded.unwrap_or(&self.template.lines)
    }

    /// Returns the lines to show: the text, unless the lines for the assembler have more instructions, as a loop has.
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

    /// Returns the agents on which entries are invalidated in a configuration.
    #[must_use]
    pub fn reach(&self, machine: impl Machine) -> Agents {
        self.agents.get(machine).map_or(Agents::NONE, |at| at.value)
    }

    /// Returns the place where it is said to act on other CPUs that it is given.
    #[must_use]
    pub fn given(&self) -> Option<Span> {
        let mut cases = self.agents.cases.iter();
        let given = cases.find(|(at, _)| at.value == Agents::OTHERS);
        given.map(|(at, _)| at.span)
    }

    /// Returns the barrier after which it is finished in a configuration.
    #[must_use]
    pub fn done_after(&self, machine: impl Machine) -> Option<usize> {
        Some(self.after.as_ref()?.get(machine)?.value)
    }
}

/// How an instruction changes a table entry.
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    /// The levels of the entries.
    pub levels: Levels,
    pub to: Written,
    /// Whether an entry that differs from `old` is not changed, and nothing is invalidated.
    pub if_old: bool,
    pub span: Span,
}

/// One effect of an instruction.
#[derive(Debug, Clone)]
pub struct Form {
    /// The name and number of a form.
    pub named: Option<(DefinitionName, u64)>,
    /// The condition under which it may be used, in addition to that of the instruction.
    pub requires: Cond,
    pub drops: Vec<Drops>,
}

/// The levels of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelSel {
    Any,
    /// The hinted level; every level without a hint.
    Hint,
    /// Levels above the hinted one; every level without a hint.
    AboveHint,
    /// The level that the instruction must be given.
    Given,
    Only(Levels),
}

/// The largest count of a run that states none: as many as possible.
pub const UNLIMITED: u32 = u32::MAX;

/// The addresses of a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressSelector {
    /// The entries that contain the address.
    OnePage,
    /// The entries that contain an address of a run.
    Run {
        least: u64,
        most: MaxCount,
        stride: RunUnit,
    },
    /// The entries in one set of the cache.
    OneSet,
    /// What was made through the table entry, and everything below it.
    Subtree,
    Everything,
}

/// A clause of an effect, with its condition.
#[derive(Debug, Clone)]
pub struct Drops {
    pub leaf: Option<LevelSel>,
    pub walk: Option<LevelSel>,
    pub negative: Option<LevelSel>,
    /// Bindings of tags to top tables.
    pub root: bool,
    /// The caches; without any, all that hold the kind.
    pub caches: Option<CacheSet>,
    pub which: At<AddressSelector>,
    /// The tags: `this` or `loaded`, `other`, `global`.
    pub whose: At<crate::ast::TagSelector>,
    pub when: Cond,
    pub span: Span,
}

/// An instruction that loads a root or a tag.
#[derive(Debug, Clone)]
pub struct Load {
    pub named: DefinitionName,
    /// What it looks like.
    pub template: Template,
    /// The machines that have it.
    pub requires: Cond,
    pub drops: Vec<Drops>,
    /// The barrier that is issued before it.
    pub follows: Option<At<usize>>,
    pub span: Span,
}
