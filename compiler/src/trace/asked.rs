//! From a query to what the runtime and a backend are asked.
//!
//! In: a [`Query`]. Out: the ranges that a flush is asked for, and the environment in which plans are interpreted; or why
//! no machine of that configuration has such a request.

use tlbc_runtime::backend::{FinishSteps, Root};
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Below, Change, Entry};
use tlbc_runtime::request::{Extent, LevelTable, Ranges, SpaceFlags};

use super::interpret::{Changing, Env};
use super::query::{Cleared, EMPTY, Query, ROOT, Stretch, Tables};
use crate::describe::bytes;
use crate::model::{Config, Known, Model};

/// What plans are interpreted with, for a query without ranges.
pub(super) fn env(query: &Query) -> Env {
    Env {
        config: query.config,
        limits: query.limits.clone(),
        tag: query.tag,
        walk: false,
        ends: false,
        change: Changing::default(),
        page: (0, Level(0)),
        ranges: Ranges::new(),
        root: Root {
            table: ROOT,
            tag: query.tag,
            empty: EMPTY,
            flags: SpaceFlags::NONE,
        },
        debt: Pending::None,
        owed: false,
        steps: FinishSteps::NONE,
    }
}

/// The configuration as a CPU has it that is interrupted, or to which something happens: the sender of a flush tells the
/// devices.
pub(super) fn without_devices(model: &Model, config: Config) -> Config {
    let devices = model.user.devices.iter().chain(&model.kernel.devices);
    let features = devices.flat_map(|when| when.value.features_wanted());
    let of_space = features.filter(|&feature| model.features[feature].known == Known::Space);
    Config {
        features: of_space.fold(config.features, |all, feature| all & !(1 << feature)),
        ..config
    }
}

/// The entries of a request: where, of which level, whether they are leaf entries; and what is unlinked above them.
pub(super) struct Entries<'a> {
    model: &'a Model,
    config: Config,
    table: LevelTable,
    query: &'a Query,
}

/// A table entry that no longer points at a table.
pub(super) struct Cut {
    /// Its change.
    pub change: Change,
    /// The addresses of all such entries.
    pub extent: Extent,
}

impl<'a> Entries<'a> {
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

    /// Log2 of the bytes that an entry of a level translates.
    pub fn shift(&self, level: usize) -> Result<u32, String> {
        match self.table[level].shift {
            0 => Err(format!(
                "there is no level {} in this configuration",
                self.name(level)
            )),
            shift => Ok(shift),
        }
    }

    /// Whether entries of a level may map pages.
    pub fn maps_pages(&self, level: usize) -> bool {
        self.table[level].leaf
    }

    /// The next level above that there is.
    pub fn above(&self, level: usize) -> Option<usize> {
        (level + 1..self.table.len()).find(|&above| self.table[above].shift != 0)
    }

    /// The lowest level that there is.
    pub fn is_lowest(&self, level: usize) -> bool {
        self.table[..level].iter().all(|facts| facts.shift == 0)
    }

    /// Refuses addresses that the space does not have.
    pub fn check_within(&self, extent: Extent) -> Result<(), String> {
        let space = self.model.space(self.query.space);
        let Some(addresses) = space.addresses.get(self.config) else {
            return Ok(());
        };
        if addresses.contain(extent.start) && addresses.contain(extent.last()) {
            return Ok(());
        }
        let end = u128::from(addresses.base) + (1u128 << addresses.bits);
        Err(format!(
            "{:#x}..{:#x} is not in {:#x}..{end:#x}, the addresses that the space has",
            extent.start,
            u128::from(extent.last()) + 1,
            addresses.base
        ))
    }

    /// The leaf entries of a stretch, level by level. It consists of whole entries of the lowest of its levels; of those of
    /// higher levels, one of which a part is named counts whole.
    pub fn leaves(&self, stretch: &Stretch) -> Result<Vec<(Level, Extent)>, String> {
        self.check_within(stretch.extent)?;
        if let Some(&lowest) = stretch.levels.iter().min() {
            self.check_whole(stretch.extent, lowest)?;
        }
        let of = |&level: &usize| {
            self.shift(level)?;
            Ok(self
                .maps_pages(level)
                .then_some((Level(level as u8), stretch.extent)))
        };
        let found: Result<Vec<_>, String> = stretch.levels.iter().map(of).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// The entries of a stretch that pointed at the tables which were unlinked.
    pub fn cuts(&self, stretch: &Stretch, live: bool) -> Result<Vec<Cut>, String> {
        let (Some(&low), Some(&high)) = (stretch.levels.iter().min(), stretch.levels.iter().max())
        else {
            return Ok(Vec::new());
        };
        let below = if live { Below::Live } else { Below::Cleared };
        // With the table of the highest level goes all that hangs below it.
        let levels = if live { high..=high } else { low..=high };
        let mut cuts = Vec::new();
        // The tables of a level hang on the entries of the next one above.
        for level in levels.filter(|&level| self.table[level].shift != 0) {
            let Some(above) = self.above(level) else {
                return Err(format!(
                    "the table of level {} is the top table: no entry points at it",
                    self.name(level)
                ));
            };
            if live {
                self.check_whole_tables(stretch.extent, level, above)?;
            }
            let change = Change {
                below,
                ..Change::vanishing(
                    Level(above as u8),
                    Entry::Table {
                        table: 0,
                        attributes: 0,
                    },
                )
            };
            cuts.push(Cut {
                change,
                extent: stretch.extent,
            });
        }
        Ok(cuts)
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

    /// The ranges of a flush of entries that were cleared.
    pub fn cleared(&self, cleared: &Cleared) -> Result<Ranges, String> {
        let live = cleared.tables == Tables::UnlinkedLive;
        let mut ranges = Ranges::new();
        let facts = self.model.change_facts(self.config);
        for stretch in &cleared.stretches {
            let leaves = self.leaves(stretch)?;
            if cleared.tables == Tables::Kept {
                self.check_leaves(stretch)?;
            }
            // What is below a table that is still linked to it was not cleared: the change of the table's entry requires to invalidate it.
            for (level, extent) in leaves.into_iter().filter(|_| !live) {
                ranges.leaf(level, extent);
            }
            if cleared.tables != Tables::Kept {
                for cut in self.cuts(stretch, live)? {
                    ranges.require(&cut.change.required_flush(&facts), cut.extent);
                }
            }
        }
        Ok(ranges)
    }

    /// Refuses levels whose entries map no pages.
    pub fn check_leaves(&self, stretch: &Stretch) -> Result<(), String> {
        let mut levels = stretch.levels.iter();
        match levels.find(|&&level| !self.maps_pages(level)) {
            Some(&level) => Err(format!(
                "entries of level {} map no pages",
                self.name(level)
            )),
            None => Ok(()),
        }
    }

    /// Refuses a range that ends within an entry.
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

    /// The parts of a range of entries that each stand in one table, with the index of their first entry in it.
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
