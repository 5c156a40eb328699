//! Typical requests, as examples in the matrix and in the pages of `tlbc doc`.
//!
//! In: a [`Model`]. Out: queries for [`trace()`](crate::trace::trace()), and summaries of their answers. Holds: every
//! query fits the definition: a space can have its addresses, levels and tag.

use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::{Extent, Space, Tag};

use crate::analysis::Analysis;
use crate::model::{Config, Model};
use crate::trace::{
    AddressRange, Event, Query, Step, Tables, Target, Trace, UnmappedEntries, explained, trace,
};

/// A typical flush request or event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// A page of a user space is unmapped.
    Page,
    /// A page of a user space is unmapped and its table is freed.
    Table,
    /// All pages of a user space are unmapped.
    Everything,
    /// Four consecutive pages of a user space are unmapped.
    FourPages,
    /// So many pages of a user space are unmapped as a table of the lowest level has entries.
    TableOfPages,
    /// A large page of a user space and the page before it are unmapped.
    LargePageToo,
    /// A user space is torn down.
    Teardown,
    /// A page of the kernel is unmapped.
    KernelPage,
    /// A page of the kernel is unmapped and its table is freed.
    KernelTable,
    /// A CPU switches to another space.
    Switch,
    /// A CPU switches to a space whose tag has a pending flush.
    SwitchPending,
    /// A CPU returns to user code.
    ReturnToUser,
    /// A CPU returns to user code in a view with a pending flush.
    ReturnPending,
    /// The kernel is entered from user code.
    EnterFromUser,
    /// A CPU comes online.
    CpuOnline,
    /// Table entries of a user space are added.
    Publish,
    /// Table entries of the kernel are added.
    KernelPublish,
}

impl Sample {
    /// All samples, in the order in which pages show them.
    pub const ALL: [Self; 12] = [
        Self::Publish,
        Self::KernelPublish,
        Self::Page,
        Self::Table,
        Self::Everything,
        Self::KernelPage,
        Self::Switch,
        Self::SwitchPending,
        Self::ReturnToUser,
        Self::ReturnPending,
        Self::EnterFromUser,
        Self::CpuOnline,
    ];

    /// The flushes whose costs are compared.
    pub const FLUSHES: [Self; 9] = [
        Self::Page,
        Self::FourPages,
        Self::TableOfPages,
        Self::LargePageToo,
        Self::Table,
        Self::Everything,
        Self::Teardown,
        Self::KernelPage,
        Self::KernelTable,
    ];

