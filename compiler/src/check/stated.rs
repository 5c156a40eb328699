//! Instructions with what they do, in words.
//!
//! In: barriers, the forms of invalidations, and loads. Out: what the assembler is given, and the effect: in every case, and on
//! one machine. Holds: two effects are the same words if they are the same facts.

use super::assembled::Assembled;
use super::configs::RecordedConfig;
use super::encodings::InstructionUse;
use crate::describe;
use crate::model::{
    AddressSelector, At, Barrier, Cases, Cond, Drops, Form, Invalidate, LevelSel, Load, Model,
    Template, Value,
};
use crate::source::Span;

/// An instruction with what it does.
#[derive(Clone, Copy)]
pub enum StatedAs<'m> {
    Barrier,
    /// One form of an invalidation.
    Invalidate(&'m Invalidate, &'m Form),
    Load,
}

/// An instruction: what the assembler is given, and its stated effect.
pub struct StatedInstruction<'m> {
    pub name: &'m str,
    pub span: Span,
    pub requires: Cond,
    pub template: &'m Template,
    /// What is shown, and what the assembler is given.
    pub texts: [Assembled; 2],
    /// Its operands.
    pub contents: Vec<String>,
    pub stated: StatedAs<'m>,
    /// Its effect in every case.
    pub effect: Vec<String>,
}

impl StatedInstruction<'_> {
    /// Returns whether a rule says the same of this instruction as of another one.
    pub fn is_repeated(&self, other: &Self) -> bool {
        self.effect == other.effect
            && self.contents == other.contents
            && self.form() == other.form()
            && self.requires.terms == other.requires.terms
    }

    /// Returns the number of its form.
    pub fn form(&self) -> Option<u64> {
        match self.stated {
            StatedAs::Invalidate(_, form) => form.named.as_ref().map(|(_, number)| *number),
            StatedAs::Barrier | StatedAs::Load => None,
        }
    }

    /// Returns a use of it, with a level or without.
    pub fn given(&self, hinted: bool) -> InstructionUse<'_> {
        InstructionUse {
            template: self.template,
            form: self.form(),
            hinted,
        }
    }

    /// Returns whether it leaves caches and entries as they are.
    pub fn does_nothing(&self) -> bool {
        match self.stated {
            StatedAs::Invalidate(it, form) => form.drops.is_empty() && it.writes_entry.is_none(),
            StatedAs::Barrier | StatedAs::Load => false,
        }
    }
}

/// Returns the conditions on which depends what an instruction does, and which values it can be given.
pub fn conds<'m>(
    model: &'m Model,
    it: &'m StatedInstruction<'m>,
) -> impl Iterator<Item = &'m Cond> {
    let operands = it.template.operands.iter();
    let fields = operands.flat_map(|&operand| &model.operands[operand].fields);
    let spaces = [&model.user, &model.kernel].into_iter();
    let addresses = spaces.flat_map(|space| space.addresses.conds());
    let tags = model.tags.iter().map(|tag| &tag.when);
    let views = model.user.views.iter().map(|view| &view.when);
    let of_effect: Vec<&Cond> = match it.stated {
        StatedAs::Invalidate(of, form) => {
            let after = of.after.iter().flat_map(Cases::conds);
            let drops = form.drops.iter().map(|drops| &drops.when);
            of.agents.conds().chain(after).chain(drops).collect()
        }
        StatedAs::Barrier | StatedAs::Load => Vec::new(),
    };
    let values = fields.map(|field| &field.when).chain(addresses).chain(tags);
    values.chain(views).chain(of_effect).chain([&it.requires])
}

/// Returns what an instruction does on a machine, given a level or not, and where its runs are of one page or not.
pub fn effect_in(
    model: &Model,
    of: &StatedInstruction,
    config: RecordedConfig<'_>,
    (hinted, is_one): (bool, bool),
) -> Vec<String> {
    let StatedAs::Invalidate(it, form) = of.stated else {
        return of.effect.clone();
    };
    let resolved = |levels: Option<LevelSel>| match levels {
        Some(LevelSel::Hint | LevelSel::AboveHint) if !hinted => Some(LevelSel::Any),
        levels => levels,
    };
    let drops = form.drops.iter();
    let counted = drops.filter(|drops| drops.when.holds_with(config, hinted, false));
    let mut clauses: Vec<String> = Vec::new();
    for drops in counted {
        let clause = Drops {
            leaf: resolved(drops.leaf),
            walk: resolved(drops.walk),
            negative: resolved(drops.negative),
            which: At {
                value: match &drops.which.value {
                    AddressSelector::Run { .. } if is_one => AddressSelector::OnePage,
                    which => which.clone(),
                },
                span: drops.which.span,
            },
            when: Cond::default(),
            ..drops.clone()
        };
        // One clause for each kind, however they are joined in statements.
        let all = describe::drops(model, &clause);
        let kinds = describe::kinds(model, &clause);
        let (_, entries) = all.split_once(" of ").unwrap_or_default();
        clauses.extend(kinds.iter().map(|kind| format!("{kind} of {entries}")));
    }
    clauses.sort_unstable();
    clauses.dedup();
    let reach = describe::agents(it.reach(config));
    let done = it.done_after(config);
    let done = done.map_or("at once", |barrier| &model.barriers[barrier].named.name);
    let mut effect = of.effect.clone();
    effect[1..4].clone_from_slice(&[reach, clauses.join("; "), done.to_owned()]);
    effect
}

