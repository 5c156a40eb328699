//! The plan IR: trees of decisions over sequences of instructions.
//!
//! A [`Plan`] serves one [`Shape`] of request under every configuration. Its nodes name instructions and the
//! sources of their operands, but not what the instructions invalidate; that is in the model, weakened by the
//! errata of the path. The interpreter of `trace` and the emitter are folds over these nodes.

use tlbc_facts::clause::{Clause, MaxCount};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::level::Levels;
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::passes::Folding;
use tlbc_runtime::request::{Reach, Space};

use crate::model::flags::Flag;
use crate::model::{Amount, Need};

/// The kind of request that a plan serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// One leaf entry, with the table that held it or without.
    Page(Space, Reach),
    /// Entries of several levels, or many of one.
    Ranges(Space, Reach),
    /// The passes over the entries of ranges: part of `Ranges`.
    Passes(Space, Reach),
    /// Which entries one instruction of a pass invalidates together: part of `Ranges`.
    Folding(Space, Reach),
    /// Consecutive entries of one level: part of `Passes`, at one of its stages.
    Pass(Space, Reach, u8),
    /// All entries of the space.
    Everything(Space, Reach),
    /// All entries of the space, and the root entry of its tag.
    Teardown(Space, Reach),
    /// Publication of the changes, before a flush that has the reach [`Reach::Here`] starts. The runtime may have published them
    /// already, by `Publish`.
    Begin(Space),
    /// The CPUs to send an IPI.
    IpiTargets(Space),
    /// Completion of a flush.
    Finish(Space, Reach),
    /// A change of table entries.
    Change,
    /// Entries are made invalid: part of `Change`.
    Invalidate,
    /// Entries are replaced: part of `Change`.
    Replace,
    /// Entries get more rights: part of `Change`.
    MoreRights,
    /// New entries become visible to walkers.
    Publish(Space),
    /// A switch to another address space.
    Switch,
    /// Another tag for the space that is loaded.
    LoadTag,
    /// Return to user code.
    ReturnToUser,
    /// Entry from user code.
    EnterFromUser,
    /// A CPU comes online.
    CpuOnline,
}

impl Shape {
    /// Returns the space whose mappings are flushed; a user space for shapes without one.
    #[must_use]
    pub const fn space(self) -> Space {
        match self {
            Shape::Page(space, _)
            | Shape::Ranges(space, _)
            | Shape::Passes(space, _)
            | Shape::Folding(space, _)
            | Shape::Pass(space, _, _)
            | Shape::Everything(space, _)
            | Shape::Teardown(space, _)
            | Shape::Begin(space)
            | Shape::IpiTargets(space)
            | Shape::Publish(space)
            | Shape::Finish(space, _) => space,
            Shape::Change
            | Shape::Invalidate
            | Shape::Replace
            | Shape::MoreRights
            | Shape::Switch
            | Shape::LoadTag
            | Shape::ReturnToUser
            | Shape::EnterFromUser
            | Shape::CpuOnline => Space::User,
        }
    }

    /// Returns the CPUs that may have cached them; this CPU alone for shapes without a reach.
    #[must_use]
    pub const fn reach(self) -> Reach {
        match self {
            Shape::Page(_, reach)
            | Shape::Ranges(_, reach)
            | Shape::Passes(_, reach)
            | Shape::Folding(_, reach)
            | Shape::Pass(_, reach, _)
            | Shape::Everything(_, reach)
            | Shape::Teardown(_, reach)
            | Shape::Finish(_, reach) => reach,
            Shape::IpiTargets(_) | Shape::Publish(_) => Reach::Wide,
            Shape::Begin(_)
            | Shape::Change
            | Shape::Invalidate
            | Shape::Replace
            | Shape::MoreRights
            | Shape::Switch
            | Shape::LoadTag
            | Shape::ReturnToUser
            | Shape::EnterFromUser
            | Shape::CpuOnline => Reach::Here,
        }
    }
}

/// The plan of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The shape.
    pub shape: Shape,
    /// What has to be invalidated, on which agents. Empty if other plans do that.
    pub required: Vec<(Clause, Agents)>,
    /// The steps.
    pub body: Node,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Steps in order.
    Seq(Vec<Node>),
    /// One of two alternatives.
    Select {
        /// The test that decides.
        on: Test,
        /// The steps if it holds.
        then: Box<Node>,
        /// The steps if it does not.
        otherwise: Box<Node>,
    },
    /// Steps that need something of the caller.
    Guard {
        /// What the caller guarantees.
        scope: Need,
        /// The steps.
        body: Box<Node>,
    },
    /// Stores become visible to walkers.
    Publish {
        /// The barrier; none if nothing has to be issued.
        barrier: Option<usize>,
    },
    /// One invalidation.
    Issue(Issue),
    /// Which entries one instruction of a pass invalidates together.
    Fold(Folding),
    /// Steps for as many operations as the ceiling permits. They end the plan, and so does the alternative.
    Ceiling {
        /// How many operations the steps take: decisions with a [`Node::Count`] at the end of each path.
        count: Box<Node>,
        /// The plan for more.
        beyond: Shape,
        /// The steps.
        within: Box<Node>,
    },
    /// The number of operations: the largest of these counts.
    Count(Vec<Count>),
    /// A loop.
    Loop {
        /// What the loop is over.
        over: Over,
        /// The steps of each iteration. What they depend on does not change within the loop.
        each: Box<Node>,
        /// The steps for an entry that no run includes.
        rest: Option<Box<Node>>,
    },
    /// The instructions issued so far require these steps of completion.
    Requires(FinishSteps),
    /// Waits until invalidations are complete.
    Complete {
        /// The barrier.
        barrier: usize,
    },
    /// A workaround of an erratum, on machines that have it.
    Workaround {
        /// The erratum.
        erratum: usize,
        /// Which of its workarounds: the first with these steps.
        number: usize,
        /// An instruction with the operands that those of the workaround have. Without it all operands are zero.
        of: Option<Issue>,
    },
    /// Context synchronization of this CPU.
    Resync {
        /// The barrier.
        barrier: usize,
    },
    /// Sends an IPI to other CPUs.
    SendIpi {
        /// The CPUs.
        to: IpiTargets,
        /// Whether they flush; otherwise taking the IPI is enough.
        flush: bool,
    },
    /// The runtime invalidates secondary TLBs here, between start and finish.
    InvalidateSecondary,
    /// The changed entries are stored.
    Store,
    /// A flush is deferred.
    Defer(Deferred),
    /// The other tags of this CPU are invalidated lazily: each is flushed when it is next loaded.
    InvalidateOtherTags,
    /// A pending flush is completed: the steps that follow invalidate everything under the tag, or under every tag.
    CompletePending(Pending),
    /// Loads a register.
    Load {
        /// The load, by index.
        load: usize,
        /// The view whose tag it loads.
        view: usize,
        /// Whether the empty root is loaded instead of the space's.
        empty: bool,
        /// Whether entries under the tag are kept.
        keep: bool,
    },
    /// Continues with another plan.
    Call(Shape),
    /// Nothing has to be done.
    Nothing(Reason),
}

