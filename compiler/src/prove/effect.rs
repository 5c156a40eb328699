//! What a step of a path invalidates.
//!
//! In: an instruction with what its operands name, and a [`Cell`]. Out: the addresses at which it invalidates entries of that
//! cell. Holds: an instruction that the machine lacks, or that is issued without what it needs, invalidates nothing; what an
//! erratum takes is taken, unless the path has the workaround.

use tlbc_facts::clause::{CacheSet, MaxCount, RunUnit};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::{LevelTable, Reach, Space};

use super::machine::{Partial, Question};
use super::reading::{Later, Reading};
use super::steps::{Issued, Named, Sets, Step, Steps};
use crate::model::{
    AddressSelector, CachedKind, Drops, Instr, LevelSel, Lost, Need, Source, Tag, UNLIMITED, Under,
    Value, Weakens,
};
pub use tlbc_facts::cells::Class;

/// The entries of one kind and level in one cache, under one tag class, on one class of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Their kind.
    pub kind: CachedKind,
    /// Their level.
    pub level: Level,
    /// The cache, by index.
    pub cache: usize,
    /// The tag class.
    pub class: Class,
    /// The view of the space under whose tag they are.
    pub view: usize,
    /// The class of agents, by index.
    pub agent: usize,
}

/// Where an instruction invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At all addresses.
    Everything,
    /// At some.
    At(Named),
    /// In some sets.
    In(Sets),
}

/// A path whose steps are judged.
pub struct Path<'a> {
    /// The definition.
    pub facts: &'a Reading<'a>,
    /// The machine.
    pub machine: &'a Partial<'a>,
    /// Whose entries are stale.
    pub space: Space,
    /// Whether another space is loaded.
    pub entering: bool,
    /// Whether accesses through the entries may be in flight, so that an invalidation is complete when these are performed
    /// as well. A CPU that completes a deferred flush has not used the entries since the change.
    pub in_use: bool,
    /// Whether table entries change, so that instructions that write them count.
    pub changes: bool,
    /// The levels.
    pub levels: LevelTable,
    /// Whether the change was published before the path starts.
    pub published: bool,
    /// The steps.
    pub steps: &'a Steps,
}

