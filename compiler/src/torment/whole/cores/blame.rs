//! Why a stale entry could be used.
//!
//! In: the history of a run that failed, and the entry that the complaint is about. Out: a [`Blame`]: the life of the entry, what
//! each instruction since the change of the table did about it, and the place in the definition or in the runtime that is
//! responsible. Holds: what an instruction does comes from the definition of the hardware, as in the run.

mod cause;
mod life;
pub mod line;
mod story;

use tlbc_machine::hardware::EntryKind;

use self::line::{BlameLine, BlamedPlace, line};
use self::story::Story;
use super::history::History;
use super::{ComplaintSubject, Cores, Held};
use crate::torment::whole::memory::NUMBER;

/// Why a run failed.
#[derive(Debug, Clone, Default)]
pub struct Blame {
    /// The entry, in words.
    pub entry: Option<String>,
    /// The life of the entry, in order.
    pub life: Vec<BlameLine>,
    /// What went wrong, in one sentence without its full stop.
    pub cause: Option<String>,
    /// The places that are responsible, the first most.
    pub places: Vec<(BlamedPlace, String)>,
    /// The event of the fill that made the stale entry, and the one of the change of the table.
    pub filled: Option<usize>,
    pub changed: Option<usize>,
    /// The CPU that may use the entry.
    pub user: Option<usize>,
    /// The step of the complaint.
    pub complained: u64,
    /// What the CPUs did, in order.
    pub steps: Vec<BlameLine>,
}

/// Finds out why a run failed.
pub fn blame(cores: &Cores<'_>, history: &History) -> Blame {
    let mut blame = Blame {
        complained: cores.complained,
        ..Blame::default()
    };
    let key = match &cores.subject {
        Some(ComplaintSubject::Entry(cpu, key)) => Some((*cpu, key.clone())),
        Some(ComplaintSubject::Table(cpu, table)) => {
            let leads = |held: &&Held| {
                held.key.entry.kind == EntryKind::Walk
                    && (held.key.bits >> NUMBER) as usize == *table
            };
            let held = cores.all[*cpu].held.iter().find(leads);
            held.map(|held| (*cpu, held.key.clone()))
        }
        None => None,
    };
    if let Some((cpu, key)) = key {
        let story = Story::of(cores, &history.events, cpu, key);
        blame.entry = Some(story.words());
        blame.life = story.life();
        let (cause, places) = story.cause();
        blame.cause = Some(cause);
        blame.filled = story.first_fill();
        blame.changed = story.changed;
        blame.user = Some(cpu);
        blame.places = places;
    }
    let steps = history.events.iter().enumerate();
    blame.steps = steps
        .filter_map(|(index, event)| line(cores, index, event))
        .collect();
    blame
}
