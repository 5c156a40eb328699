//! Braces that do not match.
//!
//! In: a text whose braces may not match. Out: the place and kind of the most probable mistake, found by indentation
//! and by the words that begin statements; or the braces that are left open where neither helps. Offsets count bytes.
//!
//! Both are used only when braces do not match: a correct text may have any layout.

use super::blocks::{body_of, is_item_only};
use super::lex::{self, TokenKind};

/// The deepest nesting of braces and parentheses.
pub(super) const MAX_DEPTH: usize = 200;

/// A fault in the braces of a text.
pub(super) enum Mismatch {
    /// `{` twice in a row; this is the second.
    Doubled(usize),
    /// A brace that must be closed before some place.
    Unclosed(Unclosed),
    /// A `}` that does not close the block to which its place belongs.
    TooMany(usize),
    /// Braces that are left open, outermost first, without a place where they should end.
    Open(Vec<usize>),
    /// More than [`MAX_DEPTH`], from here on.
    TooDeep(usize),
}

/// A block that is not closed before something outside of it.
pub(super) struct Unclosed {
    pub(super) opener: usize,
    /// The place of what is outside of it.
    pub(super) outside: usize,
    /// Whether that is known by indentation; otherwise because no block can contain it.
    pub(super) by_indentation: bool,
    /// The end of the last word before that.
    pub(super) end: usize,
}

/// An opening brace or parenthesis.
struct Opener {
    at: usize,
    brace: bool,
    /// Whether it contains items.
    holds_items: bool,
    /// Its line, and the columns before the first word of that line.
    line: usize,
    indent: usize,
    /// Columns before the first line inside.
    inner: Option<usize>,
    /// Whether something follows on its line.
    has_content: bool,
}

/// The walk over the tokens of a text.
struct BraceWalk {
    stack: Vec<Opener>,
    line: usize,
    indent: usize,
    doubled: Option<usize>,
    unclosed: Option<Unclosed>,
    too_many: Option<usize>,
    /// The first `}` of this line after which something follows on the line.
    early: Option<usize>,
    /// The last `}`, with its line.
    last_close: Option<(usize, usize)>,
    /// Whether a block was closed that was not open, or something follows the last.
    closes_too_much: bool,
    /// Whether a statement that has a block ended without one.
    unopened: bool,
}

/// Returns the mistake in the braces of `text`, if there is one. Without guesses it is the braces left open.
pub(super) fn mismatch(text: &str, guess: bool) -> Option<Mismatch> {
    let mut walk = BraceWalk {
        stack: Vec::new(),
        line: 0,
        indent: 0,
        doubled: None,
        unclosed: None,
        too_many: None,
        early: None,
        last_close: None,
        closes_too_much: false,
        unopened: false,
    };
    let mut previous: Option<(TokenKind, usize)> = None;
    // The first word of the current statement.
    let mut keyword: Option<&str> = None;
    let mut was_closed = false;
    for (kind, range) in lex::tokens(text, 0) {
        let at = range.start;
        let end = previous.map_or(0, |(_, end)| end);
        let breaks = text[end..at].matches('\n').count();
        let begins_line = previous.is_none() || breaks > 0;
        let begins_statement =
            matches!(previous, None | Some((TokenKind::Mark(';' | '{' | '}'), _)));
        let word = &text[range.clone()];
        if begins_line {
            walk.line += breaks;
            let before = text[..at].trim_end_matches([' ', '\t']);
            walk.indent = at - before.len();
            walk.begin_line(kind, at, end);
            walk.early = None;
        } else if let Some(opener) = walk.stack.last_mut() {
            opener.has_content |= opener.line == walk.line;
        }
        let follows_close = walk.last_close.filter(|(line, _)| *line == walk.line);
        if let Some((_, close)) = follows_close
            && kind != TokenKind::Mark('}')
        {
            walk.early.get_or_insert(close);
        }
        let is_word = kind == TokenKind::Word;
        let begins_item = is_word && is_item_only(word) && (begins_statement || begins_line);
        if begins_item {
            walk.begin_item(at, end);
            walk.unopened |= !begins_statement && has_block(keyword);
        }
        if begins_statement || begins_item {
            keyword = is_word.then_some(word);
        }
        walk.closes_too_much |= was_closed && walk.stack.is_empty() && word != "arch";
        was_closed = false;
        match kind {
            TokenKind::Mark(mark @ ('{' | '(')) => {
                if walk.stack.len() == MAX_DEPTH {
                    return Some(Mismatch::TooDeep(at));
                }
                if mark == '{' && matches!(previous, Some((TokenKind::Mark('{'), _))) {
                    walk.doubled.get_or_insert(at);
                }
                let holds_items = mark == '{' && matches!(keyword, Some("arch" | "for"));
                walk.open(at, mark == '{', holds_items);
            }
            TokenKind::Mark(')') => {
                walk.stack.pop_if(|opener| !opener.brace);
            }
            // A statement or a block ends: the grammar reports a parenthesis that is still open.
            TokenKind::Mark(';') => {
                walk.close_parentheses();
                walk.unopened |= has_block(keyword);
            }
            TokenKind::Mark('}') => {
                walk.close(at, begins_line);
                was_closed = walk.stack.is_empty();
            }
            _ => {}
        }
        previous = Some((kind, range.end));
    }
    walk.close_parentheses();
    walk.verdict(guess)
}