impl Path<'_> {
    /// Returns what the caller should guarantee around an instruction, and does not guarantee.
    pub fn unmet(&self, invalidate: usize, within: &[Need]) -> Option<Need> {
        let it = self.facts.invalidate(invalidate);
        let done = it.done_after(self.machine);
        let same = done.is_some_and(|barrier| self.facts.barrier(barrier).same_cpu);
        let needs = it.needs.iter().map(|at| at.value);
        let mut needs = needs.chain(same.then_some(Need::SameCpu));
        needs.find(|need| !within.contains(need))
    }

    /// Returns whether the machine has an instruction.
    pub fn is_there(&self, issued: &Issued) -> bool {
        let it = self.facts.invalidate(issued.issue.invalidate);
        let form = it.forms.get(issued.issue.form);
        it.requires.holds(self.machine)
            && form.is_some_and(|form| form.requires.holds(self.machine))
    }

    /// Returns where the instruction at a step invalidates entries of a cell.
    pub fn places(&self, at: usize, cell: &Cell) -> Vec<Place> {
        match &self.steps[at] {
            Step::Issue(issued) => self.issued(at, issued, cell),
            Step::Load {
                load,
                view,
                empty: false,
                keep,
            } => self.loaded(*load, *view, *keep, cell),
            Step::RenewTag { within } => self.renewed(within, cell),
            _ => Vec::new(),
        }
    }

    /// Returns whether a new tag of this CPU leaves the entries of a cell out of reach: those under the old one.
    fn renewed(&self, within: &[Need], cell: &Cell) -> Vec<Place> {
        let tags = self.facts.tags().iter();
        let mut tags = tags.filter(|tag| tag.when.holds(self.machine));
        let is_own = tags.all(|tag| tag.per_cpu.value && tag.renewal.is_some());
        let reaches = cell.class == Class::This
            && Agents(1 << cell.agent) == Agents::SELF
            && cell.kind != CachedKind::Root;
        let loaded = self.space == Space::User && self.has_tags() && self.has_loaded(cell);
        if !reaches || !loaded || !is_own || !within.contains(&Need::InterruptsOff) {
            return Vec::new();
        }
        self.facts.rely(Later::Renewal);
        vec![Place::Everything]
    }

    fn loaded(&self, load: usize, view: usize, keep: bool, cell: &Cell) -> Vec<Place> {
        let drops = self.facts.load(load).drops.iter().filter(|d| {
            let this = cell.class == Class::This && (d.whose.value.this && view == cell.view);
            let other = cell.class == Class::Other && d.whose.value.other;
            let global = cell.class == Class::Global && d.whose.value.global;
            (this || other || global)
                && cell.agent == 0
                && holds_kind(d, cell, None, Levels::ALL)
                && d.caches
                    .is_none_or(|caches| caches.0 & (1 << cell.cache) != 0)
                && d.which.value == AddressSelector::Everything
                && d.when
                    .holds_with(self.machine, false, keep && self.keeps(load))
        });
        drops.map(|_| Place::Everything).collect()
    }

    /// Returns whether a load has a field that says whether entries are kept.
    fn keeps(&self, load: usize) -> bool {
        let operands = self.facts.load(load).template.operands.iter();
        let mut fields = operands.flat_map(|&operand| &self.facts.operand(operand).fields);
        fields.any(|f| f.value == Value::Source(Source::Keep) && f.when.holds(self.machine))
    }

    /// Returns the hint that reaches the machine: the operand has a field for it, and the level a number.
    fn hint(&self, issued: &Issued) -> Option<Level> {
        let level = issued.named.filter(|_| issued.issue.hint)?.hint?;
        let geometry = self.facts.geometry(self.machine.ask(Question::Geometry));
        let numbered = geometry.levels[level.index()].as_ref()?.hint.is_some();
        let it = self.facts.invalidate(issued.issue.invalidate);
        let operands = it.template.operands.iter();
        let mut fields = operands.flat_map(|&operand| &self.facts.operand(operand).fields);
        let has = fields.any(|field| {
            field.value == Value::Source(Source::Hint)
                && field.when.holds_with(self.machine, true, false)
        });
        (numbered && has).then_some(level)
    }

    fn issued(&self, at: usize, issued: &Issued, cell: &Cell) -> Vec<Place> {
        let issue = issued.issue;
        let it = self.facts.invalidate(issue.invalidate);
        let agent = Agents(1 << cell.agent);
        if it.writes_entry.is_some() && !self.changes
            || !it.reach(self.machine).covers(agent)
            || !self.is_there(issued)
            || self.unmet(issue.invalidate, &issued.within).is_some()
        {
            return Vec::new();
        }
        let target = Instr::Invalidate(issue.invalidate);
        let takes = |weakens: &Weakens| match weakens.lost.value {
            Lost::Leaf => matches!(cell.kind, CachedKind::Leaf | CachedKind::Negative),
            Lost::Walk => cell.kind == CachedKind::Walk,
            Lost::Root => cell.kind == CachedKind::Root,
            Lost::Global => cell.class == Class::Global,
            Lost::Devices => agent == Agents::DEVICE,
            Lost::Gone | Lost::Drained => false,
        };
        let of_cache = |weakens: &Weakens| {
            let caches = weakens.caches.unwrap_or(CacheSet::ALL);
            caches.0 & (1 << cell.cache) != 0
        };
        let lost = self.weakens(target).any(|(erratum, weakens)| {
            takes(weakens) && of_cache(weakens) && self.worked_around(at, target, erratum).is_none()
        });
        if lost {
            return Vec::new();
        }
        let hint = self.hint(issued);
        let given = issued
            .named
            .map_or(Levels::NONE, |named| Levels::only(named.stride));
        let drops = it.forms[issue.form].drops.iter().filter(|d| {
            holds_kind(d, cell, hint, given)
                && d.caches
                    .is_none_or(|caches| caches.0 & (1 << cell.cache) != 0)
                && self.is_of_class(issued, d, cell)
                && d.when.holds_with(self.machine, hint.is_some(), false)
        });
        drops
            .filter_map(|d| self.place(issued, d, hint, cell))
            .collect()
    }

    /// Returns whether a clause has entries of the tag class of a cell.
    fn is_of_class(&self, issued: &Issued, d: &Drops, cell: &Cell) -> bool {
        let whose = d.whose.value;
        match cell.class {
            Class::Global => whose.global || whose.table,
            Class::Other => whose.other || whose.table || whose.user,
            Class::This => {
                let any = whose.table || whose.user && self.space == Space::User;
                any || whose.this && self.has_tag_of(issued, whose.other, cell)
                    || whose.loaded && self.has_loaded(cell)
            }
        }
    }

    /// Returns whether the tag operand is the tag of a cell on its agents.
    fn has_tag_of(&self, issued: &Issued, compares_none: bool, cell: &Cell) -> bool {
        let issue = issued.issue;
        if compares_none {
            return true;
        }
        let fixed = self.facts.space(self.space).fixed_tag(self.machine);
        // A change is made under the tag of the space whose entries change.
        let tag = self.changes || issue.tag == fixed;
        if issue.view != Some(cell.view) || !tag {
            return false;
        }
        // A per-CPU tag of this CPU means another space elsewhere.
        let here = Agents::CORE.covers(Agents(1 << cell.agent));
        here || fixed.is_some() || self.space == Space::Kernel || self.machine.has_global_tag()
    }

    /// Returns whether the loaded tag is that of a cell.
    fn has_loaded(&self, cell: &Cell) -> bool {
        let space = self.facts.space(self.space);
        let loaded = space.views.get(cell.view).is_some_and(|view| view.loaded);
        let tagged = || (self.facts.tags().iter()).any(|tag| tag.when.holds(self.machine));
        loaded && space.fixed_tag(self.machine).is_none() && !(self.entering && tagged())
    }

    fn place(&self, issued: &Issued, d: &Drops, hint: Option<Level>, cell: &Cell) -> Option<Place> {
        let page = || {
            self.facts
                .geometry(self.machine.ask(Question::Geometry))
                .page_shift
        };
        match d.which.value {
            AddressSelector::Everything => Some(Place::Everything),
            AddressSelector::OneSet => Some(Place::In(issued.sets)),
            AddressSelector::Subtree => {
                let named = issued
                    .named
                    .filter(|_| self.changes && issued.issue.address)?;
                let below = named.step.saturating_sub(page());
                Some(Place::At(Named {
                    va: named.va >> named.step << named.step,
                    count: 1 << below,
                    step: named.step - below,
                    ..named
                }))
            }
            AddressSelector::OnePage => {
                let named = issued.named.filter(|_| issued.issue.address)?;
                let one = Named { count: 1, ..named };
                self.is_aligned(issued, one, hint).then_some(Place::At(one))
            }
            AddressSelector::Run {
                least,
                most,
                stride,
            } => {
                let named = issued.named.filter(|_| issued.issue.address)?;
                let most = match most {
                    MaxCount::Count(UNLIMITED) => u64::MAX,
                    MaxCount::Count(most) => u64::from(most),
                    MaxCount::Limit(limit) => {
                        let limit = usize::from(limit);
                        let stated = &self.facts.limits()[limit];
                        if self.machine.is(Question::GreatestLimit(limit)) {
                            stated.most
                        } else {
                            stated.least
                        }
                    }
                };
                // A run of one names one address, whatever is counted.
                let legal = named.count == 1
                    || match stride {
                        RunUnit::Pages => named.step == page(),
                        RunUnit::Entries(levels) => levels.contains(named.stride),
                    };
                let counted = named.count >= least && named.count <= most.max(1);
                if !legal || !counted || !self.is_aligned(issued, named, hint) {
                    return None;
                }
                let ends = matches!(stride, RunUnit::Entries(_)) && self.names_its_end(issued);
                if ends && matches!(cell.kind, CachedKind::Leaf | CachedKind::Negative) {
                    return whole(named, self.levels[cell.level.index()].shift).map(Place::At);
                }
                Some(Place::At(named))
            }
        }
    }

    /// Returns whether an operand has the end of a run, and not its count.
    fn names_its_end(&self, issued: &Issued) -> bool {
        let it = self.facts.invalidate(issued.issue.invalidate);
        let mut operands = it.template.operands.iter();
        operands.any(|&operand| {
            let names = self.facts.operand(operand).names.as_ref();
            names.is_some_and(|names| names.any)
        })
    }

    /// Returns whether the start is aligned to the hinted level, where the operand needs that.
    fn is_aligned(&self, issued: &Issued, named: Named, hint: Option<Level>) -> bool {
        let it = self.facts.invalidate(issued.issue.invalidate);
        let mut operands = it.template.operands.iter();
        let needs = operands.any(|&operand| self.facts.operand(operand).aligned.is_some());
        let shift = hint.map_or(0, |level| self.levels[level.index()].shift);
        !needs || named.va & ((1 << shift) - 1) == 0
    }

    /// Returns the agents that may have cached entries of the space.
    pub fn agents(&self, reach: Reach) -> Agents {
        let mut agents = Agents::SELF;
        if reach == Reach::Wide {
            agents = agents.union(Agents::ACTIVE).union(Agents::LAZY);
            if self.facts.caches().shared_by_core.is_some() {
                agents = agents.union(Agents::SIBLING);
            }
            if self.space == Space::User && self.has_tags() {
                agents = agents.union(Agents::INACTIVE);
            }
        }
        if self.facts.space(self.space).has_devices(self.machine) {
            agents = agents.union(Agents::DEVICE);
        }
        agents
    }

    /// Returns the tag classes of the entries of a space.
    pub fn classes(&self, kind: CachedKind) -> Vec<Class> {
        let space = self.facts.space(self.space);
        match space.under(kind).get(self.machine).map(|at| &at.value) {
            Some(Under::Global) => vec![Class::Global],
            Some(Under::EveryTag) if self.has_tags() => vec![Class::This, Class::Other],
            _ => vec![Class::This],
        }
    }

    /// Returns whether the machine has a tag.
    pub fn has_tags(&self) -> bool {
        let mut tags = self.facts.tags().iter();
        tags.any(|tag| tag.when.holds(self.machine))
    }

    /// Returns whether tags keep the entries of user spaces apart: each space has its own values.
    pub fn keeps_spaces_apart(&self) -> bool {
        let user = self.facts.space(Space::User);
        let views = user
            .views
            .iter()
            .filter(|view| view.when.holds(self.machine));
        let bits = views.fold(0, |all, view| all | view.or);
        let mut tags = { self.facts.tags().iter() }.filter(|tag| tag.when.holds(self.machine));
        let own = |tag: &Tag| tag.is_root.is_some() || tag.gives_out_several(bits);
        self.has_tags() && tags.all(own) && user.fixed_tag(self.machine).is_none()
    }

    /// Returns the views of the space.
    pub fn views(&self) -> Vec<usize> {
        let views = self.facts.space(self.space).views.iter().enumerate();
        let there = views.filter(|(_, view)| view.when.holds(self.machine));
        there.map(|(index, _)| index).collect()
    }
}

