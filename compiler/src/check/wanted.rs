//! Wanted bits: those in which the values differ that an instruction is given.
//!
//! In: an instruction and a machine. Out: for each source of an operand, the bits of it in which two values that the instruction
//! distinguishes differ, or nothing if it distinguishes none. Whether operands carry them is checked in `bits`.

use super::kernel::{conds_of_tags, shared};
use super::physical::table_bits;
use super::{all_drops, compares_tag, fields_of, tags_in};
use crate::model::{
    AddressSelector, Cond, Drops, Invalidate, LevelSel, Machine, Model, Source, Space,
};
use crate::source::Span;
use tlbc_facts::clause::RunUnit;
use tlbc_runtime::level::{Level, Levels};

/// Returns the log2 of the bytes of a table entry.
fn entry_shift(model: &Model) -> u32 {
    model.entry_size().ilog2()
}

/// What an instruction must be given on one machine.
pub struct Wanted {
    /// The bits of the source that differ.
    pub all: u64,
    /// Bits of which one must be carried, unless there are none.
    pub any: u64,
    /// What the bits are of, for a message.
    pub what: String,
    /// Where that is said.
    pub fact: Span,
    /// Whether the effect depends on it.
    pub needed: bool,
}

/// Returns the lowest `count` bits.
pub fn low(count: u32) -> u64 {
    1u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1)
}

/// Returns the clauses that count in a configuration, with a hint or without.
pub fn active(it: &Invalidate, config: impl Machine) -> impl Iterator<Item = &Drops> {
    let forms = it.forms.iter();
    let usable = forms.filter(move |form| form.requires.holds(config));
    let drops = usable.flat_map(|form| &form.drops);
    drops.filter(move |drops| super::configs::can_hold(&drops.when, config))
}

/// Returns the bits of an address in which two entries that an instruction serves differ.
pub fn address(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let by_address = active(it, config).find(|drops| is_by_address(drops));
    // An instruction that writes an entry is given its address, too.
    if by_address.is_none() && it.writes_entry.is_none() {
        return None;
    }
    let (step, level) = least_step(model, it, config)?;
    let of = |space: &Space| space.addresses.get(config).copied();
    let (user, kernel) = (of(&model.user)?, of(&model.kernel)?);
    let (space, bits) = if user.bits >= kernel.bits {
        (&model.user, user.bits)
    } else {
        (&model.kernel, kernel.bits)
    };
    let (last, name) = (
        &model.levels[level].name,
        &model.geometries[config.geometry()].named.name,
    );
    let at = model.geometries[config.geometry()].levels[level].as_ref();
    let least = at.map_or(space.addresses.span, |level| level.span);
    Some(Wanted {
        all: low(bits) & !low(step),
        any: if has_own_tag(model, it, config) {
            0
        } else {
            (user.base ^ kernel.base) & !low(bits)
        },
        what: format!("the address of an entry of `{last}` of `{name}`"),
        fact: by_address.map_or(least, |drops| drops.which.span),
        needed: true,
    })
}

fn is_by_address(drops: &Drops) -> bool {
    !matches!(
        drops.which.value,
        AddressSelector::Everything | AddressSelector::OneSet
    )
}

/// Returns whether the tag that an instruction compares tells entries of the kernel from those of user spaces, at whatever
/// address.
pub fn has_own_tag(model: &Model, it: &Invalidate, config: impl Machine) -> bool {
    let mut by_address = active(it, config).filter(|drops| is_by_address(drops));
    let mut fields = fields_of(model, &it.template.operands, Source::Tag);
    it.writes_entry.is_none()
        && tags_in(model, config).next().is_some()
        && fields.any(|field| field.when.holds(config))
        && by_address.all(compares_tag)
        && shared(model, config).is_none()
}

/// Returns the conditions on which an instruction and its clauses depend.
pub fn conds_of_clauses(it: &Invalidate) -> impl Iterator<Item = &Cond> {
    let forms = it.forms.iter().map(|form| &form.requires);
    let drops = all_drops(it).map(|drops| &drops.when);
    forms.chain(drops).chain([&it.requires])
}

/// Returns the conditions on which it depends, besides those of the instruction, whether a tag in these operands tells the kernel's
/// entries apart.
pub fn conds_of_own_tag<'m>(
    model: &'m Model,
    operands: &'m [usize],
) -> impl Iterator<Item = &'m Cond> {
    let fields = fields_of(model, operands, Source::Tag).map(|field| &field.when);
    fields.chain(conds_of_tags(model))
}

/// Returns the least log2 of the distance of two entries that an instruction serves, and their level.
fn least_step(model: &Model, it: &Invalidate, config: impl Machine) -> Option<(u32, usize)> {
    let steps = (0..model.levels.len()).filter_map(|level| {
        let joined = joined(model, it, level)?;
        Some((model.level_shift(level, config)? + joined, level))
    });
    steps.min()
}

/// Returns log2 of the number of neighbouring entries of a level that an instruction need not distinguish; none if it serves no
/// entry of the level.
pub fn joined(model: &Model, it: &Invalidate, level: usize) -> Option<u32> {
    let only = Level(level as u8);
    let run = |drops: &Drops| match drops.which.value {
        AddressSelector::Run {
            stride: RunUnit::Entries(levels),
            ..
        } => levels.contains(only),
        AddressSelector::OnePage => drops_at(drops, only),
        _ => true,
    };
    let is_served = match it.writes_entry {
        Some(writes) => writes.levels.contains(only),
        None => all_drops(it).any(run),
    };
    let covered = || model.caches.covered(level);
    is_served.then(|| if joins(it, level) { covered() } else { 0 })
}

