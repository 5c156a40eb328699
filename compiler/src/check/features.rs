//! Features: nothing is used on a machine that lacks it, and no condition is evaluated too early.
//!
//! In: every condition of the definition. Out: E0405, E0406, E0407. Holds: in each possible
//! configuration in which an instruction may be used its tag and its barrier exist, and
//! decisions at boot depend on what is known at boot.

use tlbc_runtime::agents::Agents;

use super::configs::{Configs, can_hold};
use super::{compares_tag, field_of, tags_in, user_tags};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Cases, Cond, Drops, Instr, Invalidate, Known, Load, Model, Setup, Source, Var};
use crate::source::Span;

/// Returns the clauses that compare a tag, each with its conditions.
fn compared(invalidate: &Invalidate) -> impl Iterator<Item = (&Drops, [&Cond; 3])> {
    invalidate.forms.iter().flat_map(|form| {
        let drops = form.drops.iter().filter(|drops| compares_tag(drops));
        drops.map(|drops| (drops, [&invalidate.requires, &form.requires, &drops.when]))
    })
}

fn tag_conds(model: &Model) -> impl Iterator<Item = &Cond> {
    user_tags(model)
        .into_iter()
        .map(|tag| &model.tags[tag].when)
}

/// Checks E0405: an instruction that reaches other CPUs is given a tag that means the same space there.
pub fn tags_of_one_cpu(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let mut cases = invalidate.agents.cases.iter();
        if cases.any(|(at, _)| !Agents::CORE.covers(at.value)) {
            let mut compared = compared(invalidate);
            found.extend(
                compared.find_map(|(drops, conds)| of_one_cpu(model, invalidate, drops, conds)),
            );
        }
    }
}

fn of_one_cpu(
    model: &Model,
    invalidate: &Invalidate,
    drops: &Drops,
    conds: [&Cond; 3],
) -> Option<Diagnostic> {
    let configs = Configs::of(model, conds.into_iter().chain(tag_conds(model)));
    let used = configs
        .iter()
        .filter(|&config| conds.iter().all(|cond| can_hold(cond, config)));
    let mut tags = used.flat_map(|config| tags_in(model, config));
    let tag = tags.next()?;
    if !tag.per_cpu.value || tags.any(|tag| !tag.per_cpu.value) {
        return None;
    }
    let name = &invalidate.named.name;
    Some(
        Diagnostic::new(
            Code::E0405,
            drops.whose.span,
            format!("`{name}` compares the tag `{}` on other CPUs, and the tag is `of cpu`", tag.named.name),
        )
        .label("compared on every CPU that it reaches")
        .because(invalidate.agents.span, "reaches these")
        .because(tag.per_cpu.span, "means another space on each CPU")
        .note("on another CPU the value belongs to another space, whose entries would be dropped instead")
        .help("write `of machine;` if a value means the same space everywhere, or give the instruction such a tag"),
    )
}

/// Checks E0405: where CPUs share a TLB, a value of a tag means the same space on all of them.
pub fn tags_in_shared_caches(model: &Model, found: &mut Vec<Diagnostic>) {
    let Some(shared) = model.caches.shared_by_core else {
        return;
    };
    for tag in model.tags.iter().filter(|tag| tag.per_cpu.value) {
        found.push(
            Diagnostic::new(
                Code::E0405,
                tag.per_cpu.span,
                format!(
                    "CPUs share a TLB, and a value of the tag `{}` means another space on each",
                    tag.named.name
                ),
            )
            .label("given out by each CPU for itself")
            .because(shared, "entries of one CPU are used by its siblings")
            .note("a sibling that uses the same value for another space would use these entries")
            .help("write `of machine;` if the tag means the same everywhere, or `one per cpu;` if CPUs share nothing"),
        );
    }
}

/// Checks E0406: wherever an instruction that compares a tag may be used there is a tag.
pub fn tags_that_may_be_missing(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let name = invalidate.named.name.as_str();
        found.extend(compared(invalidate).find_map(|(drops, conds)| {
            tag_may_be_missing(model, &conds, (drops.whose.span, "compares a tag", name))
        }));
    }
    for load in &model.loads {
        if let Some(field) = field_of(model, &load.template.operands, Source::Tag) {
            let place = (field.span, "takes a tag", load.named.name.as_str());
            let conds = [&field.when, &load.requires];
            found.extend(tag_may_be_missing(model, &conds, place));
        }
    }
}

