//! The shipped definitions, and requests for what was unmapped.

use crate::archdefs::analysis;
use crate::configurations::{Machine, machine};
use tlbc::Diagnostic;
use tlbc::model::Which;
use tlbc::model::{Config, Model};
use tlbc::plan::ir::Shape;
use tlbc::source::Files;
use tlbc::trace::interpret::{Changing, Effects, Env, flush, interpret};
use tlbc::trace::{
    AddressRange, Becomes, Event, Instruction, Query, Step, Store, Tables, Trace, UnmappedEntries,
    step, trace,
};
use tlbc::{Analysis, analyse};
use tlbc_runtime::backend::{FinishSteps, Root};
use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::{Extent, Ranges, Reach, Space, SpaceFlags, Tag};

/// The text of a shipped definition.
pub const ARM64: &str = include_str!("../../archdefs/arm64.arch");
/// The text of a shipped definition.
pub const X86_64: &str = include_str!("../../archdefs/x86_64.arch");

/// The text of a shipped definition.
pub const LOONGARCH64: &str = include_str!("../../archdefs/loongarch64.arch");
/// The text of a shipped definition.
pub const POWERPC64: &str = include_str!("../../archdefs/powerpc64.arch");
/// The text of a shipped definition.
pub const RISCV64: &str = include_str!("../../archdefs/riscv64.arch");
/// The text of a shipped definition.
pub const S390: &str = include_str!("../../archdefs/s390.arch");

/// Returns the shipped definition of arm64.
pub fn arm64() -> &'static Analysis {
    analysis("arm64")
}

/// Returns the shipped definition of x86-64.
pub fn x86() -> &'static Analysis {
    analysis("x86_64")
}

/// Returns the shipped definition of powerpc64.
pub fn powerpc() -> &'static Analysis {
    analysis("powerpc64")
}

/// Returns the shipped definition of s390.
pub fn s390() -> &'static Analysis {
    analysis("s390")
}

/// Reads a definition. Returns it with the diagnostics.
pub fn read(text: &str) -> (Option<Analysis>, Vec<Diagnostic>) {
    let mut files = Files::default();
    let file = files.add("x.arch", text);
    analyse(&files, file)
}

/// Reads a definition, and checks that there are no diagnostics.
pub fn good(text: &str) -> Analysis {
    let (analysis, found) = read(text);
    let found: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    analysis.unwrap_or_else(|| panic!("{found:#?}"))
}

/// Returns the diagnostics about a definition: code and message.
pub fn findings(text: &str) -> Vec<String> {
    let (_, found) = read(text);
    found
        .iter()
        .map(|d| format!("{} {}", d.code, d.message))
        .collect()
}

/// Replaces a part of a text, which must occur exactly once.
pub fn edited(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "`{old}` is there once");
    text.replacen(old, new, 1)
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The space.
    pub space: Space,
    /// The change.
    pub event: What,
    /// The tag of the space.
    pub tag: u64,
    /// Whether other CPUs are active in the space.
    pub others: bool,
}

/// A change, with levels by name.
#[derive(Debug, Clone)]
pub enum What {
    /// Entries of these levels were unmapped.
    Unmapped(Extent, &'static [&'static str], Tables),
    /// Another event.
    Event(Event),
}

/// A tag that a space may have on any machine: not reserved, and even, because an odd one belongs to arm64's user view.
pub const TAG: u64 = 0x42;

