//! From one node for each configuration to one decision tree.
//!
//! In: what is done in every possible configuration. Out: a tree that asks for a feature only where
//! the answer matters. Holds: following the answers of a configuration leads to its node.

use std::collections::BTreeMap;

use super::ir::{Node, Test};
use crate::model::Config;

/// The flags that a tree may ask for, in the order in which it does.
#[derive(Debug, Clone)]
pub struct Flags(pub Vec<Test>);

fn is_on(flag: Test, config: Config) -> bool {
    match flag {
        Test::Feature(feature) => config.has(feature),
        Test::Erratum(erratum) => config.suffers(erratum),
        _ => false,
    }
}

/// The tree.
pub fn tree(flags: &Flags, nodes: &BTreeMap<Config, Node>) -> Node {
    let all: Vec<(Config, &Node)> = nodes.iter().map(|(c, n)| (*c, n)).collect();
    grow(&flags.0, &all)
}

fn grow(flags: &[Test], nodes: &[(Config, &Node)]) -> Node {
    let Some((_, first)) = nodes.first() else {
        return Node::Seq(Vec::new());
    };
    if nodes.iter().all(|(_, node)| node == first) {
        return (*first).clone();
    }
    let Some((&flag, rest)) = flags.split_first() else {
        return (*first).clone();
    };
    let (on, off): (Vec<_>, Vec<_>) = nodes.iter().partition(|(c, _)| is_on(flag, *c));
    let (then, otherwise) = (grow(rest, &on), grow(rest, &off));
    // Configurations that cannot be are free: where one branch serves the other's as well, the
    // question need not be asked.
    let serves = |tree: &Node, all: &[(Config, &Node)]| {
        all.iter()
            .all(|(config, node)| follow(tree, *config) == *node)
    };
    if off.is_empty() || serves(&then, &off) {
        return then;
    }
    if on.is_empty() || serves(&otherwise, &on) {
        return otherwise;
    }
    Node::select(flag, then, otherwise)
}

/// Where the answers of a configuration lead.
fn follow(tree: &Node, config: Config) -> &Node {
    match tree {
        Node::Select {
            on: flag @ (Test::Feature(_) | Test::Erratum(_)),
            then,
            otherwise,
        } => follow(
            if is_on(*flag, config) {
                then
            } else {
                otherwise
            },
            config,
        ),
        node => node,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ir::Shape;

    fn config(features: u32) -> Config {
        Config {
            features,
            ..Config::default()
        }
    }

    #[test]
    fn a_flag_that_does_not_matter_is_not_asked_for() {
        let nodes = (0..4).map(|bits| {
            let node = if bits & 2 == 0 {
                Node::Call(Shape::Arrive)
            } else {
                Node::Call(Shape::Switch)
            };
            (config(bits), node)
        });
        let flags = Flags(vec![Test::Feature(0), Test::Feature(1)]);
        let grown = tree(&flags, &nodes.collect());
        assert_eq!(
            grown,
            Node::select(
                Test::Feature(1),
                Node::Call(Shape::Switch),
                Node::Call(Shape::Arrive)
            )
        );
    }

    #[test]
    fn configurations_that_cannot_be_are_no_reason_to_ask() {
        let mut nodes = BTreeMap::new();
        nodes.insert(config(0), Node::Call(Shape::Arrive));
        nodes.insert(config(1), Node::Call(Shape::Switch));
        nodes.insert(config(3), Node::Call(Shape::Switch));
        let flags = Flags(vec![Test::Feature(0), Test::Feature(1)]);
        assert_eq!(
            tree(&flags, &nodes),
            Node::select(
                Test::Feature(0),
                Node::Call(Shape::Switch),
                Node::Call(Shape::Arrive)
            )
        );
    }
}
