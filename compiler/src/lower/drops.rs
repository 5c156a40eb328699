//! What instructions drop.

use tlbc_facts::clause::{MaxCount, RunUnit};
use tlbc_runtime::level::{Level, Levels};

use super::scope::Lower;
use crate::ast::{self, Ident};
use crate::model::{AddressSelector, At, Drops, LevelSel, UNLIMITED, Var};
use crate::source::Span;

impl Lower {
    /// Returns what an instruction drops. `word` is the condition that depends on how it is issued.
    pub(super) fn drops(
        &mut self,
        it: &ast::Drops,
        word: (&str, Var),
        span: Span,
    ) -> Option<Drops> {
        let when = self.cond(it.when.as_ref(), &[word]);
        self.repeated_kinds(it.what.iter().map(|(kind, _)| kind));
        self.repeated_names(&it.whose_words);
        let (mut leaf, mut walk, mut negative, mut root) = (None, None, None, false);
        for (kind, levels) in &it.what {
            let levels = match levels {
                ast::Levels::Any => LevelSel::Any,
                ast::Levels::AtHint => LevelSel::Hint,
                ast::Levels::AboveHint => LevelSel::AboveHint,
                ast::Levels::AtGiven => LevelSel::Given,
                ast::Levels::At(name) => {
                    LevelSel::Only(Levels::only(Level(self.level(name)? as u8)))
                }
            };
            match kind.node {
                ast::CachedKind::Leaf => leaf = Some(levels),
                ast::CachedKind::Walk => walk = Some(levels),
                ast::CachedKind::Negative => negative = Some(levels),
                ast::CachedKind::Root => root = true,
            }
        }
        let which = match &it.which.node {
            ast::AddressSelector::OnePage => AddressSelector::OnePage,
            ast::AddressSelector::Everything => AddressSelector::Everything,
            ast::AddressSelector::OneSet => AddressSelector::OneSet,
            ast::AddressSelector::Subtree => AddressSelector::Subtree,
            ast::AddressSelector::Run {
                least,
                most,
                entries_at,
            } => self.run(least.node, most, entries_at.as_deref())?,
        };
        Some(Drops {
            leaf,
            walk,
            negative,
            root,
            caches: self.caches(&it.caches),
            which: At {
                value: which,
                span: it.which.span,
            },
            whose: At {
                value: it.whose.node,
                span: it.whose.span,
            },
            when,
            span,
        })
    }

    /// Reports entries that an earlier statement drops already.
    pub(super) fn repeated_drops(&mut self, drops: &[Drops]) {
        let facts = drops.iter().map(|it| {
            let when: Vec<_> = it.when.terms.iter().map(|term| term.value).collect();
            let kinds = (it.leaf, it.walk, it.negative, it.root);
            let of = (it.caches, &it.which.value, it.whose.value);
            ((kinds, of, when), it.span)
        });
        self.repeated(facts, |_| "what is dropped".to_owned());
    }

    fn run(
        &mut self,
        least: u64,
        most: &ast::MaxCount,
        at: Option<&[Ident]>,
    ) -> Option<AddressSelector> {
        let most = match most {
            ast::MaxCount::Unsaid => MaxCount::Count(UNLIMITED),
            ast::MaxCount::Const(n) => {
                MaxCount::Count(u32::try_from(n.node).unwrap_or(u32::MAX - 1))
            }
            ast::MaxCount::Limit(name) => MaxCount::Limit(
                self.with(|s| &mut s.limits, |s, l| s.find("limit", l, name))? as u8,
            ),
        };
        let stride = match at {
            None => RunUnit::Pages,
            Some(levels) => {
                let set = self.level_set(levels);
                if set == Levels::NONE {
                    return None;
                }
                RunUnit::Entries(set)
            }
        };
        Some(AddressSelector::Run {
            least,
            most,
            stride,
        })
    }
}