impl Ask {
    /// Returns a request after leaf entries of user space were unmapped.
    pub fn user(start: u64, bytes: u64, levels: &'static [&'static str]) -> Self {
        let extent = Extent::new(start, bytes);
        Self {
            space: Space::User,
            event: What::Unmapped(extent, levels, Tables::Kept),
            tag: TAG,
            others: false,
        }
    }

    /// Returns a request after leaf entries of the kernel were unmapped.
    pub fn kernel(start: u64, bytes: u64, levels: &'static [&'static str]) -> Self {
        Self {
            space: Space::Kernel,
            tag: 0,
            others: true,
            ..Self::user(start, bytes, levels)
        }
    }

    /// Returns a request after another event, of user space.
    #[must_use]
    pub fn event(event: Event) -> Self {
        Self {
            event: What::Event(event),
            ..Self::user(0, 0, &[])
        }
    }

    /// Adds that the tables of the entries were unlinked.
    #[must_use]
    pub fn tables(mut self) -> Self {
        if let What::Unmapped(.., tables) = &mut self.event {
            *tables = Tables::Unlinked;
        }
        self
    }

    /// Adds that the tables were unlinked with everything below them, which is still valid.
    #[must_use]
    pub fn live(mut self) -> Self {
        if let What::Unmapped(.., tables) = &mut self.event {
            *tables = Tables::UnlinkedLive;
        }
        self
    }

    /// Sets that other CPUs may have cached the entries.
    #[must_use]
    pub fn others(mut self) -> Self {
        self.others = true;
        self
    }

    /// Sets that only this CPU may have cached the entries.
    #[must_use]
    pub fn here(mut self) -> Self {
        self.others = false;
        self
    }

    /// Sets the tag of the space.
    #[must_use]
    pub fn tag(mut self, tag: u64) -> Self {
        self.tag = tag;
        self
    }

    /// Returns what is issued on a machine for this request, after the entries were cleared.
    pub fn on(&self, arch: &Analysis, words: &str) -> Trace {
        self.try_on(arch, words)
            .expect("a request that the machine can have")
    }

    /// Does the same for a request that the machine may be unable to have.
    ///
    /// # Errors
    /// The reason why it cannot have it.
    pub fn try_on(&self, arch: &Analysis, words: &str) -> Result<Trace, String> {
        let Machine { config, limits } = machine(&arch.model, words);
        let level = |name: &&str| arch.model.level(name).expect("a level");
        let event = match &self.event {
            What::Unmapped(extent, levels, tables) => Event::Unmapped(UnmappedEntries {
                ranges: vec![AddressRange {
                    extent: *extent,
                    levels: levels.iter().map(level).collect(),
                }],
                tables: *tables,
                stored: true,
            }),
            What::Event(event) => event.clone(),
        };
        let query = Query {
            config,
            limits,
            space: self.space,
            event,
            tag: tag_on(&arch.model, config, self.tag),
            others: self.others,
        };
        trace(&arch.model, &arch.plans, &query)
    }

    /// Does the same, and returns one instruction per line without its operands' fields, without IPIs and deferred
    /// flushes.
    pub fn here_on(&self, arch: &Analysis, words: &str) -> Vec<String> {
        lines(self.on(arch, words).issued())
    }
}

/// Returns a tag, which is global on a machine with global tags.
pub fn tag_on(model: &Model, config: Config, value: u64) -> Tag {
    let mut there = model.tags(config);
    Tag {
        value,
        global: there.any(|tag| !tag.per_cpu.value),
    }
}

/// Returns the environment of the plans, for a space whose tag is per-CPU or global.
pub fn env(machine: Machine, global: bool, ranges: Ranges) -> Env {
    let tag = Tag { value: TAG, global };
    Env {
        config: machine.config,
        limits: machine.limits,
        tag,
        walk: ranges.tables(),
        teardown: false,
        published: false,
        change: Changing::default(),
        page: (0, Level(0)),
        ranges,
        root: Root {
            table: 0,
            tag,
            empty: 0,
            flags: SpaceFlags::NONE,
        },
        pending: Pending::None,
        view_pending: false,
        steps: FinishSteps::NONE,
    }
}

/// Returns a level by its name.
pub fn level(model: &Model, name: &str) -> Level {
    let index = model.level(name).expect("a level");
    Level(u8::try_from(index).expect("few levels"))
}

/// Returns what is issued for several ranges of user space at once, on a machine with other CPUs: start and finish, one
/// instruction per line with the values of its operands.
pub fn ranges_on(arch: &Analysis, words: &str, ranges: Ranges) -> Vec<String> {
    let env = env(machine(&arch.model, words), true, ranges);
    let shape = Shape::Ranges(Space::User, Reach::Wide);
    flush(&arch.model, &arch.plans, shape, &env)
        .iter()
        .flat_map(|it| with_operands(arch, it))
        .collect()
}

