//! Every change of a single fact of a definition.
//!
//! In: the text of a definition, and other definitions that show what may follow a word. Out: each change once, in the order
//! of the text. Holds: nothing is random; each statement, element of a list, condition, name, keyword and number of a fact
//! is changed. Names that are defined, quoted texts, and the lists of what no manual confirms are not facts about a machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::effects;
use super::source::{Kind, Source, Statement};
use super::{Edit, Mutant, brief, edited, text_of};

/// Words that define a name.
const DEFINERS: [&str; 13] = [
    "feature",
    "limit",
    "geometry",
    "tag",
    "operand",
    "load",
    "barrier",
    "invalidate",
    "erratum",
    "cpu_set",
    "domain",
    "view",
    "form",
];

/// Words that start a condition.
const CONDITIONS: [&str; 3] = ["when", "unless", "requires"];

/// Statements without a fact about the machine.
const WITHOUT_FACTS: [&str; 3] = ["unconfirmed", "per", "target_arch"];

/// A change of one fact.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The block of the definition that has the fact, by its keyword.
    pub part: String,
    /// The changed text, and what was changed.
    pub mutant: Mutant,
}

/// The words that follow a word in the blocks of a kind, over several definitions.
pub struct Usage {
    after: BTreeMap<(String, String), BTreeSet<String>>,
    statements: BTreeMap<String, BTreeSet<String>>,
}

impl Usage {
    /// Reads definitions.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut after, mut statements) = (BTreeMap::new(), BTreeMap::new());
        for text in texts {
            let source = Source::new(text);
            for (number, statement) in source.statements.iter().enumerate() {
                let part = part(&source, number);
                for index in words(&source, statement) {
                    let key = (part.clone(), source.token(index - 1).to_owned());
                    let known: &mut BTreeSet<String> = after.entry(key).or_default();
                    known.insert(source.token(index).to_owned());
                }
                let block = block(&source, statement);
                if !statement.is_block && !block.is_empty() && !is_definition(&source, statement) {
                    let known: &mut BTreeSet<String> = statements.entry(block).or_default();
                    known.insert(text_of(&source, statement).to_owned());
                }
            }
        }
        Self { after, statements }
    }
}

/// Returns every change of one fact of a definition.
pub fn changes(text: &str, usage: &Usage) -> Vec<Changed> {
    let source = Source::new(text);
    let names = Names::new(&source);
    let mut all = Vec::new();
    for (number, statement) in source.statements.iter().enumerate() {
        if statement.parent.is_none() || WITHOUT_FACTS.contains(&source.head(statement)) {
            continue;
        }
        let part = part(&source, number);
        let mut add = |edits: Vec<Edit>, what: String| {
            let mutant = edited(&source, edits, what);
            if mutant.text != text {
                let part = part.clone();
                all.push(Changed { part, mutant });
            }
        };
        let shown = brief(text_of(&source, statement));
        add(
            vec![(source.range(statement), String::new())],
            format!("without `{shown}`"),
        );
        for range in conditions(&source, statement) {
            condition(&source, statement, range, &mut add);
        }
        for range in elements(&source, statement) {
            let what = format!("`{shown}` without `{}`", brief(&source.text[range.clone()]));
            add(vec![(range, String::new())], what);
        }
        for index in words(&source, statement) {
            let (old, before) = (source.token(index), source.token(index - 1));
            let mut choices: BTreeSet<&str> = names.like(old).collect();
            if choices.is_empty() {
                let key = (part.clone(), before.to_owned());
                let seen = usage.after.get(&key).into_iter().flatten();
                choices.extend(seen.map(String::as_str));
            }
            choices.remove(old);
            for new in choices {
                let range = source.tokens[index].range.clone();
                let what = format!("`{before} {new}` for `{before} {old}` in `{shown}`");
                add(vec![(range, new.to_owned())], what);
            }
        }
        for index in statement_tokens(&source, statement) {
            if source.tokens[index].kind != Kind::Number {
                continue;
            }
            for new in numbers(source.token(index)) {
                let old = source.token(index);
                let range = source.tokens[index].range.clone();
                add(
                    vec![(range, new.clone())],
                    format!("{new} for {old} in `{shown}`"),
                );
            }
        }
        for (edits, what) in effects::changes(&source, statement) {
            add(edits, what);
        }
        if statement.is_block {
            for more in missing(&source, number, usage) {
                let end = source.range(statement).end - 1;
                let what = format!("`{}` added to `{shown}`", brief(&more));
                add(vec![(end..end, format!("{more}\n"))], what);
            }
        }
    }
    all
}

