//! A definition with its names resolved: what `check`, `plan`, `emit` and `trace` work on.
//!
//! In: nothing but what `lower` puts here. Holds: every index is in range, `for` is expanded,
//! every condition speaks of features and geometries that exist, and each fact keeps its span.
//! Whether the facts make a possible machine is `check`'s business.

use tlbc_runtime::clause::{Holders, Levels, Most, Stride};

pub use crate::ast::{Delivery, EventKind, Known, Lost, Need, Stricter};
use crate::source::Span;

/// A value and the words that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The words.
    pub span: Span,
}

/// A configuration: which features and errata a machine has, and its page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Config {
    /// One bit a feature.
    pub features: u32,
    /// One bit an erratum.
    pub errata: u32,
    /// The geometry, by its index.
    pub geometry: usize,
}

impl Config {
    /// Whether a feature is on.
    #[must_use]
    pub fn has(self, feature: usize) -> bool {
        self.features & (1 << feature) != 0
    }

    /// Whether an erratum is present.
    #[must_use]
    pub fn suffers(self, erratum: usize) -> bool {
        self.errata & (1 << erratum) != 0
    }
}

/// What a condition can speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Var {
    /// A feature.
    Feature(usize),
    /// A geometry.
    Geometry(usize),
    /// The instruction is given a level hint.
    Hinted,
    /// Loading keeps what is cached under the tag.
    Keep,
}

/// Terms that must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cond {
    /// What must hold, or (false) must not.
    pub terms: Vec<At<(Var, bool)>>,
}

impl Cond {
    /// Whether it holds in a configuration, with hint and keep as given.
    #[must_use]
    pub fn holds_with(&self, config: Config, hinted: bool, keep: bool) -> bool {
        self.terms.iter().all(|term| {
            let (var, wanted) = term.value;
            let is = match var {
                Var::Feature(feature) => config.has(feature),
                Var::Geometry(geometry) => config.geometry == geometry,
                Var::Hinted => hinted,
                Var::Keep => keep,
            };
            is == wanted
        })
    }

    /// Whether it holds in a configuration, without a hint and keeping nothing.
    #[must_use]
    pub fn holds(&self, config: Config) -> bool {
        self.holds_with(config, false, false)
    }

    /// The features that it speaks of.
    pub fn features(&self) -> impl Iterator<Item = usize> + '_ {
        self.terms.iter().filter_map(|term| match term.value.0 {
            Var::Feature(feature) => Some(feature),
            _ => None,
        })
    }
}

/// Alternatives; the last whose condition holds counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases<T> {
    /// The alternatives in order.
    pub cases: Vec<(T, Cond)>,
    /// All of it.
    pub span: Span,
}

impl<T> Cases<T> {
    /// The alternative that counts.
    #[must_use]
    pub fn get(&self, config: Config) -> Option<&T> {
        let holding = self.cases.iter().rev().find(|(_, c)| c.holds(config));
        holding.map(|(value, _)| value)
    }

    /// Its conditions.
    pub fn conds(&self) -> impl Iterator<Item = &Cond> {
        self.cases.iter().map(|(_, cond)| cond)
    }
}

/// A named thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Where it is named.
    pub span: Span,
    /// What it is, in the words of the definition; may be empty.
    pub text: String,
}

/// A definition.
#[derive(Debug, Clone)]
pub struct Model {
    /// The architecture.
    pub arch: Named,
    /// The comment before it.
    pub doc: Vec<String>,
    /// Rust's `target_arch`.
    pub target_arch: At<String>,
    /// Page sizes with their tables.
    pub geometries: Vec<Geometry>,
    /// Names of levels, from the leaf up, over all geometries.
    pub levels: Vec<Named>,
    /// What the machine may remember.
    pub caches: Caches,
    /// Features.
    pub features: Vec<Feature>,
    /// Errata.
    pub errata: Vec<Erratum>,
    /// Numbers read at boot.
    pub limits: Vec<Limit>,
    /// Kinds of tags.
    pub tags: Vec<Tag>,
    /// The user space.
    pub user: Space,
    /// The kernel's.
    pub kernel: Space,
    /// What publishes changes without an instruction.
    pub assumed: Option<At<String>>,
    /// Barriers.
    pub barriers: Vec<Barrier>,
    /// Operands.
    pub operands: Vec<Operand>,
    /// Instructions that invalidate.
    pub invalidates: Vec<Invalidate>,
    /// Instructions that load a root or a tag.
    pub loads: Vec<Load>,
    /// How an entry may be changed.
    pub change: Change,
    /// Switch, resume and arrive.
    pub switch: Event,
    /// Return to user code.
    pub resume: Event,
    /// CPU bring-up.
    pub arrive: Event,
    /// Sets of CPUs that the kernel keeps.
    pub cpu_sets: Vec<Named>,
    /// What the definition states of what follows from it.
    pub policy: Policy,
}

