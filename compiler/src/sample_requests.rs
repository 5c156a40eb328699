//! Requests and machines that stand for others, where a reader wants examples.
//!
//! In: a [`Model`]. Out: queries for [`trace()`](crate::trace::trace()), and their answers in short.
//! Holds: every query fits the definition: its addresses, levels and tag are such as a space has.

use tlbc_runtime::backend::Debt;
use tlbc_runtime::request::{Extent, Space, Tag};

use crate::Analysis;
use crate::model::{self, Config, Model, Named};
use crate::trace::{Cleared, Event, Query, Step, Stretch, Tables, Target, Trace, trace};

/// A request that stands for others, or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// A page of a user space is unmapped.
    Page,
    /// A page and the table that it stood in.
    Table,
    /// All of a user space.
    Everything,
    /// A page of the kernel.
    KernelPage,
    /// Another space is loaded.
    Switch,
    /// Another space is loaded, and a flush of its tag is owed.
    SwitchOwing,
    /// User code goes on.
    Resume,
    /// User code goes on, and a flush of its view is owed.
    ResumeOwing,
    /// The kernel is entered from user code.
    EnterFromUser,
    /// A CPU comes up.
    Arrive,
    /// New entries of a user space.
    Publish,
    /// New entries of the kernel.
    KernelPublish,
}

impl Sample {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Publish,
        Self::KernelPublish,
        Self::Page,
        Self::Table,
        Self::Everything,
        Self::KernelPage,
        Self::Switch,
        Self::SwitchOwing,
        Self::Resume,
        Self::ResumeOwing,
        Self::EnterFromUser,
        Self::Arrive,
    ];

    /// What it is.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Page => "One page of a user space",
            Self::Table => "One page and the table it stood in",
            Self::Everything => "All of a user space",
            Self::KernelPage => "One page of the kernel",
            Self::Switch => "Another space is loaded",
            Self::SwitchOwing => "Another space is loaded that owes a flush of its tag",
            Self::Resume => "Return to user code",
            Self::ResumeOwing => "Return to user code that owes a flush of its view",
            Self::EnterFromUser => "Entry from user code",
            Self::Arrive => "A CPU comes up",
            Self::Publish => "New entries of a user space",
            Self::KernelPublish => "New entries of the kernel",
        }
    }

    /// Whether other CPUs may have to be told.
    #[must_use]
    pub fn may_concern_others(self) -> bool {
        matches!(
            self,
            Self::Page | Self::Table | Self::Everything | Self::KernelPage
        )
    }

    /// The arguments for `tlbc trace`, behind the file.
    #[must_use]
    pub fn arguments(self, model: &Model, config: Config) -> String {
        let range = |space| {
            let extent = page(model, config, space);
            let end = u128::from(extent.start) + u128::from(extent.bytes);
            format!("--range {:#x}..{end:#x}", extent.start)
        };
        match self {
            Self::Page => range(Space::User),
            Self::Table => format!("{} --tables-freed", range(Space::User)),
            Self::Everything => "--everything".to_owned(),
            Self::KernelPage => format!("--kernel {}", range(Space::Kernel)),
            Self::Switch => "--event switch".to_owned(),
            Self::SwitchOwing => "--event switch --owed tag".to_owned(),
            Self::Resume => "--event resume".to_owned(),
            Self::ResumeOwing => "--event resume --owed tag".to_owned(),
            Self::EnterFromUser => "--event enter-from-user".to_owned(),
            Self::Arrive => "--event arrive".to_owned(),
            Self::Publish => "--event publish".to_owned(),
            Self::KernelPublish => "--kernel --event publish".to_owned(),
        }
    }

    fn event(self, model: &Model, config: Config) -> Event {
        let cleared = |space, tables| {
            Event::Cleared(Cleared {
                stretches: vec![Stretch {
                    extent: page(model, config, space),
                    levels: lowest(model, config).into_iter().collect(),
                }],
                tables,
                stored: false,
            })
        };
        match self {
            Self::Page => cleared(Space::User, Tables::Kept),
            Self::Table => cleared(Space::User, Tables::Unlinked),
            Self::KernelPage => cleared(Space::Kernel, Tables::Kept),
            Self::Everything => Event::Everything,
            Self::Switch => Event::Switch(Debt::None),
            Self::SwitchOwing => Event::Switch(Debt::Tag),
            Self::Resume => Event::Resume(false),
            Self::ResumeOwing => Event::Resume(true),
            Self::EnterFromUser => Event::EnterFromUser,
            Self::Arrive => Event::Arrive,
            Self::Publish | Self::KernelPublish => Event::Publish,
        }
    }

    /// The query, cached by this CPU alone or by others as well.
    #[must_use]
    pub fn query(self, model: &Model, config: Config, others: bool) -> Query {
        Query {
            config,
            limits: model.limits.iter().map(|limit| limit.least).collect(),
            space: match self {
                Self::KernelPage | Self::KernelPublish => Space::Kernel,
                _ => Space::User,
            },
            event: self.event(model, config),
            tag: least_tag(model, config, others),
            others,
        }
    }

    /// What is issued for it; nothing where there is no such request.
    #[must_use]
    pub fn answer(self, analysis: &Analysis, config: Config, others: bool) -> Option<Trace> {
        let query = self.query(&analysis.model, config, others);
        trace(&analysis.model, &analysis.plans, &query).ok()
    }

    /// The same in short.
    #[must_use]
    pub fn summary(self, analysis: &Analysis, config: Config, others: bool) -> String {
        let answer = self.answer(analysis, config, others);
        answer.map_or("no such request".to_owned(), |answer| summary(&answer))
    }
}

