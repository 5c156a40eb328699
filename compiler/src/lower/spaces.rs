//! Tags and spaces.

use super::scope::{Lower, of_kind};
use crate::ast::{self, Ident, Item, Spanned, TagFact};
use crate::model::{
    Amount, At, Cond, DefinitionName, Limit, Renewal, Resync, Space, SpaceAddresses, Tag, Under,
    View,
};
use crate::source::Span;

impl Lower {
    pub(super) fn lower_tags(&mut self, items: &[Item], limits: &[Limit]) -> Vec<Tag> {
        let mut out = Vec::new();
        for (it, named) in of_kind!(items, Tag).zip(self.tags.to_vec()) {
            let (mut bits, mut per_cpu, mut values) = (None, None, None);
            let (mut lazily, mut read, mut root, mut source) = (None, None, None, None);
            let mut renewal = None;
            let mut reserved = Vec::new();
            for fact in &it.facts {
                match &fact.node {
                    TagFact::Bits(width) => {
                        let width = self.amount(width).unwrap_or(Amount::Stated(1));
                        self.once(&mut bits, "the width", width, fact.span);
                    }
                    TagFact::OfCpu(yes) => {
                        self.once(&mut per_cpu, "`of cpu` or `of machine`", *yes, fact.span);
                    }
                    TagFact::Values(low, high) => {
                        if low.node > high.node {
                            self.misplaced(
                                fact.span,
                                format!(
                                    "the range of values {} to {} is empty",
                                    low.node, high.node
                                ),
                                "write the least value first, then the largest",
                            );
                        }
                        self.once(&mut values, "`values`", (low.node, high.node), fact.span);
                    }
                    TagFact::InvalidatedLazily => {
                        self.once(&mut lazily, "`may be invalidated lazily`", (), fact.span);
                    }
                    TagFact::Renewed(load, cost) => {
                        if let Some(load) = self.load(load) {
                            let cost = cost.node;
                            let by = Renewal { load, cost };
                            self.once(&mut renewal, "`may be renewed`", by, fact.span);
                        }
                    }
                    TagFact::ReadAfterPublish => {
                        self.once(&mut read, "`read after publish`", (), fact.span);
                    }
                    TagFact::IsRoot => self.once(&mut root, "`is the root`", (), fact.span),
                    TagFact::From(from) => self.once(&mut source, "`from`", *from, fact.span),
                    TagFact::Reserved(number) => reserved.push(At {
                        value: number.node,
                        span: fact.span,
                    }),
                }
            }
            if bits.is_none() {
                self.missing(
                    it.name.span,
                    &format!("the tag `{}`", it.name.node),
                    "how many bits it has",
                    "add, for instance, `16 bits;`",
                );
                values = None;
            }
            if per_cpu.is_none() {
                self.missing(
                    it.name.span,
                    &format!("the tag `{}`", it.name.node),
                    "whether it means the same space on every CPU",
                    "add `of machine;` if it does, `of cpu;` if each CPU gives out its own",
                );
            }
            // Tags are referred to by index, so a tag with a missing fact keeps its place.
            let nothing = it.name.span;
            let bits = bits.unwrap_or(At {
                value: Amount::Stated(1),
                span: nothing,
            });
            let widths = bits.value.range(limits);
            let per_cpu = per_cpu.unwrap_or(At {
                value: false,
                span: nothing,
            });
            let is_root = root.is_some() && bits.value.limit().is_none();
            let most = if is_root { 64 } else { 32 };
            let has_width = widths.0 >= 1 && widths.1 <= most;
            // Without `is the root`, which may be what could not be read, the limit is lower.
            if !has_width && (root.is_some() || self.is_known(nothing)) {
                self.misplaced(
                    bits.span,
                    format!("a tag of {} bits cannot be described", widths.1),
                    "tags have 1 to 32 bits, and up to 64 where the tag is the root",
                );
            }
            if root.is_some() {
                self.only_roots(&it.facts);
            }
            let values = if root.is_some() || !has_width {
                None
            } else {
                Some(self.given_out(values, &reserved, (widths.1, bits.span)))
            };
            out.push(Tag {
                named,
                when: self.cond(it.when.as_ref(), &[]),
                bits,
                widths,
                per_cpu,
                invalidated_lazily: lazily.map(|at| at.span),
                renewal,
                read_after_publish: read.map(|at| at.span),
                values,
                is_root: root.map(|at| at.span),
                source,
            });
        }
        out
    }