impl Model {
    /// The space of that kind.
    #[must_use]
    pub fn space(&self, space: tlbc_runtime::request::Space) -> &Space {
        match space {
            tlbc_runtime::request::Space::User => &self.user,
            tlbc_runtime::request::Space::Kernel => &self.kernel,
        }
    }

    /// Whether a configuration can be: every feature has what it needs.
    #[must_use]
    pub fn possible(&self, config: Config) -> bool {
        let bits = self.features.iter().enumerate();
        bits.into_iter()
            .all(|(i, feature)| !config.has(i) || feature.needs.holds(config))
    }

    /// The index of a level of that name.
    #[must_use]
    pub fn level(&self, name: &str) -> Option<usize> {
        self.levels.iter().position(|level| level.name == name)
    }

    /// A level as it is in a configuration.
    #[must_use]
    pub fn level_shift(&self, level: usize, config: Config) -> Option<u32> {
        self.geometries[config.geometry].levels[level]
            .as_ref()
            .and_then(|l| l.shift.get(config).copied())
    }
}

/// A page size with its tables.
#[derive(Debug, Clone)]
pub struct Geometry {
    /// Its name.
    pub named: Named,
    /// log2 of the page size.
    pub page_shift: u32,
    /// What stands for the page size in operands.
    pub granule: Option<At<u64>>,
    /// By the index of the level's name; `None` where there is no such level.
    pub levels: Vec<Option<Level>>,
}

/// A level of tables.
#[derive(Debug, Clone)]
pub struct Level {
    /// log2 of the reach of an entry.
    pub shift: Cases<u32>,
    /// Whether an entry may map a page.
    pub leaf: bool,
    /// What stands for the level in operands.
    pub hint: Option<At<u64>>,
    /// Where it is said.
    pub span: Span,
}

/// What the machine may remember.
#[derive(Debug, Clone)]
pub struct Caches {
    /// Translations.
    pub leaf: Option<Span>,
    /// Pointers to tables.
    pub walk: Option<Span>,
    /// One address drops a walk entry wherever in its reach it lies.
    pub walk_spans_reach: bool,
    /// Absences.
    pub invalid_cached: bool,
    /// CPUs with a root loaded fill by speculation.
    pub fills_while_loaded: bool,
    /// What becomes of entries that allow less than the table.
    pub stricter: Stricter,
    /// A clean entry becomes dirty only by a walk.
    pub clean_to_dirty_walks: bool,
    /// Where it is said.
    pub span: Span,
}

/// A feature.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Its name.
    pub named: Named,
    /// When it is known.
    pub known: Known,
    /// What it needs.
    pub needs: Cond,
}

/// An erratum.
#[derive(Debug, Clone)]
pub struct Erratum {
    /// Its name.
    pub named: Named,
    /// What it weakens.
    pub weakens: Vec<Weakens>,
    /// What mends it.
    pub remedies: Vec<Remedy>,
}

/// A barrier or an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instr {
    /// By its index.
    Barrier(usize),
    /// By its index.
    Invalidate(usize),
}

/// A fact that no longer holds.
#[derive(Debug, Clone)]
pub struct Weakens {
    /// Of what.
    pub target: At<Instr>,
    /// For this space alone.
    pub space: Option<tlbc_runtime::request::Space>,
    /// What it no longer does.
    pub lost: At<Lost>,
    /// On these CPUs alone: index of the set.
    pub on: Option<usize>,
    /// When.
    pub when: Cond,
}

/// What mends an erratum.
#[derive(Debug, Clone)]
pub struct Remedy {
    /// Behind (true) or before.
    pub after: bool,
    /// What it stands beside.
    pub target: At<Instr>,
    /// What is issued, with zero operands.
    pub issue: Vec<Instr>,
    /// All of it.
    pub span: Span,
}

/// A number read at boot.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Its name.
    pub named: Named,
    /// The least it may be.
    pub least: u64,
    /// The most.
    pub most: u64,
}

/// A kind of tag.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Its name.
    pub named: Named,
    /// When there is such a tag.
    pub when: Cond,
    /// Its width.
    pub bits: At<u64>,
    /// Whether a value means another space on another CPU.
    pub of_cpu: At<bool>,
    /// Whether all other values can be disowned on this CPU, to be flushed when next loaded.
    pub may_be_retired: Option<Span>,
    /// It is read only after changes are published.
    pub read_after_publish: Option<Span>,
    /// The values it may have, both included.
    pub values: Option<At<(u64, u64)>>,
}

