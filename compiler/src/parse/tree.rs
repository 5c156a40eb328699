//! From the nodes of the parse to the tree.
//!
//! In: the node of a file. Out: the first definition in it, and diagnostics for faults that the grammar
//! accepts: numbers that do not fit, repeated facts, variables outside of a `for`, no
//! definition or a second one. A statement with such a diagnostic is left out.
//!
//! Children are looked up by their rule, so keywords and punctuation are not mentioned.

use super::foreign;
use super::lex::{self, TokenKind};
use crate::ast::{Arch, Cases, Cond, Ident, Number, Spanned, Term, Text, Unread};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use std::collections::BTreeSet;
use tlbc_grammar::{ParseNode, Rule};

/// Builds the definition of a file.
pub(super) fn build(
    file: FileId,
    text: &str,
    length: usize,
    root: &ParseNode,
) -> (Option<Arch>, Vec<Diagnostic>) {
    let mut builder = TreeBuilder {
        file,
        text,
        length,
        in_for: false,
        is_sound: true,
        variable_outside: false,
        unread: Vec::new(),
        diagnostics: Vec::new(),
    };
    let mut arches = all(root, Rule::arch);
    let mut arch = arches.next().map(|node| builder.arch(&node));
    if let Some(arch) = &mut arch {
        for node in root.clone().into_inner().flatten() {
            if matches!(node.as_rule(), Rule::bad | Rule::bad_outside) {
                builder.leave_out(&node);
            }
        }
        arch.unread = std::mem::take(&mut builder.unread);
    }
    if let (Some(arch), Some(second)) = (&arch, arches.next()) {
        builder.second_arch(&second, arch);
    }
    if arch.is_none() && !has(root, Rule::bad_outside) {
        builder.diagnostics.push(
            Diagnostic::new(
                Code::E0106,
                builder.at(0..0),
                "the file holds no definition",
            )
            .help("write `arch NAME { ... }`"),
        );
    }
    (arch, builder.diagnostics)
}

/// Returns the children of a rule.
pub(super) fn all<'t>(node: &ParseNode<'t>, rule: Rule) -> impl Iterator<Item = ParseNode<'t>> {
    node.clone()
        .into_inner()
        .filter(move |child| child.as_rule() == rule)
}

/// Returns the first child of a rule.
pub(super) fn first<'t>(node: &ParseNode<'t>, rule: Rule) -> Option<ParseNode<'t>> {
    all(node, rule).next()
}

/// Returns the child of a rule that the grammar demands.
pub(super) fn one<'t>(node: &ParseNode<'t>, rule: Rule) -> ParseNode<'t> {
    first(node, rule).expect("the grammar demands this child")
}

/// Returns whether there is a child of a rule.
pub(super) fn has(node: &ParseNode, rule: Rule) -> bool {
    first(node, rule).is_some()
}

/// The state of one build.
pub(super) struct TreeBuilder<'t> {
    file: FileId,
    text: &'t str,
    /// The end of the file, beyond which no span reaches.
    length: usize,
    /// Whether names may contain variables.
    pub(super) in_for: bool,
    /// Whether the current statement has no diagnostic.
    is_sound: bool,
    /// Whether it was reported that a name outside of a `for` has a variable.
    variable_outside: bool,
    /// The statements that are left out.
    unread: Vec<Unread>,
    diagnostics: Vec<Diagnostic>,
}

