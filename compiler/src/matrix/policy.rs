//! Questions about policy, stated or derived; what is issued; features and errata.

use std::fmt;

use tlbc_runtime::backend::Shootdown;

use super::question::{MatrixQuestion, brief, long};
use crate::analysis::Analysis;
use crate::describe::{self, code, plain, registers, when};
use crate::model::{self, At, Ceiling, Cond, Config, DefinitionName, Event, Model, Need};
use crate::sample_requests::Sample;
use crate::text;

pub(super) const POLICIES: &[MatrixQuestion] = &[
    brief("Other CPUs are reached by", shootdown_line),
    long("Strides", strides),
    long("Unmapped pages", pages),
    brief("Tables are freed", tables),
    brief("Lazy CPUs", lazy),
    long("A fault on a stale entry of the kernel", kernel_faults),
    brief("Ceiling", ceilings),
    long("A flush needs", needs),
    long("The tag is read", tag_read),
];

pub(super) const ISSUED: &[MatrixQuestion] = &[
    long("An entry made invalid, on this CPU", |it| {
        unmapped(it, false)
    }),
    brief("An entry made invalid, on others as well", |it| {
        unmapped(it, true)
    }),
    long("One page of a user space, on this CPU", |it| {
        issued(it, Sample::Page, false)
    }),
    brief("One page of a user space, on others as well", |it| {
        issued(it, Sample::Page, true)
    }),
    long("One page and its table, on this CPU", |it| {
        issued(it, Sample::Table, false)
    }),
    long("One page and its table, on others as well", |it| {
        issued(it, Sample::Table, true)
    }),
    long("All of a user space, on this CPU", |it| {
        issued(it, Sample::Everything, false)
    }),
    long("All of a user space, on others as well", |it| {
        issued(it, Sample::Everything, true)
    }),
    long("One page of the kernel, on this CPU", |it| {
        issued(it, Sample::KernelPage, false)
    }),
    long("One page of the kernel, on others as well", |it| {
        issued(it, Sample::KernelPage, true)
    }),
];

pub(super) const EVENTS: &[MatrixQuestion] = &[
    long("Switch to another space", switch),
    long("Return to user code", |it| {
        event(it, &it.model.return_to_user)
    }),
    long("A CPU comes online", |it| event(it, &it.model.cpu_online)),
];

pub(super) const VARIANTS: &[MatrixQuestion] = &[
    long("Features", features),
    long("Setup of the machine", setup),
    long("Limits", limits),
    long("Sets of CPUs that the kernel keeps", |it| {
        it.model.cpu_sets.iter().map(named).collect()
    }),
    brief("Errata", errata_names),
    long("What errata weaken, and workarounds", errata),
    long("Facts that no manual confirms", unconfirmed),
];

/// The origin of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The definition states it.
    Stated,
    /// It follows from facts of the definition.
    Derived,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stated => "stated",
            Self::Derived => "derived",
        })
    }
}

fn origin<T>(stated: Option<&T>) -> Origin {
    if stated.is_some() {
        Origin::Stated
    } else {
        Origin::Derived
    }
}

/// Returns a value with its origin.
fn policy(value: &str, origin: Origin) -> Vec<String> {
    vec![format!("{value} ({origin})")]
}

fn shootdown_line(it: &Analysis) -> Vec<String> {
    let by = match it.plans.shootdown(&it.model) {
        Shootdown::Broadcast => "broadcast instructions",
        Shootdown::Ipi => "shootdown IPIs",
        Shootdown::Either => "broadcast instructions or shootdown IPIs",
    };
    let mut lines = policy(by, Origin::Derived);
    lines.extend(it.model.policy.shootdown.as_ref().map(|stated| {
        let by = describe::cases(&it.model, stated, |at| {
            match at.value {
                model::Shootdown::Broadcast => "broadcast instructions",
                model::Shootdown::Ipi => "shootdown IPIs",
            }
            .to_owned()
        });
        format!("{by} ({})", Origin::Stated)
    }));
    lines
}

fn strides(it: &Analysis) -> Vec<String> {
    let levels = describe::levels(&it.model, it.model.strides());
    policy(&levels, origin(it.model.policy.strides.as_ref()))
}