fn with_operands(arch: &Analysis, effects: &Effects) -> Vec<String> {
    let model = &arch.model;
    let line = |op: &tlbc::trace::interpret::Op| {
        let name = match op.which {
            Which::Barrier(index) => model.barriers[index].named.name.as_str(),
            Which::Invalidate(index) => model.invalidates[index].named.name.as_str(),
            Which::Load(index) => model.loads[index].named.name.as_str(),
            Which::Store => "store",
        };
        let operands = op.operands.iter().map(|&(index, word)| {
            let operand = &model.operands[index].named.name;
            format!(" {operand}={word:#x}")
        });
        format!("{name}{}", operands.collect::<String>())
    };
    effects.ops.iter().map(line).collect()
}

/// The steps of a CPU.
pub trait Steps {
    /// Returns the steps.
    fn steps(&self) -> &[Step];

    /// Returns the instructions among the steps.
    fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.steps().iter().filter_map(Step::instruction)
    }
}

impl Steps for Trace {
    fn steps(&self) -> &[Step] {
        &self.here
    }
}

/// What a backend does for a change of entries.
#[derive(Debug)]
pub struct Made {
    /// The steps.
    pub here: Vec<Step>,
    /// What it defers.
    pub deferred: Deferred,
}

impl Steps for Made {
    fn steps(&self) -> &[Step] {
        &self.here
    }
}

/// Returns what a backend does for a change of entries of a space with this tag.
pub fn change_on(arch: &Analysis, config: Config, tag: u64, change: Changing) -> Made {
    let model = &arch.model;
    let machine = Machine {
        config,
        limits: model.limits.iter().map(|limit| limit.least).collect(),
    };
    let mut env = env(machine, true, Ranges::new());
    env.tag.value = tag;
    env.change = change;
    let effects = interpret(model, &arch.plans, Shape::Change, &env);
    let store = Store {
        level: model.levels[change.level.index()].name.clone(),
        start: change.va.into(),
        entries: change.entries,
        becomes: match change.kind {
            Kind::Unmap => Becomes::Invalid,
            _ => Becomes::New,
        },
    };
    let step = |op| step(model, env.config, op, Some(&store));
    Made {
        here: effects.ops.iter().filter_map(step).collect(),
        deferred: effects.deferred,
    }
}

/// Returns what this CPU does for ranges of user space that only this CPU or other CPUs too may have cached: the flush
/// of the plan, whether or not the runtime ever requests it.
pub fn flush_on(arch: &Analysis, words: &str, others: bool, ranges: Ranges) -> Made {
    let model = &arch.model;
    let env = env(machine(model, words), true, ranges);
    let shape = Shape::Ranges(Space::User, if others { Reach::Wide } else { Reach::Here });
    let [start, finish] = flush(model, &arch.plans, shape, &env);
    let ops = start.ops.iter().chain(&finish.ops);
    Made {
        here: ops
            .filter_map(|op| step(model, env.config, op, None))
            .collect(),
        deferred: start.deferred | finish.deferred,
    }
}

/// Returns the names of the instructions.
pub fn names(it: &impl Steps) -> Vec<&str> {
    let mut names = Vec::new();
    for step in it.steps() {
        match step {
            Step::Store(_) => names.push("store"),
            step => names.extend(step.instruction().map(|it| it.name.as_str())),
        }
    }
    names
}

/// Returns the instructions as text.
pub fn lines<'i>(instructions: impl IntoIterator<Item = &'i Instruction>) -> Vec<String> {
    instructions
        .into_iter()
        .flat_map(|it| it.asm.clone())
        .collect()
}

/// Returns the bits `high:low` of a word, as a manual numbers them.
pub fn bits(word: u128, high: u32, low: u32) -> u64 {
    u64::try_from(word >> low & ((1 << (high - low + 1)) - 1)).expect("a field of at most 64 bits")
}
