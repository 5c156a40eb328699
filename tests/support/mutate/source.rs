//! A definition as tokens and statements.
//!
//! In: the text of a definition. Out: its tokens, and its statements with the blocks that contain them.
//! Holds: every token and statement is a range of the text; a text that is no definition still has tokens.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name or a keyword, with the variables of a `for` in it.
    Word,
    /// A register: a word in upper case, with its field.
    Register,
    /// A number.
    Number,
    /// A text in quotes.
    Text,
    /// Everything else.
    Mark,
}

/// A token.
#[derive(Debug, Clone)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it is in the text.
    pub range: Range<usize>,
}

/// A statement: up to its semicolon, or through its block.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The tokens of it, by index.
    pub tokens: Range<usize>,
    /// The statement whose block contains it.
    pub parent: Option<usize>,
    /// Whether it ends with a block.
    pub is_block: bool,
}

/// A text with its tokens and statements.
#[derive(Debug, Clone)]
pub struct Source {
    /// The text.
    pub text: String,
    /// Its tokens, without comments.
    pub tokens: Vec<Token>,
    /// Its statements, each after the one that contains it.
    pub statements: Vec<Statement>,
}

impl Source {
    /// The tokens and statements of a text.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let tokens = tokens(&text);
        let statements = statements(&text, &tokens);
        Self {
            text,
            tokens,
            statements,
        }
    }

    /// The text of a token.
    pub fn token(&self, index: usize) -> &str {
        self.tokens
            .get(index)
            .map_or("", |token| &self.text[token.range.clone()])
    }

    /// The bytes of a statement.
    pub fn range(&self, statement: &Statement) -> Range<usize> {
        let last = statement.tokens.end - 1;
        self.tokens[statement.tokens.start].range.start..self.tokens[last].range.end
    }

    /// The first word of a statement.
    pub fn head(&self, statement: &Statement) -> &str {
        self.token(statement.tokens.start)
    }

    /// The first word of the statement that contains another; of none, the empty word.
    pub fn parent(&self, statement: &Statement) -> &str {
        statement
            .parent
            .map_or("", |parent| self.head(&self.statements[parent]))
    }

    /// The names that are defined by a keyword, such as `feature`.
    pub fn defined(&self, keyword: &str) -> Vec<&str> {
        let statements = self.statements.iter();
        let of_kind = statements.filter(|statement| self.head(statement) == keyword);
        let names = of_kind.map(|statement| self.token(statement.tokens.start + 1));
        names.collect()
    }

    /// The names of levels.
    pub fn levels(&self) -> Vec<&str> {
        let mut levels: Vec<&str> = (self.statements.iter())
            .filter(|statement| self.parent(statement) == "levels")
            .map(|statement| self.head(statement))
            .filter(|name| *name != "top")
            .collect();
        levels.sort_unstable();
        levels.dedup();
        levels
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let run = |from: usize, is: &dyn Fn(u8) -> bool| {
        let length = bytes[from..].iter().take_while(|byte| is(**byte)).count();
        from + length
    };
    // `{name}` is a variable of a `for`: blocks are written with spaces.
    let variable = |from: usize| {
        let end = run(from + 1, &is_word);
        (bytes[from] == b'{' && end > from + 1 && bytes.get(end) == Some(&b'}')).then_some(end + 1)
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (kind, end) = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = run(at, &|byte| byte != b'\n');
                continue;
            }
            b'"' => {
                let end = run(at + 1, &|byte| byte != b'"' && byte != b'\n');
                (Kind::Text, bytes.len().min(end + 1))
            }
            byte if byte.is_ascii_digit() => (Kind::Number, run(at, &is_word)),
            byte if byte.is_ascii_uppercase() => (
                Kind::Register,
                run(at, &|byte| is_word(byte) || byte == b'.'),
            ),
            b'.' if bytes.get(at + 1) == Some(&b'.') => (Kind::Mark, at + 2),
            byte if is_word(byte) || variable(at).is_some() => {
                let mut end = at;
                loop {
                    let next = match bytes.get(end) {
                        Some(b'{') => variable(end).unwrap_or(end),
                        _ => run(end, &is_word),
                    };
                    if next == end {
                        break (Kind::Word, end);
                    }
                    end = next;
                }
            }
            _ => {
                let length = text[at..].chars().next().map_or(1, char::len_utf8);
                (Kind::Mark, at + length)
            }
        };
        out.push(Token {
            kind,
            range: at..end,
        });
        at = end;
    }
    out
}

fn statements(text: &str, tokens: &[Token]) -> Vec<Statement> {
    let mut out: Vec<Statement> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut start = None;
    for (index, token) in tokens.iter().enumerate() {
        let mark = &text[token.range.clone()];
        let is_mark = token.kind == Kind::Mark;
        if is_mark && mark == "}" {
            start = None;
            if let Some(closed) = open.pop() {
                out[closed].tokens.end = index + 1;
            }
            continue;
        }
        let first = *start.get_or_insert(index);
        let is_block = is_mark && mark == "{";
        if is_block || is_mark && mark == ";" {
            out.push(Statement {
                tokens: first..index + 1,
                parent: open.last().copied(),
                is_block,
            });
            start = None;
        }
        if is_block {
            open.push(out.len() - 1);
        }
    }
    out
}
