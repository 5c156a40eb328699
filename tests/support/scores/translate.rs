//! Plans of one definition in terms of another: what is known by index is found by name.
//!
//! In: an analysis, and the definition of the machine. Out: the plans with the indices of that definition, or nothing if it
//! has no instruction, level or flag of some name. Holds: the plans issue what they issued before, by name. How operands are
//! encoded is not part of a plan.

use tlbc::Analysis;
use tlbc::model::{Amount, DefinitionName, Instr, Model};
use tlbc::plan::Plans;
use tlbc::plan::ir::{Count, Issue, Node, Over, Plan, Test};
use tlbc_facts::clause::MaxCount;
use tlbc_runtime::backend::IpiTargets;

/// Returns the plans of a definition in terms of another one; none if one of them has what the other has not, and plans
/// name it.
pub fn plans(planned: &Analysis, machine: &Model) -> Option<Plans> {
    let names =
        |model: &Model| -> Vec<String> { model.levels.iter().map(|it| it.name.clone()).collect() };
    if names(&planned.model) != names(machine) {
        return None;
    }
    let terms = Terms {
        from: &planned.model,
        to: machine,
    };
    let mut plans = planned.plans.clone();
    for plan in planned.plans.iter() {
        plans.replace(Plan {
            body: terms.node(&plan.body)?,
            ..plan.clone()
        });
    }
    Some(plans)
}

/// Two definitions.
struct Terms<'a> {
    from: &'a Model,
    to: &'a Model,
}

/// Returns the index of what has the same name in another list.
fn same<T>(
    from: &[T],
    to: &[T],
    index: usize,
    named: impl Fn(&T) -> &DefinitionName,
) -> Option<usize> {
    let name = &named(from.get(index)?).name;
    to.iter().position(|it| named(it).name == *name)
}

