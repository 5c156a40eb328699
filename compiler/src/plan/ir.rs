//! The plan IR: trees of decisions over sequences of instructions.
//!
//! A [`Plan`] serves one [`Shape`] of request under every configuration. Its nodes name primitives
//! and where their operands come from, never what they drop: who wants to know looks that up in the
//! model, weakened by the errata of the path. The interpreter behind `trace`, the emitter and every
//! later reader are folds over the same nodes.

use tlbc_facts::clause::{Clause, MaxCount};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::level::Levels;
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::passes::Folding;
use tlbc_runtime::request::{Reach, Space};

use crate::model::Need;

/// What a plan serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// One leaf entry, with its table or without.
    Page(Space, Reach),
    /// Entries of several levels, or many of one.
    Ranges(Space, Reach),
    /// How far one instruction of a pass reaches: part of `Ranges`.
    Folding(Space, Reach),
    /// Consecutive entries of one level: part of `Ranges`, at one of its stages.
    Pass(Space, Reach, u8),
    /// Everything of the space.
    Everything(Space, Reach),
    /// Everything of the space and what binds its tag to its top table, where that is cached.
    Teardown(Space, Reach),
    /// Who is interrupted for a request that others are to be told of.
    IpiTargets(Space),
    /// Completion.
    Finish(Space, Reach),
    /// The change of an entry itself.
    Change,
    /// New entries become visible.
    Publish(Space),
    /// Another address space.
    Switch,
    /// Return to user code.
    ReturnToUser,
    /// Entry from user code.
    EnterFromUser,
    /// A CPU comes up.
    CpuOnline,
}

impl Shape {
    /// Whose mappings; a user space's where it does not say.
    #[must_use]
    pub const fn space(self) -> Space {
        match self {
            Shape::Page(space, _)
            | Shape::Ranges(space, _)
            | Shape::Folding(space, _)
            | Shape::Pass(space, _, _)
            | Shape::Everything(space, _)
            | Shape::Teardown(space, _)
            | Shape::IpiTargets(space)
            | Shape::Publish(space)
            | Shape::Finish(space, _) => space,
            Shape::Change
            | Shape::Switch
            | Shape::ReturnToUser
            | Shape::EnterFromUser
            | Shape::CpuOnline => Space::User,
        }
    }

    /// Who may have cached them; this CPU alone where it does not say.
    #[must_use]
    pub const fn reach(self) -> Reach {
        match self {
            Shape::Page(_, reach)
            | Shape::Ranges(_, reach)
            | Shape::Folding(_, reach)
            | Shape::Pass(_, reach, _)
            | Shape::Everything(_, reach)
            | Shape::Teardown(_, reach)
            | Shape::Finish(_, reach) => reach,
            Shape::IpiTargets(_) | Shape::Publish(_) => Reach::Wide,
            Shape::Change
            | Shape::Switch
            | Shape::ReturnToUser
            | Shape::EnterFromUser
            | Shape::CpuOnline => Reach::Here,
        }
    }
}

/// The plan of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it serves.
    pub shape: Shape,
    /// What it has to drop, and where; empty where that is another plan's business.
    pub required: Vec<(Clause, Agents)>,
    /// What it does.
    pub body: Node,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// One after the other.
    Seq(Vec<Node>),
    /// Either of two. Both serve the request.
    Select {
        /// What decides.
        on: Test,
        /// When it holds.
        then: Box<Node>,
        /// When it does not.
        otherwise: Box<Node>,
    },
    /// The caller has arranged for this.
    Guard {
        /// What must hold.
        scope: Need,
        /// While this happens.
        body: Box<Node>,
    },
    /// Stores become visible to walkers.
    Publish {
        /// By a barrier; nothing is issued where it may be assumed.
        barrier: Option<usize>,
    },
    /// One invalidation.
    Issue(Issue),
    /// Sorts the request into passes for the nodes below.
    Passes {
        /// The shape that says how far one instruction of a pass reaches.
        folding: Shape,
        /// What is done with them.
        body: Box<Node>,
    },
    /// How far one instruction of a pass reaches.
    Fold(Folding),
    /// Something for each of several.
    Each {
        /// Of what.
        over: Over,
        /// What.
        body: Box<Node>,
        /// For what no run can name.
        rest: Option<Box<Node>>,
    },
    /// What was issued requires these steps of completion.
    Requires(FinishSteps),
    /// Waits until invalidations are complete.
    Complete {
        /// By a barrier.
        barrier: usize,
        /// The erratum whose workaround it belongs to.
        of: Option<usize>,
    },
    /// An invalidation because of an erratum.
    Workaround {
        /// The erratum.
        erratum: usize,
        /// Which of its workarounds, and which instruction of that.
        number: (usize, usize),
        /// The instruction that it mends, whose operands it has; without one all are zero.
        of: Option<Issue>,
    },
    /// This CPU fetches anew.
    Resync {
        /// By a barrier.
        barrier: usize,
    },
    /// Other CPUs are interrupted.
    SendIpi {
        /// Who.
        to: IpiTargets,
        /// Whether they have anything to do; otherwise the interrupt itself is what they need.
        flush: bool,
    },
    /// Devices that share the tables are told here, between start and finish.
    InvalidateSecondary,
    /// The entries that change are stored.
    Store,
    /// Something is put off.
    Defer(Deferred),
    /// Every other tag of this CPU loses its owner: what it left is dropped when it is next loaded.
    InvalidateOtherTags,
    /// A debt is paid: the steps that follow drop everything under the tag, or under every tag.
    CompletePending(Pending),
    /// A register is loaded.
    Load {
        /// Which, by its index.
        load: usize,
        /// With what view's tag.
        view: usize,
        /// With the empty root instead of the space's.
        empty: bool,
        /// Keeping what is cached under the tag.
        keep: bool,
    },
    /// Another plan goes on.
    Call(Shape),
    /// Nothing needs to be done.
    Nothing(Reason),
}

