//! Questions about the machine: tables, caches, tags, changes of table entries.

use tlbc_facts::clause::CacheSet;

use super::question::{MatrixQuestion, brief, long};
use crate::analysis::Analysis;
use crate::describe::{self, code, when};
use crate::model::{
    Amount, Aspect, CachedKind, Cond, Fills, Geometry, Level, Model, Negative, Space, Stricter,
};
use crate::text::list;

pub(super) const TABLES: &[MatrixQuestion] = &[
    brief("Page sizes", page_sizes),
    long("Levels, from the leaf up", levels),
    long("A table entry has", entry_size),
    long("Top tables", tops),
    long("Addresses of user spaces", |it| {
        space_addresses(it, &it.model.user)
    }),
    long("Addresses of the kernel", |it| {
        space_addresses(it, &it.model.kernel)
    }),
];

pub(super) const CACHES: &[MatrixQuestion] = &[
    brief("Caches", caches),
    brief("One set of caches per", shared),
    long("One leaf entry covers", joined_entries),
    brief("Negative entries", negative),
    brief("A cached entry stricter than the table", stricter),
    long("A clean entry becomes dirty", clean_to_dirty),
    long("Accessed bit cleared in the table", accessed),
    long("Filled by speculation", fills),
];

pub(super) const TAGS: &[MatrixQuestion] = &[
    brief("Tags", tags),
    long("User entries", |it| entries(it, &it.model.user)),
    brief("Kernel entries", |it| entries(it, &it.model.kernel)),
    long("Views of a user space", |it| {
        describe::views(&it.model, &it.model.user)
    }),
    long("Devices walk user tables", |it| {
        devices(&it.model, &it.model.user)
    }),
    long("Devices walk kernel tables", |it| {
        devices(&it.model, &it.model.kernel)
    }),
];

pub(super) const CHANGES: &[MatrixQuestion] = &[
    brief("A table entry is changed by", change),
    brief("Through an invalid entry", through_invalid),
];

/// Lists the page sizes of a geometry.
fn mapped(model: &Model, geometry: &Geometry) -> Vec<String> {
    let present = geometry.levels.iter().flatten();
    let leaves = present.filter_map(|level| Some((level, level.leaf.as_ref()?)));
    let sizes = leaves.map(|(level, when)| {
        let size = describe::cases(model, &level.shift, |&shift| describe::bytes(shift));
        format!("{size}{}", describe::when(model, when))
    });
    sizes.collect()
}

/// Returns the name of a geometry as a prefix. Empty if there is only one.
fn of_geometry(model: &Model, geometry: &Geometry) -> String {
    if model.geometries.len() == 1 {
        return String::new();
    }
    format!("{}: ", code(&geometry.named.name))
}

fn page_sizes(it: &Analysis) -> Vec<String> {
    let geometries = it.model.geometries.iter();
    let line = |geometry| {
        let sizes = mapped(&it.model, geometry).join(", ");
        format!("{}{sizes}", of_geometry(&it.model, geometry))
    };
    geometries.map(line).collect()
}

/// Describes a level: its name, how many bytes an entry maps, and whether an entry may map a page.
fn level(model: &Model, name: &str, level: &Level) -> String {
    let reach = describe::cases(model, &level.shift, |&shift| describe::bytes(shift));
    let maps = match &level.leaf {
        None => ", tables only".to_owned(),
        Some(of) if of.terms.is_empty() => String::new(),
        Some(of) => format!(", pages{}", when(model, of)),
    };
    let hint = level
        .hint
        .map_or(String::new(), |hint| format!(", hint {}", hint.value));
    format!("{} {reach}{maps}{hint}", code(name))
}

fn levels(it: &Analysis) -> Vec<String> {
    let model = &it.model;
    let of = |geometry: &Geometry| -> Vec<String> {
        let named = model.levels.iter().zip(&geometry.levels);
        let present = named.filter_map(|(named, of)| Some((named, of.as_ref()?)));
        let prefix = of_geometry(model, geometry);
        present
            .map(|(named, of)| format!("{prefix}{}", level(model, &named.name, of)))
            .collect()
    };
    model.geometries.iter().flat_map(of).collect()
}

fn entry_size(it: &Analysis) -> Vec<String> {
    vec![describe::bytes(it.model.entry_size().ilog2())]
}

