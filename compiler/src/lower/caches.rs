//! What the machine may cache.

use rustc_hash::FxHashSet;
use tlbc_facts::clause::CacheSet;

use super::scope::{Lower, of_kind};
use crate::ast::{self, CacheFact, Ident, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Amount, At, Cache, Caches, Cases, Cond, DefinitionName, Fills, Limit, Negative, Stricter,
    StricterOn,
};
use crate::source::Span;

impl Lower {
    /// Declares the caches, in the order of their `holds` statements.
    pub(super) fn declare_caches(&mut self, items: &[Item]) {
        let mut caches: Vec<DefinitionName> = Vec::new();
        let mut known: FxHashSet<&str> = FxHashSet::default();
        let facts = of_kind!(items, Caches).flat_map(|caches| &caches.facts);
        for fact in facts {
            let CacheFact::Holds { cache, .. } = &fact.node else {
                continue;
            };
            if known.insert(&cache.node) {
                caches.push(DefinitionName {
                    name: cache.node.clone(),
                    span: cache.span,
                    text: String::new(),
                });
            }
        }
        if caches.len() > CacheSet::MAX {
            self.misplaced(
                caches[CacheSet::MAX].span,
                format!(
                    "there are {} caches; at most {} can be described",
                    caches.len(),
                    CacheSet::MAX
                ),
                "join caches from which every instruction drops the same entries",
            );
            caches.truncate(CacheSet::MAX);
        }
        self.caches = caches.into();
    }

    /// Returns the caches of these names; none where no name is given.
    pub(super) fn caches(&mut self, names: &[Ident]) -> Option<CacheSet> {
        self.repeated_names(names);
        let mut caches = None;
        for name in names {
            let found = self.with(|s| &mut s.caches, |s, l| s.find("cache", l, name));
            caches = found.map(|cache| CacheSet(caches.map_or(0, |s: CacheSet| s.0) | 1 << cache));
        }
        caches
    }

    /// Returns the number of neighbouring entries of a level that one translation serves.
    fn joined(
        &mut self,
        level: Option<&Ident>,
        count: &ast::Number,
        span: Span,
        joined: &mut [Option<At<u32>>],
    ) {
        let Some(level) = level else {
            self.missing(
                span,
                "`leaf covers`",
                "of which level the entries are",
                "name it: `leaf at pte covers 2 entries;`. At a level that is not named each entry has a translation of its own",
            );
            return;
        };
        if !count.node.is_power_of_two() || count.node > 1 << 6 {
            self.misplaced(
                count.span,
                format!(
                    "a leaf that covers {} entries cannot be described",
                    count.node
                ),
                "one translation covers 2, 4, 8 and up to 64 neighbouring entries",
            );
        }
        let log = count.node.trailing_zeros().min(6);
        if let Some(slot) = self.level(level).and_then(|index| joined.get_mut(index)) {
            self.once(
                slot,
                "how many entries a leaf of the level covers",
                log,
                span,
            );
        }
    }

    /// Returns how many sets a cache has, or reports a number that no flush can go through.
    fn sets(&mut self, count: &ast::Amount, limits: &[Limit]) -> Option<Amount> {
        let amount = self.amount(count)?;
        let (least, most) = amount.range(limits);
        let possible = least >= 1 && most <= 1 << 16;
        if !possible {
            self.misplaced(
                count.span(),
                format!("a cache of {most} sets cannot be described"),
                "a cache has 1 to 65536 sets",
            );
        }
        possible.then_some(amount)
    }

