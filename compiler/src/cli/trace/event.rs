//! The event that the options describe.

use tlbc_runtime::deferred::Pending;
use tlbc_runtime::level::Level;

use super::{ChangeName, EventName, PendingName, TraceCommand};
use crate::cli::Trouble;
use crate::cli::machine::find;
use crate::model::{Config, Model};
use crate::trace::{AddressRange, Change, EntriesInMemory, Event, Tables, To, UnmappedEntries};

impl TraceCommand {
    /// Returns the event.
    pub(super) fn event(&self, model: &Model, config: Config) -> Result<Event, Trouble> {
        match self.event {
            Some(EventName::Fault) => self.fault(model, config),
            Some(event) => self.named_event(event),
            None if self.teardown => Ok(Event::Teardown),
            None if self.everything => Ok(Event::Everything),
            None => self.entries(model, config),
        }
    }

    /// Returns what happens to entries.
    fn entries(&self, model: &Model, config: Config) -> Result<Event, Trouble> {
        let ranges = self.ranges(model, config)?;
        if let Some(to) = self.change {
            return self.changed(&ranges, to);
        }
        Ok(if self.mapped {
            Event::Mapped(ranges)
        } else {
            Event::Unmapped(UnmappedEntries {
                ranges,
                tables: match (self.tables_freed, self.below_live) {
                    (false, _) => Tables::Kept,
                    (true, false) => Tables::Unlinked,
                    (true, true) => Tables::UnlinkedLive,
                },
                stored: self.stored,
            })
        })
    }

    fn changed(&self, ranges: &[AddressRange], to: ChangeName) -> Result<Event, Trouble> {
        let ([AddressRange { extent, levels }], true) = (ranges, self.range.len() == 1) else {
            return Err(Trouble(
                "--change: one range changes at a time; name one `--range`".into(),
            ));
        };
        let [level] = levels[..] else {
            return Err(Trouble(
                "--change: entries of one level change at a time; name one `--level`".into(),
            ));
        };
        Ok(Event::Change(Change {
            to: match to {
                ChangeName::Unmap => To::Unmap,
                ChangeName::Replace => To::Replace,
                ChangeName::FewerRights => To::FewerRights,
                ChangeName::MoreRights => To::MoreRights,
                ChangeName::Attributes => To::Attributes,
                ChangeName::SoftwareBits => To::SoftwareBits,
                ChangeName::Split => To::Split,
                ChangeName::Collapse => To::Collapse,
                ChangeName::Map => To::Map,
                ChangeName::AccessedCleared => To::Accessed,
                ChangeName::DirtyCleared => To::Dirty,
            },
            level: Level(level as u8),
            extent: *extent,
            memory: EntriesInMemory::default(),
            may_defer: self.defer,
        }))
    }

    fn fault(&self, model: &Model, config: Config) -> Result<Event, Trouble> {
        if self.pending != PendingName::None {
            return Err(Trouble(
                "--event fault: no pending flush can be named for a fault".into(),
            ));
        }
        match &self.ranges(model, config)?[..] {
            [range] if range.levels.len() == 1 => Ok(Event::Fault(range.clone())),
            _ => Err(Trouble(
                "--event fault: a fault is at one address; name one `--range` of one level".into(),
            )),
        }
    }

    fn named_event(&self, event: EventName) -> Result<Event, Trouble> {
        if !self.range.is_empty() {
            return Err(Trouble(
                "--range: only `--event fault` has addresses".into(),
            ));
        }
        if self.kernel && event != EventName::Publish {
            return Err(Trouble(
                "--kernel: only `--event publish` and `--event fault` can concern the kernel"
                    .into(),
            ));
        }
        let without_tag = match event {
            EventName::CpuOnline => {
                Some("--event cpu-online: no space is loaded, so there is no --tag")
            }
            EventName::Publish => Some(
                "--event publish: new entries are published for every tag, so there is no --tag",
            ),
            _ => None,
        };
        if let Some(message) = without_tag.filter(|_| self.tag.is_some()) {
            return Err(Trouble(message.into()));
        }
        let nothing = |event, of: &str| match self.pending {
            PendingName::None => Ok(event),
            _ => Err(Trouble(of.to_owned())),
        };
        match event {
            EventName::Switch => Ok(Event::Switch(match self.pending {
                PendingName::None => Pending::None,
                PendingName::Tag => Pending::Tag,
                PendingName::All => Pending::All,
            })),
            EventName::NewTag => match self.pending {
                PendingName::Tag => Err(Trouble(
                    "--event new-tag: only a flush of every tag (`--pending all`) can be pending".into(),
                )),
                PendingName::None => Ok(Event::NewTag(Pending::None)),
                PendingName::All => Ok(Event::NewTag(Pending::All)),
            },
            EventName::ReturnToUser => match self.pending {
                PendingName::None => Ok(Event::ReturnToUser(false)),
                PendingName::Tag => Ok(Event::ReturnToUser(true)),
                PendingName::All => Err(Trouble(
                    "--event return-to-user: only a flush of the tag (`--pending tag`) can be pending".into(),
                )),
            },
            EventName::EnterFromUser => nothing(
                Event::EnterFromUser,
                "--event enter-from-user: no flush can be pending",
            ),
            EventName::Publish => {
                nothing(Event::Publish, "--event publish: no flush can be pending")
            }
            EventName::CpuOnline | EventName::Fault => nothing(
                Event::CpuOnline,
                "--event cpu-online: a CPU that was offline has no pending flush",
            ),
        }
    }

    /// Returns the ranges, each with its levels.
    fn ranges(&self, model: &Model, config: Config) -> Result<Vec<AddressRange>, Trouble> {
        if self.range.is_empty() {
            return Err(Trouble(
                "--event fault: name the `--range` of the fault".into(),
            ));
        }
        if !self.level.is_empty() && self.range.iter().all(|place| place.level.is_some()) {
            return Err(Trouble(
                "--level: each `--range` names its own level; leave one of them out".into(),
            ));
        }
        if self.range.len() > 1 && self.level.len() > 1 {
            return Err(Trouble(
                "several `--range`s with several `--level`s: write the level of each as `--range START..END@LEVEL`"
                    .into(),
            ));
        }
        let level = |name: &String| find("level", name, model.levels.iter());
        let ranges = self.range.iter();
        ranges
            .map(|place| {
                let levels = match &place.level {
                    Some(name) => vec![level(name)?],
                    None if self.level.is_empty() => lowest(model, config),
                    None => self.level.iter().map(level).collect::<Result<_, _>>()?,
                };
                Ok(AddressRange {
                    extent: place.extent,
                    levels,
                })
            })
            .collect()
    }
}

/// Returns the lowest level of the configuration.
fn lowest(model: &Model, config: Config) -> Vec<usize> {
    let mut levels = 0..model.levels.len();
    let lowest = levels.find(|&level| model.level_shift(level, config).is_some());
    lowest.into_iter().collect()
}
