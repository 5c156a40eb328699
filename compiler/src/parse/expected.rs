//! What the grammar expected, in the user's words.
//!
//! In: the rules that pest tried at the furthest place it reached. Out: a sentence such as "expected
//! one of `leaf`, `walk` or a name", and a keyword that was probably meant. Rule names are never shown.

use crate::spelling::nearest;
use crate::text::list;
use tlbc_grammar::Rule;

/// The most expectations that a message lists.
const MAX_LISTED: usize = 5;

/// What was possible at a place.
pub(super) struct Expected {
    /// Keywords and marks, without quotes around them.
    literals: Vec<String>,
    kinds: Vec<&'static str>,
}

impl Expected {
    /// Returns what `rules` mean.
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut expected = Self {
            literals: Vec::new(),
            kinds: Vec::new(),
        };
        for &rule in rules {
            expected.add(rule);
        }
        expected.literals.sort();
        expected
    }

    /// Adds a rule. Each is a terminal, or a choice that pest reports in place of its members.
    fn add(&mut self, rule: Rule) {
        let members: &[Rule] = match rule {
            Rule::name => return self.add_kind("a name"),
            Rule::number => return self.add_kind("a number"),
            Rule::register => return self.add_kind("a register"),
            Rule::text => return self.add_kind("a text in quotes"),
            Rule::EOI => return self.add_kind("the end of the file"),
            Rule::kind | Rule::what => {
                &[Rule::k_leaf, Rule::k_walk, Rule::k_root, Rule::k_negative]
            }
            Rule::term | Rule::cond | Rule::terms => &[Rule::k_not, Rule::name],
            Rule::half | Rule::halves => &[Rule::k_low, Rule::k_high],
            Rule::of_limit => &[Rule::k_limit],
            Rule::tag_bits
            | Rule::set_cases
            | Rule::set_case
            | Rule::operations
            | Rule::operations_case
            | Rule::pages_case => &[Rule::number, Rule::k_limit],
            Rule::invalid_case => &[Rule::k_never, Rule::k_cached, Rule::k_expires],
            Rule::as_pages => &[Rule::k_as],
            Rule::fills_case => &[Rule::k_while, Rule::k_by],
            Rule::stricter_case => &[Rule::k_refetched, Rule::k_dropped, Rule::k_faults],
            Rule::under | Rule::unders => &[Rule::k_global, Rule::k_under],
            Rule::expr => &[Rule::number, Rule::name, Rule::paren_open],
            Rule::whose => &[
                Rule::k_this,
                Rule::k_loaded,
                Rule::k_other,
                Rule::k_any,
                Rule::k_user,
                Rule::k_global,
            ],
            Rule::lost => &[
                Rule::k_gone,
                Rule::k_drained,
                Rule::k_global,
                Rule::k_walk,
                Rule::k_leaf,
                Rule::k_root,
                Rule::k_devices,
            ],
            Rule::event_kind | Rule::event => {
                &[Rule::k_switch, Rule::k_return_to_user, Rule::k_cpu_online]
            }
            Rule::shootdowns | Rule::shootdown_case | Rule::shootdown_by => {
                &[Rule::k_broadcast, Rule::k_ipi]
            }
            Rule::gather_pages => &[Rule::k_batched, Rule::k_at],
            Rule::gather_tables => &[Rule::k_deferred, Rule::k_after],
            Rule::lazy_how => &[Rule::k_refcounted, Rule::k_shootdown],
            _ => return self.add_literal(rule),
        };
        for &member in members {
            self.add(member);
        }
    }

    fn add_kind(&mut self, kind: &'static str) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    fn add_literal(&mut self, rule: Rule) {
        let mark = match rule {
            Rule::semicolon => ";",
            Rule::comma => ",",
            Rule::colon => ":",
            Rule::equals => "=",
            Rule::at_least => ">=",
            Rule::bar => "|",
            Rule::dots => "..",
            Rule::open => "{",
            Rule::close => "}",
            Rule::paren_open => "(",
            Rule::paren_close => ")",
            Rule::bracket_open => "[",
            Rule::bracket_close => "]",
            Rule::plus => "+",
            Rule::times => "*",
            Rule::shift_left => "<<",
            Rule::shift_right => ">>",
            _ => "",
        };
        let literal = if mark.is_empty() {
            let rule = format!("{rule:?}");
            let Some(keyword) = rule.strip_prefix("k_") else {
                return;
            };
            keyword.to_owned()
        } else {
            mark.to_owned()
        };
        if !self.literals.contains(&literal) {
            self.literals.push(literal);
        }
    }

    /// Returns whether a keyword or mark was possible here.
    pub(super) fn has(&self, literal: &str) -> bool {
        self.literals.iter().any(|own| own == literal)
    }

    /// Returns whether a statement could end here.
    pub(super) fn semicolon(&self) -> bool {
        self.has(";")
    }

    /// Returns whether a text was possible here.
    pub(super) fn text(&self) -> bool {
        self.kinds.contains(&"a text in quotes")
    }

    /// Returns whether nothing but this mark or keyword was possible here.
    pub(super) fn is_alone(&self, literal: &str) -> bool {
        self.kinds.is_empty() && self.literals == [literal]
    }

    /// Returns whether a number was possible here.
    pub(super) fn number(&self) -> bool {
        self.kinds.contains(&"a number")
    }

    /// Returns whether a name was possible here.
    pub(super) fn name(&self) -> bool {
        self.kinds.contains(&"a name")
    }

    /// Returns the keyword that `found` misspells.
    pub(super) fn meant(&self, found: &str) -> Option<&str> {
        let keywords = self.literals.iter().filter(|literal| literal.len() > 1);
        let mut same = keywords.clone().filter(|it| it.eq_ignore_ascii_case(found));
        if let Some(keyword) = same.next() {
            return Some(keyword);
        }
        nearest(found, keywords.map(String::as_str))
    }

    /// Returns "expected ..., found ...", with a note of all that is possible when that is too long for a
    /// sentence. `context` names what should begin here, if anything.
    pub(super) fn sentence(&self, context: Option<&str>, found: &str) -> (String, Option<String>) {
        let quoted = self.literals.iter().map(|literal| format!("`{literal}`"));
        let kinds = self.kinds.iter().map(|&kind| kind.to_owned());
        let all: Vec<String> = quoted.chain(kinds).collect();
        if all.len() > MAX_LISTED {
            let note = format!("possible here: {}", all.join(", "));
            let sentence = context.map_or_else(
                || format!("{found} does not fit here"),
                |context| format!("expected {context}, found {found}"),
            );
            return (sentence, Some(note));
        }
        let expected = match all.as_slice() {
            [] => return (format!("{found} does not fit here"), None),
            [only] => only.clone(),
            [_, _] => list(&all, "or"),
            _ => format!("one of {}", list(&all, "or")),
        };
        (format!("expected {expected}, found {found}"), None)
    }
}