    pub(super) fn lower_caches(&mut self, it: &ast::Caches, limits: &[Limit]) -> Caches {
        let mut out = Caches {
            all: Vec::new(),
            shared_by_core: None,
            joined: vec![None; self.levels.len()],
            walk_spans_reach: false,
            negative: Cases::always(Negative::UntilDropped, it.span),
            fills: Cases::always(Fills::WhileLoaded, it.span),
            stricter: Cases::always(
                StricterOn {
                    how: Stricter::FaultsUntilDropped,
                    cpus_only: false,
                },
                it.span,
            ),
            clean_to_dirty_walks: None,
            accessed_may_stay: None,
            span: it.span,
        };
        let mut invalid = None;
        let mut stricter = None;
        let mut shared = None;
        let mut joined = vec![None; self.levels.len()];
        let (mut together, mut spans, mut fills) = (None, None, None);
        let (mut clean, mut accessed) = (None, None);
        let mut held: Vec<Option<Span>> = vec![None; self.caches.len()];
        let names = self.caches.to_vec();
        out.all.extend(names.into_iter().map(|named| Cache {
            span: named.span,
            named,
            holds: Vec::new(),
            from: None,
            sets: None,
            when: Cond::default(),
        }));
        for fact in &it.facts {
            match &fact.node {
                CacheFact::Holds {
                    cache,
                    kinds,
                    from,
                    when,
                } => {
                    let position = self.caches.place(&cache.node);
                    let Some(position) = position.filter(|&index| index < out.all.len()) else {
                        continue;
                    };
                    if let Some(first) = held[position].replace(fact.span) {
                        self.said_twice("what the cache holds", fact.span, first);
                    }
                    self.repeated_kinds(kinds.iter());
                    let when = self.cond(when.as_ref(), &[]);
                    let cache = &mut out.all[position];
                    (cache.when, cache.span) = (when, fact.span);
                    for kind in kinds {
                        cache.holds.push(kind.node);
                        if kind.node == ast::CachedKind::Negative {
                            self.misplaced(
                                kind.span,
                                "negative entries have no cache of their own".to_owned(),
                                "write `invalid cached;`: they are in every cache that holds leaf entries",
                            );
                        }
                    }
                    if let Some(from) = from {
                        let of = self.with(|s| &mut s.caches, |s, l| s.find("cache", l, from));
                        if let Some(of) = of {
                            out.all[position].from = Some(At {
                                value: of,
                                span: from.span,
                            });
                        }
                    }
                }
                CacheFact::Sets { cache, count } => {
                    let sets = self.cases(count, false, |cx, count| cx.sets(count, limits));
                    let found = self.with(|s| &mut s.caches, |s, l| s.find("cache", l, cache));
                    let Some(cache) = found.map(|index| &mut out.all[index]) else {
                        continue;
                    };
                    let first = cache.sets.as_ref().map(|sets| sets.span);
                    if first.is_none() {
                        cache.sets = Some(sets);
                    }
                    if let Some(first) = first {
                        self.said_twice("how many sets the cache has", fact.span, first);
                    }
                }
                CacheFact::OnePer { core } => {
                    self.once(&mut shared, "whether CPUs share a TLB", *core, fact.span);
                }
                CacheFact::Joined { level, count } => {
                    self.joined(level.as_ref(), count, fact.span, &mut joined);
                }
                CacheFact::LargeLeaf { together: true } => {
                    self.once(&mut together, "how a large leaf is cached", (), fact.span);
                }
                CacheFact::LargeLeaf { together: false } => {
                    self.once(&mut together, "how a large leaf is cached", (), fact.span);
                    self.misplaced(
                        fact.span,
                        "large leaves whose pieces are dropped one by one cannot be described yet"
                            .to_owned(),
                        "write `large leaf may split, dropped together;` or `large leaf kept whole;` if that is true for the machine",
                    );
                }
                CacheFact::WalkSpansReach => {
                    self.once(&mut spans, "`walk spans its reach`", (), fact.span);
                }
                CacheFact::Invalid(cases) => {
                    let cases = self.cases(cases, false, |_, is| Some(*is));
                    let what = "whether there are negative entries";
                    self.once(&mut invalid, what, cases, fact.span);
                }
                CacheFact::Fills(cases) => {
                    let cases = self.cases(cases, false, |_, by| Some(*by));
                    self.once(&mut fills, "what fills entries", cases, fact.span);
                }
                CacheFact::Stricter(cases) => {
                    let cases = self.cases(cases, false, |_, how| Some(*how));
                    self.once(&mut stricter, "`stricter`", cases, fact.span);
                }
                CacheFact::CleanToDirtyWalks { when } => {
                    let when = self.cond(when.as_ref(), &[]);
                    self.once(&mut clean, "`clean to dirty walks`", when, fact.span);
                }
                CacheFact::ClearedAccessedMayStay { when } => {
                    let when = self.cond(when.as_ref(), &[]);
                    self.once(
                        &mut accessed,
                        "`cleared accessed may stay`",
                        when,
                        fact.span,
                    );
                }
            }
        }
        self.caches_in_circles(&mut out.all);
        // All plans rely on these.
        let rests = [
            (
                invalid.is_some(),
                "whether there are negative entries",
                "add `invalid never;`, `invalid cached;` or `invalid expires;`",
            ),
            (
                stricter.is_some(),
                "what happens when an entry allows less than the table",
                "add `stricter refetched;`, `stricter dropped by the fault;` or `stricter faults until dropped on self;`",
            ),
            (
                shared.is_some(),
                "whether CPUs share a TLB",
                "add `one per cpu;` or `one per core;`",
            ),
            (
                together.is_some(),
                "how a large leaf is cached",
                "add `large leaf may split, dropped together;` or `large leaf kept whole;`",
            ),
            (
                spans.is_some() || !out.ever_hold(ast::CachedKind::Walk),
                "which addresses drop a walk entry",
                "add `walk spans its reach;` if every address in its reach does",
            ),
            (
                fills.is_some(),
                "what fills entries",
                "add `fills while loaded;`, or `fills by software;` if only the kernel does",
            ),
        ];
        for (said, what, help) in rests {
            if !said {
                self.missing(it.span, "`caches`", what, help);
            }
        }
        out.negative = invalid.map_or(out.negative, |at| at.value);
        out.stricter = stricter.map_or(out.stricter, |at| at.value);
        out.fills = fills.map_or(out.fills, |at| at.value);
        out.walk_spans_reach = spans.is_some();
        out.clean_to_dirty_walks = clean.map(|at| at.value);
        out.accessed_may_stay = accessed.map(|at| at.value);
        out.shared_by_core = shared.filter(|at| at.value).map(|at| at.span);
        out.joined = joined;
        let mut caches = out.all.iter();
        let of_leaves = |cache: &Cache| cache.holds.contains(&ast::CachedKind::Leaf);
        if !caches.any(|cache| of_leaves(cache) && cache.when.terms.is_empty()) {
            let what = "which cache of every machine holds leaf entries";
            self.missing(it.span, "`caches`", what, "add `tlb holds leaf, walk;`");
        }
        out
    }

    /// Reports caches that make their entries from their own through others: each circle once.
    fn caches_in_circles(&mut self, caches: &mut [Cache]) {
        for start in 0..caches.len() {
            let from = |cache: usize| caches[cache].from;
            let way = std::iter::successors(from(start), |at| from(at.value));
            let mut way = way.take(caches.len());
            if way.all(|at| at.value != start) {
                continue;
            }
            let name = &caches[start].named;
            let mut diagnostic = Diagnostic::new(
                Code::E0206,
                name.span,
                format!("the cache `{}` makes its entries from its own", name.name),
            )
            .label("part of a circle")
            .note("entries are made from page tables, directly or through another cache")
            .help("remove one `from` of the circle");
            let mut next = start;
            // The rest is not a circle any more.
            while let Some(at) = caches[next].from.take() {
                let name = &caches[next].named.name;
                diagnostic = diagnostic.because(at.span, format!("of `{name}`"));
                next = at.value;
            }
            self.report(diagnostic);
        }
    }
}
