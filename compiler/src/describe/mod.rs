//! Short descriptions of facts, for messages, the matrix and the pages of `tlbc doc`.
//!
//! In: a [`Model`] and one of its facts. Out: a description on one line, in the terms of the language, with names
//! between backticks. Holds: texts of the definition lose their own backticks and control characters, so a pair of
//! backticks always encloses a name or an instruction.

pub mod events;
pub mod registers;

use tlbc_facts::clause::{CacheSet, MaxCount, RunUnit};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;

use crate::model::{
    AddressSelector, Amount, Cases, Cond, Config, DefinitionName, Drops, Instr, Known, LevelSel,
    Model, Need, Space, SpaceAddresses, Subject, Tag, TagSource, UNLIMITED, Under, Var, Writes,
    Written,
};
use crate::text::list;

/// Encloses a name or an instruction in backticks.
#[must_use]
pub fn code(text: &str) -> String {
    format!("`{}`", plain(text))
}

/// Returns a text of the definition on one line and without backticks.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = text.replace('`', "'");
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Returns a power of two bytes with its unit, such as `4 KiB`.
#[must_use]
pub fn bytes(shift: u32) -> String {
    const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (shift / 10).min(6);
    format!("{} {}", 1u64 << (shift - unit * 10), UNITS[unit as usize])
}

/// Returns a number, with commas between groups of three digits if it has five or more. Spaces would allow a line
/// break.
#[must_use]
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Describes a condition. Empty if it always holds.
#[must_use]
pub fn cond(model: &Model, cond: &Cond) -> String {
    let terms = cond.terms.iter().map(|term| {
        let (var, wanted) = term.value;
        let name = match var {
            Var::Feature(feature) => code(&model.features[feature].named.name),
            // The model does not contain geometries with errors.
            Var::Geometry(geometry) => {
                let geometry = model.geometries.get(geometry);
                geometry.map_or(String::new(), |it| code(&it.named.name))
            }
            Var::Hinted => "hinted".to_owned(),
            Var::Keep => "keep".to_owned(),
        };
        if wanted { name } else { format!("not {name}") }
    });
    terms.collect::<Vec<_>>().join(" and ")
}

/// Describes a condition as in ` when a and not b`. Empty if it always holds.
#[must_use]
pub fn when(model: &Model, of: &Cond) -> String {
    match cond(model, of) {
        always if always.is_empty() => always,
        terms => format!(" when {terms}"),
    }
}

/// Lists alternatives with their conditions. If several hold, the last counts.
pub fn cases<T>(model: &Model, cases: &Cases<T>, word: impl Fn(&T) -> String) -> String {
    let all = cases.cases.iter();
    let all = all.map(|(value, of)| format!("{}{}", word(value), when(model, of)));
    all.collect::<Vec<_>>().join(", ")
}

