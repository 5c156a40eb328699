//! Decision trees against what they were made of: in every configuration, whatever is asked at run
//! time, the tree of a shape does the steps that were planned for that configuration alone.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::choose::Chooser;
use super::ir::{Node, Test};
use super::shapes::Shaper;
use super::{configs, flags, plan, shapes};
use crate::lower::lower;
use crate::model::{Config, Model};
use crate::parse::parse;
use crate::source::Files;

fn shipped() -> Vec<Model> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../archdefs");
    let paths = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let definitions = paths.filter(|path| path.extension().is_some_and(|e| e == "arch"));
    let model = |path: std::path::PathBuf| {
        let mut files = Files::default();
        let file = files.add("shipped", std::fs::read_to_string(path).unwrap());
        lower(&parse(&files, file).0.unwrap()).0.unwrap()
    };
    definitions.map(model).collect()
}

/// What is asked at run time, in a node or in one of the two.
fn asked<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Vec<Test> {
    let mut tests = BTreeSet::new();
    for node in nodes {
        node.walk(&mut |node| {
            if let Node::Select { on, .. } = node
                && !matches!(on, Test::Feature(_) | Test::Erratum(_))
            {
                tests.insert(*on);
            }
        });
    }
    tests.into_iter().collect()
}

/// The steps of a node when these tests hold; frames around steps become steps of their own.
fn steps(node: &Node, config: Config, holds: &BTreeSet<Test>, out: &mut Vec<Node>) {
    match node {
        Node::Seq(nodes) => nodes
            .iter()
            .for_each(|node| steps(node, config, holds, out)),
        Node::Select {
            on,
            then,
            otherwise,
        } => {
            let yes = match on {
                Test::Feature(feature) => config.has(*feature),
                Test::Erratum(erratum) => config.suffers(*erratum),
                test => holds.contains(test),
            };
            steps(if yes { then } else { otherwise }, config, holds, out);
        }
        Node::Guard { scope, body } => {
            let body_out = &mut Vec::new();
            steps(body, config, holds, body_out);
            out.push(Node::Guard {
                scope: *scope,
                body: Box::new(Node::Seq(std::mem::take(body_out))),
            });
        }
        Node::Passes { folding, body } => {
            let body_out = &mut Vec::new();
            steps(body, config, holds, body_out);
            out.push(Node::Passes {
                folding: *folding,
                body: Box::new(Node::Seq(std::mem::take(body_out))),
            });
        }
        step => out.push(step.clone()),
    }
}

#[test]
fn trees_do_what_was_planned_for_each_configuration() {
    let models = shipped();
    assert!(!models.is_empty());
    for model in models {
        let (plans, findings) = plan(&model);
        assert!(findings.is_empty());
        let mut chooser = Chooser::default();
        let (mut compared, mut all) = (0, 0);
        for config in configs(&model, &flags(&model)) {
            all += 1;
            let mut shaper = Shaper {
                model: &model,
                config,
                chooser: &mut chooser,
                gaps: Vec::new(),
                unwritten: Vec::new(),
                completions: FxHashMap::default(),
            };
            for shape in shapes() {
                let Some(node) = shaper.node(shape) else {
                    continue;
                };
                let tree = &plans.get(shape).unwrap().body;
                let tests = asked([&node, tree]);
                for bits in 0..1u32 << tests.len() {
                    let held = tests
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| bits & (1 << i) != 0);
                    let holds: BTreeSet<Test> = held.map(|(_, test)| *test).collect();
                    let (mut planned, mut grown) = (Vec::new(), Vec::new());
                    steps(&node, config, &holds, &mut planned);
                    steps(tree, config, &holds, &mut grown);
                    assert_eq!(planned, grown, "{shape:?} {config:?} {holds:?}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 20 * all, "{compared} in {all}");
    }
}
