//! How far a run is.
//!
//! In: a text, often. Out: one line on stderr that is written anew about once a second. Holds: nothing is written unless stderr is a
//! terminal, and nothing stays.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::cli::message;

/// The time between two texts.
const PAUSE: Duration = Duration::from_millis(500);
/// Returns to the start of the line, and deletes it.
const ANEW: &str = "\r\x1b[K";

/// A line that shows how far a run is.
pub(super) struct Progress {
    is_wanted: bool,
    is_shown: bool,
    begun: Instant,
    last: Instant,
}

impl Progress {
    /// Creates a line, which is written on a terminal if it is wanted.
    pub(super) fn new(is_wanted: bool) -> Self {
        Self {
            is_wanted: is_wanted && io::stderr().is_terminal(),
            is_shown: false,
            begun: Instant::now(),
            last: Instant::now(),
        }
    }

    /// Writes a text with the time since the beginning, unless one was written just before.
    pub(super) fn show(&mut self, text: impl FnOnce() -> String) {
        if !self.is_wanted || self.last.elapsed() < PAUSE {
            return;
        }
        self.last = Instant::now();
        self.is_shown = true;
        let seconds = self.begun.elapsed().as_secs();
        message::complain(format_args!("{ANEW}{}, {seconds} s", text()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            message::complain(ANEW);
        }
    }
}