fn tag_may_be_missing(
    model: &Model,
    conds: &[&Cond],
    (span, label, name): (Span, &str, &str),
) -> Option<Diagnostic> {
    let configs = Configs::of(model, conds.iter().copied().chain(tag_conds(model)));
    let untagged = configs.iter().find(|&config| {
        conds.iter().all(|cond| can_hold(cond, config)) && tags_in(model, config).next().is_none()
    });
    let config = untagged?;
    let mut diagnostic = Diagnostic::new(
        Code::E0406,
        span,
        format!(
            "`{name}` {label}, and there is none{}",
            configs.when(config)
        ),
    )
    .label(label);
    diagnostic = match user_tags(model).first().map(|&tag| &model.tags[tag]) {
        Some(tag) => diagnostic.because(tag.named.span, "does not exist then"),
        None => diagnostic.because(model.user.leaf.span, "entries are cached under no tag"),
    };
    Some(
        diagnostic
            .note("on such a machine it would be given an undefined value")
            .help("let it require the feature that provides the tag, or correct the condition of the tag"),
    )
}

/// Checks E0406: wherever an instruction may be used, its barrier and its workarounds exist.
pub fn barriers_that_may_be_missing(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        for (after, when) in invalidate.after.iter().flat_map(|after| &after.cases) {
            let allowed = invalidate.requires.and(when);
            let user = (invalidate.named.name.as_str(), &allowed);
            may_be_missing(model, user, after.span, Instr::Barrier(after.value), found);
        }
    }
    let invalidates = { model.invalidates.iter() }
        .map(|it| (it.named.name.as_str(), it.requires.clone(), &it.follows));
    let loads = loads(model).map(|(it, allowed, _)| (it.named.name.as_str(), allowed, &it.follows));
    for (name, allowed, follows) in invalidates.chain(loads) {
        if let Some(at) = follows {
            let barrier = Instr::Barrier(at.value);
            may_be_missing(model, (name, &allowed), at.span, barrier, found);
        }
    }
    for (name, resync) in model.resyncs() {
        for (at, when) in resync.barriers() {
            let barrier = Instr::Barrier(at.value);
            may_be_missing(model, (name, when), at.span, barrier, found);
        }
    }
    for erratum in &model.errata {
        for workaround in &erratum.workarounds {
            let (_, name, requires) = instruction(model, workaround.target.value);
            let there = requires.and(&erratum.needs);
            for issued in &workaround.issue {
                may_be_missing(model, (name, &there), workaround.span, issued.instr, found);
            }
        }
    }
}

/// Returns words for a machine on which something is allowed, and what it requires does not hold; nothing if there is none.
fn missing_when(model: &Model, allowed: &Cond, requires: &Cond) -> Option<String> {
    let configs = Configs::of(model, [allowed, requires]);
    let mut settings = configs.iter().filter(|&config| allowed.holds(config));
    let config = settings.find(|&config| !requires.holds(config))?;
    Some(configs.when(config))
}

/// Checks E0406: wherever a load is issued, the machine has it.
pub fn loads_that_may_be_missing(model: &Model, found: &mut Vec<Diagnostic>) {
    for (load, allowed, used) in loads(model) {
        let Some(when) = missing_when(model, &allowed, &load.requires) else {
            continue;
        };
        let name = &load.named.name;
        let requires = load.requires.terms.first();
        found.push(
            Diagnostic::new(
                Code::E0406,
                requires.map_or(load.span, |term| term.span),
                format!("`{name}` is loaded where it does not exist{when}"),
            )
            .label("requires this")
            .because(used, "loaded here")
            .note("on such a machine the instruction is undefined, or does nothing")
            .help(format!(
                "state the same where it is loaded: `loads {name} when ...;`"
            )),
        );
    }
}

/// Returns the loads that are issued, each with the machines on which it is, and where that is stated.
fn loads(model: &Model) -> impl Iterator<Item = (&Load, Cond, Span)> {
    let events = [&model.switch, &model.return_to_user, &model.cpu_online];
    let all = events.into_iter().flat_map(|event| &event.loads);
    let of_events = all.flat_map(|it| it.loads.iter().map(|&load| (load, &it.when, it.span)));
    let renewals = model.tags.iter().filter_map(|tag| {
        let renewal = tag.renewal.as_ref()?;
        Some((renewal.value.load, &tag.when, renewal.span))
    });
    let all = of_events.chain(renewals);
    all.map(|(load, when, span)| (&model.loads[load], when.clone(), span))
}