    /// Reports what cannot be said of a tag that is the root: which values it has, and how they are given out.
    fn only_roots(&mut self, facts: &[Spanned<TagFact>]) {
        for fact in facts {
            let why = match &fact.node {
                TagFact::OfCpu(true) => {
                    "a top table is the same space on every CPU: write `of machine`"
                }
                TagFact::Values(..)
                | TagFact::Reserved(_)
                | TagFact::From(_)
                | TagFact::InvalidatedLazily
                | TagFact::Renewed(..) => {
                    "remove it: the address of the top table is the tag, and no value is given out"
                }
                TagFact::Bits(_)
                | TagFact::OfCpu(false)
                | TagFact::ReadAfterPublish
                | TagFact::IsRoot => continue,
            };
            self.misplaced(
                fact.span,
                "a tag that is the root has no such property".to_owned(),
                why,
            );
        }
    }

    /// Returns the values of a tag without the reserved ones, which are the lowest.
    fn given_out(
        &mut self,
        values: Option<At<(u64, u64)>>,
        reserved: &[At<u64>],
        (bits, span): (u64, Span),
    ) -> At<(u64, u64)> {
        let most = 1u64.checked_shl(bits as u32).map_or(u64::MAX, |n| n - 1);
        // By default the kernel's own root has 0.
        let least = u64::from(values.is_none() && reserved.is_empty() && most > 0);
        let (mut low, high) = values.map_or((least, most), |at| at.value);
        while reserved.iter().any(|at| at.value == low) && low < high {
            low += 1;
        }
        let others_are_known = self.is_known(span);
        for at in reserved
            .iter()
            .filter(|at| (low..=high).contains(&at.value) && others_are_known)
        {
            self.misplaced(
                at.span,
                format!("{} is not the lowest value that the tag can have", at.value),
                "reserve the lowest values, or state the others with `values`",
            );
        }
        for at in reserved.iter().filter(|at| at.value > most) {
            self.misplaced(
                at.span,
                format!("a tag of {bits} bits is never {}", at.value),
                "reserve a value that the tag can have",
            );
        }
        let span = values
            .map(|at| at.span)
            .or(reserved.first().map(|at| at.span))
            .unwrap_or(span);
        let value = (low, high);
        At { value, span }
    }

    /// Lowers a space, of a machine with walk entries or without.
    pub(super) fn lower_space(&mut self, it: &ast::Space, walks: bool) -> Space {
        if let [first, second, ..] = it.addresses.as_slice() {
            self.said_twice("`addresses`", second.span, first.span);
        }
        let halves = it.addresses.first();
        let halves = halves.map(|cases| self.cases(cases, true, Self::addresses));
        let leaf = self.under(it, (&it.leaf, "leaf"), true);
        let walk = self.under(it, (&it.walk, "walk"), walks);
        for (cases, what) in [(&it.leaf, "`leaf`"), (&it.walk, "`walk`")] {
            if let [first, second, ..] = cases.as_slice() {
                self.said_twice(what, second.span, first.span);
            }
        }
        if halves.is_none() {
            self.missing(
                it.name.span,
                &format!("`space {}`", it.name.node),
                "which addresses it has",
                "add, for instance, `addresses low 47 bits;`",
            );
        }
        if let [first, second, ..] = it.devices.as_slice() {
            self.said_twice("`devices`", second.span, first.span);
        }
        let mut views = Vec::new();
        for view in &it.views {
            views.push(View {
                named: DefinitionName {
                    name: view.name.node.clone(),
                    span: view.name.span,
                    text: String::new(),
                },
                or: view.or.as_ref().map_or(0, |number| number.node),
                loaded: view.loaded.is_some(),
                when: self.cond(view.when.as_ref(), &[]),
            });
        }
        if views.is_empty() {
            views.push(View {
                named: DefinitionName {
                    name: "only".to_owned(),
                    span: it.name.span,
                    text: String::new(),
                },
                or: 0,
                loaded: true,
                when: Cond::default(),
            });
        }
        Space {
            addresses: halves.unwrap_or(crate::model::Cases {
                cases: vec![(SpaceAddresses::new(0, 1), Cond::default())],
                span: it.span,
            }),
            leaf,
            walk,
            views,
            resync: it.resync.as_ref().map(|cases| self.resync(cases)),
            devices: it.devices.first().map(|devices| At {
                value: self.cond(devices.node.as_ref(), &[]),
                span: devices.span,
            }),
            span: it.span,
        }
    }