impl TreeBuilder<'_> {
    fn arch(&mut self, node: &ParseNode) -> Arch {
        Arch {
            doc: self.doc(node),
            name: self.name(node),
            items: self.items(&one(node, Rule::arch_body)),
            unread: Vec::new(),
            span: self.span(node),
        }
    }

    fn second_arch(&mut self, node: &ParseNode, arch: &Arch) {
        let span = self.span(&one(node, Rule::name));
        self.diagnostics.push(
            Diagnostic::new(Code::E0106, span, "a second definition in one file")
                .because(arch.name.span, "the first is here")
                .help("move it to a file of its own"),
        );
    }

    /// Builds the statement of a node and keeps it if it is sound. The enclosing statement stays sound, and
    /// continues without it.
    pub(super) fn sound<T>(
        &mut self,
        node: &ParseNode,
        build: impl FnOnce(&mut Self, &ParseNode) -> T,
    ) -> Option<T> {
        let outer = std::mem::replace(&mut self.is_sound, true);
        let statement = build(self, node);
        let is_sound = std::mem::replace(&mut self.is_sound, outer);
        if is_sound {
            return Some(statement);
        }
        self.leave_out(node);
        None
    }

    /// Makes an error node of a node, with its words and the names that were probably meant by words that are no
    /// names.
    fn leave_out(&mut self, node: &ParseNode) {
        let text = node.as_str();
        let mut words = BTreeSet::new();
        for (kind, range) in lex::tokens(text, 0) {
            if kind != TokenKind::Word {
                continue;
            }
            if text[range.end..].starts_with('-') {
                let whole = foreign::hyphenated(text, range.end);
                words.insert(whole.replace('-', "_"));
            }
            words.insert(text[range].to_lowercase());
        }
        let span = self.span(node);
        self.unread.push(Unread { words, span });
    }

    /// Reports a fault of the current statement.
    fn report(&mut self, diagnostic: Diagnostic) {
        self.is_sound = false;
        self.diagnostics.push(diagnostic);
    }

    /// Returns the statements of a body; `build` returns nothing for braces and punctuation.
    pub(super) fn facts<T>(
        &mut self,
        body: &ParseNode,
        build: impl Fn(&mut Self, &ParseNode) -> Option<T>,
    ) -> Vec<Spanned<T>> {
        let mut facts = Vec::new();
        for node in body.clone().into_inner() {
            let span = self.span(&node);
            let fact = self.sound(&node, &build).flatten();
            facts.extend(fact.map(|node| Spanned { node, span }));
        }
        facts
    }

    /// Returns the sound values of those children of `node` that have the rule.
    pub(super) fn each<T>(
        &mut self,
        node: &ParseNode,
        rule: Rule,
        build: impl Fn(&mut Self, &ParseNode) -> T,
    ) -> Vec<T> {
        all(node, rule)
            .filter_map(|child| self.sound(&child, &build))
            .collect()
    }

    /// Returns the only child of that rule; a second is an error.
    pub(super) fn at_most_one<'t>(
        &mut self,
        node: &ParseNode<'t>,
        rule: Rule,
    ) -> Option<ParseNode<'t>> {
        let mut children = all(node, rule);
        let child = children.next()?;
        for again in children {
            self.twice(self.span(&again), self.span(&child));
            self.leave_out(&again);
        }
        Some(child)
    }

    /// Reports a repeated statement that a block can have once; the first counts.
    pub(super) fn twice(&mut self, again: Span, first: Span) {
        self.diagnostics.push(
            Diagnostic::new(Code::E0204, again, "this block states it already")
                .because(first, "the first time")
                .help("remove one of them"),
        );
    }

    fn at(&self, range: std::ops::Range<usize>) -> Span {
        let end = range.end.min(self.length);
        Span::new(self.file, range.start.min(end)..end)
    }

    pub(super) fn span(&self, node: &ParseNode) -> Span {
        let span = node.as_span();
        self.at(span.start()..span.end())
    }

    /// Returns the lines of the `///` comment right before a node.
    pub(super) fn doc(&self, node: &ParseNode) -> Vec<String> {
        let before = &self.text[..node.as_span().start()];
        let lines = before.trim_end_matches([' ', '\t']).lines().rev();
        let mut doc: Vec<String> = lines
            .map_while(|line| {
                line.trim_start_matches([' ', '\t', '\u{FEFF}'])
                    .strip_prefix("///")
            })
            .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned())
            .collect();
        doc.reverse();
        doc
    }

    /// Returns a node of the rule `name`.
    pub(super) fn ident(&mut self, node: &ParseNode) -> Ident {
        let span = self.span(node);
        let name = node.as_str().to_owned();
        if name.contains('{') && !self.in_for {
            let message = format!("`{name}` holds a variable, and only a `for` has variables");
            let diagnostic = Diagnostic::new(Code::E0101, span, message);
            self.is_sound = false;
            // The first report explains the others.
            if !std::mem::replace(&mut self.variable_outside, true) {
                self.diagnostics.push(diagnostic);
            }
        }
        Spanned { node: name, span }
    }

    /// Returns the first name in a node.
    pub(super) fn name(&mut self, node: &ParseNode) -> Ident {
        self.ident(&one(node, Rule::name))
    }

    /// Returns the names in the `names` of a node.
    pub(super) fn names(&mut self, node: &ParseNode) -> Vec<Ident> {
        self.idents(&one(node, Rule::names))
    }

    /// Returns the names in a node.
    pub(super) fn idents(&mut self, node: &ParseNode) -> Vec<Ident> {
        all(node, Rule::name)
            .map(|name| self.ident(&name))
            .collect()
    }

    /// Returns a node of the rule `text`.
    pub(super) fn quoted(&self, node: &ParseNode) -> Text {
        Spanned {
            node: node.as_str().trim_matches('"').to_owned(),
            span: self.span(node),
        }
    }

    /// Returns the text in a node.
    pub(super) fn text(&self, node: &ParseNode) -> Text {
        self.quoted(&one(node, Rule::text))
    }

    /// Returns a node of the rule `number`. One that does not fit is reported and becomes zero.
    pub(super) fn number(&mut self, node: &ParseNode) -> Number {
        let digits: String = node.as_str().chars().filter(|&c| c != '_').collect();
        let (digits, radix) = match (digits.strip_prefix("0x"), digits.strip_prefix("0b")) {
            (Some(digits), _) => (digits, 16),
            (_, Some(digits)) => (digits, 2),
            _ => (digits.as_str(), 10),
        };
        let value = u64::from_str_radix(digits, radix).ok();
        self.fitting(value, self.span(node))
    }

    /// Returns the value, if it fits.
    pub(super) fn fitting(&mut self, value: Option<u64>, span: Span) -> Number {
        if value.is_none() {
            let message = "this number does not fit in 64 bits";
            self.report(Diagnostic::new(Code::E0103, span, message));
        }
        Spanned {
            node: value.unwrap_or(0),
            span,
        }
    }

    /// Returns the first number in a node.
    pub(super) fn number_in(&mut self, node: &ParseNode) -> Number {
        self.number(&one(node, Rule::number))
    }

    /// Returns the two numbers of a node: `1..6`, `[63:48]`; one alone is both.
    pub(super) fn pair(&mut self, node: &ParseNode) -> (Number, Number) {
        let mut numbers = all(node, Rule::number).map(|number| self.number(&number));
        let first = numbers.next().expect("the grammar demands a number");
        let second = numbers.next().unwrap_or_else(|| first.clone());
        (first, second)
    }

    /// Returns the condition in a node, in any of its forms.
    pub(super) fn cond(&mut self, node: &ParseNode) -> Option<Cond> {
        let node = node
            .clone()
            .into_inner()
            .find(|child| matches!(child.as_rule(), Rule::cond | Rule::terms | Rule::unless))?;
        let terms = if node.as_rule() == Rule::unless {
            vec![self.term(&node, true)]
        } else {
            all(&node, Rule::term)
                .map(|term| self.term(&term, has(&term, Rule::k_not)))
                .collect()
        };
        Some(Cond {
            terms,
            span: self.span(&node),
        })
    }

    fn term(&mut self, node: &ParseNode, negated: bool) -> Term {
        Term {
            negated,
            name: self.name(node),
        }
    }

    /// Returns all `requires` of a node as one.
    pub(super) fn requires(&mut self, node: &ParseNode) -> Option<Cond> {
        let conds = all(node, Rule::requires).filter_map(|requires| self.cond(&requires));
        conds.reduce(|all, more| Cond {
            span: all.span.to(more.span),
            terms: [all.terms, more.terms].concat(),
        })
    }

    /// Alternatives, each a child of the rule `case` with its condition.
    pub(super) fn cases<T>(
        &mut self,
        node: &ParseNode,
        case: Rule,
        build: impl Fn(&mut Self, &ParseNode) -> T,
    ) -> Cases<T> {
        let cases = all(node, case)
            .map(|node| (build(self, &node), self.cond(&node)))
            .collect();
        Cases {
            cases,
            span: self.span(node),
        }
    }

    /// Reports an expression that is too long to walk by recursion.
    pub(super) fn too_long(&mut self, node: &ParseNode, most: usize) {
        let message = format!("an expression of more than {most} operators");
        self.report(Diagnostic::new(Code::E0105, self.span(node), message));
    }
}
