//! The definitions compared with the effects of each instruction in the manuals: `archdefs/NAME/effects.txt`.

use std::collections::{BTreeMap, BTreeSet};

use tlbc::model::{AddressSelector, CachedKind, Config, Drops, Model};
use tlbc_tests::archdefs::{self, analysis, data, lines};

/// The dropped entries, by cache, kind and class.
type Effect = BTreeMap<(String, String), &'static str>;

/// A line of the table.
struct Row {
    /// The names in the definition: an instruction `x[y]` is `x`, and also `xy`.
    names: Vec<String>,
    on: String,
    effect: String,
}

/// The table of an architecture.
struct Table {
    rows: Vec<Row>,
    /// Instructions that promise less than the table says.
    weaker: BTreeSet<String>,
    /// Instructions that have no row.
    unlisted: BTreeSet<String>,
}

fn names(text: &str) -> Vec<String> {
    match text.split_once('[') {
        Some((stem, suffix)) => {
            let suffix = suffix.strip_suffix(']').expect("`x[y]`");
            vec![stem.to_owned(), format!("{stem}{suffix}")]
        }
        None => vec![text.to_owned()],
    }
}

fn table(arch: &str) -> Table {
    let mut table = Table {
        rows: Vec::new(),
        weaker: BTreeSet::new(),
        unlisted: BTreeSet::new(),
    };
    for line in lines(&data(arch, "effects.txt")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let list = match words[0] {
            "weaker" => &mut table.weaker,
            "unlisted" => &mut table.unlisted,
            _ => {
                let parts: Vec<&str> = line.split('|').collect();
                let head: Vec<&str> = parts[0].split_whitespace().collect();
                assert_eq!((parts.len(), head.len()), (3, 2), "{line}");
                assert!(!parts[2].trim().is_empty(), "no source: {line}");
                table.rows.push(Row {
                    names: names(head[0]),
                    on: head[1].to_owned(),
                    effect: parts[1].trim().to_owned(),
                });
                continue;
            }
        };
        let (_, reason) = line.split_once(':').expect("a reason");
        assert!(!reason.trim().is_empty(), "{line}");
        list.insert(words[1].to_owned());
    }
    table
}

/// Returns the caches that hold a kind of entry.
fn caches(model: &Model, kind: CachedKind) -> Vec<String> {
    let caches = model.caches.all.iter();
    let holding = caches.filter(|cache| cache.holds.contains(&kind));
    holding.map(|cache| cache.named.name.clone()).collect()
}

fn kind_of(word: &str) -> CachedKind {
    match word {
        "leaf" => CachedKind::Leaf,
        "walk" => CachedKind::Walk,
        "root" => CachedKind::Root,
        other => panic!("no kind `{other}`"),
    }
}

const WORDS: [&str; 5] = ["page", "run", "set", "subtree", "all"];

/// Returns the effects of a line of the table.
fn said(model: &Model, text: &str) -> Effect {
    let mut effect = Effect::new();
    for part in text.split_whitespace().filter(|part| *part != "nothing") {
        let (kind, dropped) = part.split_once('=').expect("kind=which:whose");
        let (which, whose) = dropped.split_once(':').expect("which:whose");
        let (kind, named) = kind
            .split_once('@')
            .map_or((kind, None), |(kind, cache)| (kind, Some(cache)));
        let which = WORDS.into_iter().find(|word| *word == which);
        let which = which.unwrap_or_else(|| panic!("{part}"));
        let whose = if whose == "any" {
            "this+other+global"
        } else {
            whose
        };
        for cache in caches(model, kind_of(kind)) {
            if named.is_none_or(|named| named == cache) {
                for class in whose.split('+') {
                    effect.insert((format!("{kind}@{cache}"), class.to_owned()), which);
                }
            }
        }
    }
    effect
}

