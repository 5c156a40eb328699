//! The doc comment of each routine.
//!
//! In: a plan. Out: what the routine is for, what it must invalidate, what it may defer, and the instructions that
//! it issues. Holds: instructions are named in the order of the definition.

use std::cell::Cell;
use std::collections::BTreeSet;

use tlbc_facts::clause::Clause;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::{Reach, Space};

use super::context::Emit;
use super::tree::Var;
use crate::model::Which;
use crate::plan::ir::{Node, Plan, Shape};
use crate::text::list;

impl Emit<'_> {
    /// Returns the description of a routine: what it is for, what it must invalidate, what it may defer, and the
    /// instructions that it issues.
    pub(super) fn introduction(&self, plan: &Plan) -> String {
        let of = |space| match space {
            Space::User => "a user space",
            Space::Kernel => "the kernel",
        };
        let by = |reach| match reach {
            Reach::Here => "that only this CPU may cache",
            Reach::Wide => "that other CPUs may cache as well",
            Reach::Given => "on other CPUs, which the sink is given",
        };
        let has_tables = self.parameters(plan.shape).contains(&Var::Tables);
        let mut text = match plan.shape {
            Shape::Page(s, r) => format!(
                "Invalidates one leaf entry of {} {}{}.",
                of(s),
                by(r),
                if has_tables {
                    "; with `tables` also the walk entries of the table that held it"
                } else {
                    ""
                }
            ),
            Shape::Ranges(s, r) => format!("Invalidates ranges of {} {}.", of(s), by(r)),
            Shape::Passes(s, r) => format!(
                "Invalidates the entries of passes over ranges of {} {}.",
                of(s),
                by(r)
            ),
            Shape::Pass(s, r, stage) => format!(
                "Invalidates consecutive entries of one level of {} {}{}.",
                if self.serves_both(plan.shape) {
                    "any space"
                } else {
                    of(s)
                },
                by(r),
                if stage == 0 {
                    ""
                } else {
                    ", in caches that are filled from caches whose entries are gone"
                }
            ),
            Shape::Everything(s, r) => format!("Invalidates all entries of {} {}.", of(s), by(r)),
            Shape::Teardown(s, r) => format!(
                "Invalidates all entries of {} {}, and the root entry of its tag.",
                of(s),
                by(r)
            ),
            Shape::Change => {
                "Changes table entries with the instructions that write them.".to_owned()
            }
            Shape::Publish(s) => format!("Makes new entries of {} visible to walkers.", of(s)),
            Shape::Finish(s, r) => {
                let secondary = if self.model.space(s).devices.is_some() {
                    " Secondary TLBs that share the tables have been invalidated before."
                } else {
                    ""
                };
                format!("Completes a flush of {} {}.{secondary}", of(s), by(r))
            }
            Shape::Switch => "Loads another address space.".to_owned(),
            Shape::LoadTag => "Loads another tag for the address space that is loaded.".to_owned(),
            Shape::ReturnToUser => "Loads the view that user code runs on.".to_owned(),
            Shape::EnterFromUser => {
                "Loads the view that the kernel runs on, after user code ran.".to_owned()
            }
            Shape::CpuOnline => "Invalidates all entries under every tag on this CPU.".to_owned(),
            Shape::Invalidate => "Makes table entries invalid.".to_owned(),
            Shape::Replace => "Replaces table entries.".to_owned(),
            Shape::MoreRights => "Gives table entries more rights.".to_owned(),
            Shape::Begin(s) => format!(
                "Makes changes of entries of {} visible, for a flush of this CPU alone.",
                of(s)
            ),
            Shape::Folding(..) | Shape::IpiTargets(_) => String::new(),
        };
        text.push_str(&self.effects(plan));
        let instructions = self.instructions_of(plan);
        text.push_str(&section("Instructions", &instructions));
        text
    }

    /// Returns the sections about what a routine must invalidate and what it may defer. For the flushes of a space and a reach
    /// this is said once, where one entry is invalidated; for the parts of a flush of ranges it is left out.
    fn effects(&self, plan: &Plan) -> String {
        let first = match plan.shape {
            Shape::Passes(..) | Shape::Pass(..) => return String::new(),
            Shape::Ranges(space, reach)
            | Shape::Everything(space, reach)
            | Shape::Teardown(space, reach) => self.plans.get(Shape::Page(space, reach)),
            _ => None,
        };
        let deferred = self.deferred(plan.shape);
        let is_same = |first: &&Plan| {
            first.required == plan.required && self.deferred(first.shape) == deferred
        };
        if let Some(first) = first.filter(is_same) {
            let may_defer = if deferred == Deferred::NOTHING {
                ""
            } else {
                " and may defer"
            };
            let first = self.routine_name(first.shape);
            return format!("\n\nMust invalidate{may_defer}: as `{first}`.");
        }
        let required = section("Must invalidate", &required_texts(&plan.required));
        required + &section("Deferred", &deferred_texts(deferred))
    }

    /// Returns the flushes that a shape or one that it calls may defer.
    fn deferred(&self, shape: Shape) -> Deferred {
        let deferred = Cell::new(Deferred::NOTHING);
        self.any(shape, &|node| {
            deferred.set(deferred.get().and(match node {
                Node::Defer(deferred) => *deferred,
                Node::InvalidateOtherTags => Deferred::OTHERS_UNTIL_LOAD,
                _ => Deferred::NOTHING,
            }));
            false
        });
        deferred.get()
    }

    /// Returns the name of an instruction in the definition; a store has none.
    pub(super) fn name_of(&self, which: Which) -> Option<&str> {
        Some(match which {
            Which::Barrier(index) => &self.model.barriers[index].named.name,
            Which::Invalidate(index) => &self.model.invalidates[index].named.name,
            Which::Load(index) => &self.model.loads[index].named.name,
            Which::Store => return None,
        })
    }

    /// Returns the names of the instructions that a plan issues itself, in the order of the definition.
    fn instructions_of(&self, plan: &Plan) -> Vec<String> {
        let mut issued = BTreeSet::new();
        plan.body
            .walk(&mut |node| issued.extend(node.instructions(self.model)));
        let names = issued.into_iter().filter_map(|which| self.name_of(which));
        let names = names.map(|name| format!("`{name}`"));
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            names
        } else {
            vec![names.join(", ")]
        }
    }
}