fn yes(stated: Option<At<bool>>, yes: &str, no: &str) -> Vec<String> {
    let is = stated.is_none_or(|at| at.value);
    policy(if is { yes } else { no }, origin(stated.as_ref()))
}

fn pages(it: &Analysis) -> Vec<String> {
    yes(
        it.model.policy.pages_batched,
        "gathered, then flushed once",
        "flushed by the change itself",
    )
}

fn tables(it: &Analysis) -> Vec<String> {
    let stated = it.model.policy.tables_deferred;
    yes(
        stated,
        "after a grace period for lockless walkers",
        "right after the flush",
    )
}

fn lazy(it: &Analysis) -> Vec<String> {
    let stated = it.model.policy.lazy_refcounted;
    yes(
        stated,
        "hold a reference to the space",
        "leave the space at its teardown",
    )
}

fn kernel_faults(it: &Analysis) -> Vec<String> {
    let fixed = it.model.policy.kernel_faults_fixed;
    let origin = if fixed.is_some() {
        Origin::Stated
    } else {
        Origin::Derived
    };
    let what = if fixed.is_some() {
        "is fixed by the CPU that takes it"
    } else {
        "must not occur"
    };
    vec![format!("{what} ({origin})")]
}

fn ceilings(it: &Analysis) -> Vec<String> {
    let policy = &it.model.policy;
    let of = |cases: &Option<model::Cases<Ceiling>>, unit: &str| {
        let cases = cases.iter().flat_map(|cases| &cases.cases);
        let line = |(of, cond): &(Ceiling, Cond)| {
            let value = describe::events::ceiling(&it.model, of, unit);
            format!("{value}{} ({})", when(&it.model, cond), Origin::Stated)
        };
        cases.map(line).collect::<Vec<_>>()
    };
    let mut lines = of(&policy.ceiling_operations, "operations");
    lines.extend(of(&policy.ceiling_pages, "pages"));
    if lines.is_empty() {
        lines.push(format!("no ceiling ({})", Origin::Derived));
    }
    lines
}

fn needs(it: &Analysis) -> Vec<String> {
    let all = [Need::SameCpu, Need::InterruptsOff, Need::Lock];
    let found = all.into_iter().filter(|need| it.plans.needs(*need));
    found
        .flat_map(|need| policy(describe::need(need), Origin::Derived))
        .collect()
}

fn tag_read(it: &Analysis) -> Vec<String> {
    let after = it.model.reads_tag_after_publish();
    after
        .then(|| "after changes are published".to_owned())
        .into_iter()
        .collect()
}

/// Returns what is issued on a machine without features, and on one with as many features as are possible together.
fn issued(it: &Analysis, sample: Sample, others: bool) -> Vec<String> {
    let plain = Config::default();
    let rich = it.model.with_all_features(plain);
    let (least, most) = (
        sample.summary(it, plain, others),
        sample.summary(it, rich, others),
    );
    if least == most {
        return vec![least];
    }
    vec![
        format!("no feature: {least}"),
        format!("most features: {most}"),
    ]
}

fn unmapped(it: &Analysis, others: bool) -> Vec<String> {
    if it.model.change.plain_store.value {
        return vec!["a plain store".to_owned()];
    }
    issued(it, Sample::Page, others)
}

fn switch(it: &Analysis) -> Vec<String> {
    let mut lines = event(it, &it.model.switch);
    if it.model.attach_waits() {
        lines.push("waits for changes in progress".to_owned());
    }
    lines
}

