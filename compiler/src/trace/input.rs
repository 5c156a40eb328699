//! The input of the runtime for a query.
//!
//! In: a [`Query`]. Out: the ranges to flush and the environment in which plans are interpreted, or why no machine of
//! that configuration has such a request.

use tlbc_runtime::backend::{FinishSteps, Root};
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Below, Change, Entry};
use tlbc_runtime::request::{Extent, LevelTable, Ranges, SpaceFlags};

use super::interpret::{Changing, Env};
use super::query::{AddressRange, EMPTY, Query, ROOT, Tables, UnmappedEntries};
use crate::describe::bytes;
use crate::model::{Config, Known, Model};

/// Returns the environment in which plans are interpreted, for a query without ranges.
pub(super) fn env(query: &Query) -> Env {
    Env {
        config: query.config,
        limits: query.limits.clone(),
        tag: query.tag,
        walk: false,
        teardown: false,
        published: false,
        change: Changing::default(),
        page: (0, Level(0)),
        ranges: Ranges::new(),
        root: Root {
            table: ROOT,
            tag: query.tag,
            empty: EMPTY,
            flags: SpaceFlags::NONE,
        },
        pending: Pending::None,
        view_pending: false,
        steps: FinishSteps::NONE,
    }
}

/// Returns the configuration without devices, for interrupted CPUs and for events: only the sender of a flush invalidates
/// on devices.
pub(crate) fn without_devices(model: &Model, config: Config) -> Config {
    Config {
        features: config.features & !device_features(model),
        ..config
    }
}

/// Returns the configuration for a space that devices share.
#[cfg(feature = "torment")]
pub(crate) fn with_devices(model: &Model, config: Config) -> Config {
    Config {
        features: config.features | device_features(model),
        ..config
    }
}

/// Returns the features of a space that devices share, one bit each.
fn device_features(model: &Model) -> u32 {
    let devices = model.user.devices.iter().chain(&model.kernel.devices);
    let features = devices.flat_map(|when| when.value.features_wanted());
    let of_space = features.filter(|&feature| model.features[feature].known == Known::Space);
    of_space.fold(0, |all, feature| all | 1 << feature)
}

/// The entries of a request: their addresses and levels, whether they are leaf entries, and the tables that are unlinked.
pub(super) struct RequestedEntries<'a> {
    model: &'a Model,
    config: Config,
    table: LevelTable,
    query: &'a Query,
}

/// Entries that no longer point at tables.
pub(super) struct UnlinkedTables {
    /// The change of each.
    pub change: Change,
    /// The addresses that they translate.
    pub extent: Extent,
}

impl<'a> RequestedEntries<'a> {
    pub fn new(model: &'a Model, query: &'a Query) -> Self {
        Self {
            model,
            config: query.config,
            table: model.level_table(query.config),
            query,
        }
    }

    fn name(&self, level: usize) -> &str {
        &self.model.levels[level].name
    }

    /// Returns log2 of the bytes that an entry of a level translates.
    pub fn shift(&self, level: usize) -> Result<u32, String> {
        match self.table[level].shift {
            0 => Err(format!(
                "there is no level {} in this configuration",
                self.name(level)
            )),
            shift => Ok(shift),
        }
    }

    /// Returns whether entries of a level may map pages.
    pub fn maps_pages(&self, level: usize) -> bool {
        self.table[level].leaf
    }

    /// Returns the next level above that exists in this configuration.
    pub fn above(&self, level: usize) -> Option<usize> {
        (level + 1..self.table.len()).find(|&above| self.table[above].shift != 0)
    }

    /// Returns whether a level is the lowest of this configuration.
    pub fn is_lowest(&self, level: usize) -> bool {
        self.table[..level].iter().all(|facts| facts.shift == 0)
    }

    /// Checks that the space has these addresses.
    pub fn check_within(&self, extent: Extent) -> Result<(), String> {
        let space = self.model.space(self.query.space);
        let Some(addresses) = space.addresses.get(self.config) else {
            return Ok(());
        };
        if addresses.contain(extent.start) && addresses.contain(extent.last()) {
            return Ok(());
        }
        let end = u128::from(addresses.last) + 1;
        Err(format!(
            "{:#x}..{:#x} is not in {:#x}..{end:#x}, the addresses that the space has",
            extent.start,
            u128::from(extent.last()) + 1,
            addresses.base
        ))
    }

