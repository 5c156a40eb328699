//! The reference of the language: its examples are excerpts of the shipped definitions, and it is complete.

mod grammar;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use grammar::{conditional, keywords, phrases, rules};
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
