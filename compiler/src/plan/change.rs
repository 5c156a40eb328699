//! How table entries are changed.
//!
//! In: what the definition says of changes and of the instructions that write entries. Out: the node of `Change` and
//! those of its parts.
//! Holds: an entry that some CPU may use is changed by a plain store only if the machine allows it; an instruction
//! that writes an entry is used for entries of its levels and for what it writes, and invalidates everything that
//! was made through the old entry; what is deferred is recorded.

use std::collections::BTreeMap;

use tlbc_facts::clause::MaxCount;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::pte::Kind as Change;
use tlbc_runtime::request::{Reach, Space};

use super::builder::{PlanBuilder, Unwritten};
use super::context::PlanContext;
use super::drops::Primitive;
use super::factor::seq;
use super::ir::{Issue, Node, Over, Shape, Test};
use super::steps::{by_level, guarded};
use super::workarounds;
use crate::model::{AddressSelector, Instr, Stricter, Written};

/// Whether an instruction that writes an entry is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Necessity {
    /// There is no other way.
    Needed,
    /// There is another way. It is preferred to an instruction that invalidates every leaf entry of a tag, unless
    /// that is allowed.
    Optional { may_drop_tag: bool },
}

/// The order in which instructions that write an entry are preferred, after the selection rule. The least is
/// chosen.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct WriterRank {
    /// Whether it reaches other CPUs without need.
    broadcasts: bool,
    /// The number of tag classes that lose all their leaf entries.
    lost_classes: usize,
    /// The cost that the definition states.
    cost: u64,
    /// The number of cells that are invalidated.
    cells: u32,
    /// The position in the definition.
    index: usize,
}

impl PlanBuilder<'_, '_> {
    pub(super) fn change(&mut self) -> Node {
        let change = &self.model.change;
        if change.plain_store.value {
            return Node::Store;
        }
        // The instruction leaves the entry invalid and otherwise unchanged. The other bits of an invalid
        // entry are free. No flush follows that would resynchronize.
        let resync = |space| seq(self.resync(self.model.space(space).resync.as_ref()));
        let resync = Node::select(Test::OfKernel, resync(Space::Kernel), resync(Space::User));
        let unmapped = seq([Node::Call(Shape::Invalidate), Node::Store, resync]);
        let replaced = Node::Call(Shape::Replace);
        let by_kind = Node::select(
            Test::Kind(Change::Unmap),
            unmapped,
            Node::select(
                Test::Kind(Change::MoreRights),
                Node::Call(Shape::MoreRights),
                replaced.clone(),
            ),
        );
        let deferring = seq([Node::Store, Node::Defer(Deferred::SPACE_UNTIL_ATTACH)]);
        let deferred = |node| match change.deferred {
            Some(_) => Node::select(Test::MayDefer, deferring.clone(), node),
            None => node,
        };
        let valid = deferred(by_kind);
        // Without levels at which a store may change software bits, the steps for a replaced entry are used.
        let valid = match &change.software_bits {
            Some(levels) => {
                let same =
                    Node::select(Test::Stride(levels.value), Node::Store, deferred(replaced));
                Node::select(Test::Kind(Change::Same), same, valid)
            }
            None => valid,
        };
        Node::select(Test::Kind(Change::Map), Node::Store, valid)
    }