/// Returns the keyword of the outermost block that contains a statement, or of itself.
fn part(source: &Source, number: usize) -> String {
    let mut at = number;
    loop {
        let parent = source.statements[at].parent;
        let Some(parent) = parent else { break };
        let outer = &source.statements[parent];
        if ["arch", "for"].contains(&source.head(outer)) {
            break;
        }
        at = parent;
    }
    source.head(&source.statements[at]).to_owned()
}

/// Returns the keyword of the block that a statement is in.
fn block(source: &Source, statement: &Statement) -> String {
    source.parent(statement).to_owned()
}

fn is_definition(source: &Source, statement: &Statement) -> bool {
    let head = source.head(statement);
    DEFINERS.contains(&head) || WITHOUT_FACTS.contains(&head)
}

/// Returns the tokens of a statement itself: those before its block.
fn statement_tokens(source: &Source, statement: &Statement) -> Range<usize> {
    let mut tokens = statement.tokens.clone();
    if statement.is_block {
        let open = tokens.find(|index| source.token(*index) == "{");
        return statement.tokens.start..open.unwrap_or(statement.tokens.start);
    }
    tokens
}

/// Returns the words of a statement that state something: not its first, and no name that it defines.
fn words(source: &Source, statement: &Statement) -> Vec<usize> {
    let tokens = statement_tokens(source, statement);
    let defines = DEFINERS.contains(&source.head(statement)) || source.head(statement) == "for";
    let first = tokens.start + if defines { 2 } else { 1 };
    (first..tokens.end)
        .filter(|index| source.tokens[*index].kind == Kind::Word)
        .collect()
}

/// The names that a definition defines, by what they are.
struct Names<'s>(Vec<Vec<&'s str>>);

impl<'s> Names<'s> {
    fn new(source: &'s Source) -> Self {
        let mut classes: Vec<Vec<&str>> = DEFINERS.iter().map(|it| source.defined(it)).collect();
        classes.push(source.levels());
        let caches = source.statements.iter().filter(|statement| {
            source.parent(statement) == "caches"
                && source.token(statement.tokens.start + 1) == "holds"
        });
        classes.push(caches.map(|statement| source.head(statement)).collect());
        // A condition names features and geometries alike.
        let geometries = source.defined("geometry");
        classes[0].extend(geometries);
        Self(classes)
    }

    /// Returns the names of the same class as a name; none if it is no name.
    fn like(&self, name: &str) -> impl Iterator<Item = &'s str> {
        let class = self.0.iter().find(|class| class.contains(&name));
        class.into_iter().flatten().copied()
    }
}

/// Returns the conditions of a statement, as tokens.
fn conditions(source: &Source, statement: &Statement) -> Vec<Range<usize>> {
    let tokens = statement_tokens(source, statement);
    let starts = tokens.clone().skip(1);
    let starts = starts.filter(|index| CONDITIONS.contains(&source.token(*index)));
    let ends = |index: &usize| {
        let is_text = source.tokens[*index].kind == Kind::Text;
        is_text || [";", ",", "{"].contains(&source.token(*index))
    };
    let range = |start: usize| {
        let end = (start + 1..tokens.end).find(ends);
        start..end.unwrap_or(tokens.end)
    };
    starts.map(range).collect()
}

