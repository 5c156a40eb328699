//! The reference of the language: its examples are excerpts of the shipped definitions, and it is complete.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tlbc::codes::Code;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn reference() -> String {
    read(&root().join("archdefs/LANGUAGE.md"))
}

/// The shipped definitions.
fn definitions() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("archdefs")).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let found: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|ext| ext == "arch"))
        .map(|path| read(&path))
        .collect();
    assert!(!found.is_empty());
    found
}

/// The parts of a Markdown text that are code.
struct Marked {
    /// Fenced blocks, each with its language.
    blocks: Vec<(String, String)>,
    /// Between single backticks.
    spans: Vec<String>,
}

fn code(markdown: &str) -> Marked {
    let (mut blocks, mut prose): (Vec<(String, String)>, String) = (Vec::new(), String::new());
    let mut open = false;
    for line in markdown.lines() {
        if let Some(language) = line.strip_prefix("```") {
            open = !open;
            if open {
                blocks.push((language.to_owned(), String::new()));
            }
        } else if open {
            let (_, block) = blocks.last_mut().expect("an open block");
            block.push_str(line);
            block.push('\n');
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    assert!(!open, "a block is never closed");
    let mut spans = Vec::new();
    for paragraph in prose.split("\n\n") {
        let parts: Vec<&str> = paragraph.split('`').collect();
        assert!(parts.len() % 2 == 1, "a backtick is alone in: {paragraph}");
        spans.extend(parts.into_iter().skip(1).step_by(2).map(str::to_owned));
    }
    Marked { blocks, spans }
}

/// Lines without the white space before them.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

#[test]
fn every_example_is_an_excerpt_of_a_shipped_definition() {
    let definitions = definitions();
    let definitions: Vec<Vec<&str>> = definitions.iter().map(|text| lines(text)).collect();
    let found = code(&reference());
    let examples: Vec<&str> = (found.blocks.iter())
        .filter(|(language, _)| language == "arch")
        .map(|(_, block)| block.as_str())
        .collect();
    assert!(examples.len() > 20, "the examples are marked `arch`");
    for example in examples {
        let wanted = lines(example);
        let shipped = |definition: &Vec<&str>| {
            (definition.windows(wanted.len())).any(|excerpt| excerpt == wanted.as_slice())
        };
        assert!(
            definitions.iter().any(shipped),
            "no definition has these lines:\n{example}"
        );
    }
}

/// The words of a text of the language, without its comments and texts.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        for part in line.split('"').step_by(2) {
            let found = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.extend(found.filter(|word| !word.is_empty()).map(str::to_owned));
        }
        // Marks end a phrase.
        words.push(String::new());
    }
    words
}

/// The rules of the grammar: names and bodies, without comments.
fn rules() -> Vec<(String, String)> {
    let grammar = read(&root().join("compiler/src/parse/grammar.pest"));
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
fn keywords(rules: &[(String, String)]) -> Vec<(&str, &str)> {
    let keywords = rules.iter().filter(|(name, _)| name.starts_with("k_"));
    keywords
        .map(|(name, body)| {
            let word = body.split('"').nth(1).expect("a word in quotes");
            (name.as_str(), word)
        })
        .collect()
}

/// Returns the keywords that follow each other in a rule: `["large", "leaf", "may", "split"]`.
fn phrases(rules: &[(String, String)]) -> BTreeSet<Vec<&str>> {
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

#[test]
fn every_statement_of_the_grammar_is_mentioned() {
    let found = code(&reference());
    let blocks = found.blocks.iter().map(|(_, block)| block);
    let mut said: Vec<String> = Vec::new();
    for text in blocks.chain(&found.spans) {
        said.extend(words(text));
    }
    let rules = rules();
    let keywords = keywords(&rules);
    assert!(keywords.len() > 100, "the grammar was not understood");
    let is_said = |phrase: &[&str]| said.windows(phrase.len()).any(|words| words == phrase);
    let phrases = phrases(&rules);
    let words = keywords.iter().map(|(_, word)| vec![*word]);
    let all: BTreeSet<Vec<&str>> = words.chain(phrases).collect();
    let missing: Vec<String> = (all.iter())
        .filter(|phrase| !is_said(phrase))
        .map(|phrase| phrase.join(" "))
        .collect();
    assert_eq!(missing, Vec::<String>::new(), "not said as code");
}

#[test]
fn every_rule_has_its_place() {
    let reference = reference();
    let said: BTreeSet<&str> = reference
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| {
            let digits = word.strip_prefix(['E', 'W']).unwrap_or_default();
            digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit())
        })
        .collect();
    let known: BTreeSet<&str> = Code::all().map(Code::name).collect();
    assert_eq!(said, known);
}

/// The tokens of a rule, those of the rules that it is made of in their place, without what it must not begin with.
fn tokens<'r>(rules: &'r [(String, String)], body: &'r str) -> Vec<&'r str> {
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
fn statements<'r>(rules: &'r [(String, String)], of: &str) -> Vec<&'r str> {
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
fn conditional(rules: &[(String, String)]) -> BTreeSet<(String, String)> {
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

#[test]
fn the_statements_that_take_conditions_are_those_of_the_grammar() {
    let reference = reference();
    let (_, table) = reference
        .split_once("| in | with cases |")
        .expect("a table");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let first_words = |cell: &str| -> Vec<String> {
        let spans = cell.split('`').skip(1).step_by(2);
        spans
            .filter_map(|span| span.split(' ').next().map(str::to_owned))
            .collect()
    };
    let mut said = BTreeSet::new();
    for row in table.lines().skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let mut blocks = first_words(cells[0]);
        if blocks.is_empty() {
            blocks.push("definition".to_owned());
        }
        for word in first_words(cells[1])
            .into_iter()
            .chain(first_words(cells[2]))
        {
            said.extend(blocks.iter().map(|block| (block.clone(), word.clone())));
        }
    }
    said.remove(&("definition".to_owned(), "when".to_owned()));
    assert_eq!(said, conditional(&rules()));
}