    /// Returns the addresses of a case.
    fn addresses(&mut self, half: &ast::Half) -> Option<SpaceAddresses> {
        let (base, bits) = match half {
            ast::Half::Bits { base, bits } => (base, bits),
            ast::Half::Below(end) => {
                let addresses = SpaceAddresses::below(end.node);
                if addresses.is_none() {
                    self.misplaced(
                        end.span,
                        format!("there is at most one address below {:#x}", end.node),
                        "write the first address that is not one of the space",
                    );
                }
                return addresses;
            }
        };
        let number = u32::try_from(bits.node).ok();
        let Some(number) = number.filter(|bits| (1..=64).contains(bits)) else {
            self.misplaced(
                bits.span,
                format!("addresses of {} bits are not possible", bits.node),
                "addresses have 1 to 64 bits",
            );
            return None;
        };
        let base = match base {
            ast::Base::Low => 0,
            ast::Base::High if number >= 64 => 0,
            ast::Base::High => u64::MAX << number,
            ast::Base::At(base) => base.node,
        };
        Some(SpaceAddresses::new(base, number))
    }

    pub(super) fn resync(&mut self, cases: &ast::Cases<Option<Ident>>) -> Resync {
        let span = cases.span;
        self.cases(cases, false, |cx, barrier| match barrier {
            None => Some(At { value: None, span }),
            Some(ident) => cx.barrier(ident).map(|barrier| At {
                value: Some(barrier),
                span: ident.span,
            }),
        })
    }

    fn under(
        &mut self,
        space: &ast::Space,
        (cases, what): (&[ast::Cases<ast::Under>], &str),
        asked: bool,
    ) -> crate::model::Cases<At<Under>> {
        let Some(first) = cases.first() else {
            if asked {
                self.missing(
                    space.name.span,
                    &format!("`space {}`", space.name.node),
                    &format!("under which tags its `{what}` entries are cached"),
                    &format!("add, for instance, `{what} under every tag;`"),
                );
            }
            return crate::model::Cases {
                cases: vec![(
                    At {
                        value: Under::EveryTag,
                        span: space.span,
                    },
                    Cond::default(),
                )],
                span: space.span,
            };
        };
        let span = first.span;
        self.cases(first, false, |cx, under| {
            let value = match under {
                ast::Under::Global => Under::Global,
                ast::Under::EveryTag => Under::EveryTag,
                ast::Under::Fixed(tag, value) => Under::Fixed(
                    cx.with(|s| &mut s.tags, |s, l| s.find("tag", l, tag))?,
                    value.node,
                ),
                ast::Under::Tags(tags) => {
                    cx.repeated_names(tags);
                    let tags = tags.iter();
                    let found =
                        tags.filter_map(|t| cx.with(|s| &mut s.tags, |s, l| s.find("tag", l, t)));
                    Under::Tags(found.collect())
                }
            };
            Some(At { value, span })
        })
    }
}