/// Lists the names of levels.
#[must_use]
pub fn levels(model: &Model, levels: Levels) -> String {
    let names = levels
        .iter()
        .filter_map(|level| model.levels.get(level.index()));
    names
        .map(|named| code(&named.name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Lists the names of caches.
#[must_use]
pub fn caches(model: &Model, caches: CacheSet) -> String {
    let named = model.caches.all.iter().enumerate();
    let named = named.filter(|(index, _)| caches.0 & (1 << index) != 0);
    let named: Vec<String> = named.map(|(_, cache)| code(&cache.named.name)).collect();
    list(&named, "and")
}

/// Describes on which CPUs and devices an instruction acts.
#[must_use]
pub fn agents(agents: Agents) -> String {
    let cpus = agents.without(Agents::DEVICE);
    let devices = !agents.and(Agents::DEVICE).is_empty();
    let cpus = match cpus {
        Agents::NONE => return if devices { "devices" } else { "no CPU" }.to_owned(),
        Agents::SELF => "this CPU",
        Agents::CORE => "this core",
        Agents::OTHERS => "the CPUs that it is given",
        _ if cpus.covers(Agents::CPUS) => "every CPU",
        _ => "some CPUs",
    };
    format!("{cpus}{}", if devices { " and devices" } else { "" })
}

/// Describes how many pages or entries a run can have.
fn count(model: &Model, least: impl std::fmt::Display, most: MaxCount) -> String {
    match most {
        MaxCount::Count(UNLIMITED) => format!("{least} or more"),
        MaxCount::Count(count) => format!("{least} to {}", number(u64::from(count))),
        MaxCount::Limit(limit) => {
            let name = &model.limits[usize::from(limit)].named.name;
            format!("{least} to {}", code(name))
        }
    }
}

/// Describes the addresses that a clause covers.
#[must_use]
pub fn which(model: &Model, which: &AddressSelector) -> String {
    match which {
        AddressSelector::OnePage => "one page".to_owned(),
        AddressSelector::Run {
            least,
            most,
            stride,
        } => {
            let unit = match stride {
                RunUnit::Pages => "pages".to_owned(),
                RunUnit::Entries(of) => format!("entries at {}", levels(model, *of)),
            };
            format!("{} {unit}", count(model, least, *most))
        }
        AddressSelector::OneSet => "one set".to_owned(),
        AddressSelector::Subtree => "all below one table entry".to_owned(),
        AddressSelector::Everything => "everything".to_owned(),
    }
}

/// Describes a kind of entries with its levels.
fn kind(model: &Model, kind: &str, of: LevelSel) -> String {
    match of {
        LevelSel::Any => kind.to_owned(),
        LevelSel::Hint => format!("{kind} at the hint"),
        LevelSel::AboveHint => format!("{kind} above the hint"),
        LevelSel::Given => format!("{kind} of the given level"),
        LevelSel::Only(only) => format!("{kind} at {}", levels(model, only)),
    }
}

/// Lists the kinds of entries that a clause drops, with their levels.
#[must_use]
pub fn kinds(model: &Model, drops: &Drops) -> Vec<String> {
    let root = drops.root.then(|| "root".to_owned());
    let of = |word, levels: Option<LevelSel>| levels.map(|levels| kind(model, word, levels));
    let kinds = [
        of("leaf", drops.leaf),
        of("walk", drops.walk),
        root,
        of("negative", drops.negative),
    ];
    kinds.into_iter().flatten().collect()
}

/// Describes under which tags a clause drops entries.
#[must_use]
pub fn whose(of: crate::model::TagSelector) -> String {
    let crate::model::TagSelector {
        this,
        loaded,
        other,
        global,
        table,
        user,
    } = of;
    if (this || loaded) && other && global {
        return "any tag".to_owned();
    }
    let classes = [
        (this, "this tag"),
        (loaded, "loaded tag"),
        (other, "other tags"),
        (global, "global"),
        (table, "this table, any tag"),
        (user, "user tags"),
    ];
    let classes = classes.into_iter().filter(|(is, _)| *is);
    let classes: Vec<String> = classes.map(|(_, word)| word.to_owned()).collect();
    list(&classes, "or")
}

/// Describes a clause, as in `leaf, walk of one page, this tag when x`.
#[must_use]
pub fn drops(model: &Model, drops: &Drops) -> String {
    let caches = drops
        .caches
        .map_or(String::new(), |of| format!(" in {}", caches(model, of)));
    format!(
        "{} of {}, {}{caches}{}",
        kinds(model, drops).join(", "),
        which(model, &drops.which.value),
        whose(drops.whose.value),
        when(model, &drops.when)
    )
}

/// Describes how an instruction changes a table entry.
#[must_use]
pub fn writes(model: &Model, writes: &Writes) -> String {
    let to = match writes.to {
        Written::Invalid => "makes the entry invalid",
        Written::Replaced => "replaces the entry",
        Written::MoreRights => "gives the entry more rights",
    };
    let compares = if writes.if_old {
        " if it is what it was"
    } else {
        ""
    };
    format!("{to}{compares}, at {}", levels(model, writes.levels))
}

/// Describes a condition that must hold while an instruction is issued.
#[must_use]
pub fn need(need: Need) -> &'static str {
    match need {
        Need::SameCpu => "the same CPU until it is complete",
        Need::InterruptsOff => "interrupts off",
        Need::Lock => "a lock: one in flight in the machine",
    }
}

/// Returns the name of a barrier or an invalidation.
#[must_use]
pub fn instr(model: &Model, instr: Instr) -> String {
    code(match instr {
        Instr::Barrier(index) => &model.barriers[index].named.name,
        Instr::Invalidate(index) => &model.invalidates[index].named.name,
    })
}

/// Returns the name of the subject of a fact.
#[must_use]
pub fn subject(model: &Model, subject: Subject) -> String {
    match subject {
        Subject::Instr(of) => instr(model, of),
        Subject::Load(index) => code(&model.loads[index].named.name),
        Subject::Erratum(index) => code(&model.errata[index].named.name),
        Subject::Part(part) => code(part),
    }
}

/// Describes when a feature is known. Empty if it is known at boot.
#[must_use]
pub fn known(known: Known) -> &'static str {
    match known {
        Known::Boot => "",
        Known::Cpu => "of a CPU",
        Known::Space => "of a space",
    }
}

/// Returns a number that is stated, or describes one that is read at boot.
#[must_use]
pub fn amount(model: &Model, amount: Amount) -> String {
    match amount {
        Amount::Stated(stated) => number(stated),
        Amount::Limit(limit) => code(&model.limits[limit].named.name),
    }
}

/// Describes a kind of tag.
#[must_use]
pub fn tag(model: &Model, tag: &Tag) -> String {
    let reach = if tag.per_cpu.value {
        "each CPU its own"
    } else {
        "the same on every CPU"
    };
    let values = tag.values.map_or(String::new(), |at| {
        format!(", values {} to {}", at.value.0, number(at.value.1))
    });
    let root = if tag.is_root.is_some() {
        ", the top table's address"
    } else {
        ""
    };
    let lazily = if tag.invalidated_lazily.is_some() {
        ", may be invalidated lazily"
    } else {
        ""
    };
    let source = match tag.source.map(|at| at.value) {
        None => "",
        Some(TagSource::Generations) => ", from generations",
        Some(TagSource::Slots) => ", from slots",
        Some(TagSource::Life) => ", one for the life of a space",
    };
    format!(
        "{}: {} bits, {reach}{values}{source}{root}{lazily}{}",
        code(&tag.named.name),
        amount(model, tag.bits.value),
        when(model, &tag.when)
    )
}

/// Describes under which tags entries are cached.
#[must_use]
pub fn under(model: &Model, under: &Under) -> String {
    match under {
        Under::Tags(tags) => {
            let names: Vec<String> = tags
                .iter()
                .map(|&t| code(&model.tags[t].named.name))
                .collect();
            format!("under {}", list(&names, "or"))
        }
        Under::Fixed(tag, value) => format!("under {} {value}", code(&model.tags[*tag].named.name)),
        Under::EveryTag => "under every tag".to_owned(),
        Under::Global => "global".to_owned(),
    }
}

/// Describes the views of a space. Empty if it has only one.
#[must_use]
pub fn views(model: &Model, space: &Space) -> Vec<String> {
    let views = space.views.iter();
    let views = views.map(|view| {
        let tag = if view.or == 0 {
            "tag".to_owned()
        } else {
            format!("tag | {:#x}", view.or)
        };
        let loaded = if view.loaded {
            ", loaded while the kernel runs"
        } else {
            ""
        };
        format!(
            "{}: {tag}{loaded}{}",
            code(&view.named.name),
            when(model, &view.when)
        )
    });
    if space.views.len() < 2 {
        Vec::new()
    } else {
        views.collect()
    }
}

/// Describes the addresses of a space.
#[must_use]
pub fn addresses(of: SpaceAddresses) -> String {
    if of != SpaceAddresses::new(of.base, of.bits) {
        format!("from 0 to {:#x}", of.last)
    } else if of.base == 0 {
        format!("{} bits from 0", of.bits)
    } else {
        format!("{} bits from {:#x}", of.bits, of.base)
    }
}

/// Describes a machine, as in `features a, b; no errata; ...`.
#[must_use]
pub fn machine(model: &Model, config: Config, limits: &[u64]) -> String {
    let mut parts = vec![model.geometries[config.geometry].named.name.clone()];
    let features = model.features.iter().enumerate();
    let features = features
        .filter(|(i, _)| config.has(*i))
        .map(|(_, it)| &it.named);
    parts.push(names("features", features));
    let errata = model.errata.iter().enumerate();
    let errata = errata
        .filter(|(i, _)| config.suffers(*i))
        .map(|(_, it)| &it.named);
    parts.push(names("errata", errata));
    for (limit, value) in model.limits.iter().zip(limits) {
        parts.push(format!("{} {value}", limit.named.name));
    }
    parts.join("; ")
}

/// Returns the names after the word for them, or that there are none.
fn names<'a>(what: &str, all: impl Iterator<Item = &'a DefinitionName>) -> String {
    let names: Vec<&str> = all.map(|it| it.name.as_str()).collect();
    if names.is_empty() {
        format!("no {what}")
    } else {
        format!("{what} {}", names.join(", "))
    }
}