    /// Returns the steps of a part of a change, by the kind of the change and the CPUs that may have cached the entries; nothing if
    /// changes are plain stores.
    pub(super) fn written(
        &mut self,
        node: fn(&mut Self, &PlanContext<'_>, Level) -> Node,
    ) -> Option<Node> {
        let stores = self.model.change.plain_store.value;
        (!stores).then(|| self.by_space(node))
    }

    fn by_space(&mut self, node: fn(&mut Self, &PlanContext<'_>, Level) -> Node) -> Node {
        let kernel = self.by_level(Space::Kernel, node);
        Node::select(Test::OfKernel, kernel, self.by_level(Space::User, node))
    }

    /// Returns the steps for each level, for this CPU alone and for all CPUs. Levels with the same steps share
    /// them.
    fn by_level(
        &mut self,
        space: Space,
        node: fn(&mut Self, &PlanContext<'_>, Level) -> Node,
    ) -> Node {
        let of_reach = |builder: &mut Self, reach| {
            let context = builder.context(space, reach, true);
            let levels = builder.levels().into_iter();
            let steps = levels.map(|level| (Levels::only(level), node(builder, &context, level)));
            seq(by_level(steps))
        };
        let here = of_reach(self, Reach::Here);
        Node::select(Test::OnlyHere, here, of_reach(self, Reach::Wide))
    }

    /// Returns the levels that exist in some geometry.
    pub(super) fn levels(&self) -> Vec<Level> {
        let there = |level: &Level| {
            let mut geometries = self.model.geometries.iter();
            geometries.any(|g| g.levels.get(level.index()).is_some_and(Option::is_some))
        };
        Level::all().filter(there).collect()
    }

    /// Makes entries invalid, one by one or in runs.
    pub(super) fn invalidate(&mut self, context: &PlanContext<'_>, level: Level) -> Node {
        let Some(one) = self.writer(context, level, Written::Invalid, Necessity::Needed) else {
            return Node::Seq(Vec::new());
        };
        let Some(many) = self.writer_of_runs(context, level) else {
            return self.each(context, Over::Entries, one);
        };
        let (operand, most) = many.1;
        let runs = self.each(context, Over::Runs { operand, most }, many.0);
        // Most changes are of one entry, which needs no count.
        let one = self.writing(context, one, |once| once);
        Node::select(Test::OneEntry, one, runs)
    }

    /// Issues an instruction for each entry.
    fn each(&self, context: &PlanContext<'_>, over: Over, primitive: Primitive) -> Node {
        self.writing(context, primitive, |body| Node::Loop {
            over,
            each: Box::new(body),
            rest: None,
        })
    }

    /// Issues an instruction in the loop `times`, then once the workarounds of its errata and the barriers after
    /// which it is complete.
    fn writing(
        &self,
        context: &PlanContext<'_>,
        primitive: Primitive,
        times: impl FnOnce(Node) -> Node,
    ) -> Node {
        let issue = issue(primitive);
        let workarounds = context.workarounds(Instr::Invalidate(primitive.invalidate));
        let before = workarounds::beside(self.model, &workarounds, issue, false);
        let written = times(seq(before.into_iter().chain([Node::Issue(issue)])));
        let issue = Issue {
            address: false,
            ..issue
        };
        let after = workarounds::beside(self.model, &workarounds, issue, true);
        let barriers: Vec<usize> = context
            .done_after(primitive.invalidate)
            .into_iter()
            .collect();
        let complete = barriers
            .iter()
            .map(|&barrier| self.complete(context, barrier));
        let steps = seq([written].into_iter().chain(after).chain(complete));
        guarded(context, steps)
    }

    /// Stores the new entry over an invalid one. The kernel's own code may use it at once.
    fn store_valid(&self, context: &PlanContext<'_>) -> Node {
        let kernel = context.space == Space::Kernel;
        let publish = kernel.then(|| self.publish_new(Space::Kernel));
        seq([Node::Store].into_iter().chain(publish))
    }

    /// Replaces entries, directly or through an invalid entry. The kernel may run on the mapping, so its entries
    /// are invalid in between only if no instruction can avoid it, whatever else that invalidates. A user space
    /// that runs on this CPU alone cannot meet the invalid entry, so local instructions are used.
    pub(super) fn replace(&mut self, context: &PlanContext<'_>, level: Level) -> Node {
        let may_drop_tag = context.space == Space::Kernel;
        let at_once = self.writer(
            context,
            level,
            Written::Replaced,
            Necessity::Optional { may_drop_tag },
        );
        let here = context.reach == Reach::Here && self.has_local(level);
        match at_once.filter(|it| may_drop_tag || !here || self.is_local(*it)) {
            Some(primitive) => {
                let written = self.each(context, Over::Entries, primitive);
                let resync = self.resync(self.model.space(context.space).resync.as_ref());
                seq([written].into_iter().chain(resync))
            }
            None => seq([Node::Call(Shape::Invalidate), self.store_valid(context)]),
        }
    }

    /// Gives entries more rights. What the instruction does not write may be stored into the valid entry as well. If a
    /// CPU may fault on a cached entry with fewer rights, entries of the kernel are replaced, because its own code
    /// must not fault.
    pub(super) fn give_more_rights(&mut self, context: &PlanContext<'_>, level: Level) -> Node {
        let faults = self.model.caches.stricter(self.machine).how != Stricter::Refetched;
        if context.space == Space::Kernel && faults {
            return Node::Call(Shape::Replace);
        }
        let necessity = Necessity::Optional { may_drop_tag: true };
        match self.writer(context, level, Written::MoreRights, necessity) {
            Some(primitive) => seq([self.each(context, Over::Entries, primitive), Node::Store]),
            None => Node::Call(Shape::Replace),
        }
    }

    /// Returns the instruction that writes one entry, the least by the selection rule.
    fn writer(
        &mut self,
        context: &PlanContext<'_>,
        level: Level,
        to: Written,
        necessity: Necessity,
    ) -> Option<Primitive> {
        let leaves = context.leaves_of_classes();
        let mut candidates = BTreeMap::new();
        for (index, primitive, cells) in self.writers(context, level, to, false) {
            let whole = self.model.invalidates[primitive.invalidate].forms[primitive.form]
                .drops
                .iter()
                .any(|d| d.which.value == AddressSelector::Everything && d.leaf.is_some());
            let lost = leaves.iter().filter(|l| whole && cells.covers(l)).count();
            if necessity
                == (Necessity::Optional {
                    may_drop_tag: false,
                })
                && lost > 0
            {
                continue;
            }
            let wide = !self.is_local(primitive);
            let cost = self.model.invalidates[primitive.invalidate].cost;
            let rank = WriterRank {
                broadcasts: wide && context.reach == Reach::Here,
                lost_classes: lost,
                cost,
                cells: cells.count(),
                index,
            };
            candidates.insert(rank, primitive);
        }
        let least = candidates.into_values().next();
        if least.is_none() && necessity == Necessity::Needed {
            let unwritten = Unwritten {
                space: context.space,
                reach: context.reach,
                level,
                to,
            };
            if !self.unwritten.contains(&unwritten) {
                self.unwritten.push(unwritten);
            }
        }
        least
    }

    /// Returns the instruction that makes several entries invalid at once, and the operand that counts them. It is
    /// local if the one for a single entry is.
    fn writer_of_runs(
        &self,
        context: &PlanContext<'_>,
        level: Level,
    ) -> Option<(Primitive, (usize, MaxCount))> {
        let local = context.reach == Reach::Here && self.has_local(level);
        let writers = self.writers(context, level, Written::Invalid, true);
        writers.into_iter().find_map(|(_, primitive, _)| {
            let it = &self.model.invalidates[primitive.invalidate];
            let mut operands = it.template.operands.iter();
            let operand = *operands.find(|o| self.model.operands[**o].names.is_some())?;
            let drops = &it.forms[primitive.form].drops;
            let most = drops.iter().find_map(|d| match d.which.value {
                AddressSelector::Run { most, .. } => Some(most),
                _ => None,
            })?;
            (local == self.is_local(primitive)).then_some((primitive, (operand, most)))
        })
    }

    /// Returns whether a local instruction makes entries of the level invalid.
    fn has_local(&self, level: Level) -> bool {
        let here = PlanContext::new(self.model, self.machine, Space::User, Reach::Here);
        let writers = self.writers(&here, level, Written::Invalid, false);
        let mut writers = writers.into_iter();
        writers.any(|(_, primitive, _)| self.is_local(primitive))
    }

    /// Returns whether an instruction acts on this CPU alone.
    fn is_local(&self, primitive: Primitive) -> bool {
        let it = &self.model.invalidates[primitive.invalidate];
        Agents::CORE.covers(it.reach(self.machine))
    }
}

/// Returns the invalidation by an instruction that writes an entry. Its tag is that of the owner of the mappings.
fn issue(primitive: Primitive) -> Issue {
    Issue {
        invalidate: primitive.invalidate,
        form: primitive.form,
        space: Space::User,
        view: Some(0),
        tag: None,
        address: true,
        hint: false,
    }
}
