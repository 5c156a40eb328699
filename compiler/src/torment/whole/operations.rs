//! The operations that a CPU executes.
//!
//! In: a seed, or operations. Out: the numbers from which each operation is made. Holds: an operation is determined by its own
//! seed, so that it is the same when other operations are left out.

use std::cell::RefCell;
use std::rc::Rc;

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tlbc_machine::schedule;

/// An operation of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number in the program; the first is 1.
    pub part: u32,
    /// The seed of what it does.
    pub seed: u64,
}

/// Where a CPU gets its operations from.
pub enum OperationSource {
    /// They are drawn, so many.
    Drawn(Rng, usize),
    Given(std::vec::IntoIter<Operation>),
}

/// The operations of a CPU, while it executes them.
pub struct Program {
    source: OperationSource,
    /// Those that it has begun.
    begun: Rc<RefCell<Vec<Operation>>>,
}

impl Program {
    /// Creates the program of a CPU.
    pub fn new(source: OperationSource) -> Self {
        Self {
            source,
            begun: Rc::default(),
        }
    }

    /// Returns the operations that the CPU has begun.
    pub fn begun(&self) -> Rc<RefCell<Vec<Operation>>> {
        self.begun.clone()
    }

    /// Begins the next operation. Returns the numbers from which it is made, or none at the end of the program.
    pub fn begin(&mut self) -> Option<Rng> {
        let count = self.begun.borrow().len();
        let operation = match &mut self.source {
            OperationSource::Drawn(_, most) if count == *most => return None,
            OperationSource::Drawn(rng, _) => Operation {
                part: count as u32 + 1,
                seed: rng.get_seed(),
            },
            OperationSource::Given(operations) => operations.next()?,
        };
        schedule::part(operation.part);
        self.begun.borrow_mut().push(operation);
        Some(Rng::with_seed(operation.seed))
    }

    /// Ends an operation that has used some of its numbers.
    pub fn end(&mut self, rng: Rng) {
        if let OperationSource::Drawn(next, _) = &mut self.source {
            *next = rng;
        }
    }
}