/// Changes a condition: none, the contrary, and without one of its terms.
fn condition(
    source: &Source,
    statement: &Statement,
    tokens: Range<usize>,
    add: &mut impl FnMut(Vec<Edit>, String),
) {
    let shown = brief(text_of(source, statement));
    let bytes = |tokens: &Range<usize>| {
        source.tokens[tokens.start].range.start..source.tokens[tokens.end - 1].range.end
    };
    let old = brief(&source.text[bytes(&tokens)]);
    add(
        vec![(bytes(&tokens), String::new())],
        format!("`{shown}` without `{old}`"),
    );
    let mut terms = Vec::new();
    let mut start = tokens.start + 1;
    for index in tokens.start + 1..=tokens.end {
        if index == tokens.end || source.token(index) == "and" {
            terms.push(start..index);
            start = index + 1;
        }
    }
    for term in &terms {
        let (edit, new) = if source.token(term.start) == "not" {
            let range = bytes(&(term.start..term.start + 1));
            ((range, String::new()), "the contrary")
        } else {
            let at = source.tokens[term.start].range.start;
            ((at..at, "not ".to_owned()), "not")
        };
        // `unless` takes one name: its contrary is `when`.
        let edit = if source.token(tokens.start) == "unless" {
            (bytes(&(tokens.start..tokens.start + 1)), "when".to_owned())
        } else {
            edit
        };
        let name = brief(&source.text[bytes(term)]);
        add(
            vec![edit],
            format!("`{shown}` with {new} `{name}` in `{old}`"),
        );
        if terms.len() > 1 {
            let mut range = bytes(term);
            let next = term.end < tokens.end;
            if next {
                range.end = source.tokens[term.end + 1].range.start;
            } else {
                range.start = source.tokens[term.start - 1].range.start;
            }
            add(
                vec![(range, String::new())],
                format!("`{shown}` without `{name}` in `{old}`"),
            );
        }
    }
}

/// Returns the elements of the list of a statement, each with a comma.
fn elements(source: &Source, statement: &Statement) -> Vec<Range<usize>> {
    let tokens = statement_tokens(source, statement);
    let commas: Vec<usize> = { tokens.clone() }
        .filter(|index| source.token(*index) == ",")
        .collect();
    let start = |index: usize| source.tokens[index].range.start;
    let end = |index: usize| source.tokens[index].range.end;
    let last = if statement.is_block {
        tokens.end
    } else {
        tokens.end - 1
    };
    let after = commas.iter().enumerate().map(|(nth, comma)| {
        let next = commas.get(nth + 1).copied().unwrap_or(last);
        start(*comma)..end(next - 1)
    });
    // The first element begins after the words that introduce the list: its last word alone is left out.
    let first = commas.first().filter(|comma| **comma > tokens.start + 1);
    let first = first.map(|comma| start(comma - 1)..end(*comma));
    first.into_iter().chain(after).collect()
}

/// Returns other numbers: the neighbours, half, twice, and none.
fn numbers(old: &str) -> Vec<String> {
    let digits = old.replace('_', "");
    let value = match digits.split_at_checked(2) {
        Some(("0x", digits)) => u64::from_str_radix(digits, 16),
        Some(("0b", digits)) => u64::from_str_radix(digits, 2),
        _ => digits.parse(),
    };
    let Ok(value) = value else { return Vec::new() };
    let near = [value.checked_add(1), value.checked_sub(1)];
    let far = [value.checked_mul(2), Some(value / 2), Some(0)];
    let all: BTreeSet<u64> = near.into_iter().chain(far).flatten().collect();
    let others = all.into_iter().filter(|it| *it != value);
    others.map(|it| it.to_string()).collect()
}

/// Returns statements that blocks like this one have somewhere, and this one has not: of each only those whose first word is
/// not in the block.
fn missing(source: &Source, number: usize, usage: &Usage) -> Vec<String> {
    let block = source.head(&source.statements[number]);
    let here = source.statements.iter();
    let here = here.filter(|statement| statement.parent == Some(number));
    let heads: BTreeSet<&str> = here.map(|statement| source.head(statement)).collect();
    let head_of = |text: &str| text.split([' ', ';']).next().unwrap_or_default().to_owned();
    let seen = usage.statements.get(block).into_iter().flatten();
    let mut more: Vec<String> = seen
        .filter(|text| !heads.contains(head_of(text).as_str()))
        .cloned()
        .collect();
    if ["invalidate", "form", "load"].contains(&block) {
        more.retain(|text| head_of(text) != "drops");
        more.extend(effects::CLAIMS.map(str::to_owned));
    }
    more
}
