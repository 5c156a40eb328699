//! What the kernel does with the facts.

use tlbc_runtime::request::Reach;

use super::scope::Lower;
use crate::ast::{self, PolicyFact};
use crate::model::{At, Ceiling, Policy};

impl Lower {
    pub(super) fn lower_policy(&mut self, it: &ast::Policy) -> Policy {
        let mut out = Policy {
            shootdown: None,
            strides: None,
            pages_batched: None,
            tables_deferred: None,
            lazy_refcounted: None,
            kernel_faults_fixed: None,
            ceiling_operations: None,
            ceiling_pages: None,
            span: it.span,
        };
        for fact in &it.facts {
            match &fact.node {
                PolicyFact::Shootdown(cases) => {
                    if let Some(first) = &out.shootdown {
                        let first = first.span;
                        self.said_twice("`shootdown`", cases.span, first);
                        continue;
                    }
                    out.shootdown = Some(self.cases(cases, false, |_, d| {
                        Some(At {
                            value: d.node,
                            span: d.span,
                        })
                    }));
                }
                PolicyFact::Strides(names) => {
                    let set = self.level_set(names);
                    self.once(&mut out.strides, "`strides`", set, fact.span);
                }
                PolicyFact::Gather {
                    pages_batched,
                    tables_deferred,
                } => {
                    if let Some(it) = pages_batched {
                        let slot = &mut out.pages_batched;
                        self.once(slot, "`gather pages`", it.node, it.span);
                    }
                    if let Some(it) = tables_deferred {
                        let slot = &mut out.tables_deferred;
                        self.once(slot, "`gather tables`", it.node, it.span);
                    }
                }
                PolicyFact::LazyRefcounted(yes) => {
                    self.once(&mut out.lazy_refcounted, "`lazy`", yes.node, yes.span);
                }
                PolicyFact::KernelFaultsFixed => {
                    let slot = &mut out.kernel_faults_fixed;
                    self.once(slot, "`kernel faults fixed`", (), fact.span);
                }
                PolicyFact::Ceiling { count, pages } => {
                    let cases = self.cases(count, true, |cx, (number, of)| {
                        let (mut reach, mut space) = (None, None);
                        match of {
                            None => {}
                            Some(ast::CeilingOf::Here) => reach = Some(Reach::Here),
                            Some(ast::CeilingOf::Space(name)) => {
                                space = Some(cx.of_space(name)?);
                            }
                        }
                        Some(Ceiling {
                            count: cx.amount(number)?,
                            reach,
                            space,
                        })
                    });
                    let slot = if *pages {
                        &mut out.ceiling_pages
                    } else {
                        &mut out.ceiling_operations
                    };
                    if let Some(first) = slot {
                        let first = first.span;
                        self.said_twice("this `ceiling`", cases.span, first);
                    } else {
                        *slot = Some(cases);
                    }
                }
            }
        }
        out
    }
}