/// Returns the effects of clauses in a configuration.
fn promised(model: &Model, drops: &[Drops], config: Config, hinted: bool) -> Effect {
    let mut effect = Effect::new();
    for clause in drops
        .iter()
        .filter(|d| d.when.holds_with(config, hinted, false))
    {
        let which = match clause.which.value {
            AddressSelector::OnePage => "page",
            AddressSelector::Run { .. } => "run",
            AddressSelector::OneSet => "set",
            AddressSelector::Subtree => "subtree",
            AddressSelector::Everything => "all",
        };
        let whose = clause.whose.value;
        let classes = [
            (whose.this || whose.loaded, "this"),
            (whose.other, "other"),
            (whose.global, "global"),
            (whose.table, "table"),
        ];
        let kinds = [
            (clause.leaf.is_some(), "leaf"),
            (clause.walk.is_some(), "walk"),
            (clause.root, "root"),
        ];
        for (_, kind) in kinds.into_iter().filter(|(is, _)| *is) {
            for (index, cache) in model.caches.all.iter().enumerate() {
                let named = clause.caches.is_none_or(|of| of.0 & (1 << index) != 0);
                if !named || !cache.holds.contains(&kind_of(kind)) {
                    continue;
                }
                for (_, class) in classes.into_iter().filter(|(is, _)| *is) {
                    let key = (format!("{kind}@{}", cache.named.name), class.to_owned());
                    let before = effect.get(&key).copied();
                    if before != Some("all") {
                        effect.insert(key, which);
                    }
                }
            }
        }
    }
    effect
}

/// Returns the clauses of an instruction, a form or a load of that name.
fn clauses<'m>(model: &'m Model, name: &str) -> Option<&'m [Drops]> {
    if let Some(load) = name.strip_prefix("load.") {
        let load = model.loads.iter().find(|it| it.named.name == load)?;
        return Some(&load.drops);
    }
    let (name, form) = name.split_once('.').unwrap_or((name, ""));
    let it = model.invalidates.iter().find(|it| it.named.name == name)?;
    let named =
        |of: &tlbc::model::Form| of.named.as_ref().map_or("", |(named, _)| &named.name) == form;
    Some(&it.forms.iter().find(|of| named(of))?.drops)
}

/// Returns the machine of a line, and whether a hint is given.
fn machine(model: &Model, on: &str) -> (Config, bool) {
    let mut config = Config::default();
    let words = on
        .split(',')
        .filter(|word| *word != "-" && *word != "hinted");
    for word in words.filter(|word| !word.starts_with('!')) {
        let feature = model.features.iter().position(|it| it.named.name == word);
        config.features |= 1 << feature.unwrap_or_else(|| panic!("no feature {word}"));
    }
    (config, on.split(',').any(|word| word == "hinted"))
}

/// Returns whether one word drops at least as much as another: `everything` drops more than an address; other words differ.
fn exceeds(mine: &Effect, theirs: &Effect) -> Vec<String> {
    let more = mine.iter().filter(|(key, which)| match theirs.get(*key) {
        None => true,
        Some(of) if of == *which => false,
        Some(of) => **which == "all" || *of != "all",
    });
    more.map(|((kind, class), which)| format!("{kind} of {which}, {class}"))
        .collect()
}

#[test]
fn no_definition_promises_more_than_the_manuals() {
    for arch in archdefs::names() {
        let model = &analysis(arch).model;
        for row in table(arch).rows {
            let (config, hinted) = machine(model, &row.on);
            for name in row.names {
                let drops = clauses(model, &name).unwrap_or_else(|| panic!("no {name} in {arch}"));
                let promised = promised(model, drops, config, hinted);
                let more = exceeds(&promised, &said(model, &row.effect));
                assert!(more.is_empty(), "{arch} {name} on {}: {more:?}", row.on);
            }
        }
    }
}

#[test]
fn what_they_promise_less_is_listed() {
    for arch in archdefs::names() {
        let model = &analysis(arch).model;
        let table = table(arch);
        let mut weaker = BTreeSet::new();
        for row in table.rows {
            let (config, hinted) = machine(model, &row.on);
            for name in row.names {
                let drops = clauses(model, &name).expect("it is there");
                let promised = promised(model, drops, config, hinted);
                if !exceeds(&said(model, &row.effect), &promised).is_empty() {
                    weaker.insert(name);
                }
            }
        }
        assert_eq!(weaker, table.weaker, "{arch}");
    }
}

#[test]
fn every_instruction_is_in_the_table() {
    for arch in archdefs::names() {
        let table = table(arch);
        let known: BTreeSet<&String> = table.rows.iter().flat_map(|row| &row.names).collect();
        let model = &analysis(arch).model;
        let mut all = BTreeSet::new();
        for it in &model.invalidates {
            for form in &it.forms {
                all.insert(match &form.named {
                    Some((named, _)) => format!("{}.{}", it.named.name, named.name),
                    None => it.named.name.clone(),
                });
            }
        }
        for load in model.loads.iter().filter(|load| !load.drops.is_empty()) {
            all.insert(format!("load.{}", load.named.name));
        }
        all.retain(|name| !known.contains(name));
        assert_eq!(all, table.unlisted, "{arch}: not in its effects.txt");
    }
}
