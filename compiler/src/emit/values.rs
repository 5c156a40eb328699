//! Values of the runtime's types.

use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::pte::Kind;
use tlbc_runtime::request::{Reach, Space};

use super::tree::{Expr, Runtime, Stmt, Var};
use crate::plan::ir::Shape;

pub const SPACES: [Space; 2] = [Space::User, Space::Kernel];

pub fn space_word(space: Space) -> Expr {
    Runtime::Space.item(match space {
        Space::User => "User",
        Space::Kernel => "Kernel",
    })
}

pub fn reach_word(reach: Reach) -> Expr {
    Runtime::Reach.item(match reach {
        Reach::Here => "Here",
        Reach::Wide => "Wide",
        Reach::Given => "Given",
    })
}

/// Returns the pattern of a space and a reach.
pub fn case_of(space: Space, reach: Reach) -> Expr {
    Expr::Tuple(vec![space_word(space), reach_word(reach)])
}

/// Returns the expression for whether tables were unlinked, in the routine of a shape.
pub fn tables(shape: Shape) -> Expr {
    match shape {
        Shape::Ranges(..) => Var::Ranges.method("tables", []),
        Shape::Passes(..) => Var::Passes.method("tables", []),
        Shape::Pass(..) => Var::Pass.field("walk"),
        _ => Var::Tables.expr(),
    }
}

/// Returns a kind of change.
pub fn kind_of(kind: Kind) -> Expr {
    Runtime::Kind.item(match kind {
        Kind::Map => "Map",
        Kind::Unmap => "Unmap",
        Kind::MoreRights => "MoreRights",
        Kind::Same => "Same",
        Kind::Remap => "Remap",
    })
}

/// Returns the statement that defers flushes.
pub fn defer(deferred: Deferred) -> Stmt {
    let names = [
        (Deferred::OTHERS_UNTIL_LOAD, "OTHERS_UNTIL_LOAD"),
        (Deferred::VIEW_UNTIL_RETURN, "VIEW_UNTIL_RETURN"),
        (Deferred::TAG_UNTIL_RENEWAL, "TAG_UNTIL_RENEWAL"),
        (Deferred::LAZY_UNTIL_LOAD, "LAZY_UNTIL_LOAD"),
        (Deferred::INACTIVE_UNTIL_LOAD, "INACTIVE_UNTIL_LOAD"),
        (Deferred::SPACE_UNTIL_ATTACH, "SPACE_UNTIL_ATTACH"),
    ];
    let set = names.iter().filter(|(bit, _)| deferred.contains(*bit));
    let set = set.map(|(_, name)| Runtime::Deferred.item(name));
    let set = set.reduce(|all, one| all.binary("|", one));
    let set = set.unwrap_or_else(|| Runtime::Deferred.item("NOTHING"));
    Stmt::Do(Var::Outcome.field("deferred").binary("|=", set))
}