/// Returns a section of a description, if it has items.
fn section(heading: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    format!("\n\n{heading}: {}.", items.join("; "))
}

/// Returns what a routine must invalidate, in words. Kinds of entries that differ in nothing else are named together.
fn required_texts(required: &[(Clause, Agents)]) -> Vec<String> {
    let mut effects: Vec<(Vec<String>, String)> = Vec::new();
    for (clause, agents) in required {
        let (kind, of) = required_text(clause, *agents);
        match effects.iter_mut().find(|(_, other)| *other == of) {
            Some((kinds, _)) => kinds.push(kind.to_owned()),
            None => effects.push((vec![kind.to_owned()], of)),
        }
    }
    let texts = effects.iter();
    let texts = texts.map(|(kinds, of)| format!("{} entries {of}", list(kinds, "and")));
    texts.collect()
}

/// Returns the kind of the entries of a clause, and under which tags and on which agents they are.
fn required_text(clause: &Clause, agents: Agents) -> (&'static str, String) {
    let kind = match (clause.kinds.root, clause.kinds.leaf.is_empty()) {
        (true, _) => "root",
        (false, true) => "walk",
        (false, false) => "leaf",
    };
    let tags = [
        (clause.tags.this, "the space's tag"),
        (clause.tags.other, "other tags"),
        (clause.tags.global, "no tag (global)"),
    ];
    let tags: Vec<String> = (tags.iter().filter(|(is, _)| *is))
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let agents = agents.iter().map(|it| Agents::name(it).to_owned());
    let agents: Vec<String> = agents.collect();
    let of = format!("under {}, on {}", list(&tags, "or"), list(&agents, "and"));
    (kind, of)
}

/// Returns the flushes of a set, in words.
fn deferred_texts(deferred: Deferred) -> Vec<String> {
    let texts = [
        (
            Deferred::OTHERS_UNTIL_LOAD,
            "entries under other tags of this CPU, each until its tag is loaded",
        ),
        (
            Deferred::VIEW_UNTIL_RETURN,
            "entries of the user view on this CPU, until the return to user code",
        ),
        (
            Deferred::TAG_UNTIL_RENEWAL,
            "entries under the loaded tag on this CPU, until the space has another one",
        ),
        (
            Deferred::LAZY_UNTIL_LOAD,
            "entries on lazy CPUs, until they use the space again",
        ),
        (
            Deferred::INACTIVE_UNTIL_LOAD,
            "entries on inactive CPUs, until they load the space again",
        ),
        (
            Deferred::SPACE_UNTIL_ATTACH,
            "all entries of the space, until a CPU attaches it",
        ),
    ];
    let bits = texts.iter().filter(|(bit, _)| deferred.contains(*bit));
    bits.map(|(_, text)| (*text).to_owned()).collect()
}