/// Which tag class entries have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// One of these tags, by index.
    Tags(Vec<usize>),
    /// Every tag.
    EveryTag,
    /// No tag.
    Global,
}

/// A space.
#[derive(Debug, Clone)]
pub struct Space {
    /// How many bits of which half of the addresses it has: (high, bits).
    pub addresses: Cases<(bool, u32)>,
    /// Its translations.
    pub leaf: Cases<At<Under>>,
    /// Its pointers to tables.
    pub walk: Cases<At<Under>>,
    /// Its loadable views.
    pub views: Vec<View>,
    /// The barrier that this CPU needs after a flush, to fetch anew.
    pub resync: Option<At<usize>>,
    /// Where it is said.
    pub span: Span,
}

/// A loadable view of a space.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub named: Named,
    /// What is or-ed to the tag.
    pub or: u64,
    /// Whether it is the one loaded while the kernel runs.
    pub loaded: bool,
    /// When there is such a view.
    pub when: Cond,
}

/// What an instruction looks like.
#[derive(Debug, Clone)]
pub struct Template {
    /// The lines, with `{operand}` and `{scratch}` in them.
    pub lines: Vec<String>,
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
    pub publishes: Option<At<Holders>>,
    /// Invalidations before it are complete at these holders.
    pub completes: Option<At<Holders>>,
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
    /// In memory, its address in a register.
    Memory,
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
    /// One when the entry's level is this, else zero.
    LevelIs(usize),
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
    /// Whose caches.
    pub holders: At<Holders>,
    /// The barrier after which it is done; `None` for at once.
    pub after: Option<At<usize>>,
    /// What must hold while it is issued.
    pub needs: Vec<At<Need>>,
    /// Whether it changes the flags.
    pub clobbers_flags: bool,
    /// Whether it changes the table entry.
    pub writes_entry: Option<Span>,
    /// What it costs, beside others.
    pub cost: u64,
    /// Its forms: one without a name where it has just one.
    pub forms: Vec<Form>,
    /// All of it.
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
    /// This set.
    Only(Levels),
}

/// Which entries a clause speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those that contain the address.
    OnePage,
    /// Those that contain an address of a run.
    Run {
        /// The least count.
        least: u64,
        /// The largest.
        most: Most,
        /// What is counted.
        stride: Stride,
    },
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
    /// Which.
    pub which: At<Which>,
    /// Whose: `this` or `loaded`, `other`, `global`.
    pub whose: At<crate::ast::Whose>,
    /// When.
    pub when: Cond,
    /// All of it.
    pub span: Span,
}

/// How an entry may be changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// By a plain store.
    pub plain_store: At<bool>,
    /// Another page goes into a valid entry through an invalid one.
    pub output_through_invalid: bool,
    /// Another size goes into a valid entry through an invalid one.
    pub size_through_invalid: bool,
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

/// A moment at which a CPU's translations change as a whole.
#[derive(Debug, Clone)]
pub struct Event {
    /// What is loaded, in order.
    pub loads: Vec<Loads>,
    /// Root and tag must not stand half loaded.
    pub half_loaded_unsafe: Option<Span>,
    /// The barrier behind it.
    pub resync: Option<At<usize>>,
    /// Nothing is known of the caches.
    pub contents_unknown: Option<Span>,
    /// Where it is said.
    pub span: Span,
}

/// Loads of one event.
#[derive(Debug, Clone)]
pub struct Loads {
    /// The loads, by index, in order.
    pub loads: Vec<usize>,
    /// The view, by index into the user space's.
    pub view: usize,
    /// When.
    pub when: Cond,
    /// Where it is said.
    pub span: Span,
}

/// What the definition states of what follows from it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How others are reached.
    pub delivery: Option<Cases<At<Delivery>>>,
    /// Levels whose leaves are worth a stride of their own.
    pub strides: Option<At<Levels>>,
    /// Pages are gathered behind one flush.
    pub pages_batched: Option<At<bool>>,
    /// Tables wait for lockless walkers.
    pub tables_deferred: Option<At<bool>>,
    /// A lazy CPU holds a reference.
    pub lazy_refcounted: Option<At<bool>>,
    /// The most instructions of one view.
    pub ceiling_operations: Option<Cases<u64>>,
    /// The most base pages.
    pub ceiling_pages: Option<Cases<u64>>,
    /// Where it is said.
    pub span: Span,
}