    /// Returns the leaf entries of a range, level by level. The range must consist of whole entries of its lowest level;
    /// an entry of a higher level that it covers in part counts as a whole.
    pub fn leaves(&self, range: &AddressRange) -> Result<Vec<(Level, Extent)>, String> {
        self.check_within(range.extent)?;
        if let Some(&lowest) = range.levels.iter().min() {
            self.check_whole(range.extent, lowest)?;
        }
        let of = |&level: &usize| {
            self.shift(level)?;
            Ok(self
                .maps_pages(level)
                .then_some((Level(level as u8), range.extent)))
        };
        let found: Result<Vec<_>, String> = range.levels.iter().map(of).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Returns the entries that pointed at the unlinked tables of a range.
    pub fn unlinked_tables(
        &self,
        range: &AddressRange,
        live: bool,
    ) -> Result<Vec<UnlinkedTables>, String> {
        let (Some(&low), Some(&high)) = (range.levels.iter().min(), range.levels.iter().max())
        else {
            return Ok(Vec::new());
        };
        let below = if live { Below::Live } else { Below::Cleared };
        // A table that is unlinked live takes all tables below it along.
        let levels = if live { high..=high } else { low..=high };
        let mut unlinked = Vec::new();
        // The tables of a level are pointed at by entries of the next level above.
        for level in levels.filter(|&level| self.table[level].shift != 0) {
            let Some(above) = self.above(level) else {
                return Err(format!(
                    "the table of level {} is the top table: no entry points at it",
                    self.name(level)
                ));
            };
            if live {
                self.check_whole_tables(range.extent, level, above)?;
            }
            let change = Change {
                below,
                ..Change::to_invalid(
                    Level(above as u8),
                    Entry::Table {
                        table: 0,
                        attributes: 0,
                    },
                )
            };
            let extent = range.extent.rounded(self.shift(above)?);
            unlinked.push(UnlinkedTables { change, extent });
        }
        Ok(unlinked)
    }

    fn check_whole_tables(&self, extent: Extent, level: usize, above: usize) -> Result<(), String> {
        let shift = self.shift(above)?;
        let whole = extent.rounded(shift);
        if whole == extent {
            return Ok(());
        }
        Err(format!(
            "a table that is unlinked with all below it is unlinked whole, and one of level {} reaches {}; did you mean \
             {:#x}..{:#x}?",
            self.name(level),
            bytes(shift),
            whole.start,
            u128::from(whole.start) + u128::from(whole.bytes)
        ))
    }

    /// Returns the ranges to flush after entries were unmapped.
    pub fn unmapped(&self, unmapped: &UnmappedEntries) -> Result<Ranges, String> {
        let live = unmapped.tables == Tables::UnlinkedLive;
        let mut ranges = Ranges::new();
        let facts = self.model.change_facts(self.config);
        for range in &unmapped.ranges {
            let leaves = self.leaves(range)?;
            if unmapped.tables == Tables::Kept {
                self.check_leaves(range)?;
            }
            // Entries below a table that is unlinked live stay valid; the required flush of the table's entry covers them.
            for (level, extent) in leaves.into_iter().filter(|_| !live) {
                ranges.leaf(level, extent);
            }
            if unmapped.tables != Tables::Kept {
                for tables in self.unlinked_tables(range, live)? {
                    ranges.require(&tables.change.required_flush(&facts), tables.extent);
                }
            }
        }
        Ok(ranges)
    }

    /// Checks that entries of all levels of a range may map pages.
    pub fn check_leaves(&self, range: &AddressRange) -> Result<(), String> {
        let mut levels = range.levels.iter();
        match levels.find(|&&level| !self.maps_pages(level)) {
            Some(&level) => Err(format!(
                "entries of level {} map no pages",
                self.name(level)
            )),
            None => Ok(()),
        }
    }

    /// Checks that a range consists of whole entries of a level.
    pub fn check_whole(&self, extent: Extent, level: usize) -> Result<(), String> {
        let shift = self.shift(level)?;
        let whole = extent.rounded(shift);
        if whole == extent {
            return Ok(());
        }
        Err(format!(
            "the range does not consist of whole entries of {}, of {}; did you mean {:#x}..{:#x}?",
            self.name(level),
            bytes(shift),
            whole.start,
            u128::from(whole.start) + u128::from(whole.bytes)
        ))
    }

    /// Splits a range at the ends of tables; returns each part with the index of its first entry in its table.
    pub fn tables(&self, extent: Extent, level: usize) -> Result<Vec<(Extent, u64)>, String> {
        let shift = self.shift(level)?;
        let Some(above) = self.above(level) else {
            return Ok(vec![(extent, extent.start >> shift)]);
        };
        let reach = self.shift(above)?;
        let mut parts = Vec::new();
        let mut rest = extent;
        while !rest.is_empty() {
            let table = Extent { bytes: 1, ..rest }.rounded(reach);
            let bytes = rest
                .bytes
                .min(table.last().wrapping_sub(rest.start).saturating_add(1));
            parts.push((
                Extent { bytes, ..rest },
                rest.start.wrapping_sub(table.start) >> shift,
            ));
            rest = Extent::new(rest.start.wrapping_add(bytes), rest.bytes - bytes);
        }
        Ok(parts)
    }
}
