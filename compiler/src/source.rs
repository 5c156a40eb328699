//! Sources and places in them.
//!
//! In: file names and texts. Out: [`Files`], which turns a [`Span`] into a line and a column.
//! Every node of the AST, the model and the plan has a span, so that a message or a line of generated
//! code can name the place in the definition that it comes from.

use std::ops::Range;

/// A file of [`Files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileId(pub u32);

/// Bytes `start..end` of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Returns the span of `range` in `file`.
    #[must_use]
    pub fn new(file: FileId, range: Range<usize>) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            file,
            start: clamp(range.start),
            end: clamp(range.end),
        }
    }

    /// Returns the span from the start of `self` to the end of `other`.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            end: self.end.max(other.end),
            ..self
        }
    }

    /// Returns whether `other` lies within this span.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.file == other.file && self.start <= other.start && other.end <= self.end
    }

    /// Returns the offsets as a range.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One source text.
#[derive(Debug, Clone)]
pub struct File {
    /// The name that the user gave.
    pub name: String,
    /// The text.
    pub text: String,
    /// The text as messages quote it, where that differs: each other character is the same, and at the same place.
    pub quoted: Option<String>,
    line_starts: Vec<usize>,
}

/// The sources of one run.
#[derive(Debug, Clone, Default)]
pub struct Files(Vec<File>);

impl Files {
    /// Adds a source.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.0.push(File {
            name: name.into(),
            text,
            quoted: None,
            line_starts,
        });
        FileId(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX))
    }

    /// Sets the text of a source as messages quote it.
    pub fn quote(&mut self, id: FileId, quoted: String) {
        self.0[id.0 as usize].quoted = Some(quoted);
    }

    /// Returns a source.
    #[must_use]
    pub fn get(&self, id: FileId) -> &File {
        &self.0[id.0 as usize]
    }

    /// Iterates over the sources in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &File)> {
        (0..).map(FileId).zip(&self.0)
    }

    /// Returns the source text of a span.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file).text.get(span.range()).unwrap_or("")
    }

    /// Returns the line and the column of an offset, both counted from 1. The column counts characters.
    #[must_use]
    pub fn line_column(&self, file: FileId, offset: u32) -> (usize, usize) {
        let file = self.get(file);
        let offset = (offset as usize).min(file.text.len());
        let line = file.line_starts.partition_point(|&start| start <= offset);
        let start = file.line_starts[line - 1];
        let column = file
            .text
            .get(start..offset)
            .map_or(0, |s| s.chars().count());
        (line, column + 1)
    }

    /// Returns the first and the last line of a span, counted from 1.
    #[must_use]
    pub fn lines(&self, span: Span) -> (usize, usize) {
        let (first, _) = self.line_column(span.file, span.start);
        let (last, _) = self.line_column(span.file, span.end.max(span.start + 1) - 1);
        (first, last)
    }
}
