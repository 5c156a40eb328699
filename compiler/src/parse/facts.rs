//! Facts of caches, tags, spaces, barriers and operands.

use super::tree::{TreeBuilder, all, first, has, one};
use crate::ast::{
    Amount, BarrierFact, Base, BinaryOp, CacheFact, CachedKind, Cases, Expr, Field, FieldValue,
    Fills, Half, Ident, Keeps, Names, Negative, Operand, Space, Spanned, Stricter, StricterOn,
    TagFact, TagSource, Under, View,
};
use tlbc_grammar::{ParseNode, Rule};

/// The most operators of an expression. Later stages walk it by recursion.
const MAX_OPERATORS: usize = 64;

impl TreeBuilder<'_> {
    pub(super) fn cache_fact(&mut self, node: &ParseNode) -> Option<CacheFact> {
        Some(match node.as_rule() {
            Rule::holds => CacheFact::Holds {
                cache: self.name(node),
                kinds: all(node, Rule::kind).map(|kind| self.kind(&kind)).collect(),
                from: first(node, Rule::filled_from).map(|from| self.name(&from)),
                when: self.cond(node),
            },
            Rule::sets => CacheFact::Sets {
                cache: self.name(node),
                count: self.cases(&one(node, Rule::set_cases), Rule::set_case, Self::amount),
            },
            Rule::one_per => CacheFact::OnePer {
                core: has(node, Rule::k_core),
            },
            Rule::joined => CacheFact::Joined {
                level: all(node, Rule::name).next().map(|name| self.ident(&name)),
                count: self.number_in(node),
            },
            Rule::walk_spans => CacheFact::WalkSpansReach,
            Rule::large_leaf => CacheFact::LargeLeaf {
                together: has(node, Rule::k_together) || has(node, Rule::k_whole),
            },
            Rule::invalid => CacheFact::Invalid(self.cases(node, Rule::invalid_case, |_, case| {
                if has(case, Rule::as_pages) {
                    Negative::AsPages
                } else if has(case, Rule::k_cached) {
                    Negative::UntilDropped
                } else if has(case, Rule::k_expires) {
                    Negative::Expires
                } else {
                    Negative::Never
                }
            })),
            Rule::fills => CacheFact::Fills(self.cases(node, Rule::fills_case, |_, case| {
                if has(case, Rule::k_software) {
                    Fills::BySoftware
                } else {
                    Fills::WhileLoaded
                }
            })),
            Rule::stricter => {
                CacheFact::Stricter(self.cases(node, Rule::stricter_case, |_, case| StricterOn {
                    how: if has(case, Rule::k_refetched) {
                        Stricter::Refetched
                    } else if has(case, Rule::k_faults) {
                        Stricter::FaultsUntilDropped
                    } else {
                        Stricter::DroppedByFault
                    },
                    cpus_only: has(case, Rule::k_cpus),
                }))
            }
            Rule::clean_to_dirty => CacheFact::CleanToDirtyWalks {
                when: self.cond(node),
            },
            Rule::cleared_stays => CacheFact::ClearedAccessedMayStay {
                when: self.cond(node),
            },
            _ => return None,
        })
    }

    /// Returns the number of a statement, which may be read at boot.
    pub(super) fn amount(&mut self, node: &ParseNode) -> Amount {
        match first(node, Rule::of_limit) {
            Some(limit) => Amount::Limit(self.name(&limit)),
            None => Amount::Stated(self.number_in(node)),
        }
    }

    /// Returns a node of the rule `kind`.
    pub(super) fn kind(&self, node: &ParseNode) -> Spanned<CachedKind> {
        let kind = if has(node, Rule::k_leaf) {
            CachedKind::Leaf
        } else if has(node, Rule::k_walk) {
            CachedKind::Walk
        } else if has(node, Rule::k_negative) {
            CachedKind::Negative
        } else {
            CachedKind::Root
        };
        Spanned {
            node: kind,
            span: self.span(node),
        }
    }

    pub(super) fn tag_fact(&mut self, node: &ParseNode) -> Option<TagFact> {
        Some(match node.as_rule() {
            Rule::tag_bits => TagFact::Bits(self.amount(node)),
            Rule::tag_of => TagFact::OfCpu(has(node, Rule::k_cpu)),
            Rule::tag_values => {
                let (least, most) = self.pair(node);
                TagFact::Values(least, most)
            }
            Rule::tag_reserved => TagFact::Reserved(self.number_in(node)),
            Rule::tag_from => TagFact::From(if has(node, Rule::k_generations) {
                TagSource::Generations
            } else if has(node, Rule::k_slots) {
                TagSource::Slots
            } else {
                TagSource::Life
            }),
            Rule::tag_read => TagFact::ReadAfterPublish,
            Rule::tag_lazy => TagFact::InvalidatedLazily,
            Rule::tag_renewed => TagFact::Renewed(self.name(node), self.number_in(node)),
            Rule::tag_root => TagFact::IsRoot,
            _ => return None,
        })
    }

    pub(super) fn space(&mut self, node: &ParseNode) -> Space {
        let body = one(node, Rule::space_body);
        Space {
            name: self.name(node),
            addresses: self.each(&body, Rule::addresses, |builder, node| {
                builder.cases(&one(node, Rule::halves), Rule::half, Self::half)
            }),
            leaf: self.each(&body, Rule::space_leaf, Self::unders),
            walk: self.each(&body, Rule::space_walk, Self::unders),
            views: self.each(&body, Rule::view, Self::view),
            resync: self
                .at_most_one(&body, Rule::resync)
                .map(|resync| self.resync(&resync)),
            devices: self.each(&body, Rule::space_devices, |builder, node| Spanned {
                node: builder.cond(node),
                span: builder.span(node),
            }),
            span: self.span(node),
        }
    }

    fn half(&mut self, node: &ParseNode) -> Half {
        if let Some(below) = first(node, Rule::half_below) {
            return Half::Below(self.number_in(&below));
        }
        let from = first(node, Rule::half_from);
        Half::Bits {
            base: match from {
                Some(from) => Base::At(self.number_in(&from)),
                None if has(node, Rule::k_high) => Base::High,
                None => Base::Low,
            },
            bits: self.number_in(node),
        }
    }

    fn unders(&mut self, node: &ParseNode) -> Cases<Under> {
        self.cases(&one(node, Rule::unders), Rule::under, |builder, under| {
            if let Some(tags) = first(under, Rule::tags) {
                Under::Tags(builder.idents(&tags))
            } else if let Some(fixed) = first(under, Rule::fixed_tag) {
                Under::Fixed(builder.name(&fixed), builder.number_in(&fixed))
            } else if has(under, Rule::every_tag) {
                Under::EveryTag
            } else {
                Under::Global
            }
        })
    }

    fn view(&mut self, node: &ParseNode) -> View {
        let numbers: Vec<_> = all(node, Rule::number)
            .map(|number| self.number(&number))
            .collect();
        let or = match numbers.as_slice() {
            [] => None,
            [value] => Some(value.clone()),
            [value, shift, ..] => {
                let factor = u32::try_from(shift.node)
                    .ok()
                    .and_then(|by| 1u64.checked_shl(by));
                let shifted = factor.and_then(|factor| value.node.checked_mul(factor));
                Some(self.fitting(shifted, value.span.to(shift.span)))
            }
        };
        View {
            name: self.name(node),
            or,
            loaded: first(node, Rule::k_loaded).map(|loaded| self.span(&loaded)),
            when: self.cond(node),
            span: self.span(node),
        }
    }

    /// Returns the barriers of a `resync`; none for `resync nothing`.
    pub(super) fn resync(&mut self, node: &ParseNode) -> Cases<Option<Ident>> {
        self.cases(node, Rule::resync_case, |builder, case| {
            first(case, Rule::name).map(|name| builder.ident(&name))
        })
    }

    pub(super) fn barrier_fact(&mut self, node: &ParseNode) -> Option<BarrierFact> {
        Some(match node.as_rule() {
            Rule::publishes => BarrierFact::Publishes(self.name(node)),
            Rule::completes => BarrierFact::Completes {
                on: self.name(node),
                same_cpu: has(node, Rule::k_same),
            },
            Rule::resyncs => BarrierFact::Resyncs(self.name(node)),
            Rule::keeps => BarrierFact::Keeps(keeps(node)),
            Rule::gone => BarrierFact::Gone,
            Rule::drained => BarrierFact::Drained,
            Rule::cost => BarrierFact::Cost(self.number_in(node)),
            _ => return None,
        })
    }

    pub(super) fn operand(&mut self, node: &ParseNode) -> Operand {
        let body = one(node, Rule::operand_body);
        let names = self.at_most_one(&body, Rule::count);
        let aligned = self.at_most_one(&body, Rule::aligned);
        Operand {
            name: self.name(node),
            bits: self.number_in(node),
            place: all(node, Rule::name).nth(1).map(|place| self.ident(&place)),
            by: first(node, Rule::by_class).map(|by| self.name(&by)),
            fields: self.each(&body, Rule::field, Self::field),
            names: names.and_then(|names| self.sound(&names, Self::count)),
            aligned: aligned.map(|aligned| self.span(&aligned)),
            span: self.span(node),
        }
    }

    fn field(&mut self, node: &ParseNode) -> Field {
        let (high, low) = self.pair(node);
        let mut inner = node.clone().into_inner();
        let value = inner.find_map(|value| self.field_value(&value));
        Field {
            high,
            low,
            value: value.expect("the grammar demands a value"),
            when: self.cond(node),
            span: self.span(node),
        }
    }

    fn field_value(&mut self, node: &ParseNode) -> Option<Spanned<FieldValue>> {
        let value = match node.as_rule() {
            Rule::constant => FieldValue::Const(self.number_in(node).node),
            Rule::source => FieldValue::Source(self.name(node)),
            Rule::level_as => FieldValue::LevelAs {
                cases: self.each(node, Rule::level_case, |builder, case| {
                    (
                        builder.name(case),
                        builder.number_in(case),
                        builder.cond(case),
                    )
                }),
                otherwise: first(node, Rule::number).map(|number| self.number(&number)),
            },
            Rule::page_number => FieldValue::PageNumber(self.name(node)),
            Rule::slice => {
                let (high, low) = self.pair(node);
                FieldValue::Slice {
                    source: self.name(node),
                    high,
                    low,
                }
            }
            _ => return None,
        };
        Some(Spanned {
            node: value,
            span: self.span(node),
        })
    }

    fn count(&mut self, node: &ParseNode) -> Names {
        let Some(expr) = first(node, Rule::expr) else {
            return Names {
                count: None,
                pages: first(node, Rule::any_count).is_some_and(|any| has(&any, Rule::k_pages)),
                span: self.span(node),
            };
        };
        let is_operator = |node: &ParseNode| operator(node.as_rule()).is_some();
        let operators = expr
            .clone()
            .into_inner()
            .flatten()
            .filter(is_operator)
            .count();
        let count = if operators > MAX_OPERATORS {
            self.too_long(&expr, MAX_OPERATORS);
            Expr::Const(0)
        } else {
            self.expr(&expr)
        };
        Names {
            count: Some(Spanned {
                node: count,
                span: self.span(&expr),
            }),
            pages: has(node, Rule::k_pages),
            span: self.span(node),
        }
    }

    /// Operators of one strength associate to the left; the stacks hold what waits for its right side.
    fn expr(&mut self, node: &ParseNode) -> Expr {
        let mut operands = Vec::new();
        let mut operators: Vec<(BinaryOp, u8)> = Vec::new();
        for child in node.clone().into_inner() {
            if let Some((op, strength)) = operator(child.as_rule()) {
                while let Some((op, _)) = operators.pop_if(|&mut (_, waiting)| waiting >= strength)
                {
                    combine(&mut operands, op);
                }
                operators.push((op, strength));
            } else {
                operands.push(match child.as_rule() {
                    Rule::number => Expr::Const(self.number(&child).node),
                    Rule::name => Expr::Source(self.ident(&child)),
                    _ => self.expr(&one(&child, Rule::expr)),
                });
            }
        }
        while let Some((op, _)) = operators.pop() {
            combine(&mut operands, op);
        }
        operands.pop().expect("the grammar demands an operand")
    }
}

/// Returns an operator and how strongly it binds.
fn operator(rule: Rule) -> Option<(BinaryOp, u8)> {
    match rule {
        Rule::shift_left => Some((BinaryOp::Shl, 0)),
        Rule::plus => Some((BinaryOp::Add, 1)),
        Rule::times => Some((BinaryOp::Mul, 2)),
        _ => None,
    }
}

/// Replaces the last two operands by their combination.
fn combine(operands: &mut Vec<Expr>, op: BinaryOp) {
    if let (Some(right), Some(left)) = (operands.pop(), operands.pop()) {
        operands.push(Expr::Binary(op, Box::new(left), Box::new(right)));
    }
}

/// Returns what an instruction does not change.
pub(super) fn keeps(node: &ParseNode) -> Keeps {
    Keeps {
        flags: has(node, Rule::k_flags),
        operands: has(node, Rule::k_operands),
    }
}