/// Why nothing needs to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Instructions are complete when they are done.
    AtOnce,
    /// Nobody else has to be told.
    NobodyElse,
    /// What the kernel runs on is what user code runs on.
    SameView,
    /// The CPU comes with nothing cached.
    Clean,
    /// Walkers see new entries without an instruction.
    Visible,
}

/// What a [`Node::Select`] looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// A feature, known at boot.
    Feature(usize),
    /// An erratum, known at boot.
    Erratum(usize),
    /// The tag means the same space on every CPU.
    OfMachine,
    /// Walk entries are owed.
    Walk,
    /// Leaf entries are owed.
    Leaf,
    /// Negative entries have to be dropped.
    Negative,
    /// Negative entries of one of these levels have to be dropped.
    AppearedAt(Levels),
    /// The space ends.
    Ends,
    /// Table entries change like this.
    Kind(Kind),
    /// The flush of a change may be put off.
    MayDefer,
    /// Only this CPU may have cached the entries that change.
    OnlyHere,
    /// The entries that change are the kernel's.
    OfKernel,
    /// One entry changes.
    OneEntry,
    /// Cuts have passes of their own, and what is below them is still valid.
    Live,
    /// The level at hand is one of these.
    Stride(Levels),
    /// One run of this operand can name an entry of the pass.
    FitsRun(usize),
    /// Flushing one by one takes more than the ceiling.
    OverCeiling(Count),
    /// This is owed.
    Pending(Pending),
    /// The flush of the view that is to be loaded was put off.
    Deferred,
    /// What was issued requires one of these steps of completion.
    Required(FinishSteps),
}

/// How instructions are counted against a ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// One an entry.
    Entries,
    /// One a run of at most so many entries of these levels, also where walk entries go if the last says so.
    EntryRuns(MaxCount, Levels, bool),
    /// One a run of pages that this operand can name, also where walk entries go if the last says so.
    PageRuns(usize, bool),
}

/// What a [`Node::Each`] goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Over {
    /// The passes over cut entries.
    Cuts,
    /// The passes over leaf entries.
    Leaves,
    /// The entries of a pass, one by one.
    Entries,
    /// The entries of a pass, as runs that this operand can name.
    Runs {
        /// The operand that counts.
        operand: usize,
        /// The most that one instruction may be asked for.
        most: MaxCount,
    },
    /// The sets of a cache, from the first given to the last.
    Sets {
        /// The first.
        first: u64,
        /// How many the cache has.
        count: u64,
    },
}

/// One invalidation, and where its operands come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issue {
    /// The primitive.
    pub invalidate: usize,
    /// Its form.
    pub form: usize,
    /// Whose mappings.
    pub space: Space,
    /// The view whose tag is an operand; none where no tag is compared.
    pub view: Option<usize>,
    /// The tag, where it is always the same.
    pub tag: Option<u64>,
    /// Whether an address is named.
    pub address: bool,
    /// Whether the level is hinted when it is known.
    pub hint: bool,
}

impl Node {
    /// Every node, itself included, from the top.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Node)) {
        visit(self);
        match self {
            Node::Seq(nodes) => nodes.iter().for_each(|node| node.walk(visit)),
            Node::Select {
                then, otherwise, ..
            } => {
                then.walk(visit);
                otherwise.walk(visit);
            }
            Node::Guard { body, .. } | Node::Passes { body, .. } => body.walk(visit),
            Node::Each { body, rest, .. } => {
                body.walk(visit);
                if let Some(rest) = rest {
                    rest.walk(visit);
                }
            }
            _ => {}
        }
    }

    /// Either of two, or the one that both are.
    #[must_use]
    pub fn select(on: Test, then: Node, otherwise: Node) -> Node {
        if then == otherwise {
            return then;
        }
        Node::Select {
            on,
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        }
    }
}