/// Returns the fields of an operand, in words.
fn content(model: &Model, operand: usize) -> String {
    let it = &model.operands[operand];
    let fields = it.fields.iter().map(|field| {
        let value = match field.value {
            Value::LevelAs(table) => {
                let numbers = &model.level_numbers[table];
                let cases = numbers.cases.iter();
                let cases = cases.map(|(level, number, when)| {
                    format!("{level} {number}{}", describe::when(model, when))
                });
                format!("{:?} {:?}", cases.collect::<Vec<_>>(), numbers.otherwise)
            }
            other => format!("{other:?}"),
        };
        let when = describe::when(model, &field.when);
        format!("[{}:{}] {value}{when}", field.high, field.low)
    });
    let fields: Vec<String> = fields.collect();
    format!("<{:?} {}>", it.place, fields.join("; "))
}

/// Makes an instruction from its texts, its condition and its effect.
fn stated_instruction<'m>(
    model: &'m Model,
    (name, template, requires): (&'m str, &'m Template, Cond),
    assembled: &[String],
    stated: StatedAs<'m>,
    effect: Vec<String>,
) -> StatedInstruction<'m> {
    let lines = [template.lines.as_slice(), assembled];
    let operands = template.operands.iter();
    StatedInstruction {
        name,
        span: template.span,
        requires,
        template,
        texts: lines.map(|lines| Assembled::new(model, template, lines)),
        contents: operands.map(|&operand| content(model, operand)).collect(),
        stated,
        effect,
    }
}

/// Returns a barrier with its effect.
pub fn of_barrier<'m>(model: &'m Model, it: &'m Barrier) -> StatedInstruction<'m> {
    let role = |what: &str, on: Option<String>| {
        on.map_or(format!("{what} nothing"), |on| format!("{what} {on}"))
    };
    let same = if it.same_cpu { " by the same CPU" } else { "" };
    let completes = it
        .completes
        .map(|at| format!("{}{same}", describe::agents(at.value)));
    let publishes = it.publishes.map(|at| describe::agents(at.value));
    let effect = vec![
        "is a barrier".to_owned(),
        role("publishes to", publishes),
        role("completes on", completes),
        role("resyncs", it.resyncs.map(|_| "this CPU".to_owned())),
    ];
    let head = (it.named.name.as_str(), &it.template, it.requires.clone());
    stated_instruction(model, head, &it.template.lines, StatedAs::Barrier, effect)
}

/// Returns a form of an invalidation with its effect.
pub fn of_invalidate<'m>(
    model: &'m Model,
    it: &'m Invalidate,
    form: &'m Form,
) -> StatedInstruction<'m> {
    let reach = describe::cases(model, &it.agents, |at| describe::agents(at.value));
    let done = it.after.as_ref().map_or("at once".to_owned(), |after| {
        let barriers = describe::cases(model, after, |at| {
            describe::code(&model.barriers[at.value].named.name)
        });
        format!("after {barriers}")
    });
    let writes = it.writes_entry.as_ref();
    let writes = writes.map_or("writes no entry".to_owned(), |of| {
        describe::writes(model, of)
    });
    let effect = vec![
        "drops entries".to_owned(),
        format!("acts on {reach}"),
        format!("drops {}", drops(model, form)),
        format!("is finished {done}"),
        writes,
    ];
    let requires = it.requires.and(&form.requires);
    let head = (it.named.name.as_str(), &it.template, requires);
    let stated = StatedAs::Invalidate(it, form);
    stated_instruction(model, head, it.assembled(), stated, effect)
}

/// Returns a load with its effect.
pub fn of_load<'m>(model: &'m Model, it: &'m Load) -> StatedInstruction<'m> {
    let drops = it.drops.iter().map(|drops| describe::drops(model, drops));
    let drops: Vec<String> = drops.collect();
    let effect = vec![format!("drops {}", drops.join("; "))];
    let head = (it.named.name.as_str(), &it.template, it.requires.clone());
    stated_instruction(model, head, &it.template.lines, StatedAs::Load, effect)
}

fn drops(model: &Model, form: &Form) -> String {
    if form.drops.is_empty() {
        return "nothing".to_owned();
    }
    let clauses = form.drops.iter().map(|drops| describe::drops(model, drops));
    clauses.collect::<Vec<_>>().join(", ")
}