/// Describes where top tables are: at which levels, at which addresses.
fn tops(it: &Analysis) -> Vec<String> {
    let model = &it.model;
    let placed = model.geometries.iter().flat_map(|geometry| {
        let of = of_geometry(model, geometry);
        let aligned = geometry.root_shift.map(|at| describe::bytes(at.value));
        let aligned = aligned.map(|bytes| format!("{of}aligned to {bytes}"));
        let within = geometry.root_bits.map(|at| at.value);
        let within = within.map(|bits| format!("{of}within {bits} bits"));
        aligned.into_iter().chain(within)
    });
    let several = model
        .geometries
        .iter()
        .filter(|geometry| geometry.tops.len() > 1);
    let line = |geometry: &Geometry| {
        let names = geometry
            .tops
            .iter()
            .map(|&level| code(&model.levels[level].name));
        let names: Vec<String> = names.collect();
        format!(
            "{}{}, as the space needs",
            of_geometry(model, geometry),
            list(&names, "or")
        )
    };
    several.map(line).chain(placed).collect()
}

fn space_addresses(it: &Analysis, space: &Space) -> Vec<String> {
    let cases = space.addresses.cases.iter();
    cases
        .map(|(of, cond)| format!("{}{}", describe::addresses(*of), when(&it.model, cond)))
        .collect()
}

fn kind(kind: CachedKind) -> String {
    match kind {
        CachedKind::Leaf => "leaf",
        CachedKind::Walk => "walk",
        CachedKind::Root => "root",
        CachedKind::Negative => "negative",
    }
    .to_owned()
}

fn caches(it: &Analysis) -> Vec<String> {
    let model = &it.model;
    let line = |cache: &crate::model::Cache| {
        let holds: Vec<String> = cache.holds.iter().map(|&of| kind(of)).collect();
        let from = cache.from.map_or(String::new(), |from| {
            format!(
                ", made from {}",
                code(&model.caches.all[from.value].named.name)
            )
        });
        let sets = cache.sets.as_ref().map_or(String::new(), |sets| {
            let count = |count: &Amount| match count {
                Amount::Stated(1) => "1 set".to_owned(),
                &count => format!("{} sets", describe::amount(model, count)),
            };
            format!("; {}", describe::cases(model, sets, count))
        });
        format!(
            "{}: {}{from}{sets}{}",
            code(&cache.named.name),
            list(&holds, "and"),
            describe::when(model, &cache.when)
        )
    };
    model.caches.all.iter().map(line).collect()
}

fn shared(it: &Analysis) -> Vec<String> {
    let by = if it.model.caches.shared_by_core.is_some() {
        "core"
    } else {
        "CPU"
    };
    vec![by.to_owned()]
}

fn joined_entries(it: &Analysis) -> Vec<String> {
    let levels = it.model.levels.iter().enumerate();
    let levels = levels.map(|(index, level)| (level, it.model.caches.covered(index)));
    let joined = levels.filter(|(_, log)| *log != 0);
    let joined = joined.map(|(level, log)| {
        let count = 1u64 << log;
        format!(
            "up to {count} neighbouring table entries of {}",
            code(&level.name)
        )
    });
    let joined: Vec<String> = joined.collect();
    if joined.is_empty() {
        vec!["one table entry".to_owned()]
    } else {
        joined
    }
}

fn negative(it: &Analysis) -> Vec<String> {
    let negative = describe::cases(&it.model, &it.model.caches.negative, |kept| {
        let text = match kept {
            Negative::Never => "are not cached",
            Negative::UntilDropped => "are cached: a new mapping requires a flush",
            Negative::AsPages => {
                "are cached, each of a single page: a new mapping requires a flush"
            }
            Negative::Expires => {
                "are cached for a bounded time: a new mapping of the kernel requires a flush"
            }
        };
        text.to_owned()
    });
    vec![negative]
}

fn stricter(it: &Analysis) -> Vec<String> {
    let stricter = describe::cases(&it.model, &it.model.caches.stricter, |stricter| {
        let on = if stricter.cpus_only {
            " by CPUs; devices keep it"
        } else {
            ""
        };
        match stricter.how {
            Stricter::Refetched => format!("is walked again{on}"),
            Stricter::DroppedByFault => format!("is dropped by the fault{on}"),
            Stricter::FaultsUntilDropped => "faults until this CPU drops it".to_owned(),
        }
    });
    vec![stricter]
}

