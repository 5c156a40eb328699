//! Planning for all machines at once: a flag matters to a plan only if planning asks for it.
//!
//! In: a computation that asks for features and errata. Out: all its outcomes, each with the answers that lead to
//! it. Holds: the answers of any two outcomes contradict each other, and each machine agrees with the answers of
//! exactly one. So the work grows with the number of outcomes, not of machines.

use std::cell::{Cell, RefCell};

use crate::model::flags::{Flag, KnownFlags, Needs};
use crate::model::{Config, Machine};

/// A machine whose flags are decided when they are asked for. A flag that can be either is off at first.
#[derive(Debug)]
pub struct SymbolicMachine<'m> {
    needs: &'m Needs,
    known: Cell<KnownFlags>,
    /// Each question with its answer, including repeated questions.
    log: RefCell<Vec<(Flag, bool)>>,
    /// The questions that could be answered either way, each with what would be known if its answer were on.
    free: RefCell<Vec<(Flag, KnownFlags)>>,
}

impl<'m> SymbolicMachine<'m> {
    fn new(needs: &'m Needs, known: KnownFlags) -> Self {
        Self {
            needs,
            known: Cell::new(known),
            log: RefCell::default(),
            free: RefCell::default(),
        }
    }

    /// Returns a machine whose flags are all decided.
    pub fn decided(needs: &'m Needs, config: Config) -> Self {
        Self::new(needs, KnownFlags::of(config))
    }

    /// Returns what flags need of each other.
    pub fn needs(&self) -> &'m Needs {
        self.needs
    }

    /// Returns what is decided.
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
                self.free.borrow_mut().push((flag, on));
            }
            // What is known allows at least one of them.
            self.known.set(off.or(on).unwrap_or(known));
            off.is_none()
        });
        self.log.borrow_mut().push((flag, answer));
        answer
    }

    /// Returns the number of questions so far.
    pub fn mark(&self) -> usize {
        self.log.borrow().len()
    }

    /// Returns the questions after a mark, with their answers.
    pub fn since(&self, mark: usize) -> Vec<(Flag, bool)> {
        self.log.borrow()[mark..].to_vec()
    }

    /// Returns what is known from the questions after a mark alone.
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

    /// Returns any geometry: one plan serves all, and `lower` refuses conditions by which it would not.
    fn geometry(self) -> usize {
        0
    }
}

/// Returns all outcomes of a computation, each with the answers that lead to it. Answers that make no difference are
/// not among them.
pub fn outcomes<R: PartialEq>(
    needs: &Needs,
    mut compute: impl FnMut(&SymbolicMachine<'_>) -> R,
) -> Vec<(KnownFlags, R)> {
    let nothing = KnownFlags::default();
    let all = outcomes_of(needs, (nothing, nothing), &mut compute).into_iter();
    all.map(|(free, result)| (needs.follow(free).unwrap_or(free), result))
        .collect()
}

/// Returns the outcomes for the machines that agree with what is known, with the free answers that lead to them,
/// after those so far.
fn outcomes_of<R: PartialEq>(
    needs: &Needs,
    (known, mut free): (KnownFlags, KnownFlags),
    compute: &mut impl FnMut(&SymbolicMachine<'_>) -> R,
) -> Vec<(KnownFlags, R)> {
    let asked = SymbolicMachine::new(needs, known);
    let result = compute(&asked);
    let mut questions = Vec::new();
    for (flag, on) in asked.free.into_inner() {
        questions.push((flag, (on, free.with(flag, true))));
        free = free.with(flag, false);
    }
    let mut all = vec![(free, result)];
    for (flag, if_on) in questions.into_iter().rev() {
        let mut others = outcomes_of(needs, if_on, compute);
        let same = |((off, one), (on, other)): (&(KnownFlags, R), &(KnownFlags, R))| {
            off.without(flag) == on.without(flag) && one == other
        };
        if all.len() == others.len() && all.iter().zip(&others).all(same) {
            for (free, _) in &mut all {
                *free = free.without(flag);
            }
        } else {
            all.append(&mut others);
        }
    }
    all
}

/// Outcomes of a computation, by the questions that it asked.
#[derive(Debug)]
pub enum OutcomeTree<R> {
    /// It was not done with these answers.
    Unknown,
    /// Its outcome.
    Is(R),
    /// It asks for a flag next: what follows if that is off, and if it is on.
    Asks(Flag, Box<[OutcomeTree<R>; 2]>),
}

impl<R: Clone> OutcomeTree<R> {
    /// Returns the outcome for a machine, if it is known.
    pub fn get(&self, asked: &SymbolicMachine<'_>) -> Option<R> {
        match self {
            OutcomeTree::Unknown => None,
            OutcomeTree::Is(result) => Some(result.clone()),
            OutcomeTree::Asks(flag, then) => then[usize::from(asked.ask(*flag))].get(asked),
        }
    }

    /// Records an outcome.
    pub fn insert(&mut self, path: &[(Flag, bool)], result: R) {
        let mut at = self;
        let mut seen = KnownFlags::default();
        for &(flag, answer) in path {
            if seen.get(flag).is_some() {
                continue;
            }
            seen = seen.with(flag, answer);
            if matches!(at, OutcomeTree::Unknown) {
                *at =
                    OutcomeTree::Asks(flag, Box::new([OutcomeTree::Unknown, OutcomeTree::Unknown]));
            }
            if let OutcomeTree::Asks(_, then) = at {
                at = &mut then[usize::from(answer)];
            }
        }
        *at = OutcomeTree::Is(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_only_where_it_is_asked_for() {
        // The first flag that is on decides.
        let first = |machine: &SymbolicMachine<'_>| (0..20).find(|&feature| machine.has(feature));
        let all = outcomes(&Needs::default(), first);
        assert_eq!(all.len(), 21);
        for (when, found) in all {
            let flags = found.map_or(20, |feature| feature + 1);
            assert_eq!(when.flags().count(), flags, "{found:?}");
        }
    }

    #[test]
    fn an_answer_that_makes_no_difference_is_no_outcome() {
        let asked_for =
            |machine: &SymbolicMachine<'_>| (0..8).filter(|&it| machine.has(it)).count();
        assert_eq!(
            outcomes(&Needs::default(), |it| asked_for(it) > 8),
            [(KnownFlags::default(), false)]
        );
        // All but the first matter only together.
        let all = outcomes(&Needs::default(), |it| asked_for(it) == 8);
        assert_eq!(all.len(), 9);
    }

    #[test]
    fn what_is_known_is_not_computed_again() {
        let mut known = OutcomeTree::Unknown;
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
            // Sixteen times as many machines, which share all outcomes.
            for feature in 10..14 {
                machine.has(feature);
            }
            of_two(machine)
        });
        // Nor do they make a difference, and the last question of two has the same answer as its outcome.
        assert_eq!(all.len(), 4);
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
