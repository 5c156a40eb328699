//! The backend: the structure, and the trait that dispatches to the routines.

use tlbc_runtime::request::{Reach, Space};

use super::context::Emit;
use super::docs::{escaped, paragraphs};
use super::tree::{
    Case, CodeText, CodeWord, Expr, Function, Item, Member, Private, Property, Runtime, Stmt, Var,
    structure,
};
use super::values::{SPACES, case_of, reach_word, space_word};
use crate::model::Known;
use crate::plan::ir::Shape;

/// Returns the parameter of a function of the trait that is the sink.
fn sink() -> (CodeText, CodeWord) {
    ("cpu".into(), Runtime::Issue.text("&mut impl Issue<Op>"))
}

fn space_flags() -> (CodeText, CodeWord) {
    ("flags".into(), Runtime::SpaceFlags.text("SpaceFlags"))
}

/// Returns a function of the trait.
fn function(
    inline: &'static str,
    head: &'static str,
    parameters: impl IntoIterator<Item = (CodeText, CodeWord)>,
    returns: Option<CodeWord>,
    body: Vec<Stmt>,
) -> Function {
    Function {
        attributes: vec![inline],
        head: head.into(),
        receiver: "&self",
        parameters: parameters.into_iter().collect(),
        returns,
        body: Some(body),
        ..Function::default()
    }
}

