//! The items of a definition: heads and blocks. The contents of the blocks are in `facts` and
//! `effects`.

use super::tree::{TreeBuilder, all, first, has, one};
use crate::ast::{
    Barrier, Caches, CpuSet, Domain, Feature, For, Geometry, Ident, Item, Known, Level, Limit,
    Number, Spanned, Tag, TargetArch, Text, Unconfirmed,
};
use tlbc_grammar::{ParseNode, Rule};

impl TreeBuilder<'_> {
    /// Returns the items of a body.
    pub(super) fn items(&mut self, body: &ParseNode) -> Vec<Item> {
        body.clone()
            .into_inner()
            .filter_map(|node| self.sound(&node, Self::item).flatten())
            .collect()
    }

    fn item(&mut self, node: &ParseNode) -> Option<Item> {
        Some(match node.as_rule() {
            Rule::target_arch => Item::TargetArch(TargetArch {
                name: self.text(node),
                intended: has(node, Rule::k_intended),
                span: self.span(node),
            }),
            Rule::tables_within => {
                let cases = one(node, Rule::width_cases);
                Item::TablesWithin(self.cases(&cases, Rule::width_case, Self::number_in))
            }
            Rule::entry_size => Item::EntrySize(Spanned {
                node: self.number_in(node),
                span: self.span(node),
            }),
            Rule::geometry => Item::Geometry(self.geometry(node)),
            Rule::caches => Item::Caches(self.caches(node)),
            Rule::feature => Item::Feature(self.feature(node)),
            Rule::limit => Item::Limit(self.limit(node)),
            Rule::setup => Item::Setup(self.setup(node)),
            Rule::domain => Item::Domain(Domain {
                name: self.name(node),
                members: self.names(node),
                span: self.span(node),
            }),
            Rule::tag => Item::Tag(self.tag(node)),
            Rule::space => Item::Space(self.space(node)),
            Rule::assumed => Item::Assumed(self.statement_text(node)),
            Rule::atomics => Item::AtomicsOrder(self.span(node)),
            Rule::barrier => Item::Barrier(self.barrier(node)),
            Rule::operand => Item::Operand(self.operand(node)),
            Rule::invalidate => Item::Invalidate(self.invalidate(node)),
            Rule::change => Item::Change(self.change(node)),
            Rule::load => Item::Load(self.load(node)),
            Rule::event => Item::Event(self.event(node)),
            Rule::erratum => Item::Erratum(self.erratum(node)),
            Rule::cpu_set => Item::CpuSet(CpuSet {
                name: self.name(node),
                text: self.text(node),
                span: self.span(node),
            }),
            Rule::policy => Item::Policy(self.policy(node)),
            Rule::unconfirmed => Item::Unconfirmed(Unconfirmed {
                about: self.names(node),
                text: self.text(node),
                span: self.span(node),
            }),
            Rule::for_item => Item::For(self.for_item(node)),
            _ => return None,
        })
    }

    /// Returns a statement with a text, with its own span and that of the text.
    fn statement_text(&mut self, node: &ParseNode) -> Spanned<Text> {
        Spanned {
            node: self.text(node),
            span: self.span(node),
        }
    }

    fn for_item(&mut self, node: &ParseNode) -> For {
        let variables = self.idents(&one(node, Rule::variables));
        let rows = all(node, Rule::row).map(|row| self.row(&row)).collect();
        self.in_for = true;
        let items = self.items(&one(node, Rule::for_body));
        self.in_for = false;
        For {
            variables,
            rows,
            items,
            span: self.span(node),
        }
    }

    fn row(&mut self, row: &ParseNode) -> Spanned<Vec<Text>> {
        let values = row.clone().into_inner();
        let values = values.filter_map(|value| match value.as_rule() {
            Rule::text => Some(self.quoted(&value)),
            Rule::name => Some(self.ident(&value)),
            _ => None,
        });
        Spanned {
            node: values.collect(),
            span: self.span(row),
        }
    }

    fn geometry(&mut self, node: &ParseNode) -> Geometry {
        let body = one(node, Rule::geometry_body);
        let levels = self.at_most_one(&body, Rule::levels);
        let levels = levels.map(|levels| one(&levels, Rule::levels_body));
        Geometry {
            name: self.name(node),
            page: self.each(&body, Rule::page, Self::size),
            granule: self.each(&body, Rule::granule, Self::number_in),
            root_within: self.each(&body, Rule::root_within, Self::number_in),
            root_aligned: self.each(&body, Rule::root_aligned, Self::size),
            tops: levels
                .as_ref()
                .map_or_else(Vec::new, |body| self.each(body, Rule::top, Self::top)),
            levels: levels.map_or_else(Vec::new, |body| self.each(&body, Rule::level, Self::level)),
            span: self.span(node),
        }
    }

    fn top(&mut self, node: &ParseNode) -> Spanned<Vec<Ident>> {
        Spanned {
            node: self.names(node),
            span: self.span(node),
        }
    }

    /// Returns a number of bytes that has a unit.
    fn size(&mut self, node: &ParseNode) -> Number {
        let number = one(node, Rule::number);
        let count = self.number(&number);
        let units = [(Rule::k_KiB, 10), (Rule::k_MiB, 20), (Rule::k_GiB, 30)];
        let unit = units.iter().find(|&&(rule, _)| has(node, rule));
        let shift = unit.map_or(0, |&(_, shift)| shift);
        self.fitting(count.node.checked_mul(1 << shift), count.span)
    }

    fn level(&mut self, node: &ParseNode) -> Level {
        Level {
            name: self.name(node),
            shift: self.cases(&one(node, Rule::shifts), Rule::shift, Self::number_in),
            leaf: first(node, Rule::level_leaf).map(|leaf| Spanned {
                node: self.cond(&leaf),
                span: self.span(&leaf),
            }),
            hint: first(node, Rule::number).map(|hint| self.number(&hint)),
            span: self.span(node),
        }
    }

    fn caches(&mut self, node: &ParseNode) -> Caches {
        Caches {
            facts: self.facts(&one(node, Rule::caches_body), Self::cache_fact),
            span: self.span(node),
        }
    }

    fn feature(&mut self, node: &ParseNode) -> Feature {
        let known = first(node, Rule::known).map(|known| Spanned {
            node: if has(&known, Rule::k_cpu) {
                Known::Cpu
            } else {
                Known::Space
            },
            span: self.span(&known),
        });
        Feature {
            name: self.name(node),
            text: self.text(node),
            known,
            from: first(node, Rule::read_from).map(|from| self.read_from(&from)),
            needs: self.cond(node),
            span: self.span(node),
        }
    }

    fn limit(&mut self, node: &ParseNode) -> Limit {
        Limit {
            name: self.name(node),
            text: self.text(node),
            range: self.pair(node),
            from: first(node, Rule::limit_from).map(|from| self.limit_from(&from)),
            span: self.span(node),
        }
    }

    fn tag(&mut self, node: &ParseNode) -> Tag {
        Tag {
            name: self.name(node),
            when: self.cond(node),
            facts: self.facts(&one(node, Rule::tag_body), Self::tag_fact),
            span: self.span(node),
        }
    }

    fn barrier(&mut self, node: &ParseNode) -> Barrier {
        Barrier {
            name: self.name(node),
            template: self.text(node),
            requires: self.requires(node),
            facts: self.facts(&one(node, Rule::barrier_body), Self::barrier_fact),
            span: self.span(node),
        }
    }
}
