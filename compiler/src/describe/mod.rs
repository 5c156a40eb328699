//! Facts in words, for every reader of a definition but the compiler.
//!
//! In: a [`Model`] and one of its facts. Out: a few words in the terms of the language, names between
//! backticks, on one line. Holds: texts of the definition come without backticks and control
//! characters of their own, so that what stands between two backticks is a name or an instruction.

mod events;
pub mod registers;

pub use events::{aspect, ceiling, remedy, weakens};

use tlbc_runtime::clause::{Holders, Levels, Most, Stores, Stride};

use crate::lower::UNLIMITED;
use crate::model::{
    Addresses, Cases, Cond, Drops, Instr, Known, LevelSel, Model, Need, Space, Subject, Tag,
    TagSource, Under, Var, Which, Writes, Written,
};

/// A name or an instruction, marked as one.
#[must_use]
pub fn code(text: &str) -> String {
    format!("`{}`", plain(text))
}

/// A text of the definition, on one line and without marks of its own.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = text.replace('`', "'");
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// `a, b or c`
#[must_use]
pub fn joined(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// A number of bytes that is a power of two.
#[must_use]
pub fn bytes(shift: u32) -> String {
    const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (shift / 10).min(6);
    format!("{} {}", 1u64 << (shift - unit * 10), UNITS[unit as usize])
}

/// A number, its digits in groups of three where they are many; not with spaces, where lines break.
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

/// A condition; nothing where it always holds.
#[must_use]
pub fn cond(model: &Model, cond: &Cond) -> String {
    let terms = cond.terms.iter().map(|term| {
        let (var, wanted) = term.value;
        let name = match var {
            Var::Feature(feature) => code(&model.features[feature].named.name),
            // One that is wrong itself is left out of the model.
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

/// ` when a and not b`; nothing where it always holds.
#[must_use]
pub fn when(model: &Model, of: &Cond) -> String {
    match cond(model, of) {
        always if always.is_empty() => always,
        terms => format!(" when {terms}"),
    }
}

/// Alternatives, each with its condition; where several hold, the last counts.
pub fn cases<T>(model: &Model, cases: &Cases<T>, word: impl Fn(&T) -> String) -> String {
    let all = cases.cases.iter();
    let all = all.map(|(value, of)| format!("{}{}", word(value), when(model, of)));
    all.collect::<Vec<_>>().join(", ")
}

/// The names of levels.
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

/// The names of caches.
#[must_use]
pub fn stores(model: &Model, stores: Stores) -> String {
    let named = model.caches.stores.iter().enumerate();
    let named = named.filter(|(index, _)| stores.0 & (1 << index) != 0);
    let named: Vec<String> = named.map(|(_, store)| code(&store.named.name)).collect();
    joined(&named, "and")
}

/// Whose caches.
#[must_use]
pub fn holders(holders: Holders) -> String {
    let cpus = holders.without(Holders::DEVICE);
    let devices = !holders.and(Holders::DEVICE).is_empty();
    let cpus = match cpus {
        Holders::NONE => return if devices { "devices" } else { "nobody" }.to_owned(),
        Holders::SELF => "this CPU",
        Holders::CORE => "this core",
        _ if cpus.covers(Holders::CPUS) => "every CPU",
        _ => "some CPUs",
    };
    format!("{cpus}{}", if devices { " and devices" } else { "" })
}

/// The most that a run counts.
fn most(model: &Model, most: Most) -> String {
    match most {
        Most::Count(UNLIMITED) => "any number of".to_owned(),
        Most::Count(count) => number(u64::from(count)),
        Most::Limit(limit) => code(&model.limits[usize::from(limit)].named.name),
    }
}

/// Which entries a clause speaks of.
#[must_use]
pub fn which(model: &Model, which: &Which) -> String {
    match which {
        Which::OnePage => "one page".to_owned(),
        Which::Run {
            least,
            most: up,
            stride,
        } => {
            let unit = match stride {
                Stride::Pages => "pages".to_owned(),
                Stride::Entries(of) => format!("entries at {}", levels(model, *of)),
            };
            format!("{least} to {} {unit}", most(model, *up))
        }
        Which::OneSet => "one set".to_owned(),
        Which::Subtree => "all below one table entry".to_owned(),
        Which::Everything => "everything".to_owned(),
    }
}

/// A kind of entry and the levels it is of.
fn kind(model: &Model, kind: &str, of: LevelSel) -> String {
    match of {
        LevelSel::Any => kind.to_owned(),
        LevelSel::Hint => format!("{kind} at the hint"),
        LevelSel::AboveHint => format!("{kind} above the hint"),
        LevelSel::Given => format!("{kind} of the level given"),
        LevelSel::Only(only) => format!("{kind} at {}", levels(model, only)),
    }
}

/// The kinds of entries that a clause drops, with their levels.
#[must_use]
pub fn kinds(model: &Model, drops: &Drops) -> Vec<String> {
    let root = drops.root.then(|| "root".to_owned());
    let of = |word, levels: Option<LevelSel>| levels.map(|levels| kind(model, word, levels));
    let kinds = [
        of("leaf", drops.leaf),
        of("walk", drops.walk),
        root,
        of("absent", drops.absent),
    ];
    kinds.into_iter().flatten().collect()
}

/// Whose entries a clause drops.
#[must_use]
pub fn whose(of: crate::ast::Whose) -> String {
    if (of.this || of.loaded) && of.other && of.global {
        return "any tag".to_owned();
    }
    let classes = [
        (of.this, "this tag"),
        (of.loaded, "loaded tag"),
        (of.other, "other tags"),
        (of.global, "global"),
        (of.table, "this table, any tag"),
    ];
    let classes = classes.into_iter().filter(|(is, _)| *is);
    let classes: Vec<String> = classes.map(|(_, word)| word.to_owned()).collect();
    joined(&classes, "or")
}

/// A clause: `leaf, walk of one page, this tag when x`.
#[must_use]
pub fn drops(model: &Model, drops: &Drops) -> String {
    let stores = drops
        .stores
        .map_or(String::new(), |of| format!(" in {}", stores(model, of)));
    format!(
        "{} of {}, {}{stores}{}",
        kinds(model, drops).join(", "),
        which(model, &drops.which.value),
        whose(drops.whose.value),
        when(model, &drops.when)
    )
}

/// What an instruction makes of the table entry.
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

/// What must hold while an instruction is issued.
#[must_use]
pub fn need(need: Need) -> &'static str {
    match need {
        Need::SameCpu => "the same CPU until it is complete",
        Need::InterruptsOff => "interrupts off",
        Need::Lock => "a lock: one in flight in the machine",
    }
}

/// A barrier or an invalidation, by its name.
#[must_use]
pub fn instr(model: &Model, instr: Instr) -> String {
    code(match instr {
        Instr::Barrier(index) => &model.barriers[index].named.name,
        Instr::Invalidate(index) => &model.invalidates[index].named.name,
    })
}

/// What a fact is about.
#[must_use]
pub fn subject(model: &Model, subject: Subject) -> String {
    match subject {
        Subject::Instr(of) => instr(model, of),
        Subject::Load(index) => code(&model.loads[index].named.name),
        Subject::Erratum(index) => code(&model.errata[index].named.name),
        Subject::Part(part) => code(part),
    }
}

/// What a feature needs and when it is known, in brackets; nothing where it is fixed at boot.
#[must_use]
pub fn known(known: Known) -> &'static str {
    match known {
        Known::Boot => "",
        Known::Cpu => "of a CPU",
        Known::Space => "of a space",
    }
}

/// A kind of tag.
#[must_use]
pub fn tag(model: &Model, tag: &Tag) -> String {
    let reach = if tag.of_cpu.value {
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
    let retired = if tag.may_be_retired.is_some() {
        ", may be retired"
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
        "{}: {} bits, {reach}{values}{source}{root}{retired}{}",
        code(&tag.named.name),
        tag.bits.value,
        when(model, &tag.when)
    )
}

/// Under which tags entries stand.
#[must_use]
pub fn under(model: &Model, under: &Under) -> String {
    match under {
        Under::Tags(tags) => {
            let names: Vec<String> = tags
                .iter()
                .map(|&t| code(&model.tags[t].named.name))
                .collect();
            format!("under {}", joined(&names, "or"))
        }
        Under::Fixed(tag, value) => format!("under {} {value}", code(&model.tags[*tag].named.name)),
        Under::EveryTag => "under every tag".to_owned(),
        Under::Global => "global".to_owned(),
    }
}

/// The views of a space, where it has more than one.
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

/// A stretch of addresses.
#[must_use]
pub fn addresses(of: Addresses) -> String {
    if of.base == 0 {
        format!("{} bits from 0", of.bits)
    } else {
        format!("{} bits from {:#x}", of.bits, of.base)
    }
}