/// Returns the entries of `1 << shift` bytes that lie whole among the addresses that are named.
fn whole(named: Named, shift: u32) -> Option<Named> {
    let end = u128::from(named.va) + (u128::from(named.count) << named.step);
    let first = u128::from(named.va).next_multiple_of(1 << shift);
    let count = (end >> shift).saturating_sub(first >> shift);
    Some(Named {
        va: u64::try_from(first).ok()?,
        count: u64::try_from(count).ok().filter(|count| *count > 0)?,
        step: shift,
        ..named
    })
}

/// Returns whether a clause has entries of the kind and level of a cell.
fn holds_kind(d: &Drops, cell: &Cell, hint: Option<Level>, given: Levels) -> bool {
    let selected = match cell.kind {
        CachedKind::Leaf => d.leaf,
        CachedKind::Walk => d.walk,
        CachedKind::Negative => d.negative,
        CachedKind::Root => return d.root,
    };
    let levels = match (selected, hint) {
        (None, _) => Levels::NONE,
        (Some(LevelSel::Only(levels)), _) => levels,
        (Some(LevelSel::Given), _) => given,
        (Some(LevelSel::Any), _) | (Some(_), None) => Levels::ALL,
        (Some(LevelSel::Hint), Some(level)) => Levels::only(level),
        (Some(LevelSel::AboveHint), Some(level)) => Levels::above(level),
    };
    levels.contains(cell.level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_range_whole() {
        let range = |va, count| Named {
            va,
            count,
            step: 12,
            stride: Level(0),
            hint: None,
        };
        let large = |va, count| whole(range(va, count), 21).map(|it| (it.va, it.count));
        assert_eq!(large(0x20_0000, 512), Some((0x20_0000, 1)));
        assert_eq!(large(0x1f_f000, 1200), Some((0x20_0000, 2)));
        assert_eq!(large(0x20_0000, 511), None);
        assert_eq!(large(0x20_1000, 512), None);
        let last = 0x20_0000u64.wrapping_neg();
        assert_eq!(large(last, 512), Some((last, 1)));
    }
}