impl Emit<'_> {
    /// Returns the structure.
    pub(super) fn tlb(&self) -> Vec<Item> {
        let config = Member {
            docs: "The features, errata and page size, which must be [possible](Config::is_possible): a [`Config`], or a \
                   [`Constant`](tlbc_runtime::Constant)."
                .into(),
            text: "pub config: M".into(),
            fields: Vec::new(),
        };
        let limits = self
            .model
            .limits
            .iter()
            .enumerate()
            .map(|(index, limit)| Member {
                docs: escaped(&format!("{}.", limit.named.text)),
                text: format!("pub {}: u32", self.names.limit(index)).into(),
                fields: Vec::new(),
            });
        let published = self.model.assumed.as_ref();
        let published =
            published.map(|by| format!("Changed entries are published by {}.", by.value));
        let docs = std::iter::once(self.model.doc.join("\n")).chain(published);
        let tlb = Item::Type {
            docs: escaped(&unwrapped(&paragraphs(docs))),
            attributes: vec!["derive(Debug, Clone, Copy, PartialEq, Eq)".into()],
            head: "pub struct Tlb<M = Config>".into(),
            members: std::iter::once(config).chain(limits).collect(),
        };
        std::iter::once(tlb)
            .chain(self.of_space_function())
            .collect()
    }

    /// Returns the implementation of the trait.
    pub(super) fn backend(&self) -> Item {
        let level_table = CodeWord::private(Private::Function(Property::LevelTable), "level_table");
        let level_table = Expr::Word(level_table).call(["self.config.flags()".into()]);
        let inline = "inline";
        let always = "inline(always)";
        let space = || ("space".into(), Runtime::Space.text("Space"));
        let reach = || ("reach".into(), Runtime::Reach.text("Reach"));
        let request = || ("request".into(), Runtime::Request.text("&Request<'_>"));
        let levels = Runtime::LevelTable.text("&'static LevelTable");
        let functions = [
            Some(function(
                inline,
                "fn levels",
                [],
                Some(levels),
                vec![Stmt::Value(level_table)],
            )),
            Some(function(
                inline,
                "fn ceiling",
                [space(), reach()],
                Some(Runtime::Ceiling.text("Ceiling")),
                self.ceiling(),
            )),
            Some(function(
                inline,
                "fn change_facts",
                [space_flags()],
                Some(Runtime::ChangeFacts.text("ChangeFacts")),
                self.change_facts(),
            )),
            self.change(),
            Some(self.publish()),
            Some(function(
                inline,
                "fn tags",
                [],
                Some(Runtime::Tags.text("Tags")),
                self.tags(),
            )),
            Some(function(
                always,
                "fn ipi_targets",
                [request()],
                Some(Runtime::IpiTargets.text("IpiTargets")),
                self.ipi_targets_by_request(),
            )),
            self.sends_ipis(),
            Some(function(
                always,
                "fn start",
                [sink(), request()],
                Some(Runtime::Started.text("Started")),
                self.start(),
            )),
            Some(function(
                always,
                "fn finish",
                [sink(), ("started".into(), Runtime::Started.text("Started"))],
                Some(Runtime::Finished.text("Finished")),
                self.finish(),
            )),
            self.event(
                "fn switch",
                Shape::Switch,
                &[Var::To, Var::Pending],
                Some(Runtime::Deferred.text("Deferred")),
            ),
            self.plans.get(Shape::LoadTag).and_then(|_| {
                self.event(
                    "fn load_tag",
                    Shape::LoadTag,
                    &[Var::To, Var::Pending],
                    Some(Runtime::Deferred.text("Deferred")),
                )
            }),
            self.event(
                "fn return_to_user",
                Shape::ReturnToUser,
                &[Var::To, Var::ViewDeferred],
                None,
            ),
            self.event("fn enter_from_user", Shape::EnterFromUser, &[Var::To], None),
            self.event(
                "fn cpu_online",
                Shape::CpuOnline,
                &[],
                Some(Runtime::Deferred.text("Deferred")),
            ),
        ];
        let constants = [
            Item::Const {
                docs: String::new(),
                head: "type Op".into(),
                value: "Op".into(),
            },
            self.facts(),
        ];
        let constants = constants.into_iter().chain(self.sender_only());
        let functions = functions.into_iter().flatten().map(Item::from);
        Item::group(
            CodeWord {
                text: "impl<M: Configuration<Config>> Backend for Tlb<M>".into(),
                ..Runtime::Backend.text("")
            },
            constants.chain(functions).collect(),
        )
    }

    /// Returns the function that changes entries with the instructions that write them.
    fn change(&self) -> Option<Function> {
        if self.model.change.plain_store.value {
            return None;
        }
        let argument = |parameter| match parameter {
            Var::Tag => "owner.tag.value".into(),
            other => other.expr(),
        };
        let call = self.call(self.receiver(), Shape::Change, &argument);
        let mut body: Vec<Stmt> = self.for_space("owner.flags".into()).into_iter().collect();
        let let_of = |name: &'static str, value: &'static str| Stmt::Let(name.into(), value.into());
        body.extend([
            let_of("facts", "self.change_facts(owner.flags)"),
            let_of("kind", "change.kind(&facts)"),
            let_of("was", "slot.was()"),
        ]);
        if self.defers(Shape::Change) {
            body.push(Stmt::Let("deferred".into(), call));
        } else {
            body.push(Stmt::Do(call));
            let nothing = Runtime::Deferred.item("NOTHING");
            body.push(Stmt::Let("deferred".into(), nothing));
        }
        body.push(let_of("required", "change.left_over(&facts, owner.space)"));
        let names = ["was", "required", "deferred"];
        let changed = Runtime::Changed.with(names.map(|name| (name, Expr::from(name))));
        body.push(Stmt::Value(changed));
        Some(Function {
            head: "fn change".into(),
            receiver: "&self",
            parameters: vec![
                sink(),
                Var::Slot.parameter(),
                Var::Change.parameter(),
                Var::Owner.parameter(),
            ],
            returns: Some(Runtime::Changed.text("Changed")),
            body: Some(body),
            ..Function::default()
        })
    }

    /// Returns the function that makes new entries visible. If it issues nothing, its documentation says why.
    fn publish(&self) -> Function {
        let acts = |space: &Space| self.acts(Shape::Publish(*space));
        let (docs, body) = if SPACES.iter().any(acts) {
            let steps = |space| {
                let plan = self.plans.get(Shape::Publish(space));
                plan.map_or_else(Vec::new, |plan| self.routine_of(plan).body.clone())
            };
            let [user, kernel] = SPACES.map(steps);
            let body = if user == kernel {
                let unused = Stmt::Let("_".into(), "space".into());
                std::iter::once(unused).chain(user).collect()
            } else {
                let cases = [(Space::User, user), (Space::Kernel, kernel)];
                let cases = cases.map(|(space, steps)| {
                    let steps = match <[Stmt; 1]>::try_from(steps) {
                        Ok([Stmt::Do(one)]) => one,
                        Ok(one) => Expr::Block(one.into()),
                        Err(steps) => Expr::Block(steps),
                    };
                    Case::new(space_word(space), steps)
                });
                vec![Stmt::Do(Expr::from("space").matched(cases.to_vec()))]
            };
            (String::new(), body)
        } else {
            let why = match &self.model.assumed {
                Some(by) => format!("new entries are published by {}.", by.value),
                None => "the definition has no barrier that publishes.".to_owned(),
            };
            let unused = Expr::Tuple(vec!["cpu".into(), "space".into()]);
            let why = escaped(&format!("Issues nothing: {why}"));
            (why, vec![Stmt::Let("_".into(), unused)])
        };
        let space = ("space".into(), Runtime::Space.text("Space"));
        Function {
            docs,
            ..function("inline", "fn publish", [sink(), space], None, body)
        }
    }

    /// Returns the constant of the flags that only the sender of an IPI tests, if there are any.
    pub(super) fn sender_only(&self) -> Option<Item> {
        let model = self.model;
        let devices = model.user.devices.iter().chain(&model.kernel.devices);
        let features = devices.flat_map(|when| when.value.features_wanted());
        let of_space = features.filter(|&feature| model.features[feature].known == Known::Space);
        let flags = of_space.map(|feature| Expr::from(self.flag(feature)));
        let flags = flags.reduce(|all, flag| all.method("with", [flag]))?;
        Some(Item::Const {
            docs: String::new(),
            head: Runtime::SpaceFlags.text("const SENDER_ONLY: SpaceFlags"),
            value: Runtime::SpaceFlags.of(flags.method("bits", [])),
        })
    }

    /// Returns the function that returns the backend for a space, if spaces differ.
    fn of_space_function(&self) -> Option<Item> {
        self.of_space()?;
        let config = Runtime::OfSpace.with([
            ("machine", Expr::from("self.config")),
            ("flags", "flags".into()),
        ]);
        let limits = (0..self.model.limits.len()).map(|limit| {
            let name = self.names.limit(limit);
            (name.clone(), Expr::from("self").field(name))
        });
        let fields = std::iter::once(("config".into(), config)).chain(limits);
        let function = Function {
            docs: "Returns the backend for a space with these flags.".into(),
            attributes: vec!["inline(always)"],
            head: "fn of_space".into(),
            receiver: "&self",
            parameters: vec![space_flags()],
            returns: Some(Runtime::OfSpace.text("Tlb<OfSpace<M>>")),
            body: Some(vec![Stmt::Value(structure("Tlb".into(), fields))]),
        };
        let head = Runtime::Configuration.text("impl<M: Configuration<Config>> Tlb<M>");
        Some(Item::group(head, vec![function.into()]))
    }

    /// Returns the statement that defines the backend for a space, if spaces differ.
    pub(super) fn for_space(&self, flags: Expr) -> Option<Stmt> {
        self.of_space()?;
        let tlb = Expr::from("self").method("of_space", [flags]);
        Some(Stmt::Let("tlb".into(), tlb))
    }

    /// Returns the receiver of calls of routines.
    pub(super) fn receiver(&self) -> &'static str {
        if self.of_space().is_some() {
            "tlb"
        } else {
            "self"
        }
    }
}

/// Returns a text with each paragraph on one line.
fn unwrapped(text: &str) -> String {
    let paragraphs = text.split("\n\n");
    paragraphs
        .map(|it| it.replace('\n', " "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

impl Emit<'_> {
    /// Returns the reaches of the flushes of a space, each with its pattern. Where no call is given CPUs, the runtime requests
    /// no such flush, and it is the same as one of all CPUs.
    pub(super) fn reaches(&self, space: Space) -> Vec<(Reach, Expr)> {
        let has_calls = self.plans.get(Shape::Page(space, Reach::Given)).is_some();
        let here = (Reach::Here, case_of(space, Reach::Here));
        if has_calls {
            let others = [Reach::Wide, Reach::Given].map(|reach| (reach, case_of(space, reach)));
            return [here].into_iter().chain(others).collect();
        }
        let either = reach_word(Reach::Wide).binary("|", reach_word(Reach::Given));
        let wide = Expr::Tuple(vec![space_word(space), either]);
        vec![here, (Reach::Wide, wide)]
    }
}
