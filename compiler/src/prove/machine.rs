//! Machines that are decided question by question.
//!
//! In: a function of a [`Partial`] machine. Out: its result for every machine. Holds: a flag that the function does not
//! ask for has no influence on its result, so machines that differ only there are followed together; every combination
//! of the flags that it asks for and that the definition allows is followed exactly once.

use std::cell::RefCell;

use crate::model::{Config, Machine, Model, Var};

/// What a path may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether a feature is on.
    Feature(usize),
    /// Whether an erratum is present.
    Erratum(usize),
    /// Which geometry the tables have.
    Geometry,
    /// Whether a limit has its greatest value instead of its least.
    GreatestLimit(usize),
    /// Whether the tag of the space means the same on every CPU.
    GlobalTag,
    /// Whether the changes of the request were published to everything that may walk the tables.
    Published,
    /// Whether the request takes more operations than the ceiling permits. Both answers are followed for every request, so the
    /// number of operations has no influence on what is proved.
    AboveCeiling,
}

/// An answer, and the answers that are followed later.
#[derive(Debug, Clone)]
struct Answered {
    question: Question,
    answer: usize,
    later: Vec<usize>,
}

/// A machine of which only the answers to some questions are known.
#[derive(Debug)]
pub struct Partial<'m> {
    model: &'m Model,
    answers: RefCell<Vec<Answered>>,
}

impl Partial<'_> {
    /// Returns the answer to a question, which stays the same until the end of the path.
    pub fn ask(&self, question: Question) -> usize {
        let known = |answered: &&Answered| answered.question == question;
        if let Some(known) = self.answers.borrow().iter().find(known) {
            return known.answer;
        }
        let count = match question {
            Question::Geometry => self.model.geometries.len(),
            _ => 2,
        };
        let mut possible = (0..count).filter(|&answer| self.is_possible(question, answer));
        let answer = possible.next().unwrap_or(0);
        let later = possible.collect();
        self.answers.borrow_mut().push(Answered {
            question,
            answer,
            later,
        });
        answer
    }

    /// Returns the answer to a question with two answers.
    pub fn is(&self, question: Question) -> bool {
        self.ask(question) != 0
    }

    /// Returns whether the tag of a user space means the same on every CPU: that of its machine does, unless the machine has
    /// tags of both kinds. A machine without tags has none that means something else elsewhere.
    pub fn has_global_tag(&self) -> bool {
        let there = self.model.tags.iter().filter(|tag| tag.when.holds(self));
        let (per_cpu, global): (Vec<_>, Vec<_>) = there.partition(|tag| tag.per_cpu.value);
        match (per_cpu.is_empty(), global.is_empty()) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => self.is(Question::GlobalTag),
        }
    }

    /// Returns a machine with these answers and as few flags besides as possible.
    pub fn config(&self) -> Config {
        self.least(None).unwrap_or_default()
    }

    /// Returns the questions that were asked, with their answers.
    pub fn asked(&self) -> Vec<(Question, usize)> {
        let answers = self.answers.borrow();
        answers.iter().map(|it| (it.question, it.answer)).collect()
    }

    /// Returns whether a machine with the known answers may have an erratum.
    pub fn may_suffer(&self, erratum: usize) -> bool {
        let question = Question::Erratum(erratum);
        let answers = self.answers.borrow();
        let known = answers.iter().find(|it| it.question == question);
        let known = known.map(|it| it.answer == 1);
        drop(answers);
        known.unwrap_or_else(|| self.is_possible(question, 1))
    }

    /// Returns whether a machine exists that gives this answer besides those that are known.
    fn is_possible(&self, question: Question, answer: usize) -> bool {
        match question {
            Question::Feature(_) | Question::Erratum(_) | Question::Geometry => {
                self.least(Some((question, answer))).is_some()
            }
            Question::GreatestLimit(limit) => {
                let limit = &self.model.limits[limit];
                answer == 0 || limit.least != limit.most
            }
            Question::GlobalTag | Question::Published | Question::AboveCeiling => true,
        }
    }

    /// Returns the machine with the fewest flags among those that give the known answers and one more; none if there is
    /// no such machine. What a flag needs is a conjunction, so flags that nothing needs can stay off.
    fn least(&self, more: Option<(Question, usize)>) -> Option<Config> {
        let mut known = self.asked();
        known.extend(more);
        let answer = |of: Question| {
            let known = known.iter().find(|(question, _)| *question == of);
            known.map(|(_, answer)| *answer)
        };
        let geometries = match answer(Question::Geometry) {
            Some(geometry) => geometry..geometry + 1,
            None => 0..self.model.geometries.len(),
        };
        let mut machines = geometries.filter_map(|geometry| {
            let mut config = Config {
                geometry,
                ..Config::default()
            };
            for &(question, answer) in &known {
                match question {
                    Question::Feature(feature) if answer == 1 => config.features |= 1 << feature,
                    Question::Erratum(erratum) if answer == 1 => config.errata |= 1 << erratum,
                    _ => {}
                }
            }
            // Each round turns on what the flags that are on need.
            for _ in 0..=self.model.features.len() {
                for feature in self.needed(config) {
                    config.features |= 1 << feature;
                }
            }
            let agrees = known.iter().all(|&(question, answer)| match question {
                Question::Feature(feature) => config.has(feature) == (answer == 1),
                _ => true,
            });
            (agrees && self.model.possible(config)).then_some(config)
        });
        machines.next()
    }

    /// Returns the features that the flags of a machine need to be on.
    fn needed(&self, config: Config) -> Vec<usize> {
        let features = self.model.features.iter().enumerate();
        let features = features.filter(|(index, _)| config.has(*index));
        let errata = self.model.errata.iter().enumerate();
        let errata = errata.filter(|(index, _)| config.suffers(*index));
        let needs = features.map(|(_, it)| &it.needs);
        let needs = needs.chain(errata.map(|(_, it)| &it.needs));
        let terms = needs.flat_map(|cond| &cond.terms);
        let wanted = terms.filter_map(|term| match term.value {
            (Var::Feature(feature), true) => Some(feature),
            _ => None,
        });
        wanted.collect()
    }

    /// Goes to the next path. Returns whether there is one.
    fn advance(&mut self) -> bool {
        let answers = self.answers.get_mut();
        while let Some(last) = answers.last_mut() {
            if last.later.is_empty() {
                answers.pop();
            } else {
                last.answer = last.later.remove(0);
                return true;
            }
        }
        false
    }
}

impl Machine for &Partial<'_> {
    fn has(self, feature: usize) -> bool {
        self.is(Question::Feature(feature))
    }

    fn suffers(self, erratum: usize) -> bool {
        self.is(Question::Erratum(erratum))
    }

    fn geometry(self) -> usize {
        self.ask(Question::Geometry)
    }
}

/// Follows every path of a function of a machine.
pub fn every_path(model: &Model, mut path: impl FnMut(&Partial<'_>)) {
    let mut machine = Partial {
        model,
        answers: RefCell::default(),
    };
    loop {
        path(&machine);
        if !machine.advance() {
            return;
        }
    }
}
