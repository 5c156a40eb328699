//! A comparison of architectures.
//!
//! In: definitions with their plans. Out: a [`Matrix`] with one column per architecture and one row per question, as
//! text for a terminal, as Markdown or as a page of HTML. Holds: every cell follows from the facts or the plans of
//! its architecture, none from its name.

mod facts;
mod instructions;
mod policy;
mod show;

pub(crate) use instructions::{done, reach};
pub use policy::Origin;
pub(crate) use policy::wants;
pub use show::{escaped, html, markdown, marked, text};

use crate::analysis::Analysis;

/// Questions, with the answers of several architectures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The names of the architectures.
    pub columns: Vec<String>,
    /// The questions, grouped by subject.
    pub sections: Vec<Section>,
}

/// The questions of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub title: &'static str,
    pub rows: Vec<Row>,
}

/// A question and the answer of each architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub question: &'static str,
    /// The answers, each of any number of lines; names are between backticks.
    pub cells: Vec<Vec<String>>,
}

/// A question, and how it is answered for an architecture.
struct Ask {
    question: &'static str,
    /// Whether it is part of the brief form.
    brief: bool,
    answer: fn(&Analysis) -> Vec<String>,
}

/// Creates a question of the long form only.
const fn long(question: &'static str, answer: fn(&Analysis) -> Vec<String>) -> Ask {
    Ask {
        question,
        brief: false,
        answer,
    }
}

/// Creates a question of both forms.
const fn brief(question: &'static str, answer: fn(&Analysis) -> Vec<String>) -> Ask {
    Ask {
        question,
        brief: true,
        answer,
    }
}

impl Matrix {
    /// Compares architectures. The brief form contains only the questions that a newcomer asks first. A question
    /// that none of the architectures answers is omitted.
    #[must_use]
    pub fn new(analyses: &[Analysis], is_brief: bool) -> Self {
        let subjects = [
            ("Page tables", facts::TABLES),
            ("What may be cached", facts::CACHES),
            ("Tags and views", facts::TAGS),
            ("Changes of table entries", facts::CHANGES),
            ("Instructions", instructions::ALL),
            ("Policy", policy::POLICIES),
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