impl Terms<'_> {
    fn barrier(&self, index: usize) -> Option<usize> {
        same(&self.from.barriers, &self.to.barriers, index, |it| {
            &it.named
        })
    }

    fn invalidate(&self, index: usize) -> Option<usize> {
        let (from, to) = (&self.from.invalidates, &self.to.invalidates);
        same(from, to, index, |it| &it.named)
    }

    fn feature(&self, index: usize) -> Option<usize> {
        same(&self.from.features, &self.to.features, index, |it| {
            &it.named
        })
    }

    fn erratum(&self, index: usize) -> Option<usize> {
        same(&self.from.errata, &self.to.errata, index, |it| &it.named)
    }

    fn operand(&self, index: usize) -> Option<usize> {
        same(&self.from.operands, &self.to.operands, index, |it| {
            &it.named
        })
    }

    fn limit(&self, index: usize) -> Option<usize> {
        same(&self.from.limits, &self.to.limits, index, |it| &it.named)
    }

    fn instr(&self, instr: Instr) -> Option<Instr> {
        Some(match instr {
            Instr::Barrier(index) => Instr::Barrier(self.barrier(index)?),
            Instr::Invalidate(index) => Instr::Invalidate(self.invalidate(index)?),
        })
    }

    fn most(&self, most: MaxCount) -> Option<MaxCount> {
        Some(match most {
            MaxCount::Count(_) => most,
            MaxCount::Limit(limit) => {
                MaxCount::Limit(u8::try_from(self.limit(limit.into())?).ok()?)
            }
        })
    }

    fn issue(&self, issue: Issue) -> Option<Issue> {
        let invalidate = self.invalidate(issue.invalidate)?;
        let (from, to) = (
            &self.from.invalidates[issue.invalidate].forms,
            &self.to.invalidates[invalidate].forms,
        );
        let name = |form: &tlbc::model::Form| form.named.as_ref().map(|(it, _)| it.name.clone());
        let of = name(from.get(issue.form)?);
        let form = to.iter().position(|form| name(form) == of)?;
        let view = match issue.view {
            None => None,
            Some(view) => {
                let (from, to) = (self.from.space(issue.space), self.to.space(issue.space));
                Some(same(&from.views, &to.views, view, |it| &it.named)?)
            }
        };
        Some(Issue {
            invalidate,
            form,
            view,
            ..issue
        })
    }

    fn workaround(&self, erratum: usize, number: usize) -> Option<(usize, usize)> {
        let of = self.erratum(erratum)?;
        let wanted = &self.from.errata[erratum].workarounds[number];
        let target = self.instr(wanted.target.value)?;
        let issued: Option<Vec<Instr>> = { wanted.issue.iter() }
            .map(|it| self.instr(it.instr))
            .collect();
        let issued = issued?;
        let found = self.to.errata[of].workarounds.iter().position(|it| {
            let same = it
                .issue
                .iter()
                .map(|it| it.instr)
                .eq(issued.iter().copied());
            let with = it.issue.iter().map(|it| &it.with);
            it.target.value == target && same && with.eq(wanted.issue.iter().map(|it| &it.with))
        });
        Some((of, found?))
    }

    fn test(&self, test: Test) -> Option<Test> {
        Some(match test {
            Test::Feature(index) => Test::Feature(self.feature(index)?),
            Test::Erratum(index) => Test::Erratum(self.erratum(index)?),
            Test::FitsRun(index) => Test::FitsRun(self.operand(index)?),
            other => other,
        })
    }

    fn targets(&self, to: IpiTargets) -> Option<IpiTargets> {
        let mut sets = 0;
        for set in (0..8).filter(|set| to.sets & 1 << set != 0) {
            sets |= 1 << same(&self.from.cpu_sets, &self.to.cpu_sets, set, |it| it)?;
        }
        Some(IpiTargets { sets, ..to })
    }

    fn over(&self, over: Over) -> Option<Over> {
        Some(match over {
            Over::Runs { operand, most } => Over::Runs {
                operand: self.operand(operand)?,
                most: self.most(most)?,
            },
            Over::Sets(Amount::Limit(limit)) => Over::Sets(Amount::Limit(self.limit(limit)?)),
            other => other,
        })
    }

    fn count(&self, count: Count) -> Option<Count> {
        Some(match count {
            Count::Entries => count,
            Count::EntryRuns(most, levels, walks) => {
                Count::EntryRuns(self.most(most)?, levels, walks)
            }
            Count::PageRuns(operand, walks) => Count::PageRuns(self.operand(operand)?, walks),
        })
    }

    fn boxed(&self, node: &Node) -> Option<Box<Node>> {
        self.node(node).map(Box::new)
    }

    fn node(&self, node: &Node) -> Option<Node> {
        Some(match node {
            Node::Seq(nodes) => {
                let nodes = nodes.iter().map(|node| self.node(node));
                Node::Seq(nodes.collect::<Option<_>>()?)
            }
            Node::Select {
                on,
                then,
                otherwise,
            } => Node::Select {
                on: self.test(*on)?,
                then: self.boxed(then)?,
                otherwise: self.boxed(otherwise)?,
            },
            Node::Guard { scope, body } => Node::Guard {
                scope: *scope,
                body: self.boxed(body)?,
            },
            Node::Publish { barrier } => Node::Publish {
                barrier: match barrier {
                    None => None,
                    Some(barrier) => Some(self.barrier(*barrier)?),
                },
            },
            Node::Issue(issue) => Node::Issue(self.issue(*issue)?),
            Node::Ceiling {
                count,
                beyond,
                within,
            } => Node::Ceiling {
                count: self.boxed(count)?,
                beyond: *beyond,
                within: self.boxed(within)?,
            },
            Node::Count(counts) => {
                let counts = counts.iter().map(|count| self.count(*count));
                Node::Count(counts.collect::<Option<_>>()?)
            }
            Node::Loop { over, each, rest } => Node::Loop {
                over: self.over(*over)?,
                each: self.boxed(each)?,
                rest: match rest {
                    None => None,
                    Some(rest) => Some(self.boxed(rest)?),
                },
            },
            Node::Complete { barrier } => Node::Complete {
                barrier: self.barrier(*barrier)?,
            },
            Node::Resync { barrier } => Node::Resync {
                barrier: self.barrier(*barrier)?,
            },
            Node::Workaround {
                erratum,
                number,
                of,
            } => {
                let (erratum, number) = self.workaround(*erratum, *number)?;
                let of = match of {
                    None => None,
                    Some(issue) => Some(self.issue(*issue)?),
                };
                Node::Workaround {
                    erratum,
                    number,
                    of,
                }
            }
            Node::SendIpi { to, flush } => Node::SendIpi {
                to: self.targets(*to)?,
                flush: *flush,
            },
            Node::Load {
                load,
                view,
                empty,
                keep,
            } => {
                let (from, to) = (&self.from.user.views, &self.to.user.views);
                Node::Load {
                    load: same(&self.from.loads, &self.to.loads, *load, |it| &it.named)?,
                    view: same(from, to, *view, |it| &it.named)?,
                    empty: *empty,
                    keep: *keep,
                }
            }
            Node::Fold(_)
            | Node::Requires(_)
            | Node::InvalidateSecondary
            | Node::Store
            | Node::Defer(_)
            | Node::InvalidateOtherTags
            | Node::CompletePending(_)
            | Node::Call(_)
            | Node::Nothing(_) => node.clone(),
        })
    }
}