fn event(it: &Analysis, event: &Event) -> Vec<String> {
    let model = &it.model;
    let loads = event.loads.iter().map(|loads| {
        let names: Vec<String> = loads
            .loads
            .iter()
            .map(|&load| {
                let load = &model.loads[load];
                let follows = load.follows.map_or(String::new(), |at| {
                    format!(" after {}", code(&model.barriers[at.value].named.name))
                });
                code(&load.named.name) + &follows
            })
            .collect();
        let view = match model.user.views.len() {
            0 | 1 => String::new(),
            _ => format!(
                " in view {}",
                code(&model.user.views[loads.view].named.name)
            ),
        };
        format!(
            "loads {}{view}{}",
            text::list(&names, "and"),
            when(model, &loads.when)
        )
    });
    let mut lines: Vec<String> = loads.collect();
    let plain = Config::default();
    let machines = [plain, model.with_all_features(plain)];
    if machines.iter().any(|&it| model.is_half_loaded(event, it)) {
        lines.push("an empty root is loaded in between".to_owned());
    }
    if let Some(flushes) = &event.flushes {
        lines.push(format!(
            "then invalidates everything of user spaces{}",
            when(model, &flushes.value)
        ));
    }
    if let Some(unknown) = &event.contents_unknown {
        lines.push(format!(
            "contents unknown{}: drops everything",
            when(model, &unknown.value)
        ));
    }
    let resyncs = event.resync.iter().flat_map(model::Resync::barriers);
    lines.extend(resyncs.map(|(at, cond)| {
        let barrier = code(&model.barriers[at.value].named.name);
        format!("then {barrier}{}", when(model, cond))
    }));
    if lines.is_empty() {
        lines.push("nothing is loaded".to_owned());
    }
    lines
}

fn named(of: &DefinitionName) -> String {
    if of.text.is_empty() {
        return code(&of.name);
    }
    format!("{}: {}", code(&of.name), plain(&of.text))
}

/// Describes what a feature or an erratum needs, as in ` (needs a and not b)`. Empty if it needs nothing.
pub(crate) fn wants(model: &Model, needs: &Cond) -> String {
    match describe::cond(model, needs) {
        nothing if nothing.is_empty() => nothing,
        terms => format!(" (needs {terms})"),
    }
}

fn features(it: &Analysis) -> Vec<String> {
    let line = |feature: &model::Feature| {
        let known = match describe::known(feature.known) {
            "" => String::new(),
            known => format!(", {known}"),
        };
        let from = feature.from.as_ref().map_or(String::new(), |from| {
            format!(", from {}", registers::read_from(from))
        });
        format!(
            "{}{from}{known}{}",
            named(&feature.named),
            wants(&it.model, &feature.needs)
        )
    };
    it.model.features.iter().map(line).collect()
}

fn setup(it: &Analysis) -> Vec<String> {
    let statements = it.model.setup.iter();
    statements
        .map(|statement| registers::demand(&it.model, statement))
        .collect()
}

fn limits(it: &Analysis) -> Vec<String> {
    let line = |limit: &model::Limit| {
        let from = limit.from.as_ref().map(registers::limit_from);
        format!(
            "{}: {} to {}{}",
            named(&limit.named),
            limit.least,
            describe::number(limit.most),
            from.map_or(String::new(), |from| format!(", from {from}"))
        )
    };
    it.model.limits.iter().map(line).collect()
}

fn unconfirmed(it: &Analysis) -> Vec<String> {
    let line = |fact: &model::Unconfirmed| {
        let about = fact
            .about
            .iter()
            .map(|of| describe::subject(&it.model, *of));
        let about: Vec<String> = about.collect();
        format!("{}: {}", about.join(", "), plain(&fact.text))
    };
    it.model.unconfirmed.iter().map(line).collect()
}

fn errata_names(it: &Analysis) -> Vec<String> {
    let names: Vec<String> = it
        .model
        .errata
        .iter()
        .map(|erratum| code(&erratum.named.name))
        .collect();
    vec![if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }]
}

fn errata(it: &Analysis) -> Vec<String> {
    let lines = |erratum: &model::Erratum| {
        let head = format!(
            "{}{}",
            named(&erratum.named),
            wants(&it.model, &erratum.needs)
        );
        let weakens = erratum
            .weakens
            .iter()
            .map(|weakens| describe::events::weakens(&it.model, weakens));
        let workarounds = erratum.workarounds.iter();
        let workarounds = workarounds
            .map(|of| format!("workaround {}", describe::events::workaround(&it.model, of)));
        std::iter::once(head)
            .chain(weakens)
            .chain(workarounds)
            .collect::<Vec<_>>()
    };
    it.model.errata.iter().flat_map(lines).collect()
}