    /// Returns the title of the sample.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Page => "One page of a user space",
            Self::Table => "One page and its table",
            Self::FourPages => "Four pages of a user space",
            Self::TableOfPages => "As many pages as a table has",
            Self::LargePageToo => "A page and the large page after it",
            Self::Everything => "All of a user space",
            Self::Teardown => "Teardown of a user space",
            Self::KernelTable => "One page of the kernel and its table",
            Self::KernelPage => "One page of the kernel",
            Self::Switch => "Switch to another space",
            Self::SwitchPending => "Switch to a space with a pending flush of its tag",
            Self::ReturnToUser => "Return to user code",
            Self::ReturnPending => "Return to user code with a pending flush of its view",
            Self::EnterFromUser => "Entry from user code",
            Self::CpuOnline => "A CPU comes online",
            Self::Publish => "New entries of a user space",
            Self::KernelPublish => "New entries of the kernel",
        }
    }

    /// Returns whether other CPUs may have to flush.
    #[must_use]
    pub fn may_concern_others(self) -> bool {
        matches!(
            self,
            Self::Page
                | Self::FourPages
                | Self::TableOfPages
                | Self::LargePageToo
                | Self::Table
                | Self::Everything
                | Self::Teardown
                | Self::KernelPage
                | Self::KernelTable
        )
    }

    /// Returns the arguments for `tlbc trace` that follow the file.
    #[must_use]
    pub fn arguments(self, model: &Model, config: Config) -> String {
        let words = |extent: Extent| {
            let end = u128::from(extent.start) + u128::from(extent.bytes);
            format!("--range {:#x}..{end:#x}", extent.start)
        };
        let range = |space| words(self.extent(model, config, space));
        match self {
            Self::Page | Self::FourPages | Self::TableOfPages => range(Space::User),
            Self::LargePageToo => {
                let large = large_page(model, config).map_or(String::new(), |(level, extent)| {
                    format!(" {}@{}", words(extent), model.levels[level].name)
                });
                range(Space::User) + &large
            }
            Self::Table => format!("{} --tables-freed", range(Space::User)),
            Self::Everything => "--everything".to_owned(),
            Self::Teardown => "--teardown".to_owned(),
            Self::KernelPage => format!("--kernel {}", range(Space::Kernel)),
            Self::KernelTable => format!("--kernel {} --tables-freed", range(Space::Kernel)),
            Self::Switch => "--event switch".to_owned(),
            Self::SwitchPending => "--event switch --pending tag".to_owned(),
            Self::ReturnToUser => "--event return-to-user".to_owned(),
            Self::ReturnPending => "--event return-to-user --pending tag".to_owned(),
            Self::EnterFromUser => "--event enter-from-user".to_owned(),
            Self::CpuOnline => "--event cpu-online".to_owned(),
            Self::Publish => "--event publish".to_owned(),
            Self::KernelPublish => "--kernel --event publish".to_owned(),
        }
    }

    fn event(self, model: &Model, config: Config) -> Event {
        let cleared = |space, tables| {
            Event::Unmapped(UnmappedEntries {
                ranges: self.ranges(model, config, space),
                tables,
                stored: false,
            })
        };
        match self {
            Self::Page | Self::FourPages | Self::TableOfPages | Self::LargePageToo => {
                cleared(Space::User, Tables::Kept)
            }
            Self::Table => cleared(Space::User, Tables::Unlinked),
            Self::KernelPage => cleared(Space::Kernel, Tables::Kept),
            Self::KernelTable => cleared(Space::Kernel, Tables::Unlinked),
            Self::Everything => Event::Everything,
            Self::Teardown => Event::Teardown,
            Self::Switch => Event::Switch(Pending::None),
            Self::SwitchPending => Event::Switch(Pending::Tag),
            Self::ReturnToUser => Event::ReturnToUser(false),
            Self::ReturnPending => Event::ReturnToUser(true),
            Self::EnterFromUser => Event::EnterFromUser,
            Self::CpuOnline => Event::CpuOnline,
            Self::Publish | Self::KernelPublish => Event::Publish,
        }
    }

    /// Returns the entries that are unmapped.
    fn ranges(self, model: &Model, config: Config, space: Space) -> Vec<AddressRange> {
        let pages = AddressRange {
            extent: self.extent(model, config, space),
            levels: lowest(model, config).into_iter().collect(),
        };
        let large = large_page(model, config).filter(|_| self == Self::LargePageToo);
        let large = large.map(|(level, extent)| AddressRange {
            extent,
            levels: vec![level],
        });
        [Some(pages), large].into_iter().flatten().collect()
    }

    /// Returns the addresses of the pages that are unmapped.
    fn extent(self, model: &Model, config: Config, space: Space) -> Extent {
        let first = page(model, config, space);
        let lowest = lowest(model, config);
        match self {
            Self::FourPages => Extent {
                bytes: 4 * first.bytes,
                ..first
            },
            Self::TableOfPages => {
                let above = (lowest.map_or(1, |level| level + 1)..model.levels.len())
                    .find_map(|level| model.level_shift(level, config));
                let bytes = above.map_or(first.bytes, |shift| 1 << shift);
                Extent {
                    start: first.start - first.bytes + bytes,
                    bytes,
                }
            }
            Self::LargePageToo => Extent {
                start: large_page(model, config)
                    .map_or(first.start, |(_, large)| large.start - first.bytes),
                ..first
            },
            _ => first,
        }
    }

    /// Returns the query. The entries are cached by this CPU only, or also by others.
    #[must_use]
    pub fn query(self, model: &Model, config: Config, others: bool) -> Query {
        Query {
            config,
            limits: model.limits.iter().map(|limit| limit.least).collect(),
            space: match self {
                Self::KernelPage | Self::KernelTable | Self::KernelPublish => Space::Kernel,
                _ => Space::User,
            },
            event: self.event(model, config),
            tag: least_tag(model, config, others),
            others,
        }
    }

    /// Returns what is issued for the sample. None if the machine has no such request.
    #[must_use]
    pub fn answer(self, analysis: &Analysis, config: Config, others: bool) -> Option<Trace> {
        let query = self.query(&analysis.model, config, others);
        trace(&analysis.model, &analysis.plans, &query).ok()
    }

    /// Returns what the sample costs, in words.
    #[must_use]
    pub fn cost(self, analysis: &Analysis, config: Config, others: bool) -> String {
        let query = self.query(&analysis.model, config, others);
        let answer = explained(&analysis.model, &analysis.plans, &query);
        let why = answer.ok().and_then(|answer| answer.why);
        why.map_or("no such request".to_owned(), |why| why.cost.words())
    }

    /// Returns a summary of what is issued for the sample.
    #[must_use]
    pub fn summary(self, analysis: &Analysis, config: Config, others: bool) -> String {
        let answer = self.answer(analysis, config, others);
        answer.map_or("no such request".to_owned(), |answer| summary(&answer))
    }
}

/// Summarizes a trace: the issued instructions with repetition counts, the interrupted CPUs and what they issue, and
/// deferred flushes.
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

/// Returns the second page of a space.
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

/// Returns the second large page of a user space, of the smallest size, and its level; none if all pages have one size.
fn large_page(model: &Model, config: Config) -> Option<(usize, Extent)> {
    let above = lowest(model, config)? + 1;
    let levels = &model.geometries[config.geometry].levels;
    let level = (above..model.levels.len()).find(|&level| {
        let maps = levels[level]
            .as_ref()
            .is_some_and(|it| it.maps_pages(config));
        maps && model.level_shift(level, config).is_some()
    })?;
    let bytes = 1u64 << model.level_shift(level, config)?;
    let base = model.user.addresses.get(config)?.base;
    let start = base + bytes;
    Some((level, Extent { start, bytes }))
}

/// Returns the lowest level that exists in a configuration.
fn lowest(model: &Model, config: Config) -> Option<usize> {
    (0..model.levels.len()).find(|&level| model.level_shift(level, config).is_some())
}

/// Returns the lowest tag that a space can have; 0 is often reserved. If there are global tags as well as per-CPU
/// tags and other CPUs are involved, it is a global one.
#[must_use]
pub fn least_tag(model: &Model, config: Config, others: bool) -> Tag {
    let all = model.tags(config);
    let global = all.clone().find(|tag| !tag.per_cpu.value);
    let kind = global.filter(|_| others).or_else(|| all.clone().next());
    let least = { kind }
        .and_then(|tag| tag.values)
        .map_or(1, |values| values.value.0.max(1));
    let taken = model.view_bits(config);
    let mut values = least..=u64::MAX;
    Tag {
        value: values.find(|&value| value & taken == 0).unwrap_or(1),
        global: kind.is_some_and(|kind| !kind.per_cpu.value),
    }
}
