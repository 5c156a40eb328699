//! The second opinion on `plan`: each path of each plan covers each cell of each request.
//!
//! In: a [`Model`] and its [`Plans`]. Out: a [`Proof`]: for each kind of request how many paths were followed, and a
//! [`Failure`] for each rule that some path breaks. Shares the vocabulary with `plan` (the model, the cells of an entry
//! and the plan IR) and no code.
//!
//! * A *request* ([`ask::Ask`]) says: which entries changed, and on which agents they may be cached. The
//!   runtime says what is required of which agents ([`tlbc_facts::required`]).
//! * A *path* is one execution of a plan. Flags are decided when something asks for them, and every combination that the
//!   definition allows is followed ([`machine`]).
//! * The *evidence* for a cell is one single step of the path that invalidates it, published before, complete after, in an
//!   order in which nothing can make the entry again ([`cover`]); an IPI whose handler does that; or a deferral whose latest
//!   moment is early enough.
//!
//! Holds: a path without a failure satisfies every rule that `cover`, `changes` and `events` state for it. Which addresses a loop
//! names is computed with the functions of the runtime that the generated code calls, for requests of chosen sizes and
//! alignments; `addresses` proves the arithmetic for all.

mod ask;
mod changes;
mod complete;
mod cover;
mod effect;
mod events;
mod failure;
mod flushes;
mod issued;
mod machine;
mod proof;
mod reading;
mod run;
mod steps;

use tlbc_runtime::request::{Reach, Space};

use crate::at_once::at_once;
use crate::model::Model;
use crate::plan::Plans;
use crate::plan::ir::Shape;
pub use failure::{Failure, Rule};
use proof::Part;
pub use proof::{Proof, Row, Unfollowed};

/// Proves the plans of a definition against it. The definition may be another than the one that the plans were made from.
#[must_use]
pub fn prove(model: &Model, plans: &Plans) -> Proof {
    let parts = at_once(requests().collect(), |(_, part)| {
        let mut proof = Proof::default();
        part(model, plans, &mut proof);
        proof
    });
    let mut proof = Proof::default();
    for part in parts {
        proof.append(part);
    }
    proof.join();
    proof
}

/// What a part of a proof is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Flush(Space, Reach),
    Change,
    Event,
}

impl About {
    /// Returns which part follows the plan of a shape.
    fn of(shape: Shape) -> Self {
        match shape {
            Shape::Switch
            | Shape::LoadTag
            | Shape::ReturnToUser
            | Shape::EnterFromUser
            | Shape::CpuOnline => Self::Event,
            Shape::Change
            | Shape::Invalidate
            | Shape::Replace
            | Shape::MoreRights
            | Shape::Publish(_) => Self::Change,
            _ => Self::Flush(shape.space(), shape.reach()),
        }
    }
}

/// Returns the first failure of those requests that the plan of a shape serves directly; none if they are proved.
#[must_use]
pub fn disproved(model: &Model, plans: &Plans, shape: Shape) -> Option<Failure> {
    let mut proof = Proof::default();
    for (_, part) in requests().filter(|(about, _)| *about == About::of(shape)) {
        part(model, plans, &mut proof);
        if !proof.failures.is_empty() {
            break;
        }
    }
    proof.failures.into_iter().next()
}

/// Returns the parts of the proof.
fn requests() -> impl Iterator<Item = (About, Part)> {
    let flushes =
        flushes::requests().map(|((space, reach), part)| (About::Flush(space, reach), part));
    let changes = changes::requests().map(|part| (About::Change, part));
    let events = std::iter::once((About::Event, Box::new(events::prove) as Part));
    flushes.chain(changes).chain(events)
}
