//! The rules for one cell of a request.
//!
//! In: a [`Path`] and entries of a [`Cell`]. Out: the rule that the path breaks, if it breaks one. Holds: an instruction
//! counts if the change was published to the walker before it, if it is complete, and if no entry that it leaves can make
//! the entry again. What is ordered before an instruction that follows a barrier comes before that barrier.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Extent, Space};

use super::ask::{Ask, Stale};
use super::effect::{Cell, Class, Path, Place};
use super::failure::Rule;
use super::reading::Later;
use super::steps::{Named, Sets, Step};
use crate::model::{Amount, At, CachedKind, Cases, Instr, Under};

/// Which conditions an instruction has to meet to count.
#[derive(Clone, Copy)]
struct Conditions {
    published: bool,
    complete: bool,
    lasting: bool,
}

impl Conditions {
    const ALL: Self = Self {
        published: true,
        complete: true,
        lasting: true,
    };
}

impl Path<'_> {
    /// Returns the rule that the path breaks for some entries of a cell; none if they are invalidated.
    pub fn broken(&self, ask: &Ask, stale: &Stale, cell: &Cell) -> Option<Rule> {
        let mut conditions = Conditions::ALL;
        if self.covers(ask, stale, cell, conditions) {
            return None;
        }
        // The last condition without which the entries would count as invalidated is the one that is broken.
        conditions.lasting = false;
        if self.covers(ask, stale, cell, conditions) {
            return Some(Rule::Lasting);
        }
        conditions.complete = false;
        if self.covers(ask, stale, cell, conditions) {
            return Some(Rule::Complete);
        }
        conditions.published = false;
        if self.covers(ask, stale, cell, conditions) {
            return Some(Rule::Published);
        }
        Some(Rule::Cover)
    }

    fn covers(&self, ask: &Ask, stale: &Stale, cell: &Cell, conditions: Conditions) -> bool {
        let counts = |at: usize| {
            (!conditions.published || self.is_published(at, cell))
                && (!conditions.complete || self.complete(at, false).is_some())
                && (!conditions.lasting || self.lasts(ask, at, cell))
        };
        self.covered(stale, cell, counts)
    }

    /// Returns whether those of the steps that count invalidate all entries of a cell.
    pub fn covered(&self, stale: &Stale, cell: &Cell, counts: impl Fn(usize) -> bool) -> bool {
        let mut named = Vec::new();
        let mut sets = Vec::new();
        for at in 0..self.steps.len() {
            let places = self.places(at, cell);
            if places.is_empty() || !counts(at) {
                continue;
            }
            for place in places {
                match place {
                    Place::Everything => return true,
                    Place::At(some) => named.push(some),
                    Place::In(some) => sets.push(some),
                }
            }
        }
        self.are_all_sets(cell, &sets)
            || stale.at.is_some_and(|extent| {
                let joined = match cell.kind {
                    // A negative entry is one translation as well.
                    CachedKind::Leaf | CachedKind::Negative => {
                        self.facts.caches().covered(cell.level.index())
                    }
                    _ => 0,
                };
                let shift = self.levels[cell.level.index()].shift + joined;
                are_named(extent, shift, &named)
            })
    }

    /// Returns whether these are all sets of a cache.
    fn are_all_sets(&self, cell: &Cell, sets: &[Sets]) -> bool {
        let stated = &self.facts.caches().all[cell.cache].sets;
        let Some(count) = stated.as_ref().and_then(|it| it.get(self.machine)) else {
            return false;
        };
        sets.iter().any(|set| match set {
            Sets::Each(most) => at_least(self, *most, *count),
            Sets::First => *count == Amount::Stated(1),
        })
    }

    /// Returns whether the change is visible to the walkers of a cell before a step.
    fn is_published(&self, at: usize, cell: &Cell) -> bool {
        let walker = Agents(1 << cell.agent);
        let publishes = |step: &Step| match step {
            Step::Barrier(barrier) => {
                let barrier = self.facts.barrier(*barrier);
                let to = barrier.publishes.is_some_and(|on| on.value.covers(walker));
                to && barrier.requires.holds(self.machine)
            }
            _ => false,
        };
        let Some(start) = self.start(at) else {
            return false;
        };
        let visible = self.published || self.facts.is_publication_assumed();
        visible
            || self
                .steps
                .others_before(start + 1)
                .any(|(_, step)| publishes(step))
    }

    /// Returns the step up to which everything is ordered before the instruction at a step: the barrier that the instruction
    /// follows, or else the instruction. Returns none if that barrier is missing.
    fn start(&self, at: usize) -> Option<usize> {
        let follows = match &self.steps[at] {
            Step::Issue(issued) => self.facts.invalidate(issued.issue.invalidate).follows,
            _ => None,
        };
        let Some(barrier) = follows else {
            return Some(at);
        };
        let is = |step: &Step| matches!(step, Step::Barrier(it) if *it == barrier.value);
        let found = self.steps.others_before(at).rfind(|(_, step)| is(step));
        found.map(|(at, _)| at)
    }

    /// Returns whether nothing can make the entries again that the instruction at a step invalidates.
    pub fn lasts(&self, ask: &Ask, at: usize, cell: &Cell) -> bool {
        // Entries of a cache that are made from those of another.
        let from = self.facts.caches().all[cell.cache].from;
        if let Some(from) = from {
            let above = Cell {
                cache: from.value,
                ..*cell
            };
            let held = self.facts.caches().holding(cell.kind, self.machine);
            if held.0 & (1 << from.value) != 0 && !self.gone_with(ask, at, &above) {
                return false;
            }
        }
        if !ask.live || cell.kind != CachedKind::Leaf {
            return true;
        }
        let mut walks = ask
            .stale
            .iter()
            .filter(|stale| stale.kind == CachedKind::Walk);
        walks.all(|walk| {
            let above = self.cells(walk.kind, walk.level, cell.agent).into_iter();
            let mut usable = above.filter(|above| self.makes(above, cell));
            usable.all(|above| self.is_deferred(&above) || self.gone_with(ask, at, &above))
        })
    }

    /// Returns whether a walk through entries of one cell can make leaf entries of another: under the same tag, or where the
    /// tables of some space make one kind global and not the other.
    fn makes(&self, above: &Cell, cell: &Cell) -> bool {
        if above.class == cell.class {
            return above.view == cell.view || cell.class != Class::This;
        }
        let are = |cases: &Cases<At<Under>>, class| {
            let mut cases = cases.cases.iter();
            cases.any(|(it, _)| (it.value == Under::Global) == (class == Class::Global))
        };
        let mixed = (above.class == Class::Global) != (cell.class == Class::Global);
        let mut spaces = [Space::User, Space::Kernel]
            .map(|it| self.facts.space(it))
            .into_iter();
        mixed && spaces.any(|it| are(&it.walk, above.class) && are(&it.leaf, cell.class))
    }

    /// Returns whether the entries of a cell are deferred on this CPU, and it cannot use them before.
    pub fn is_deferred(&self, cell: &Cell) -> bool {
        if Agents(1 << cell.agent) != Agents::SELF || cell.kind == CachedKind::Root {
            return false;
        }
        let deferred = self.steps.deferred();
        let (is_deferred, until) = match cell.class {
            Class::Other => {
                let lazily = || {
                    let mut tags = self.facts.tags().iter();
                    tags.all(|tag| {
                        tag.invalidated_lazily.is_some() || !tag.when.holds(self.machine)
                    })
                };
                let to_load = deferred.contains(Deferred::OTHERS_UNTIL_LOAD);
                (to_load && lazily(), Later::Load)
            }
            Class::This => {
                let views = &self.facts.space(self.space).views;
                let loaded = views.get(cell.view).is_none_or(|view| view.loaded);
                let user = self.space == Space::User;
                let to_return = deferred.contains(Deferred::VIEW_UNTIL_RETURN);
                (to_return && !loaded && user, Later::Return)
            }
            Class::Global => return false,
        };
        if is_deferred {
            self.facts.rely(until);
        }
        is_deferred
    }

    /// Returns whether the entries of a cell are invalidated by the instruction at a step itself, or gone before it.
    fn gone_with(&self, ask: &Ask, at: usize, cell: &Cell) -> bool {
        // A loop over sets consists of several instructions: entries of one set can make those of another again.
        if !self.is_loop(at) && !self.places(at, cell).is_empty() {
            return true;
        }
        let mut stale = ask
            .stale
            .iter()
            .filter(|stale| stale.kind == cell.kind && stale.level == cell.level);
        let Some(start) = self.start(at) else {
            return false;
        };
        let before = |step: usize| {
            let end = self.complete(step, true);
            end.is_some_and(|end| end < at && end <= start)
        };
        stale.all(|stale| self.covered(stale, cell, |step| step < at && before(step)))
    }

    /// Returns whether a step is a loop over the sets of a cache.
    fn is_loop(&self, at: usize) -> bool {
        matches!(&self.steps[at], Step::Issue(issued) if issued.sets != Sets::First)
    }

    /// Returns the cells of entries of a kind and level on a class of agents.
    pub fn cells(&self, kind: CachedKind, level: Level, agent: usize) -> Vec<Cell> {
        let caches = self.facts.caches().holding(kind, self.machine);
        let mut cells = Vec::new();
        for class in self.classes(kind) {
            for view in self.views() {
                for cache in
                    (0..self.facts.caches().all.len()).filter(|it| caches.0 & (1 << it) != 0)
                {
                    cells.push(Cell {
                        kind,
                        level,
                        cache,
                        class,
                        view,
                        agent,
                    });
                }
            }
        }
        cells
    }

    /// Returns the instruction of the definition that is expected to invalidate a cell: one whose clauses have its kind, and
    /// that the machine has.
    pub fn expected(&self, cell: &Cell) -> Option<Instr> {
        let mut all = self.facts.invalidates().iter().enumerate();
        let found = all.find(|(_, it)| {
            let mut drops = it.forms.iter().flat_map(|form| &form.drops);
            it.writes_entry.is_none()
                && it.reach(self.machine).covers(Agents(1 << cell.agent))
                && it.requires.holds(self.machine)
                && drops.any(|d| match cell.kind {
                    CachedKind::Leaf => d.leaf.is_some(),
                    CachedKind::Walk => d.walk.is_some(),
                    CachedKind::Negative => d.negative.is_some(),
                    CachedKind::Root => d.root,
                })
        });
        found.map(|(index, _)| Instr::Invalidate(index))
    }
}