/// Returns whether a clause drops entries of a level, given that level or not.
fn drops_at(drops: &Drops, level: Level) -> bool {
    // Entries of the lowest level point at no table.
    let walk = drops.walk.filter(|_| level > Level(0));
    let kinds = [drops.leaf, walk, drops.negative].into_iter();
    let mut levels = kinds.flatten().map(|selected| match selected {
        LevelSel::Only(levels) => levels,
        LevelSel::Any | LevelSel::Hint | LevelSel::AboveHint | LevelSel::Given => Levels::ALL,
    });
    levels.any(|levels| levels.contains(level))
}

/// Returns whether an instruction drops translations one by one at a level, and nothing else: neighbouring entries
/// that share one need not be distinguished. A run begins at one entry and counts from there.
fn joins(it: &Invalidate, level: usize) -> bool {
    let leaf_alone = |drops: &Drops| {
        let one_by_one = !matches!(
            drops.which.value,
            AddressSelector::Run { .. } | AddressSelector::Subtree
        );
        // Entries of the lowest level point at no table.
        one_by_one && (level == 0 || drops.walk.is_none())
    };
    let mut by_address = all_drops(it).filter(|drops| is_by_address(drops));
    it.writes_entry.is_none() && by_address.all(leaf_alone)
}

/// Returns the tag, if there is one.
pub fn tag(model: &Model, compared: Option<&Drops>, config: impl Machine) -> Option<Wanted> {
    let widest = tags_in(model, config).max_by_key(|tag| tag.widths.1)?;
    let geometry = &model.geometries[config.geometry()];
    let aligned = geometry
        .root_shift
        .map_or(geometry.page_shift, |at| at.value);
    // The address of a top table differs from its alignment upwards, and a view sets bits.
    let differ = model.view_bits(config);
    let same = widest.is_root.map_or(0, |_| low(aligned) & !differ);
    Some(Wanted {
        all: low(widest.widths.1 as u32) & !same,
        any: 0,
        what: format!("the tag `{}`", widest.named.name),
        fact: compared.map_or(widest.bits.span, |drops| drops.whose.span),
        needed: compared.is_some(),
    })
}

/// Returns which set of a cache.
pub fn set(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let one = active(it, config).find(|drops| drops.which.value == AddressSelector::OneSet)?;
    let count = super::sets::most(model, one, |sets| {
        let count = sets.get(config)?;
        Some(count.range(&model.limits).1)
    })?;
    Some(Wanted {
        all: low(u64::BITS - (count - 1).leading_zeros()),
        any: 0,
        what: "the set".to_owned(),
        fact: one.which.span,
        needed: count > 1,
    })
}

/// Returns which form.
pub fn form(it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let usable = it.forms.iter().filter(|form| form.requires.holds(config));
    let forms = usable.filter_map(|form| form.named.as_ref());
    let (named, most) = forms.max_by_key(|(_, number)| number)?;
    Some(Wanted {
        all: low(u64::BITS - most.leading_zeros()),
        any: 0,
        what: "the form".to_owned(),
        fact: named.span,
        needed: *most > 0,
    })
}

/// Returns how many a run takes.
pub fn run(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let run = active(it, config)
        .find(|drops| matches!(drops.which.value, AddressSelector::Run { .. }))?;
    let ends = super::run_end_of(model, &it.template.operands);
    Some(Wanted {
        all: 1,
        any: 0,
        what: "how many there are".to_owned(),
        fact: run.which.span,
        needed: ends.is_none(),
    })
}

/// Returns the table of the entry that changes. A table is aligned to its own size.
pub fn table(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let writes = it.writes_entry?;
    let present = (0..model.levels.len())
        .filter_map(|level| Some((level, model.level_shift(level, config)?)));
    let present: Vec<(usize, u32)> = present.collect();
    let sizes = present.windows(2).filter_map(|pair| {
        let [(level, reach), (_, above)] = pair else {
            return None;
        };
        let served = writes.levels.contains(Level(*level as u8));
        served.then_some(above.saturating_sub(*reach) + entry_shift(model))
    });
    let above = table_bits(model, config);
    Some(Wanted {
        all: low(above.bits) & !low(sizes.min()?),
        any: 0,
        what: "the address of a table".to_owned(),
        fact: above.said.unwrap_or(writes.span),
        needed: true,
    })
}

/// Returns the entry that changes.
pub fn entry(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let writes = it.writes_entry?;
    let above = table_bits(model, config);
    Some(Wanted {
        all: low(above.bits) & !low(entry_shift(model)),
        any: 0,
        what: "the address of an entry".to_owned(),
        fact: above.said.unwrap_or(writes.span),
        needed: true,
    })
}

/// Returns the value of the entry.
pub fn written(model: &Model, it: &Invalidate, source: Source) -> Option<Wanted> {
    let writes = it.writes_entry?;
    Some(Wanted {
        all: low(model.entry_size() as u32 * 8),
        any: 0,
        what: if source == Source::Old {
            "the entry as it was".to_owned()
        } else {
            "the entry as it becomes".to_owned()
        },
        fact: writes.span,
        needed: true,
    })
}
