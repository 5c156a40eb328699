//! What the grammar says, read from its text.
//!
//! In: `compiler/grammar/src/grammar.pest`. Out: its rules, its keywords, and the statements of each block.

use std::collections::BTreeSet;

/// The rules, by name.
type Rules = [(String, String)];

/// The rules of the grammar: names and bodies, without comments.
pub fn rules() -> Vec<(String, String)> {
    let grammar = super::read(&super::root().join("compiler/grammar/src/grammar.pest"));
    let mut text = String::new();
    for line in grammar.lines() {
        let is_comment = line.trim_start().starts_with("//");
        text.push_str(if is_comment { "" } else { line });
        text.push(' ');
    }
    // `name = {`, `name = _{`, `name = @{`
    let mut rules = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(" = ") {
        let name = rest[..at].split_whitespace().last().expect("a name");
        let after = &rest[at + 3..];
        let start = after.find('{').expect("a body") + 1;
        let (mut depth, mut quoted, mut end) = (1, false, start);
        let bytes = after.as_bytes();
        while depth > 0 {
            match bytes[end] {
                b'"' if bytes[end - 1] != b'\\' => quoted = !quoted,
                b'{' if !quoted => depth += 1,
                b'}' if !quoted => depth -= 1,
                _ => {}
            }
            end += 1;
        }
        rules.push((name.to_owned(), after[start..end - 1].to_owned()));
        rest = &after[end..];
    }
    rules
}

/// The word of each keyword's rule.
pub fn keywords(rules: &Rules) -> Vec<(&str, &str)> {
    let keywords = rules.iter().filter(|(name, _)| name.starts_with("k_"));
    keywords
        .map(|(name, body)| {
            let word = body.split('"').nth(1).expect("a word in quotes");
            (name.as_str(), word)
        })
        .collect()
}

/// Returns the keywords that follow each other in a rule: `["large", "leaf", "may", "split"]`.
pub fn phrases(rules: &Rules) -> BTreeSet<Vec<&str>> {
    let keywords = keywords(rules);
    let mut phrases = BTreeSet::new();
    for (_, body) in rules.iter().filter(|(name, _)| !name.starts_with("k_")) {
        let spaced = ["(", ")", "|", "!", "~"]
            .iter()
            .fold(body.clone(), |text, mark| {
                text.replace(mark, &format!(" {mark} "))
            });
        let mut phrase: Vec<&str> = Vec::new();
        for token in spaced.split_whitespace().chain([";"]) {
            let bare = token.trim_end_matches(['?', '*', '+']);
            match keywords.iter().find(|(name, _)| *name == bare) {
                // What may be left out is a phrase of its own.
                Some((_, word)) if bare != token => {
                    phrases.insert(std::mem::take(&mut phrase));
                    phrases.insert(vec![word]);
                }
                Some((_, word)) => phrase.push(word),
                None if token == "~" => {}
                None => {
                    phrases.insert(std::mem::take(&mut phrase));
                }
            }
        }
    }
    phrases.remove(&Vec::new());
    phrases
}

/// The tokens of a rule, those of the rules that it is made of in their place, without what it must not begin with.
fn tokens<'r>(rules: &'r Rules, body: &'r str) -> Vec<&'r str> {
    let mut tokens = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '_') {
        rest = &rest[at..];
        if let Some(not) = rest.strip_prefix('!') {
            // One token, or several in parentheses.
            let end = if not.starts_with('(') {
                not.find(')')
            } else {
                not.find(' ')
            };
            rest = &not[end.unwrap_or(not.len())..];
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        let made_of = rules.iter().find(|(rule, _)| rule == name);
        match made_of {
            Some((_, body)) if name != "condition" && !name.starts_with("k_") && name != "expr" => {
                tokens.extend(self::tokens(rules, body));
            }
            _ => tokens.push(name),
        }
    }
    tokens
}

/// The statements that a body holds, by their rules.
fn statements<'r>(rules: &'r Rules, of: &str) -> Vec<&'r str> {
    let Some((_, body)) = rules.iter().find(|(rule, _)| rule == of) else {
        return Vec::new();
    };
    let parts = body.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let parts = parts.filter(|part| !["", "open", "bad", "close", "for_item"].contains(part));
    parts
        .flat_map(|part| {
            let found = rules.iter().find(|(rule, _)| rule == part);
            let is_statement = |body: &str| body.contains("semicolon") || body.contains("_body");
            match found {
                Some((rule, body)) if is_statement(body) => vec![rule.as_str()],
                _ => statements(rules, part),
            }
        })
        .collect()
}

/// The statements of each block that take conditions, each by its first keyword.
pub fn conditional(rules: &Rules) -> BTreeSet<(String, String)> {
    let keywords = keywords(rules);
    let mut found = BTreeSet::new();
    for (name, _) in rules {
        let Some(block) = name.strip_suffix("_body").filter(|block| *block != "for") else {
            continue;
        };
        let blocks = match block {
            "arch" => vec!["definition"],
            "event" => vec!["switch", "return_to_user", "cpu_online"],
            block => vec![block],
        };
        for statement in statements(rules, name) {
            let (_, body) = rules
                .iter()
                .find(|(rule, _)| rule == statement)
                .expect("a rule");
            let head = body.split_once("_body").map_or(body.as_str(), |(head, _)| {
                head.rsplit_once('~').map_or(head, |(head, _)| head)
            });
            let tokens = tokens(rules, head);
            if tokens
                .iter()
                .any(|token| ["condition", "k_when"].contains(token))
            {
                let first = tokens.iter().find_map(|token| {
                    let (_, word) = keywords.iter().find(|(rule, _)| rule == token)?;
                    Some((*word).to_owned())
                });
                let first = first.expect("a keyword");
                found.extend(
                    blocks
                        .iter()
                        .map(|block| ((*block).to_owned(), first.clone())),
                );
            }
        }
    }
    found
}