fn instruction(model: &Model, instr: Instr) -> (Span, &str, &Cond) {
    let (named, requires) = match instr {
        Instr::Barrier(index) => (
            &model.barriers[index].named,
            &model.barriers[index].requires,
        ),
        Instr::Invalidate(index) => (
            &model.invalidates[index].named,
            &model.invalidates[index].requires,
        ),
    };
    (named.span, &named.name, requires)
}

/// Reports where something may be used and the instruction that it relies on may not.
fn may_be_missing(
    model: &Model,
    (name, allowed): (&str, &Cond),
    span: Span,
    instr: Instr,
    found: &mut Vec<Diagnostic>,
) {
    let (fact, needed, requires) = instruction(model, instr);
    let Some(when) = missing_when(model, allowed, requires) else {
        return;
    };
    let fact = requires.terms.first().map_or(fact, |term| term.span);
    found.push(
        Diagnostic::new(
            Code::E0406,
            span,
            format!("`{name}` relies on `{needed}`, which does not exist{when}"),
        )
        .label("may not exist")
        .because(fact, format!("`{needed}` requires this"))
        .note("on such a machine the instruction is undefined, or does nothing")
        .help(format!(
            "let `{name}` require the same, or name an instruction that always exists"
        )),
    );
}

/// Checks E0407: decisions at boot do not depend on what is known later.
pub fn known_too_late(model: &Model, found: &mut Vec<Diagnostic>) {
    let early = |cond: &Cond, what: &str, found: &mut Vec<Diagnostic>| {
        later_than(model, cond, Known::Boot, what, found);
    };
    for geometry in &model.geometries {
        let levels = geometry.levels.iter().flatten();
        for cond in levels.flat_map(|level| level.shift.conds().chain(&level.leaf)) {
            early(cond, "the levels of tables are", found);
        }
    }
    for cond in model.caches.conds() {
        early(cond, "what the machine caches is", found);
    }
    for tag in &model.tags {
        early(&tag.when, "the existence of a tag is", found);
    }
    for space in [&model.user, &model.kernel] {
        for cond in space.addresses.conds() {
            early(cond, "the width of addresses is", found);
        }
    }
    for cond in model.table_bits.iter().flat_map(Cases::conds) {
        early(cond, "the width of table addresses is", found);
    }
    for field in model.operands.iter().flat_map(|operand| &operand.fields) {
        // Features of a space are known whenever it is flushed.
        let per_cpu = |cond: &Cond| Cond {
            terms: (cond.terms.iter())
                .filter(|term| match term.value.0 {
                    Var::Feature(feature) => model.features[feature].known == Known::Cpu,
                    _ => false,
                })
                .copied()
                .collect(),
        };
        early(&per_cpu(&field.when), "the layout of an operand is", found);
    }
    for cond in model.setup.iter().flat_map(Setup::conds) {
        later_than(model, cond, Known::Cpu, "the setup of a CPU is", found);
    }
    let online = &model.cpu_online;
    let stated = [&online.contents_unknown, &online.flushes];
    let conds = stated.into_iter().flatten().map(|at| &at.value);
    for cond in conds.chain(online.loads.iter().map(|loads| &loads.when)) {
        later_than(
            model,
            cond,
            Known::Cpu,
            "what a CPU does that comes online is",
            found,
        );
    }
    for erratum in &model.errata {
        let what = format!(
            "whether the machine has the erratum `{}` is",
            erratum.named.name
        );
        early(&erratum.needs, &what, found);
    }
    for feature in &model.features {
        let what = format!("the feature `{}` is", feature.named.name);
        later_than(model, &feature.needs, feature.known, &what, found);
    }
}

fn later_than(model: &Model, cond: &Cond, by: Known, what: &str, found: &mut Vec<Diagnostic>) {
    let moment = |known| match known {
        Known::Boot => "at boot",
        Known::Cpu => "for each CPU",
        Known::Space => "for each space",
    };
    for term in &cond.terms {
        let Var::Feature(index) = term.value.0 else {
            continue;
        };
        let feature = &model.features[index];
        if feature.known == Known::Boot || feature.known == by {
            continue;
        }
        found.push(
            Diagnostic::new(
                Code::E0407,
                term.span,
                format!(
                    "{what} decided {}, and `{}` is known {} only",
                    moment(by),
                    feature.named.name,
                    moment(feature.known)
                ),
            )
            .label("not known yet")
            .because(
                feature.named.span,
                format!("known {}", moment(feature.known)),
            )
            .note("the kernel would use the condition before it is known")
            .help(
                "use only conditions that are known by then, or correct when the feature is known",
            ),
        );
    }
}
