//! Architectures side by side.
//!
//! In: definitions with their plans. Out: a [`Matrix`], one column an architecture and one row a
//! question, and its text for a terminal, as Markdown or as a page of HTML. Holds: every cell follows
//! from the facts or the plans of its architecture, none from its name.

mod facts;
mod instructions;
mod policy;
mod show;

pub(crate) use instructions::{done, reach};
pub use policy::Origin;
pub(crate) use policy::wants;
pub use show::{escaped, html, markdown, marked, text};

use crate::Analysis;

/// Answers to questions, an architecture a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The architectures.
    pub columns: Vec<String>,
    /// The questions, by subject.
    pub sections: Vec<Section>,
}

/// Questions of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The subject.
    pub title: &'static str,
    /// The questions.
    pub rows: Vec<Row>,
}

/// A question, and the answer of each architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The question.
    pub question: &'static str,
    /// Answers, each of some lines; names stand between backticks.
    pub cells: Vec<Vec<String>>,
}

/// A question.
struct Ask {
    question: &'static str,
    /// Whether a newcomer asks it, too.
    brief: bool,
    answer: fn(&Analysis) -> Vec<String>,
}

/// A question of the long form alone.
const fn long(question: &'static str, answer: fn(&Analysis) -> Vec<String>) -> Ask {
    Ask {
        question,
        brief: false,
        answer,
    }
}

/// A question of both forms.
const fn brief(question: &'static str, answer: fn(&Analysis) -> Vec<String>) -> Ask {
    Ask {
        question,
        brief: true,
        answer,
    }
}

impl Matrix {
    /// The answers of these architectures; the brief form has those questions that a newcomer asks.
    /// A question that none of them answers is left out.
    #[must_use]
    pub fn new(analyses: &[Analysis], is_brief: bool) -> Self {
        let subjects = [
            ("Page tables", facts::TABLES),
            ("What may be cached", facts::CACHES),
            ("Tags and views", facts::TAGS),
            ("Changes of table entries", facts::CHANGES),
            ("Instructions", instructions::ALL),
            ("Policies", policy::POLICIES),
            ("What is issued", policy::ISSUED),
            ("Events", policy::EVENTS),
            ("Features and errata", policy::VARIANTS),
        ];
        let sections = subjects.into_iter().map(|(title, asked)| {
            let asked = asked.iter().filter(|ask| ask.brief || !is_brief);
            let rows = asked.map(|ask| Row {
                question: ask.question,
                cells: analyses.iter().map(ask.answer).collect(),
            });
            let rows = rows.filter(|row| row.cells.iter().any(|cell| !cell.is_empty()));
            Section {
                title,
                rows: rows.collect(),
            }
        });
        Self {
            columns: analyses
                .iter()
                .map(|it| it.model.arch.name.clone())
                .collect(),
            sections: sections
                .filter(|section| !section.rows.is_empty())
                .collect(),
        }
    }
}
