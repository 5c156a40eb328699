//! The table of questions and answers.

/// Questions, with the answers of several architectures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The names of the architectures.
    pub columns: Vec<String>,
    /// The questions, grouped by subject.
    pub sections: Vec<MatrixSection>,
}

/// The questions of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixSection {
    pub title: &'static str,
    pub rows: Vec<MatrixRow>,
}

/// A question and the answer of each architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixRow {
    pub question: &'static str,
    /// The answers, each of any number of lines; names are between backticks.
    pub cells: Vec<Vec<String>>,
}