/// Why nothing has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Instructions complete without a barrier.
    AtOnce,
    /// No other CPU needs an IPI.
    NoIpi,
    /// User code runs on the view that the kernel runs on.
    SameView,
    /// The CPU comes online with nothing cached.
    Clean,
    /// Walkers see new entries without an instruction.
    Visible,
}

/// What a [`Node::Select`] tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// A feature, known at boot.
    Feature(usize),
    /// An erratum, known at boot.
    Erratum(usize),
    /// The tag is global: it has the same meaning on every CPU.
    GlobalTag,
    /// Walk entries have to be invalidated.
    WalkEntries,
    /// Leaf entries have to be invalidated.
    LeafEntries,
    /// Negative entries have to be invalidated.
    NegativeEntries,
    /// Leaf entries of one of these levels have to be invalidated.
    LeafAt(Levels),
    /// Walk entries of one of these levels have to be invalidated.
    WalkAt(Levels),
    /// The request is a teardown.
    Teardown,
    /// The kind of change of table entries.
    Kind(Kind),
    /// The flush of a change may be deferred.
    MayDefer,
    /// Only this CPU may have cached the entries that change.
    OnlyHere,
    /// The entries that change are the kernel's.
    OfKernel,
    /// One entry changes.
    OneEntry,
    /// Unlinked tables have passes of their own, and their entries are still valid.
    Live,
    /// The level is one of these.
    Stride(Levels),
    /// A run of this operand can start with an entry of the pass.
    FitsRun(usize),
    /// The pending flush of the tag to be loaded.
    Pending(Pending),
    /// The flush of the view to be loaded is deferred.
    ViewDeferred,
    /// What was issued requires one of these steps of completion.
    Required(FinishSteps),
}

impl Flag {
    /// Returns the flag that a test asks for; nothing for other tests.
    pub fn of(test: Test) -> Option<Self> {
        match test {
            Test::Feature(index) => Some(Self::feature(index)),
            Test::Erratum(index) => Some(Self::erratum(index)),
            _ => None,
        }
    }

    /// Returns the test that asks for the flag.
    pub fn test(self) -> Test {
        match self {
            Self::Feature(index) => Test::Feature(index.into()),
            Self::Erratum(index) => Test::Erratum(index.into()),
        }
    }
}

/// How operations are counted against a ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// One for each entry.
    Entries,
    /// One for each run of at most so many entries of these levels; if the last field is set, also for walk
    /// entries.
    EntryRuns(MaxCount, Levels, bool),
    /// One for each run of pages that this operand encodes; if the last field is set, also for walk entries.
    PageRuns(usize, bool),
}

/// What a [`Node::Loop`] is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Over {
    /// The passes over entries of unlinked tables.
    Walks,
    /// The passes over leaf entries.
    Leaves,
    /// The entries of a pass, one by one.
    Entries,
    /// The entries of a pass, in runs that an operand encodes.
    Runs {
        /// The operand that has the count.
        operand: usize,
        /// The largest count of one instruction.
        most: MaxCount,
    },
    /// The sets of a cache, of which there are so many.
    Sets(Amount),
}

/// One invalidation, and the sources of its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issue {
    /// The instruction, by index.
    pub invalidate: usize,
    /// Its form, by index.
    pub form: usize,
    /// The space whose mappings are flushed.
    pub space: Space,
    /// The view whose tag is an operand; none if no tag is compared.
    pub view: Option<usize>,
    /// The tag, if it is a constant.
    pub tag: Option<u64>,
    /// Whether it has an address.
    pub address: bool,
    /// Whether it has a hint when the level is known.
    pub hint: bool,
}

impl Node {
    /// Visits every node, from the top, this one included.
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
            Node::Guard { body, .. } => body.walk(visit),
            Node::Ceiling { count, within, .. } => {
                count.walk(visit);
                within.walk(visit);
            }
            Node::Loop { each, rest, .. } => {
                each.walk(visit);
                if let Some(rest) = rest {
                    rest.walk(visit);
                }
            }
            _ => {}
        }
    }

    /// Returns a selection, or the node itself if both alternatives are equal.
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
