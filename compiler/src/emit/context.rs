//! What the folds share.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::names::ModuleNames;
use super::tree::{Stmt, Var};
use crate::analysis::Analysis;
use crate::model::{Model, Which};
use crate::plan::Plans;
use crate::plan::ir::Shape;
use crate::source::Files;

/// What the folds share.
pub(crate) struct Emit<'a> {
    pub model: &'a Model,
    pub plans: &'a Plans,
    pub files: &'a Files,
    pub names: ModuleNames,
    /// The instructions that some plan issues.
    pub used: BTreeSet<Which>,
    /// How each operand is encoded.
    pub encoders: Vec<Encoder>,
    /// The routines of plans, made when they are needed.
    pub routines: RefCell<BTreeMap<Shape, Rc<Routine>>>,
}

/// How an operand is encoded.
pub struct Encoder {
    pub body: Vec<Stmt>,
    /// The parameters of the function.
    pub parameters: Vec<Var>,
}

/// A routine: its body, and the parameters besides the sink.
pub struct Routine {
    pub body: Vec<Stmt>,
    pub parameters: Vec<Var>,
    pub takes_sink: bool,
}

impl<'a> Emit<'a> {
    /// Returns what the folds over a definition share. It takes the names of its items.
    pub fn new(analysis: &'a Analysis, files: &'a Files, names: ModuleNames) -> Self {
        let mut emit = Self {
            model: &analysis.model,
            plans: &analysis.plans,
            files,
            names,
            used: analysis.plans.instructions(&analysis.model),
            encoders: Vec::new(),
            routines: RefCell::default(),
        };
        emit.encoders = emit.encoders_of_operands();
        emit
    }
}