/// Returns whether a number of sets is at least another on every machine.
fn at_least(path: &Path<'_>, most: Amount, count: Amount) -> bool {
    most == count || most.range(path.facts.limits()).0 >= count.range(path.facts.limits()).1
}

/// Returns whether each entry of `1 << shift` bytes that an extent overlaps contains a named address.
pub fn are_named(extent: Extent, shift: u32, named: &[Named]) -> bool {
    let first = extent.start >> shift;
    let count = (extent.last() >> shift).wrapping_sub(first).wrapping_add(1);
    (0..count).all(|nth| {
        let entry = (first + nth) << shift;
        let last = entry | ((1 << shift) - 1);
        named.iter().any(|named| contains(named, entry, last))
    })
}

/// Returns whether an entry contains one of the addresses that an instruction names.
fn contains(named: &Named, first: u64, last: u64) -> bool {
    if (first..=last).contains(&named.va) {
        return true;
    }
    // The first named address that is not below the entry.
    let Some(below) = first.checked_sub(named.va) else {
        return false;
    };
    let nth = below.div_ceil(1 << named.step);
    let at = nth
        .checked_mul(1 << named.step)
        .and_then(|bytes| named.va.checked_add(bytes));
    nth < named.count && at.is_some_and(|at| at <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(va: u64, count: u64, step: u32) -> Named {
        Named {
            va,
            count,
            step,
            stride: Level(0),
            hint: None,
        }
    }

    #[test]
    fn each_entry_contains_a_named_address() {
        let extent = Extent::new(0x3000, 0x3000);
        assert!(are_named(extent, 12, &[named(0x3000, 3, 12)]));
        assert!(!are_named(extent, 12, &[named(0x3000, 2, 12)]));
        assert!(!are_named(extent, 12, &[named(0x4000, 3, 12)]));
        assert!(are_named(
            extent,
            12,
            &[named(0x3fff, 1, 12), named(0x4000, 2, 12)]
        ));
        // Every second page is named.
        assert!(!are_named(extent, 12, &[named(0x3000, 3, 13)]));
        // The last page of the address space.
        let top = Extent::new(0x2000u64.wrapping_neg(), 0x2000);
        assert!(are_named(top, 12, &[named(top.start, 2, 12)]));
        assert!(!are_named(top, 12, &[named(top.start, 1, 12)]));
        // One address in a large page names all of it.
        assert!(are_named(
            Extent::new(0, 1 << 21),
            21,
            &[named(0x5000, 1, 12)]
        ));
    }
}
