//! Dispatch: the bodies of the trait's functions, which select the routine for a request.

use tlbc_runtime::request::{Reach, Space};

use super::context::Emit;
use super::tree::{Case, Expr, Runtime, Stmt, Uses, Var, matches, structure};
use super::values::{SPACES, case_of};
use crate::plan::ir::Shape;

impl Emit<'_> {
    /// Returns the body of the start of a flush, by its space, reach and scope.
    pub(super) fn start(&self) -> Vec<Stmt> {
        let cases = SPACES.into_iter().flat_map(|space| {
            let reaches = self.reaches(space).into_iter();
            reaches.map(move |(reach, case)| Case::new(case, self.begin_and_start(space, reach)))
        });
        let of = Expr::Tuple(vec!["request.space".into(), "request.reach".into()]);
        let outcome = of.matched(cases.collect());
        let targets = Expr::from("self").method("ipi_targets", ["request".into()]);
        let started =
            Runtime::Started
                .item("new")
                .call(["request".into(), targets, "outcome".into()]);
        let tlb = self.for_space("request.flags".into());
        let body = vec![Stmt::Let("outcome".into(), outcome), Stmt::Value(started)];
        let takes_tag = Uses::of(&body).var(Var::Tag);
        let tag = takes_tag.then(|| Stmt::Let(Var::Tag.word(), "request.tag".into()));
        tlb.into_iter().chain(tag).chain(body).collect()
    }

    /// Returns the start of a flush, and what a flush of this CPU alone issues before it: to publish the changes, unless that was done.
    fn begin_and_start(&self, space: Space, reach: Reach) -> Expr {
        let start = self.start_of(space, reach);
        let begin = Shape::Begin(space);
        if reach != Reach::Here || !self.acts(begin) {
            return start;
        }
        let begin = self.inlined(begin).unwrap_or_else(|| {
            let call = self.call(self.receiver(), begin, &Var::expr);
            vec![Stmt::Do(call)]
        });
        let is_published = Expr::from("request.published");
        let begin = Expr::If(vec![(is_published.not(), begin)], Vec::new());
        Expr::Block(vec![Stmt::Do(begin), Stmt::Value(start)])
    }

    /// Returns the body of a shape that needs nothing but the sink.
    pub(super) fn inlined(&self, shape: Shape) -> Option<Vec<Stmt>> {
        let plan = self.plans.get(shape)?;
        let routine = self.routine_of(plan);
        let is_short = routine.parameters.is_empty() && routine.body.len() == 1;
        is_short.then(|| routine.body.clone())
    }

    /// Returns the start of a flush by its scope.
    fn start_of(&self, space: Space, reach: Reach) -> Expr {
        let argument = |parameter| match parameter {
            Var::Tag => Var::Tag.field("value"),
            Var::Global => Var::Tag.field("global"),
            other => other.expr(),
        };
        let with_table = |parameter| match parameter {
            Var::Tables => "table".into(),
            other => argument(other),
        };
        let with_tables = |parameter| match parameter {
            Var::Tables => true.into(),
            other => argument(other),
        };
        let call = |shape: Shape, argument: &dyn Fn(Var) -> Expr| {
            if self.acts(shape) {
                self.call(self.receiver(), shape, argument)
            } else {
                Runtime::Outcome.item("NOTHING")
            }
        };
        let (page, ranges, everything, teardown) = (
            Shape::Page(space, reach),
            Shape::Ranges(space, reach),
            Shape::Everything(space, reach),
            Shape::Teardown(space, reach),
        );
        let pattern = |text: String| Expr::from(Runtime::Scope.text(format!("Scope::{text}")));
        let of_page = self.parameters(page);
        let fields = [
            ("va", Var::Va),
            ("level", Var::Level),
            ("table", Var::Tables),
        ];
        let fields = fields.into_iter().filter(|(_, var)| of_page.contains(var));
        let fields = fields.map(|(field, _)| (field, field.into()));
        let mut fields: Vec<(&str, Expr)> = fields.collect();
        if fields.len() < 3 {
            fields.push(("..", "".into()));
        }
        let of_page = structure(Runtime::Scope.text("Scope::Page"), fields);
        let takes = |shape, var| self.parameters(shape).contains(&var);
        let ranges_are = if takes(ranges, Var::Ranges) {
            "ranges"
        } else {
            "_"
        };
        let tables = if takes(everything, Var::Tables) {
            "tables"
        } else {
            ".."
        };
        let mut cases = vec![
            Case::new(of_page, call(page, &with_table)),
            Case::new(
                pattern(format!("Ranges({ranges_are})")),
                call(ranges, &argument),
            ),
            Case::new(
                pattern(format!("Everything {{ {tables} }}")),
                call(everything, &argument),
            ),
        ];
        let teardown = if self.plans.get(teardown).is_some() {
            call(teardown, &argument)
        } else {
            call(everything, &with_tables)
        };
        match cases.last_mut() {
            Some(last) if last.value == teardown => {
                last.pattern = last.pattern.clone().binary("|", pattern("Teardown".into()));
            }
            _ => cases.push(Case::new(pattern("Teardown".into()), teardown)),
        }
        Expr::from("request.scope").matched(cases)
    }

    /// Returns the body of the choice of the CPUs to send an IPI.
    pub(super) fn ipi_targets_by_request(&self) -> Vec<Stmt> {
        let none = || Runtime::IpiTargets.item("NONE");
        let spaces = SPACES.into_iter().filter_map(|space| {
            let plan = self.plans.get(Shape::IpiTargets(space))?;
            let targets = self.ipi_target(&plan.body, plan.shape);
            (targets != none()).then(|| Case::new(case_of(space, Reach::Wide), targets))
        });
        let mut cases: Vec<Case> = spaces.collect();
        if cases.is_empty() {
            return vec![Stmt::Let("_".into(), "request".into()), Stmt::Value(none())];
        }
        let others = if cases.len() == 2 {
            Runtime::Reach
                .text("(_, Reach::Here | Reach::Given)")
                .into()
        } else {
            Expr::from("_")
        };
        cases.push(Case::new(others, none()));
        let of = Expr::Tuple(vec!["request.space".into(), "request.reach".into()]);
        let mut body = vec![Stmt::Value(of.matched(cases))];
        let uses = Uses::of(&body);
        let teardown = matches("request.scope", Runtime::Scope.item("Teardown"));
        let config = Expr::from(self.receiver())
            .field("config")
            .method("flags", []);
        for (var, value) in [
            (Var::Teardown, teardown),
            (Var::Tables, "request.tables()".into()),
            (Var::Global, "request.tag.global".into()),
            (Var::Config, config),
        ] {
            if uses.var(var) {
                body.insert(0, Stmt::Let(var.word(), value));
            }
        }
        let tlb = self.for_space("request.flags".into());
        let tlb = tlb.filter(|_| uses.var(Var::Config));
        tlb.into_iter().chain(body).collect()
    }

    /// Returns the body of the completion of a flush.
    pub(super) fn finish(&self) -> Vec<Stmt> {
        let argument = |parameter| match parameter {
            Var::Steps => "started.outcome.steps".into(),
            other => Expr::from("started").field(other.name()),
        };
        let none = || Runtime::IpiTargets.item("NONE");
        let of_space = |space| {
            let reaches = self.reaches(space).into_iter();
            reaches.map(move |(reach, pattern)| (Shape::Finish(space, reach), pattern))
        };
        let shapes: Vec<_> = SPACES.into_iter().flat_map(of_space).collect();
        let any = |is: &dyn Fn(Shape) -> bool| shapes.iter().any(|(shape, _)| is(*shape));
        let acts = any(&|shape| self.acts(shape));
        let sends = any(&|shape| self.returns_ipis(shape));
        let mut cases: Vec<Case> = Vec::new();
        for (shape, pattern) in shapes {
            let call = || self.call(self.receiver(), shape, &argument);
            let value = match (self.acts(shape), self.returns_ipis(shape)) {
                (true, false) if sends => Expr::Block(vec![Stmt::Do(call()), Stmt::Value(none())]),
                (true, _) => call(),
                (false, _) if sends => none(),
                (false, _) => Expr::Block(Vec::new()),
            };
            match cases.iter_mut().find(|case| case.value == value) {
                Some(case) => case.pattern = case.pattern.clone().binary("|", pattern),
                None => cases.push(Case::new(pattern, value)),
            }
        }
        let of = Expr::Tuple(vec!["started.space".into(), "started.reach".into()]);
        let mut body = Vec::new();
        let targets = if acts {
            body.extend(self.for_space("started.flags".into()));
            let by_request = of.matched(cases);
            if sends {
                body.push(Stmt::Let("sync_ipis".into(), by_request));
                "sync_ipis".into()
            } else {
                body.push(Stmt::Do(by_request));
                none()
            }
        } else {
            body.push(Stmt::Let("_".into(), "cpu".into()));
            none()
        };
        let finished = Expr::from("started").method("finished", [targets]);
        body.push(Stmt::Value(finished));
        body
    }
}
