//! Barriers and loads.

use tlbc_runtime::agents::Agents;

use super::names::KEEP;
use super::scope::{Lower, of_kind};
use crate::ast::{BarrierFact, Ident, Item};
use crate::model::{At, Barrier, DefinitionName, Keeps, Load};

pub(super) fn named(ident: &Ident) -> DefinitionName {
    DefinitionName {
        name: ident.node.clone(),
        span: ident.span,
        text: String::new(),
    }
}

impl Lower {
    pub(super) fn lower_barriers(&mut self, items: &[Item]) -> Vec<Barrier> {
        let mut out = Vec::new();
        for it in of_kind!(items, Barrier) {
            let mut barrier = Barrier {
                named: named(&it.name),
                template: self.template(&it.template, &[]),
                requires: self.cond(it.requires.as_ref(), &[]),
                publishes: None,
                completes: None,
                same_cpu: false,
                resyncs: None,
                gone: None,
                drained: None,
                cost: 0,
                span: it.span,
            };
            let (mut keeps, mut gone, mut drained, mut resyncs) = (None, None, None, None);
            let mut cost = None;
            for fact in &it.facts {
                match &fact.node {
                    BarrierFact::Publishes(on) => {
                        if let Some(agents) = self.agents(on) {
                            self.once(&mut barrier.publishes, "`publishes`", agents, on.span);
                        }
                    }
                    BarrierFact::Completes { on, same_cpu } => {
                        if let Some(agents) = self.agents(on) {
                            self.once(&mut barrier.completes, "`completes`", agents, on.span);
                            barrier.same_cpu = *same_cpu;
                        }
                    }
                    BarrierFact::Resyncs(on) => {
                        let agents = self.agents(on);
                        if agents.is_some_and(|on| !on.covers(Agents::SELF)) {
                            self.misplaced(
                                on.span,
                                "a barrier resyncs only the CPU that issues it".to_owned(),
                                "write `resyncs on self;`",
                            );
                        }
                        self.once(&mut resyncs, "`resyncs`", (), fact.span);
                    }
                    BarrierFact::Keeps(of) => {
                        self.once(&mut keeps, "`keeps`", *of, fact.span);
                    }
                    BarrierFact::Gone => self.once(&mut gone, "`gone`", (), fact.span),
                    BarrierFact::Drained => self.once(&mut drained, "`drained`", (), fact.span),
                    BarrierFact::Cost(n) => self.once(&mut cost, "`cost`", n.node, fact.span),
                }
            }
            let said = |at: Option<At<()>>| at.map(|at| at.span);
            (barrier.gone, barrier.drained, barrier.resyncs) =
                (said(gone), said(drained), said(resyncs));
            barrier.cost = cost.map_or(0, |at| at.value);
            barrier.template.keeps = keeps.map_or(Keeps::default(), |at| at.value);
            out.push(barrier);
        }
        out
    }

    pub(super) fn lower_loads(&mut self, items: &[Item]) -> Vec<Load> {
        let mut out = Vec::new();
        for it in of_kind!(items, Load) {
            let template = self.template(&it.template, &[]);
            let mut drops = Vec::new();
            for d in &it.drops {
                drops.extend(self.drops(&d.node, KEEP, d.span));
            }
            self.repeated_drops(&drops);
            if it.per.is_empty() {
                let help = "add `per \"manual, section\";`";
                self.silent(&it.name, "where it is documented", help);
            }
            let mut template = template;
            for (index, keeps) in it.keeps.iter().enumerate() {
                if index > 0 {
                    self.said_twice("`keeps`", keeps.span, it.keeps[0].span);
                }
                template.keeps = keeps.node;
            }
            let mut follows = None;
            for at in &it.follows {
                if let Some(barrier) = self.barrier(&at.node) {
                    self.once(&mut follows, "what it follows", barrier, at.span);
                }
            }
            out.push(Load {
                named: named(&it.name),
                template,
                requires: self.cond(it.requires.as_ref(), &[]),
                drops,
                follows,
                span: it.span,
            });
        }
        out
    }
}
