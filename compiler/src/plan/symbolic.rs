//! Plans by questions: a flag matters to a plan only where planning asks for it.
//!
//! In: a computation that asks for features and errata. Out: all that it can come to, each with the answers under which
//! it does. Holds: the answers of two outcomes exclude each other, and each machine agrees with those of one. So the
//! work grows with the outcomes that there are and not with the machines.

use std::cell::{Cell, RefCell};

use super::flags::{Flag, KnownFlags, Needs};
use crate::model::{Config, Machine};

/// A machine of which only that is decided what was asked. A flag that can be either is off at first.
#[derive(Debug)]
pub struct SymbolicMachine<'m> {
    needs: &'m Needs,
    known: Cell<KnownFlags>,
    /// Each question with its answer, also those that were asked before.
    log: RefCell<Vec<(Flag, bool)>>,
    /// What was known before a free answer, with the other answer.
    others: RefCell<Vec<KnownFlags>>,
}

impl<'m> SymbolicMachine<'m> {
    fn new(needs: &'m Needs, known: KnownFlags) -> Self {
        Self {
            needs,
            known: Cell::new(known),
            log: RefCell::default(),
            others: RefCell::default(),
        }
    }

    /// A machine of which all is decided.
    pub fn decided(needs: &'m Needs, config: Config) -> Self {
        Self::new(needs, KnownFlags::of(config))
    }

    /// What flags need of each other.
    pub fn needs(&self) -> &'m Needs {
        self.needs
    }

    /// What is decided.
    pub fn known(&self) -> KnownFlags {
        self.known.get()
    }

    /// Asks for a flag.
    pub fn ask(&self, flag: Flag) -> bool {
        let known = self.known.get();
        let answer = known.get(flag).unwrap_or_else(|| {
            let follow = |on| self.needs.follow(known.with(flag, on));
            let (off, on) = (follow(false), follow(true));
            if let (Some(_), Some(on)) = (off, on) {
                self.others.borrow_mut().push(on);
            }
            // What is known leaves one of them.
            self.known.set(off.or(on).unwrap_or(known));
            off.is_none()
        });
        self.log.borrow_mut().push((flag, answer));
        answer
    }

    /// How many questions there were.
    pub fn mark(&self) -> usize {
        self.log.borrow().len()
    }

    /// The questions after a mark, and what was answered.
    pub fn since(&self, mark: usize) -> Vec<(Flag, bool)> {
        self.log.borrow()[mark..].to_vec()
    }

    /// What is known from the questions after a mark alone.
    pub fn known_since(&self, mark: usize) -> KnownFlags {
        let log = self.log.borrow();
        let asked = log[mark..].iter();
        let answers = asked.fold(KnownFlags::default(), |all, (flag, on)| {
            all.with(*flag, *on)
        });
        self.needs.follow(answers).unwrap_or(answers)
    }
}

impl Machine for &SymbolicMachine<'_> {
    fn has(self, feature: usize) -> bool {
        self.ask(Flag::feature(feature))
    }

    fn suffers(self, erratum: usize) -> bool {
        self.ask(Flag::erratum(erratum))
    }

    fn geometry(self) -> usize {
        0
    }
}

/// All that a computation can come to, each with the answers under which it does.
pub fn outcomes<R>(
    needs: &Needs,
    mut compute: impl FnMut(&SymbolicMachine<'_>) -> R,
) -> Vec<(KnownFlags, R)> {
    let mut open = vec![KnownFlags::default()];
    let mut all = Vec::new();
    while let Some(known) = open.pop() {
        let asked = SymbolicMachine::new(needs, known);
        let result = compute(&asked);
        all.push((asked.known(), result));
        open.append(&mut asked.others.into_inner());
    }
    all
}

/// What a computation came to, by the questions that it asked.
#[derive(Debug)]
pub enum Known<R> {
    /// It has not been done under these answers.
    Unknown,
    /// It came to this.
    Is(R),
    /// It asks for a flag next: how it goes on when that is off, and when it is on.
    Asks(Flag, Box<[Known<R>; 2]>),
}

impl<R: Clone> Known<R> {
    /// What it comes to for a machine, where that is known.
    pub fn get(&self, asked: &SymbolicMachine<'_>) -> Option<R> {
        match self {
            Known::Unknown => None,
            Known::Is(result) => Some(result.clone()),
            Known::Asks(flag, then) => then[usize::from(asked.ask(*flag))].get(asked),
        }
    }

    /// Remembers what it came to.
    pub fn insert(&mut self, path: &[(Flag, bool)], result: R) {
        let mut at = self;
        let mut seen = KnownFlags::default();
        for &(flag, answer) in path {
            if seen.get(flag).is_some() {
                continue;
            }
            seen = seen.with(flag, answer);
            if matches!(at, Known::Unknown) {
                *at = Known::Asks(flag, Box::new([Known::Unknown, Known::Unknown]));
            }
            if let Known::Asks(_, then) = at {
                at = &mut then[usize::from(answer)];
            }
        }
        *at = Known::Is(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_only_where_it_is_asked_for() {
        // The first of many that is on decides.
        let first = |machine: &SymbolicMachine<'_>| (0..20).find(|&feature| machine.has(feature));
        let all = outcomes(&Needs::default(), first);
        assert_eq!(all.len(), 21);
        for (when, found) in all {
            let flags = found.map_or(20, |feature| feature + 1);
            assert_eq!(when.flags().count(), flags, "{found:?}");
        }
    }

    #[test]
    fn what_is_known_is_not_computed_again() {
        let mut known = Known::Unknown;
        let mut computed = 0;
        let mut of_two = |machine: &SymbolicMachine<'_>| {
            known.get(machine).unwrap_or_else(|| {
                computed += 1;
                let mark = machine.mark();
                let result = if machine.has(0) {
                    machine.has(1)
                } else {
                    machine.has(2)
                };
                known.insert(&machine.since(mark), result);
                result
            })
        };
        let all = outcomes(&Needs::default(), |machine| {
            // Sixteen times as many machines, for all of which the same is known.
            for feature in 10..14 {
                machine.has(feature);
            }
            of_two(machine)
        });
        assert_eq!(all.len(), 16 * 4);
        for (when, result) in all {
            let decides = if when.get(Flag::feature(0)) == Some(true) {
                1
            } else {
                2
            };
            assert_eq!(when.get(Flag::feature(decides)), Some(result));
        }
        assert_eq!(computed, 4);
    }
}