/// What is issued, by name, repetitions counted; then which CPUs are interrupted, what they issue, and what is deferred.
#[must_use]
pub fn summary(answer: &Trace) -> String {
    let mut parts = vec![names(&answer.here)];
    for ipi in &answer.ipis {
        let targets: Vec<String> = ipi.targets.iter().map(Target::words).collect();
        parts.push(format!(
            "IPI to {}: {}",
            targets.join(", "),
            names(&ipi.steps)
        ));
    }
    let mut deferred: Vec<(&str, Vec<&str>)> = Vec::new();
    for it in &answer.deferred {
        let (until, by) = (it.until.words(), it.cpus.words());
        match deferred.iter_mut().find(|(known, _)| *known == until) {
            Some((_, cpus)) if cpus.contains(&by) => {}
            Some((_, cpus)) => cpus.push(by),
            None => deferred.push((until, vec![by])),
        }
    }
    let deferred = deferred.into_iter();
    parts.extend(
        deferred.map(|(until, cpus)| format!("deferred until {until}: {}", cpus.join(", "))),
    );
    parts.join("; ")
}

fn names(steps: &[Step]) -> String {
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for step in steps {
        let name = match step {
            Step::Store(_) => "store",
            Step::Ipi { .. } => continue,
            Step::Barrier { instruction, .. }
            | Step::Invalidate { instruction, .. }
            | Step::Load { instruction, .. } => &instruction.name,
        };
        match runs.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => runs.push((name, 1)),
        }
    }
    let runs = runs.into_iter().map(|(name, count)| match count {
        1 => format!("`{name}`"),
        count => format!("{count} × `{name}`"),
    });
    let runs: Vec<String> = runs.collect();
    if runs.is_empty() {
        "nothing".to_owned()
    } else {
        runs.join(", ")
    }
}

/// A page of a space, not at its very start.
fn page(model: &Model, config: Config, space: Space) -> Extent {
    let base = model
        .space(space)
        .addresses
        .get(config)
        .map_or(0, |addresses| addresses.base);
    let bytes = 1u64 << model.geometries[config.geometry].page_shift;
    Extent {
        start: base + bytes,
        bytes,
    }
}

/// The lowest level that there is.
fn lowest(model: &Model, config: Config) -> Option<usize> {
    (0..model.levels.len()).find(|&level| model.level_shift(level, config).is_some())
}

/// Turns on one feature after the other as long as the machine stays possible.
#[must_use]
pub fn with_all_features(model: &Model, mut config: Config) -> Config {
    // A feature may need one that is defined behind it: as many rounds as there are features.
    for _ in &model.features {
        for feature in 0..model.features.len() {
            let features = config.features | 1 << feature;
            let more = Config { features, ..config };
            if model.possible(more) {
                config = more;
            }
        }
    }
    config
}

/// The tags that there are in a configuration.
pub fn tags(model: &Model, config: Config) -> impl Iterator<Item = &model::Tag> + Clone {
    model.tags.iter().filter(move |tag| tag.when.holds(config))
}

/// The bits of a tag by which views differ, so that a space's tag has zeros there.
#[must_use]
pub fn view_bits(model: &Model, config: Config) -> u64 {
    let views = model.user.views.iter();
    let views = views.filter(|view| view.when.holds(config));
    views.fold(0, |bits, view| bits | view.or)
}

/// The least tag that a space can have; 0 is often reserved. Where each CPU has tags of its own and there are others as well,
/// one of the others if other CPUs are concerned.
#[must_use]
pub fn least_tag(model: &Model, config: Config, others: bool) -> Tag {
    let all = tags(model, config);
    let of_machine = all.clone().find(|tag| !tag.of_cpu.value);
    let kind = of_machine.filter(|_| others).or_else(|| all.clone().next());
    let least = { kind }
        .and_then(|tag| tag.values)
        .map_or(1, |values| values.value.0.max(1));
    let taken = view_bits(model, config);
    let mut values = least..=u64::MAX;
    Tag {
        value: values.find(|&value| value & taken == 0).unwrap_or(1),
        of_machine: kind.is_some_and(|kind| !kind.of_cpu.value),
    }
}

/// `features a, b; no errata; ...` of a machine, for people.
#[must_use]
pub fn described(model: &Model, config: Config, limits: &[u64]) -> String {
    let mut parts = vec![model.geometries[config.geometry].named.name.clone()];
    let features = model.features.iter().enumerate();
    let features = features
        .filter(|(i, _)| config.has(*i))
        .map(|(_, it)| &it.named);
    parts.push(listed("features", features));
    let errata = model.errata.iter().enumerate();
    let errata = errata
        .filter(|(i, _)| config.suffers(*i))
        .map(|(_, it)| &it.named);
    parts.push(listed("errata", errata));
    for (limit, value) in model.limits.iter().zip(limits) {
        parts.push(format!("{} {value}", limit.named.name));
    }
    parts.join("; ")
}

fn listed<'a>(what: &str, all: impl Iterator<Item = &'a Named>) -> String {
    let names: Vec<&str> = all.map(|it| it.name.as_str()).collect();
    if names.is_empty() {
        format!("no {what}")
    } else {
        format!("{what} {}", names.join(", "))
    }
}
