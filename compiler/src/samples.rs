//! Requests and machines that stand for others, where a reader wants examples.
//!
//! In: a [`Model`]. Out: queries for [`trace()`](crate::trace::trace()), and their answers in short.
//! Holds: every query fits the definition: its addresses, levels and tag are such as a space has.

use tlbc_runtime::backend::Debt;
use tlbc_runtime::clause::Level;
use tlbc_runtime::request::{Extent, Reach, Space};

use crate::Analysis;
use crate::model::{Config, Model, Named, Tag};
use crate::trace::interpret::Changing;
use crate::trace::{Event, Instruction, Query, Trace, trace};

/// A request that stands for others, or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// A page of a user space.
    Page,
    /// A page and the table that it stood in.
    Table,
    /// All of a user space.
    Everything,
    /// A page of the kernel.
    KernelPage,
    /// The change of an entry, where instructions change entries.
    Unmap,
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
    pub const ALL: [Self; 13] = [
        Self::Publish,
        Self::KernelPublish,
        Self::Unmap,
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
            Self::Unmap => "An entry made invalid",
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
            Self::Page | Self::Table | Self::Everything | Self::KernelPage | Self::Unmap
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
            Self::Unmap => format!("{} --change invalid", range(Space::User)),
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

    fn event(self, model: &Model, config: Config, others: bool) -> Event {
        let cleared = |space, tables| Event::Cleared {
            extent: page(model, config, space),
            levels: lowest(model, config).into_iter().collect(),
            tables,
            live: false,
            appeared: false,
        };
        match self {
            Self::Page => cleared(Space::User, false),
            Self::Table => cleared(Space::User, true),
            Self::KernelPage => cleared(Space::Kernel, false),
            Self::Everything => Event::Everything,
            Self::Unmap => Event::Change(Changing {
                level: Level(lowest(model, config).unwrap_or(0) as u8),
                va: page(model, config, Space::User).start,
                entries: 1,
                reach: if others { Reach::Wide } else { Reach::Here },
                ..Changing::default()
            }),
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
            event: self.event(model, config, others),
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
        answer.map_or("no such request".to_owned(), |answer| {
            summary(&analysis.model, &answer)
        })
    }
}

/// What is issued, by name, repetitions counted; then who is told, what they issue, and what is owed.
#[must_use]
pub fn summary(model: &Model, answer: &Trace) -> String {
    let mut parts = vec![names(model, &answer.here)];
    if answer.told.len() + answer.others.len() > 0 {
        let told = answer.told.join(", ");
        parts.push(format!(
            "interrupt to {told}: {}",
            names(model, &answer.others)
        ));
    }
    let mut owed: Vec<(&str, Vec<&str>)> = Vec::new();
    for debit in &answer.owed {
        match owed.iter_mut().find(|(until, _)| *until == debit.until) {
            Some((_, holders)) => holders.push(debit.holder),
            None => owed.push((debit.until, vec![debit.holder])),
        }
    }
    let owed = owed.into_iter();
    parts
        .extend(owed.map(|(until, holders)| format!("owed until {until}: {}", holders.join(", "))));
    parts.join("; ")
}

fn names(model: &Model, instructions: &[Instruction]) -> String {
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for instruction in instructions {
        match runs.last_mut() {
            Some((name, count)) if *name == instruction.name => *count += 1,
            _ => runs.push((&instruction.name, 1)),
        }
    }
    // One instruction of the definition may be several lines of the machine's.
    let runs = runs
        .into_iter()
        .map(|(name, count)| match count.div_ceil(lines(model, name)) {
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

/// Of how many lines an instruction consists.
fn lines(model: &Model, name: &str) -> usize {
    let barriers = model.barriers.iter().map(|it| (&it.named, &it.template));
    let invalidates = model.invalidates.iter().map(|it| (&it.named, &it.template));
    let loads = model.loads.iter().map(|it| (&it.named, &it.template));
    let mut all = barriers.chain(invalidates).chain(loads);
    let found = all.find(|(named, _)| named.name == name);
    found.map_or(1, |(_, template)| {
        let lines = template.lines.iter().filter(|line| !line.starts_with('.'));
        lines.count().max(1)
    })
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
pub fn tags(model: &Model, config: Config) -> impl Iterator<Item = &Tag> + Clone {
    model.tags.iter().filter(move |tag| tag.when.holds(config))
}

/// The bits of a tag by which views differ, so that a space's tag has zeros there.
#[must_use]
pub fn view_bits(model: &Model, config: Config) -> u64 {
    let views = model.user.views.iter();
    let views = views.filter(|view| view.when.holds(config));
    views.fold(0, |bits, view| bits | view.or)
}

/// The least tag that a space can have, of the kind that the trace is about; 0 is often reserved.
#[must_use]
pub fn least_tag(model: &Model, config: Config, others: bool) -> u64 {
    let of_machine = others && tags(model, config).any(|tag| !tag.of_cpu.value);
    let mut tags = tags(model, config);
    let tag = tags.find(|tag| !of_machine || !tag.of_cpu.value);
    let least = tag
        .and_then(|tag| tag.values)
        .map_or(1, |values| values.value.0.max(1));
    let taken = view_bits(model, config);
    let mut values = least..=u64::MAX;
    values.find(|&value| value & taken == 0).unwrap_or(1)
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
