//! Questions about an architecture.

use crate::analysis::Analysis;

/// A question, and how it is answered for an architecture.
pub(super) struct MatrixQuestion {
    pub(super) question: &'static str,
    /// Whether it is part of the brief form.
    pub(super) brief: bool,
    /// Returns the lines of the answer.
    pub(super) answer: fn(&Analysis) -> Vec<String>,
}

/// Creates a question of the long form only.
pub(super) const fn long(
    question: &'static str,
    answer: fn(&Analysis) -> Vec<String>,
) -> MatrixQuestion {
    MatrixQuestion {
        question,
        brief: false,
        answer,
    }
}

/// Creates a question of both forms.
pub(super) const fn brief(
    question: &'static str,
    answer: fn(&Analysis) -> Vec<String>,
) -> MatrixQuestion {
    MatrixQuestion {
        question,
        brief: true,
        answer,
    }
}
