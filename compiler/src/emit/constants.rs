//! Constants that have a name: forms of instructions, bits of tags, lengths of runs, erratum sets, and steps of completion.
//!
//! In: what the rest of a module uses. Out: its constants. Holds: each says what its value means.

use std::collections::BTreeSet;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};

use super::context::Emit;
use super::docs::escaped;
use super::tree::{Expr, Item, Private, Runtime, Uses, hex, number};
use super::values::SPACES;
use crate::plan::ir::{Node, Test};
use crate::text::list;

impl Emit<'_> {
    /// Returns the constants that the rest of the module uses.
    pub(super) fn constants(&self, rest: &Uses) -> Vec<Item> {
        let units = 0..self.model.operands.len();
        let units = units.filter(|it| rest.private(Private::Units(*it)));
        let mut items = self.forms(rest);
        items.extend(self.views(rest));
        items.extend(self.erratum_sets(rest));
        items.extend(self.steps(rest));
        items.extend(units.filter_map(|operand| self.units(operand)));
        items
    }

    /// Returns the constant for the lengths of runs that an operand encodes.
    fn units(&self, operand: usize) -> Option<Item> {
        let it = &self.model.operands[operand];
        let names = it.names.as_ref()?;
        let value = Runtime::Units.with([
            ("base", number(names.base)),
            ("step", number(names.step)),
            ("scales", number(names.scales)),
            ("most", number(names.most_num + 1)),
        ]);
        let name = self.names.private(Private::Units(operand));
        Some(Item::Const {
            docs: format!(
                "The lengths of runs that operand `{}` encodes.",
                it.named.name
            ),
            head: Runtime::Units.text(format!("const {name}: Units")),
            value,
        })
    }

    /// Returns the constants of the forms that the rest of the module uses.
    fn forms(&self, rest: &Uses) -> Vec<Item> {
        let invalidates = self.model.invalidates.iter().enumerate();
        let forms = invalidates.flat_map(|(index, it)| {
            let forms = it.forms.iter().enumerate();
            forms.filter_map(move |(form, it_form)| {
                let (named, value) = it_form.named.as_ref()?;
                let item = Private::Form(index, form);
                rest.private(item).then(|| Item::Const {
                    docs: format!("Form `{}` of `{}`.", named.name, it.named.name),
                    head: format!("const {}: u64", self.names.private(item)).into(),
                    value: hex(*value),
                })
            })
        });
        forms.collect()
    }

    /// Returns the constants for the tags of views that the rest of the module uses.
    fn views(&self, rest: &Uses) -> Vec<Item> {
        let spaces = SPACES.into_iter();
        let views = spaces.flat_map(|space| {
            let views = self.model.space(space).views.iter().enumerate();
            views.filter_map(move |(index, view)| {
                let item = Private::View(space, index);
                rest.private(item).then(|| Item::Const {
                    docs: format!(
                        "The bits that the tag of view `{}` has set.",
                        view.named.name
                    ),
                    head: format!("const {}: u64", self.names.private(item)).into(),
                    value: hex(view.or),
                })
            })
        });
        views.collect()
    }

    /// Returns the constants of the erratum sets that the rest of the module uses.
    fn erratum_sets(&self, rest: &Uses) -> Vec<Item> {
        let sets = self.model.cpu_sets.iter().enumerate();
        let sets = sets.filter(|(index, _)| rest.private(Private::ErratumSet(*index)));
        let sets = sets.map(|(index, named)| Item::Const {
            docs: escaped(&format!(
                "The erratum set `{}`: {}.",
                named.name, named.text
            )),
            head: format!(
                "const {}: u8",
                self.names.private(Private::ErratumSet(index))
            )
            .into(),
            value: format!("1 << {index}").into(),
        });
        sets.collect()
    }

    /// Returns the constants of the steps of completion that the rest of the module uses, each with the instructions of the step.
    fn steps(&self, rest: &Uses) -> Vec<Item> {
        let steps = 0..FinishSteps::MOST;
        let steps = steps.filter(|step| rest.private(Private::FinishStep(*step)));
        let steps = steps.map(|step| {
            let mut issued = BTreeSet::new();
            for plan in self.plans.iter() {
                plan.body.walk(&mut |node| {
                    if let Node::Select {
                        on: Test::Required(steps),
                        then,
                        ..
                    } = node
                        && steps.0 & 1 << step != 0
                    {
                        then.walk(&mut |node| issued.extend(node.instructions(self.model)));
                    }
                });
            }
            let names = issued.into_iter().filter_map(|which| self.name_of(which));
            let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            Item::Const {
                docs: format!(
                    "The step of completion that issues {}.",
                    list(&names, "and")
                ),
                head: {
                    let name = self.names.private(Private::FinishStep(step));
                    Runtime::FinishSteps.text(format!("const {name}: FinishSteps"))
                },
                value: Runtime::FinishSteps.of(Expr::from(format!("1 << {step}"))),
            }
        });
        steps.collect()
    }

    /// Returns a set of steps of completion.
    pub(super) fn finish_steps(&self, steps: FinishSteps) -> Expr {
        let bits = (0..FinishSteps::MOST).filter(|step| steps.0 & 1 << step != 0);
        let steps = bits.map(|step| self.private(Private::FinishStep(step)));
        let steps = steps.reduce(|all, one| all.binary("|", one));
        steps.unwrap_or_else(|| Runtime::FinishSteps.item("NONE"))
    }

    /// Returns CPUs to send an IPI.
    pub(super) fn targets(&self, to: IpiTargets) -> Expr {
        let names = [
            (Agents::ACTIVE, "ACTIVE"),
            (Agents::LAZY, "LAZY"),
            (Agents::INACTIVE, "INACTIVE"),
        ];
        let agents = names.iter().filter(|(bit, _)| to.agents.covers(*bit));
        let agents = agents.map(|(_, name)| Runtime::Agents.item(name));
        let agents = agents.reduce(|all, one| all.method("union", [one]));
        let mut targets = match agents {
            Some(agents) => Runtime::IpiTargets.item("of").call([agents]),
            None => Runtime::IpiTargets.item("NONE"),
        };
        let sets = (0..self.model.cpu_sets.len()).filter(|set| to.sets & 1 << set != 0);
        let sets = sets.map(|set| self.private(Private::ErratumSet(set)));
        if let Some(sets) = sets.reduce(|all, one| all.binary("|", one)) {
            targets = targets.method("and_sets", [sets]);
        }
        if to.by_call {
            targets = targets.method("or_by_call", []);
        }
        targets
    }
}
