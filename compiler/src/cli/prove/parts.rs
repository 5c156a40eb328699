//! The parts of the results of a proof that every format shows.

use std::time::Duration;

use crate::addresses::{Judged, Verdict};
use crate::describe::{self, plain};
use crate::model::Model;

/// The number of claims about one part, by their verdict.
#[derive(Default)]
pub(super) struct Claims {
    pub all: u64,
    pub proved: u64,
    pub checked: u64,
    /// How many of the proved ones an earlier run has proved.
    pub earlier: u64,
    pub time: Duration,
}

impl Claims {
    fn add(&mut self, judged: &Judged) {
        self.all += 1;
        match judged.verdict {
            Verdict::Proved => self.proved += 1,
            Verdict::Checked(_) => self.checked += 1,
            Verdict::Refuted(_) | Verdict::Unknown(_) => {}
        }
        self.earlier += u64::from(judged.is_earlier);
        self.time += judged.time;
    }

    /// Returns how many of them an earlier run has proved, in words; nothing if it has not.
    pub fn earlier(&self) -> String {
        match self.earlier {
            0 => String::new(),
            count => format!("{count} by an earlier run"),
        }
    }

    /// Returns the number of claims that are neither proved nor checked.
    pub fn failed(&self) -> u64 {
        self.all - self.proved - self.checked
    }
}

/// Returns the claims about each part, and all of them.
pub(super) fn claims(judged: &[Judged]) -> (Vec<(&str, Claims)>, Claims) {
    let mut parts: Vec<(&str, Claims)> = Vec::new();
    let mut total = Claims::default();
    for one in judged {
        total.add(one);
        let known = parts.iter_mut().find(|(about, _)| *about == one.about);
        if let Some((_, claims)) = known {
            claims.add(one);
        } else {
            let mut claims = Claims::default();
            claims.add(one);
            parts.push((&one.about, claims));
        }
    }
    (parts, total)
}

/// Returns a time in milliseconds.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A fact that no manual confirms: what it is about, and its text.
pub(super) type UnconfirmedFact = (Vec<String>, String);

/// Returns the facts that no manual confirms, in the order of their numbers, of which the first is 1.
pub(super) fn unconfirmed(model: &Model) -> Vec<UnconfirmedFact> {
    let fact = |it: &crate::model::Unconfirmed| {
        let about = it.about.iter().map(|of| describe::subject(model, *of));
        (about.collect(), plain(&it.text))
    };
    model.unconfirmed.iter().map(fact).collect()
}
