//! The barriers after which a CPU fetches anew.
//!
//! In: the spaces and events, and the barriers. Out: E0203 where a block has no `resync` and no barrier
//! resyncs. Holds: each block has a barrier, or states that none is necessary.

use super::scope::Lower;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{At, Barrier, Cond, Event, Resync, Space};
use crate::source::Span;
use crate::text::list;

/// A block and its name in messages.
type Block<'m, T> = (&'static str, &'m mut Option<T>);

impl Lower {
    /// Gives each block without a `resync` the barrier that resyncs.
    pub(super) fn resynced(
        &mut self,
        spaces: [Block<Space>; 2],
        events: [Block<Event>; 3],
        barriers: &[Barrier],
    ) {
        let spaces = spaces.into_iter().filter_map(|(what, space)| {
            let space = space.as_mut()?;
            Some((what, space.span, &mut space.resync))
        });
        let events = events.into_iter().filter_map(|(what, event)| {
            let event = event.as_mut()?;
            Some((what, event.span, &mut event.resync))
        });
        let derived = resyncing(barriers);
        let mut silent: Vec<(String, Span)> = Vec::new();
        // `check` reports a named barrier that does not resync.
        let mut wrong = false;
        for (what, span, resync) in spaces.chain(events) {
            match resync {
                Some(said) => {
                    wrong |= said
                        .barriers()
                        .any(|(at, _)| barriers[at.value].resyncs.is_none());
                }
                None if derived.is_none() => silent.push((what.to_owned(), span)),
                None => {
                    let at = At {
                        value: derived,
                        span,
                    };
                    *resync = Some(Resync {
                        cases: vec![(at, Cond::default())],
                        span,
                    });
                }
            }
        }
        if wrong {
            return;
        }
        let Some(&(_, first)) = silent.first() else {
            return;
        };
        // What could not be read may resync.
        if !self.unread.is_empty() || !self.is_known(first) {
            return;
        }
        let names: Vec<String> = silent.into_iter().map(|(what, _)| what).collect();
        let verb = if names.len() == 1 { "does" } else { "do" };
        self.report(
            Diagnostic::new(
                Code::E0203,
                first,
                format!("{} {verb} not state `resync`", list(&names, "and")),
            )
            .label("missing from this block")
            .note("no barrier `resyncs`; where one does, it is the default")
            .help("add `resync` with a barrier, or `resync nothing;` if no barrier is necessary"),
        );
    }
}

/// Returns the barrier after which this CPU fetches anew: the first one that exists on every machine, or else the
/// first.
fn resyncing(barriers: &[Barrier]) -> Option<usize> {
    let all = barriers.iter().enumerate();
    let resyncing = all.filter(|(_, barrier)| barrier.resyncs.is_some());
    let first = resyncing.min_by_key(|(_, barrier)| !barrier.requires.terms.is_empty());
    first.map(|(index, _)| index)
}