fn has_block(keyword: Option<&str>) -> bool {
    keyword.is_some_and(|word| body_of(word).is_some())
}

impl BraceWalk {
    /// Returns the fault that the place of the first token of a line shows.
    fn begin_line(&mut self, kind: TokenKind, at: usize, end: usize) {
        let indent = self.indent;
        let Some(opener) = self.stack.last_mut().filter(|opener| opener.brace) else {
            return;
        };
        let inner = *opener.inner.get_or_insert(indent);
        let outside =
            indent < opener.indent || indent == opener.indent && kind != TokenKind::Mark('}');
        let tells = inner > opener.indent || opener.has_content;
        if tells && outside && self.unclosed.is_none() {
            self.unclosed = Some(Unclosed {
                opener: opener.at,
                outside: at,
                by_indentation: true,
                end,
            });
        }
    }

    /// Returns the fault that a word shows that begins only items.
    fn begin_item(&mut self, at: usize, end: usize) {
        let innermost = self.stack.iter().rev().find(|opener| opener.brace);
        if let Some(opener) = innermost.filter(|opener| !opener.holds_items)
            && self.unclosed.is_none()
        {
            self.unclosed = Some(Unclosed {
                opener: opener.at,
                outside: at,
                by_indentation: false,
                end,
            });
        }
    }

    fn open(&mut self, at: usize, brace: bool, holds_items: bool) {
        self.stack.push(Opener {
            at,
            brace,
            holds_items,
            line: self.line,
            indent: self.indent,
            inner: None,
            has_content: false,
        });
    }

    fn close(&mut self, at: usize, begins_line: bool) {
        self.close_parentheses();
        let Some(opener) = self.stack.pop() else {
            self.closes_too_much = true;
            self.too_many.get_or_insert(self.early.unwrap_or(at));
            return;
        };
        self.last_close = Some((self.line, at));
        let fits = if begins_line {
            self.indent == opener.indent
        } else {
            self.line == opener.line
        };
        if !fits {
            self.too_many.get_or_insert(self.early.unwrap_or(at));
        }
    }

    fn close_parentheses(&mut self) {
        while self.stack.pop_if(|opener| !opener.brace).is_some() {}
    }

    fn verdict(self, guess: bool) -> Option<Mismatch> {
        if self.stack.is_empty() {
            // The grammar finds a missing `{`.
            let known = guess && self.closes_too_much && !self.unopened;
            return self.too_many.filter(|_| known).map(Mismatch::TooMany);
        }
        let doubled = self.doubled.map(Mismatch::Doubled);
        let guessed = doubled.or(self.unclosed.map(Mismatch::Unclosed));
        let open = self.stack.iter().map(|opener| opener.at).collect();
        Some(guessed.filter(|_| guess).unwrap_or(Mismatch::Open(open)))
    }
}
