//! The agents of a request, each with the entries that it may have cached of one address.
//!
//! In: the hardware, a request, and an address of it. Out: one [`Agent`] for each tag of each class of agents. Holds:
//! everything that could have been cached is.

use tlbc_machine::hardware::{AgentWalks, CachedEntry, EntryKind, TranslationPath};
use tlbc_runtime::IpiTargets;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::{Reach, Space};

use super::decode::Hardware;
use super::kinds::{is_translation, stated};
use super::request::{Request, Stale};
use crate::model::{self, Under};

/// An agent with its entries of one address, under one tag or global.
#[derive(Debug, Clone)]
pub struct Agent {
    pub class: Agents,
    /// The set of CPUs with an erratum that it is in, by index.
    pub suspect: Option<usize>,
    pub space: Space,
    /// The tag of the space that the agent has loaded, or under which it has entries; without the bits of a view.
    pub space_tag: u64,
    /// The tag that is loaded while the kernel runs.
    pub loaded: u64,
    pub va: u64,
    /// The sets that hold its entries, by cache: of leaf entries, and of others.
    pub sets: Vec<[u64; 2]>,
    pub path: TranslationPath,
    /// The tag of each entry, and whether it is global.
    pub under: Vec<(u64, bool)>,
}

impl Agent {
    /// Returns whether an IPI to these targets reaches the agent. A CPU that shares the TLB runs the space.
    pub fn is_target(&self, to: IpiTargets) -> bool {
        let class = if self.class == Agents::SIBLING {
            Agents::ACTIVE
        } else {
            self.class
        };
        let is_suspect = |set: usize| to.sets & (1 << set) != 0;
        to.agents.covers(class) || self.suspect.is_some_and(is_suspect)
    }

    /// Returns the set that holds an entry.
    pub fn set_of(&self, entry: &CachedEntry) -> u64 {
        let of_cache = self.sets.get(usize::from(entry.cache)).copied();
        of_cache.unwrap_or_default()[usize::from(!is_translation(entry.kind))]
    }
}

impl Agent {
    /// Loads a tag under which nothing is cached. Entries under the one that was loaded cannot be used any more; what the walker fills
    /// is then under the new one.
    pub fn load_tag(&mut self, tag: u64) {
        let mut hits = 0;
        for (number, (under, global)) in self.under.iter_mut().enumerate() {
            if *under == self.loaded && !*global {
                hits |= 1 << number;
                *under = tag;
            }
        }
        self.loaded = tag;
        self.path.invalidate_now(hits);
    }
}

