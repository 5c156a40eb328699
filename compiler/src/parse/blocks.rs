//! The blocks of the language: what begins one, and what it contains.

use tlbc_grammar::Rule;

/// The contents of a body: the rule of its statements and words for it.
pub(super) struct Context {
    /// The rule of a statement.
    pub(super) statement: Rule,
    /// What a statement is called.
    pub(super) words: &'static str,
}

/// Returns the context of a body; for any other node the file.
pub(super) fn context(body: Rule) -> Context {
    let (statement, words) = match body {
        Rule::arch_body => (Rule::item, "an item of a definition"),
        Rule::for_body => (Rule::plain_item, "an item of a definition"),
        Rule::geometry_body => (Rule::geometry_fact, "a fact of a geometry"),
        Rule::levels_body => (Rule::level, "a level"),
        Rule::caches_body => (Rule::cache_fact, "a fact about the caches"),
        Rule::tag_body => (Rule::tag_fact, "a fact of a tag"),
        Rule::space_body => (Rule::space_fact, "a fact of a space"),
        Rule::barrier_body => (Rule::barrier_fact, "a fact of a barrier"),
        Rule::operand_body => (Rule::operand_fact, "a field of an operand"),
        Rule::invalidate_body => (Rule::invalidate_fact, "a fact of an invalidation"),
        Rule::form_body => (Rule::drops, "what the form drops"),
        Rule::change_body => (Rule::change_fact, "a fact about changes"),
        Rule::load_body => (Rule::load_fact, "a fact of a load"),
        Rule::event_body => (Rule::event_fact, "a fact of an event"),
        Rule::erratum_body => (Rule::erratum_fact, "a fact of an erratum"),
        Rule::policy_body => (Rule::policy_fact, "a statement of a policy"),
        _ => (Rule::arch, "a definition"),
    };
    Context { statement, words }
}

/// Returns the body that belongs to the first word of an item.
pub(super) fn body_of(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "arch" => Rule::arch_body,
        "for" => Rule::for_body,
        "geometry" => Rule::geometry_body,
        "levels" => Rule::levels_body,
        "caches" => Rule::caches_body,
        "tag" => Rule::tag_body,
        "space" => Rule::space_body,
        "barrier" => Rule::barrier_body,
        "operand" => Rule::operand_body,
        "invalidate" => Rule::invalidate_body,
        "form" => Rule::form_body,
        "change" => Rule::change_body,
        "load" => Rule::load_body,
        "switch" | "return_to_user" | "cpu_online" => Rule::event_body,
        "erratum" => Rule::erratum_body,
        "policy" => Rule::policy_body,
        _ => return None,
    })
}

/// Returns whether a word begins items only, and no statement within one.
pub(super) fn is_item_only(word: &str) -> bool {
    let has_no_block = [
        "target_arch",
        "feature",
        "limit",
        "domain",
        "atomics",
        "cpu_set",
        "tables",
        "entries",
        "unconfirmed",
    ];
    let is_within = ["arch", "levels", "form"];
    has_no_block.contains(&word) || body_of(word).is_some() && !is_within.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the words that begin items with those of the grammar, except those that begin facts, too.
    #[test]
    fn items_begin_with_words_of_their_own() {
        let grammar = include_str!("../../grammar/src/grammar.pest");
        let rule = |name: &str| {
            let mut lines = grammar
                .lines()
                .skip_while(|line| !line.starts_with(&format!("{name} ")));
            let end = lines
                .clone()
                .position(|line| line.trim_end().ends_with('}'));
            let lines: Vec<&str> = lines.by_ref().take(end.expect("an end") + 1).collect();
            lines.join(" ")
        };
        let keywords = |text: &str| -> Vec<String> {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words
                .filter_map(|word| word.strip_prefix("k_").map(str::to_owned))
                .collect()
        };
        let items = rule("plain_item");
        let items = items.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        let items: Vec<&str> = items
            .filter(|item| !["", "_", "plain_item"].contains(item))
            .collect();
        assert!(items.len() > 15, "{items:?}");
        for item in items {
            let begins = if item == "event" {
                keywords(&rule("event_kind"))
            } else {
                keywords(&rule(item))
            };
            let word = begins.first().expect("a keyword");
            let of_facts = ["needs", "publishes"].contains(&word.as_str());
            assert_eq!(is_item_only(word), !of_facts, "{word}");
        }
    }
}