/// A row of the table of defaults: the blocks, the statements, and the meaning of leaving them out.
struct Row {
    blocks: Vec<String>,
    statements: Vec<String>,
    default: String,
}

fn defaults() -> Vec<Row> {
    let reference = reference();
    let (_, section) = reference
        .split_once("\n## Statements that are left out\n")
        .expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let columns: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [blocks, statements, default] = columns.as_slice() else {
            panic!("three columns: {line}");
        };
        Row {
            blocks: code(blocks).spans,
            statements: code(statements).spans,
            default: default.trim().to_owned(),
        }
    };
    rows.map(row).collect()
}

#[test]
fn every_statement_has_a_row_of_defaults() {
    let rules = rules();
    let keywords = keywords(&rules);
    let body = |wanted: &str| {
        let rule = rules.iter().find(|(name, _)| name == wanted);
        rule.map_or("", |(_, body)| body.as_str())
    };
    // The keywords with which a statement begins, after its name if it has one.
    let begins = |rule: &str| -> Vec<&str> {
        let tokens = body(rule)
            .split(['~', ' '])
            .filter(|token| !token.is_empty());
        let word = |token: &str| keywords.iter().find(|(name, _)| *name == token);
        let from = tokens.skip_while(|token| word(token).is_none());
        from.map_while(|token| Some(word(token)?.1)).collect()
    };
    let rows = defaults();
    let lists = [
        ("plain_item", "arch"),
        ("geometry_fact", "geometry"),
        ("cache_fact", "caches"),
        ("tag_fact", "tag"),
        ("space_fact", "space"),
        ("barrier_fact", "barrier"),
        ("operand_fact", "operand"),
        ("invalidate_fact", "invalidate"),
        ("change_fact", "change"),
        ("load_fact", "load"),
        ("event_fact", "switch"),
        ("event_fact", "return_to_user"),
        ("event_fact", "cpu_online"),
        ("erratum_fact", "erratum"),
        ("policy_fact", "policy"),
    ];
    let events = ["switch", "return_to_user", "cpu_online"];
    let of_some_events = ["half_loaded", "contents", "waits", "flushes", "loads"];
    let mut missing = Vec::new();
    let mut seen = 0;
    for (list, block) in lists {
        let alternatives = body(list).split('|').map(str::trim);
        for rule in alternatives.filter(|rule| !rule.is_empty()) {
            let phrase = begins(rule);
            if phrase.is_empty() {
                continue;
            }
            seen += 1;
            let says = |row: &Row| {
                let spoken = row.statements.iter().map(|it| words(it));
                let mut spoken = spoken.flatten().collect::<Vec<_>>();
                spoken.push(String::new());
                let there = spoken.windows(phrase.len()).any(|it| it == phrase);
                let of_some = events.contains(&block) && of_some_events.contains(&rule);
                let is_of = |it: &String| it == block || of_some && events.contains(&it.as_str());
                there && row.blocks.iter().any(is_of)
            };
            if !rows.iter().any(says) {
                missing.push(format!("{block}: {}", phrase.join(" ")));
            }
        }
    }
    assert!(seen > 60, "the grammar was not understood: {seen}");
    assert_eq!(missing, Vec::<String>::new());
}

/// The definition without the first statement of a block that begins with these words, or ends with them.
fn without(text: &str, block: &str, statement: &[String]) -> Option<String> {
    let at = text.find(&format!("    {block} "))?;
    let (before, rest) = text.split_at(at);
    let mut start = 0;
    for (end, _) in rest.match_indices([';', '{', '}']) {
        let said: Vec<String> = words(&rest[start..end])
            .into_iter()
            .filter(|it| !it.is_empty())
            .collect();
        if said.starts_with(statement) || said.ends_with(statement) {
            let after = if rest[end..].starts_with(';') {
                end + 1
            } else {
                end + rest[end..].find('}')? + 1
            };
            return Some(format!("{before}{}{}", &rest[..start], &rest[after..]));
        }
        start = end + 1;
    }
    None
}

#[test]
fn a_required_statement_is_missed() {
    const GUIDE: &str = include_str!("../../archdefs/README.md");
    let (_, slate) = GUIDE.split_once("```arch slate.arch\n").expect("a block");
    let slate = slate.split("```").next().expect("its end");
    let mut deleted = 0;
    for row in defaults() {
        let (code, block) = (row.default.as_str(), &row.blocks[0]);
        if !["E0203", "E0401"].contains(&code) || block == "arch" {
            continue;
        }
        for statement in &row.statements {
            let said: Vec<String> = words(statement)
                .into_iter()
                .filter(|it| !it.is_empty())
                .collect();
            let Some(text) = without(slate, block, &said) else {
                continue;
            };
            deleted += 1;
            let found = tlbc::compile([("slate.arch", text.as_str())]).diagnostics;
            let codes: Vec<&str> = found.iter().map(|it| it.code.name()).collect();
            assert!(
                codes.contains(&code),
                "{block} without {statement}: {codes:?}"
            );
        }
    }
    assert!(deleted >= 15, "{deleted}");
}
