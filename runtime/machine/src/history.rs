//! The history of a machine up to its first complaint.

use std::fmt;

use crate::machine::Machine;
use crate::memory::{Entry, TableId};
use crate::op::Op;

/// A step of the history.
#[derive(Debug, Clone)]
pub(crate) enum HistoryEvent {
    Issued {
        cpu: usize,
        op: Op,
    },
    Stored(TableId, usize, Entry),
    RunsUser {
        cpu: usize,
    },
    StopsUser {
        cpu: usize,
    },
    Boots {
        cpu: usize,
        root: TableId,
        tag: u64,
    },
    Walks {
        device: usize,
        root: TableId,
        tag: u64,
    },
    Rests {
        device: usize,
    },
    Relied(Vec<usize>),
    Freed(TableId),
}

impl fmt::Display for HistoryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issued { cpu, op } => write!(f, "CPU {cpu} issues {op:?}"),
            Self::Stored(table, index, entry) => {
                write!(f, "entry {index} of table {table} is {entry:?}")
            }
            Self::RunsUser { cpu } => write!(f, "CPU {cpu} runs user code"),
            Self::StopsUser { cpu } => write!(f, "CPU {cpu} runs the kernel alone"),
            Self::Boots { cpu, root, tag } => {
                write!(f, "CPU {cpu} starts on table {root} under tag {tag}")
            }
            Self::Walks { device, root, tag } => {
                write!(f, "device {device} walks table {root} under tag {tag}")
            }
            Self::Rests { device } => write!(f, "device {device} walks no more"),
            Self::Relied(frames) => write!(f, "pages {frames:?} are relied on"),
            Self::Freed(table) => write!(f, "table {table} is freed"),
        }
    }
}

impl Machine {
    pub(crate) fn note(&self, event: HistoryEvent) {
        let mut state = self.state.borrow_mut();
        if state.complaint.is_none() {
            state.history.push(event);
        }
    }

    /// Describes the first complaint, if there is one, and the steps before it.
    #[must_use]
    pub fn report(&self) -> Option<String> {
        let state = self.state.borrow();
        let complaint = state.complaint?;
        let lines = state.history.iter().map(|event| format!("\n  {event}"));
        Some(format!("{complaint:?} after{}", lines.collect::<String>()))
    }
}