impl Hardware<'_> {
    /// Returns the agents with their entries of an address.
    pub fn agents(&self, request: &Request, stale: &Stale) -> Vec<Agent> {
        let (model, config) = (self.model, self.config);
        let space = model.space(request.space);
        let wide = request.reach == Reach::Wide;
        let tagged = model.tags(config).next().is_some();
        let mut classes = vec![(Agents::SELF, None)];
        if space.has_devices(config) {
            classes.push((Agents::DEVICE, None));
        }
        if wide {
            classes.push((Agents::ACTIVE, None));
            classes.extend((0..model.cpu_sets.len()).map(|set| (Agents::ACTIVE, Some(set))));
            if model.caches.shared_by_core.is_some() {
                classes.push((Agents::SIBLING, None));
            }
            classes.push((Agents::LAZY, None));
            // The kernel's space is active on every CPU, also on one that is lazy in a user space.
            if request.space == Space::User && tagged {
                classes.push((Agents::INACTIVE, None));
            }
        }
        let mut agents = Vec::new();
        let sets = self.sets();
        for (class, suspect) in classes {
            for sets in &sets {
                agents.extend(self.agents_of(request, stale, (class, suspect), sets));
            }
        }
        agents
    }

    /// Returns the sets in which the entries of an address may be, by cache: of leaf entries, and of others. One entry may be
    /// in another set than an entry that it is made from.
    fn sets(&self) -> Vec<Vec<[u64; 2]>> {
        let caches = &self.model.caches.all;
        let mut all = vec![vec![[0; 2]; caches.len()]];
        let held = |kinds: &[model::CachedKind], cache: usize| {
            let mut holding = kinds
                .iter()
                .map(|kind| self.model.caches.holding(*kind, self.config));
            holding.any(|caches| caches.0 & (1 << cache) != 0)
        };
        let kinds: [&[_]; 2] = [
            &[model::CachedKind::Leaf, model::CachedKind::Negative],
            &[model::CachedKind::Walk, model::CachedKind::Root],
        ];
        for (cache, it) in caches.iter().enumerate() {
            let count = it.sets.as_ref().and_then(|sets| sets.get(self.config));
            let count = count.map_or(1, |count| count.on(self.limits));
            let mut some = vec![0, count / 2, count - 1];
            some.dedup();
            for (of, _) in kinds
                .iter()
                .enumerate()
                .filter(|(_, kinds)| held(kinds, cache))
            {
                let with = |sets: &Vec<[u64; 2]>, set: u64| {
                    let mut sets = sets.clone();
                    sets[cache][of] = set;
                    sets
                };
                let each = all
                    .iter()
                    .flat_map(|sets| some.iter().map(move |&set| with(sets, set)));
                all = each.collect();
            }
        }
        all
    }

    fn agents_of(
        &self,
        request: &Request,
        stale: &Stale,
        (class, suspect): (Agents, Option<usize>),
        sets: &[[u64; 2]],
    ) -> Vec<Agent> {
        let (model, config) = (self.model, self.config);
        let tags = request.tags;
        let elsewhere = class == Agents::INACTIVE;
        let space_tag = match class {
            Agents::SELF | Agents::DEVICE | Agents::SIBLING => tags.here,
            _ => tags.there,
        };
        let views: Vec<_> = { model.user.views.iter() }
            .filter(|view| view.when.holds(config))
            .collect();
        let loaded_view = views
            .iter()
            .find(|view| view.loaded)
            .map_or(0, |view| view.or);
        let loaded = if elsewhere {
            tags.other
        } else {
            space_tag | loaded_view
        };
        let space = model.space(request.space);
        let under = |walk: bool| {
            let cases = if walk { &space.walk } else { &space.leaf };
            cases.get(config).map(|at| &at.value)
        };
        // The tags under which the space's entries are cached. A global entry is found under every tag.
        let tagged = model.tags(config).next().is_some();
        let contexts: Vec<u64> = match (under(false), under(true)) {
            _ if !tagged => vec![0],
            (Some(Under::Fixed(_, tag)), _) => vec![*tag],
            (Some(Under::EveryTag | Under::Global), _) | (_, Some(Under::EveryTag)) => {
                let of_views = views.iter().map(|view| space_tag | view.or);
                of_views.chain([tags.other]).collect()
            }
            _ => views.iter().map(|view| space_tag | view.or).collect(),
        };
        // Under a tag that is not the space's, only entries that any tag finds, or those of a fixed one. Without tags there is
        // one value.
        let is_under = |walk: bool, tag: u64| {
            let any = [Under::EveryTag, Under::Global];
            let of_kind = under(walk);
            !tagged
                || tag != tags.other
                || of_kind.is_some_and(|it| any.contains(it) || matches!(it, Under::Fixed(..)))
        };
        let by_hardware = model.caches.fill_while_loaded(config);
        let runs = (class != Agents::LAZY || request.space == Space::Kernel) && !elsewhere;
        let one = |tag: u64| {
            let is_loaded =
                !tagged || tag != tags.other || matches!(under(false), Some(Under::Fixed(..)));
            let walks = AgentWalks {
                speculates: is_loaded && !elsewhere && (by_hardware || runs),
                live: stale.live,
            };
            let mut entries = Vec::new();
            let mut tags_of = Vec::new();
            let mut add = |kind: EntryKind, levels: Levels, global: bool| {
                for level in levels.iter() {
                    for entry in self.entries(kind, level) {
                        entries.push(entry);
                        tags_of.push((tag, global));
                    }
                }
            };
            let is_global = |walk| under(walk) == Some(&Under::Global);
            if is_under(false, tag) {
                add(EntryKind::Leaf, stale.leaf, is_global(false));
                add(EntryKind::Negative, stale.negative, is_global(false));
            }
            if is_under(true, tag) {
                add(EntryKind::Walk, stale.walk, is_global(true));
            }
            if stale.root {
                add(EntryKind::Root, Levels::only(Level(0)), false);
            }
            Agent {
                class,
                suspect,
                space: request.space,
                space_tag,
                loaded: if tagged { loaded } else { 0 },
                va: stale.va,
                sets: sets.to_vec(),
                path: TranslationPath::new(entries, walks),
                under: tags_of,
            }
        };
        contexts.into_iter().map(one).collect()
    }

    /// Returns the entries of a kind and level, in every cache that holds them.
    fn entries(&self, kind: EntryKind, level: Level) -> Vec<CachedEntry> {
        let caches = self.model.caches.holding(stated(kind), self.config);
        let has = |cache: usize| caches.0 & (1 << cache) != 0;
        let all = 0..self.model.caches.all.len();
        let entry = |cache: usize| {
            let from = self.model.caches.all[cache].from.map(|at| at.value);
            CachedEntry {
                kind,
                level,
                cache: cache as u8,
                from: from.filter(|&from| has(from)).map(|from| from as u8),
            }
        };
        all.filter(|&cache| has(cache)).map(entry).collect()
    }
}