fn clean_to_dirty(it: &Analysis) -> Vec<String> {
    let walks = it.model.caches.clean_to_dirty_walks.as_ref();
    let or = "possibly without a walk";
    vec![walks.map_or(or.to_owned(), |when| {
        only(it, "by a walk that reads the table", when, or)
    })]
}

fn accessed(it: &Analysis) -> Vec<String> {
    let stays = it.model.caches.accessed_may_stay.as_ref();
    let or = "requires a flush";
    vec![stays.map_or(or.to_owned(), |when| {
        only(it, "may stay set in cached entries", when, or)
    })]
}

fn fills(it: &Analysis) -> Vec<String> {
    let fills = describe::cases(&it.model, &it.model.caches.fills, |by| {
        let text = match by {
            Fills::WhileLoaded => "while the root is loaded, also on lazy CPUs",
            Fills::BySoftware => "by software, when an access finds none",
        };
        text.to_owned()
    });
    vec![fills]
}

/// Returns what is true under a condition, with what is true otherwise.
fn only(it: &Analysis, what: &str, when: &Cond, otherwise: &str) -> String {
    let when = describe::when(&it.model, when);
    if when.is_empty() {
        what.to_owned()
    } else {
        format!("{otherwise}, {what}{when}")
    }
}

fn tags(it: &Analysis) -> Vec<String> {
    let model = &it.model;
    let tags: Vec<String> = model
        .tags
        .iter()
        .map(|tag| describe::tag(model, tag))
        .collect();
    if tags.is_empty() {
        vec!["none".to_owned()]
    } else {
        tags
    }
}

fn entries(it: &Analysis, space: &Space) -> Vec<String> {
    let model = &it.model;
    let of = |cases| {
        describe::cases(model, cases, |at: &crate::model::At<_>| {
            describe::under(model, &at.value)
        })
    };
    let (leaf, walk) = (of(&space.leaf), of(&space.walk));
    if model.caches.ever_holding(CachedKind::Walk) == CacheSet::NONE {
        return vec![format!("leaf {leaf}")];
    }
    if leaf == walk {
        return vec![format!("leaf and walk {leaf}")];
    }
    vec![format!("leaf {leaf}"), format!("walk {walk}")]
}

fn devices(model: &Model, space: &Space) -> Vec<String> {
    let line = space
        .devices
        .as_ref()
        .map(|at| match describe::cond(model, &at.value) {
            always if always.is_empty() => "always".to_owned(),
            terms => format!("when {terms}"),
        });
    line.into_iter().collect()
}

fn change(it: &Analysis) -> Vec<String> {
    let change = &it.model.change;
    let how = if change.plain_store.value {
        "a plain store"
    } else {
        "an instruction that also flushes"
    };
    let deferred = change.deferred.map(|_| {
        "a plain store while no other CPU is attached; the flush is deferred until one is"
            .to_owned()
    });
    let software = change.software_bits.as_ref().map(|levels| {
        let levels = describe::levels(&it.model, levels.value);
        format!("a plain store for software bits at {levels}")
    });
    let how = std::iter::once(how.to_owned());
    how.chain(deferred).chain(software).collect()
}

fn through_invalid(it: &Analysis) -> Vec<String> {
    let change = &it.model.change;
    if !change.plain_store.value {
        return vec!["no change: instructions replace valid entries".to_owned()];
    }
    let lines = Aspect::ALL.map(|aspect| {
        let cases = change.in_place(aspect);
        // The last statement without a condition overrides all before it.
        let always = cases.iter().rposition(|(_, when)| when.terms.is_empty());
        let in_place = always.is_some_and(|always| cases[always].0);
        let word = describe::events::aspect(aspect);
        let mut parts: Vec<String> = Vec::new();
        if !in_place {
            parts.push(word.to_owned());
        }
        for (in_place, of) in &cases[always.map_or(0, |always| always + 1)..] {
            let how = match (in_place, parts.is_empty()) {
                (true, true) => continue,
                (true, false) => "in place",
                (false, true) => word,
                (false, false) => "through an invalid entry",
            };
            parts.push(format!("{how}{}", when(&it.model, of)));
        }
        parts.join(", ")
    });
    let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        vec!["no change: valid entries are replaced in place".to_owned()]
    } else {
        lines
    }
}
